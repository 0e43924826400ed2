"""The signed-in coach's payouts: what is at Stripe, where it goes and when, and what was sent. Others' don't exist."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.money import Money
from payments import payout_selectors, services
from payments.api.fees import MinorUnitsField, MoneySerializer
from payments.models import BankAccount, Payout, PayoutAccount, PayoutMethod, SettlementMode
from payments.services.schedules import WEEKDAYS

INTERVALS = ["daily", "weekly", "monthly"]


def own_account(request: Request) -> PayoutAccount:
    """Raises NotFound for those who have none."""
    account = PayoutAccount.objects.filter(coach__user=signed_in(request)).select_related("coach").first()
    if account is None:
        raise NotFound
    return account


# --- payouts ------------------------------------------------------------------------------------


class FailureSerializer(serializers.Serializer[Any]):
    what = serializers.CharField(help_text="What happened, for people.")
    way_out = serializers.CharField(help_text="What the coach can do about it.")


class PayoutSerializer(serializers.ModelSerializer[Payout]):
    money = MoneySerializer()
    status = serializers.ChoiceField(choices=Payout.Status.choices)
    method = serializers.ChoiceField(choices=Payout.Method.choices)
    failure = serializers.SerializerMethodField()

    class Meta:
        model = Payout
        fields = (
            "id", "stripe_payout_id", "money", "status", "method", "automatic", "bank_name", "bank_last4", "arrives_on",
            "failure", "created_at",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema(responses=FailureSerializer)
    def get_failure(self, payout: Payout) -> dict[str, Any] | None:
        words = payout_selectors.payout_row(payout).failure
        return FailureSerializer(words).data if words else None


class AskSerializer(serializers.Serializer[Any]):
    amount = MinorUnitsField(min_value=1, help_text="Minor units, such as 2500 for $25.00.")
    currency = serializers.RegexField(
        r"^[a-z]{3}\Z", trim_whitespace=False, help_text="One that the balance has, in lower case."
    )
    method = serializers.ChoiceField(choices=Payout.Method.choices, default=Payout.Method.STANDARD)


class PayoutViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Payout]):
    """The caller's own payouts to their bank, newest first."""

    queryset = Payout.objects.none()  # for the schema; rows come from get_queryset
    serializer_class = PayoutSerializer
    filter_backends = ()
    lookup_value_regex = r"[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Payout]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        account = PayoutAccount.objects.filter(coach__user=signed_in(self.request)).first()
        return payout_selectors.payouts_of(account) if account else self.queryset

    @extend_schema(request=AskSerializer, responses={201: PayoutSerializer})
    def create(self, request: Request) -> Response:
        """Pay out now. The same asked for twice within a minute is one payout, and answered as that.

        409 `payout_not_allowed`, `balance_too_low`, `no_bank_for_currency`, `payout_under_way`, `payout_refused`.
        """
        account = own_account(request)
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        facts = asked.validated_data
        payout = services.request_payout(
            account=account,
            money=Money(facts["amount"], facts["currency"]),
            method=Payout.Method(facts["method"]),
            now=clock.now(),
        )
        return Response(PayoutSerializer(payout).data, status=status.HTTP_201_CREATED)


# --- what is at Stripe --------------------------------------------------------------------------


class BalanceSerializer(serializers.Serializer[Any]):
    available = MoneySerializer()
    pending = MoneySerializer(help_text="On its way into what is available.")
    instant = MoneySerializer(help_text="Can be paid out within minutes; a part of the others.")


class BalancesSerializer(serializers.Serializer[Any]):
    balances = BalanceSerializer(many=True)
    read_at = serializers.DateTimeField(allow_null=True)


class BalanceView(APIView):
    @extend_schema(responses=BalancesSerializer)
    def get(self, request: Request) -> Response:
        """What is in the coach's balance at Stripe, as it was last read. 404 for those without an account."""
        return _balances(own_account(request))

    @extend_schema(request=None, responses=BalancesSerializer)
    def post(self, request: Request) -> Response:
        """Read it again at Stripe. 503 `payouts_unavailable` where Stripe does not answer."""
        return _balances(services.refresh_balance(account=own_account(request), now=clock.now()))


def _balances(account: PayoutAccount) -> Response:
    facts = {"balances": payout_selectors.balances(account), "read_at": account.balance_read_at}
    return Response(BalancesSerializer(facts).data)


# --- where it goes ------------------------------------------------------------------------------


class BankSerializer(serializers.ModelSerializer[BankAccount]):
    kind = serializers.ChoiceField(choices=BankAccount.Kind.choices)

    class Meta:
        model = BankAccount
        fields = ("id", "kind", "name", "last4", "currency", "is_default", "status")
        read_only_fields = fields


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(
        max_length=120,
        trim_whitespace=False,
        write_only=True,
        help_text="Made by Stripe's library from what the coach typed: btok_... or tok_...",
    )


class BanksView(APIView):
    @extend_schema(responses=BankSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The bank accounts and debit cards that payouts may go to; the default of each currency comes first."""
        return Response(BankSerializer(payout_selectors.banks_of(own_account(request)), many=True).data)

    @extend_schema(request=TokenSerializer, responses={201: BankSerializer})
    def post(self, request: Request) -> Response:
        """Add one, by Stripe's token alone. Payouts in its currency go there from now on.

        400 `not_a_token`; 409 `banks_kept_at_stripe` for accounts whose owner changes it at Stripe.
        """
        account = own_account(request)
        sent = TokenSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        bank = services.add_bank(coach=account.coach, token=sent.validated_data["token"], now=clock.now())
        return Response(BankSerializer(bank).data, status=status.HTTP_201_CREATED)


class BankView(APIView):
    @extend_schema(responses={204: None})
    def delete(self, request: Request, bank_id: int) -> Response:
        """Remove it. 409 `bank_needed` for the one that payouts go to."""
        account = own_account(request)
        services.remove_bank(coach=account.coach, bank=_own_bank(account, bank_id), now=clock.now())
        return Response(status=status.HTTP_204_NO_CONTENT)


class DefaultBankView(APIView):
    @extend_schema(request=None, responses=BankSerializer)
    def post(self, request: Request, bank_id: int) -> Response:
        """Payouts in its currency go there from now on."""
        account = own_account(request)
        bank = services.make_default(coach=account.coach, bank=_own_bank(account, bank_id), now=clock.now())
        return Response(BankSerializer(bank).data)


def _own_bank(account: PayoutAccount, bank_id: int) -> BankAccount:
    bank = payout_selectors.banks_of(account).filter(pk=bank_id).first()
    if bank is None:
        raise NotFound
    return bank


# --- when, and how ------------------------------------------------------------------------------


class ScheduleSerializer(serializers.ModelSerializer[PayoutAccount]):
    interval = serializers.CharField(source="schedule_interval")
    monthly_anchor = serializers.IntegerField(source="schedule_monthly_anchor", allow_null=True)
    weekly_anchor = serializers.CharField(source="schedule_weekly_anchor")
    words = serializers.SerializerMethodField(help_text="For people.")
    intervals = serializers.SerializerMethodField(help_text="What the operator offers.")

    class Meta:
        model = PayoutAccount
        fields = ("interval", "monthly_anchor", "weekly_anchor", "words", "intervals")
        read_only_fields = fields

    def get_words(self, account: PayoutAccount) -> str:
        return payout_selectors.schedule_words(account)

    def get_intervals(self, _account: PayoutAccount) -> list[str]:
        return list(settings.PAYOUT_INTERVALS)


class ChooseScheduleSerializer(serializers.Serializer[Any]):
    interval = serializers.ChoiceField(choices=INTERVALS)
    monthly_anchor = serializers.IntegerField(
        required=False, min_value=1, max_value=31, help_text="With monthly; in a shorter month it is the last day."
    )
    weekly_anchor = serializers.ChoiceField(choices=WEEKDAYS, required=False, help_text="With weekly.")


class ScheduleView(APIView):
    @extend_schema(responses=ScheduleSerializer)
    def get(self, request: Request) -> Response:
        """When Stripe sends the balance to the bank by itself."""
        return Response(ScheduleSerializer(own_account(request)).data)

    @extend_schema(request=ChooseScheduleSerializer, responses=ScheduleSerializer)
    def put(self, request: Request) -> Response:
        """Another schedule. 400 `schedule_out_of_bounds` names the operator's limit; 409 `change_under_way`."""
        account = own_account(request)
        sent = ChooseScheduleSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        account = services.choose_schedule(coach=account.coach, now=clock.now(), **sent.validated_data)
        return Response(ScheduleSerializer(account).data)


class PreferencesSerializer(serializers.Serializer[Any]):
    settlement_mode = serializers.ChoiceField(
        choices=SettlementMode.choices, required=False, help_text="Counts for new bookings."
    )
    payout_method = serializers.ChoiceField(
        choices=[("stripe", "By Stripe"), ("later", "Waits with the platform")],
        required=False,
        help_text="With `later`, what is earned waits with the platform.",
    )


class PreferencesView(APIView):
    @extend_schema(responses=PreferencesSerializer)
    def get(self, request: Request) -> Response:
        return _preferences(own_account(request))

    @extend_schema(request=PreferencesSerializer, responses=PreferencesSerializer)
    def patch(self, request: Request) -> Response:
        """How the coach is paid, for new bookings. What is booked or under way is paid as it was agreed."""
        account, now = own_account(request), clock.now()
        sent = PreferencesSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        facts = sent.validated_data
        if "settlement_mode" in facts:
            mode = SettlementMode(facts["settlement_mode"])
            services.choose_settlement_mode(coach=account.coach, mode=mode, now=now)
        if "payout_method" in facts:
            method = PayoutMethod.STRIPE if facts["payout_method"] == "stripe" else PayoutMethod.NONE
            services.choose_payout_method(coach=account.coach, method=method, now=now)
        account.refresh_from_db()
        return _preferences(account)


def _preferences(account: PayoutAccount) -> Response:
    return Response({"settlement_mode": account.settlement_mode, "payout_method": account.payout_method or "later"})
