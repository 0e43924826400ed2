"""Whom our invoices are made out to."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coaches.billing import tidy_address
from coaches.models import BillingDetails, Coach
from coaches.selectors import coach_of
from marketplace.lib.access import signed_in
from payments.statements.invoices import missing_of


class BillingSerializer(serializers.ModelSerializer[BillingDetails]):
    """Each of them may be empty."""

    class Meta:
        model = BillingDetails
        fields: tuple[str, ...] = ("name", "address", "country", "tax_id")

    def validate_address(self, address: str) -> str:
        return tidy_address(address)


class BillingAnswerSerializer(BillingSerializer):
    missing = serializers.ListField(child=serializers.CharField(), help_text="What the next invoice lacks, in words.")

    class Meta(BillingSerializer.Meta):
        fields = (*BillingSerializer.Meta.fields, "missing")


class BillingView(APIView):
    @extend_schema(responses=BillingAnswerSerializer)
    def get(self, request: Request) -> Response:
        """Name, address, country (two letters) and tax id, as far as the coach has said them."""
        return _answer(_own_coach(request))

    @extend_schema(request=BillingSerializer, responses=BillingAnswerSerializer)
    def patch(self, request: Request) -> Response:
        """Some of them, or all. It is on the next invoice; one that is made stays as it is."""
        coach = _own_coach(request)
        sent = BillingSerializer(data=request.data, partial=True)
        sent.is_valid(raise_exception=True)
        BillingDetails.objects.update_or_create(coach=coach, defaults=sent.validated_data)
        return _answer(coach)


def _answer(coach: Coach) -> Response:
    said = BillingDetails.objects.filter(coach=coach).first() or BillingDetails()
    return Response({**BillingSerializer(said).data, "missing": missing_of(coach)})


def _own_coach(request: Request) -> Coach:
    coach = coach_of(signed_in(request))
    if coach is None:
        raise NotFound
    return coach
