"""Where the signed-in coach stands with payouts."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coaches.selectors import coach_of
from marketplace.lib.access import signed_in
from payments import selectors
from payments.models import PayoutAccount, SettlementMode

STATES = ["not_started", "incomplete", "in_review", "ready", "restricted", "rejected"]


class PayoutStatusSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=STATES)
    title = serializers.CharField()
    detail = serializers.CharField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="In plain words.")
    due_at = serializers.DateTimeField(allow_null=True)


class PayoutAccountSerializer(serializers.ModelSerializer[PayoutAccount]):
    settlement_mode = serializers.ChoiceField(choices=SettlementMode.choices)

    class Meta:
        model = PayoutAccount
        fields = (
            "stripe_account_id",
            "country",
            "default_currency",
            "details_submitted",
            "charges_enabled",
            "payouts_enabled",
            "transfers_active",
            "onboarding_complete",
            "payable",
            "disabled_reason",
            "settlement_mode",
            "read_at",
        )
        read_only_fields = fields


class AccountSerializer(serializers.Serializer[Any]):
    status = PayoutStatusSerializer()
    account = PayoutAccountSerializer(allow_null=True)


class AccountView(APIView):
    @extend_schema(responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        """Show the signed-in coach's payout account: its state in words, and Stripe's flags. 404 for non-coaches."""
        coach = coach_of(signed_in(request))
        if coach is None:
            raise NotFound
        account = PayoutAccount.objects.filter(coach=coach).first()
        return Response(AccountSerializer({"status": selectors.payout_status(coach), "account": account}).data)
