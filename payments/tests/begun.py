"""One operation of each kind, on its way: for the tests of what becomes of its answer."""

from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.test import override_settings

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import operations, services
from payments.models import Operation, Payment, PayoutAccount
from payments.tests import bankside, money_back, stage

Act = Callable[[], object]
Kind = Operation.Kind


class Begun:
    """One operation of each kind, on its way, with the address that it is sent to."""

    def __init__(self, sandbox: Sandbox, student: User, coach: Coach) -> None:
        self.sandbox, self.student, self.coach = sandbox, student, coach

    def create_customer(self) -> tuple[str, Act]:
        return "/v1/customers", lambda: services.ensure_customer(user=self.student, now=clock.now())

    def create_account(self) -> tuple[str, Act]:
        return "/v1/accounts", lambda: services.create_payout_account(coach=self.coach, country="US", now=clock.now())

    def checkout(self) -> tuple[str, Act]:
        stage.onboard(self.sandbox, self.coach)
        payment = stage.write_down_payment(self.student, self.coach)
        return "/v1/checkout/sessions", lambda: services.start_checkout(payment=payment, now=clock.now())

    def expire_checkout(self) -> tuple[str, Act]:
        stage.onboard(self.sandbox, self.coach)
        payment = stage.open_page(self.student, self.coach)
        return "/v1/checkout/sessions/*/expire", lambda: services.close_checkout(payment=payment, now=clock.now())

    def hold(self) -> tuple[str, Act]:
        stage.onboard(self.sandbox, self.coach)
        payment = stage.save_card(self.sandbox, self.student, self.coach)
        return "/v1/payment_intents", self._then_sweep(stage.request_hold, payment)

    def remove_card(self) -> tuple[str, Act]:
        stage.onboard(self.sandbox, self.coach)
        payment = stage.save_card(self.sandbox, self.student, self.coach)
        stage.give_back(payment, clock.now())
        card = payment.card
        assert card is not None

        def act() -> object:
            services.remove_card(user=self.student, card_id=card.pk, now=clock.now())
            return operations.sweep(now=clock.now())

        return "/v1/payment_methods/*/detach", act

    def capture(self) -> tuple[str, Act]:
        return "/v1/payment_intents/*/capture", self._then_sweep(stage.request_capture, self._held())

    def release(self) -> tuple[str, Act]:
        return "/v1/payment_intents/*/cancel", self._then_sweep(stage.request_release, self._held())

    def refund(self) -> tuple[str, Act]:
        payment = self._captured("monthly")

        def act() -> object:
            money_back.give_back(payment, payment.amount)
            return operations.sweep(now=clock.now())

        return "/v1/refunds", act

    def reversal(self) -> tuple[str, Act]:
        """What the coach has at Stripe is asked back with the answer to the refund, and only then."""
        payment = self._captured("per_session")
        refund = money_back.give_back(payment, payment.amount)
        operations.run_operation(refund.operations.get().pk, now=clock.now())
        return "/v1/transfers/*/reversals", lambda: operations.sweep(now=clock.now())

    def payout(self) -> tuple[str, Act]:
        account = self._custom()
        bankside.fund(self.sandbox, account)
        return "/v1/payouts", lambda: bankside.ask(account)

    def update_account(self) -> tuple[str, Act]:
        account = stage.onboard(self.sandbox, self.coach)
        choice = partial(services.choose_schedule, coach=self.coach, interval="monthly", monthly_anchor=9)
        return f"/v1/accounts/{account.stripe_account_id}", lambda: choice(now=clock.now())

    def add_bank(self) -> tuple[str, Act]:
        self._custom()
        return "/v1/accounts/*/external_accounts", lambda: bankside.add_bank(self.coach)

    def _custom(self) -> PayoutAccount:
        with override_settings(CONNECT_ACCOUNT_TYPE="custom"):
            return bankside.custom(self.sandbox, self.coach, settings)

    def _captured(self, mode: str) -> Payment:
        stage.onboard(self.sandbox, self.coach)
        return money_back.captured(self.sandbox, self.student, self.coach, mode=mode)

    def _held(self) -> Payment:
        stage.onboard(self.sandbox, self.coach)
        return stage.hold(self.sandbox, self.student, self.coach)

    def _then_sweep(self, request: Callable[..., None], payment: Payment) -> Act:
        def act() -> object:
            request(payment, clock.now())
            return operations.sweep(now=clock.now())

        return act


KINDS = [
    Kind.CREATE_CUSTOMER,
    Kind.CREATE_ACCOUNT,
    Kind.CHECKOUT,
    Kind.EXPIRE_CHECKOUT,
    Kind.HOLD,
    Kind.CAPTURE,
    Kind.RELEASE,
    Kind.REMOVE_CARD,
    Kind.REFUND,
    Kind.REVERSAL,
    Kind.PAYOUT,
    Kind.UPDATE_ACCOUNT,
    Kind.ADD_BANK,
]


def begin(kind: Operation.Kind, sandbox: Sandbox, student: User, coach: Coach) -> tuple[str, Act]:
    begun: tuple[str, Act] = getattr(Begun(sandbox, student, coach), kind)()
    return begun
