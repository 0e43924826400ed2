"""A hold that staff reduce: the rest is taken and kept back, and one person alone gives back no more than the limit."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role
from payments import ledger, services
from payments.errors import TooMuchForOne
from payments.models import Earning, LedgerEntry, Operation, Payment, PayoutAccount, Refund, SettlementMode, Transfer
from payments.refunds import RefundQuote, RefundTooHigh
from payments.services import refund_desk
from payments.tests import stage
from payments.tests.money_back import assert_agreed, at_coach, books, fund, give_back, pay_month, sweep

pytestmark = pytest.mark.django_db

BOTH = pytest.mark.parametrize("over", list(SettlementMode), indirect=True)
WISH = {"amount": "25.00", "percent": "", "reason": "problem", "bearer": "", "note": "The sound was bad."}
TOO_MUCH = "This is more than one person may give back of a hold."


@pytest.fixture
def over(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], request: pytest.FixtureRequest
) -> Payment:
    """100.00 USD held for a session that is over; of the coach who is paid at once, unless the test says otherwise."""
    fund(sandbox, "usd")
    mode = getattr(request, "param", SettlementMode.PER_SESSION)
    PayoutAccount.objects.filter(coach=payable_coach).update(settlement_mode=mode)
    payment = stage.hold(sandbox, student, payable_coach)
    sandbox.advance(int((payment.service_ends_at - clock.now()).total_seconds()) + 2)
    return payment


def reduce(payment: Payment, amount: int, actor: User | None) -> Refund | None:
    return services.request_refund(
        payment=payment,
        amount=Money(amount, payment.currency),
        reason=Refund.Reason.PROBLEM,
        actor=actor,
        now=clock.now(),
    )


def reduced(payment: Payment, amount: int, actor: User | None) -> None:
    """And all that follows from it at Stripe."""
    assert reduce(payment, amount, actor) is None
    sweep()
    payment.refresh_from_db()


def quote(payment: Payment, amount: int) -> RefundQuote:
    return refund_desk.quote_for_staff(
        payment,
        amount=Money(amount, payment.currency),
        reason=Refund.Reason.PROBLEM,
        bearer=Refund.Bearer.SHARED,
        now=clock.now(),
    )


def at_desk(client: Client, payment: Payment, **wish: str) -> Any:
    return client.post(reverse("admin:payments_refund_make", args=[payment.pk]), {**WISH, **wish})


def assert_untouched(sandbox: Sandbox, payment: Payment) -> None:
    """It is still held, whole, and Stripe was asked for nothing."""
    sweep()
    payment.refresh_from_db()
    assert (payment.status, payment.captured_amount, payment.refunded_amount) == (Payment.Status.HELD, 0, 0)
    assert not Operation.objects.filter(kind__in=("capture", "release", "refund")).exists()
    assert (Refund.objects.count(), Earning.objects.count(), StaffDecision.objects.count()) == (0, 0, 0)
    for path in ("/capture", "/cancel", "/v1/refunds"):
        assert stage.calls(sandbox, path) == []
    intent = stage.at_stripe(sandbox, f"/v1/payment_intents/{payment.payment_intent_id}")
    assert (intent["status"], intent["amount_capturable"]) == ("requires_capture", 10_000)


# --- what is taken is kept back -----------------------------------------------------------------


@BOTH
def test_the_coachs_share_of_the_rest_is_an_earning(
    sandbox: Sandbox, over: Payment, payable_coach: Coach, staff: User
) -> None:
    reduced(over, 2_500, staff)

    assert (over.status, over.captured_amount, over.refunded_amount) == (Payment.Status.CAPTURED, 7_500, 0)
    earning = Earning.objects.get()
    assert (earning.kind, earning.amount, earning.currency, earning.frozen) == ("share", 6_000, "usd", False)
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert books(ledger.coach_payable(payable_coach.pk)) == -6_000
    assert books("platform_revenue") == -1_500
    assert Refund.objects.count() == 0
    assert_agreed(sandbox)


def test_paid_per_session_all_that_is_taken_comes_back_as_our_fee(sandbox: Sandbox, over: Payment, staff: User) -> None:
    reduced(over, 2_500, staff)

    charge = stage.at_stripe(sandbox, f"/v1/charges/{over.charge_id}?expand[]=application_fee")
    assert (charge["amount_captured"], charge["application_fee"]["amount"]) == (7_500, 7_500)
    # It came and went at once: nothing of it can be fetched back from the coach.
    assert list(Transfer.objects.values_list("amount", "reversed_amount")) == [(7_500, 7_500)]


@BOTH
def test_the_coach_gets_the_share_with_the_month(
    sandbox: Sandbox, over: Payment, payable_coach: Coach, staff: User
) -> None:
    reduced(over, 2_500, staff)
    pay_month(sandbox)
    sweep()

    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


@BOTH
def test_a_rest_too_small_for_stripe_is_not_taken(sandbox: Sandbox, over: Payment, staff: User) -> None:
    reduced(over, 9_951, staff)

    assert (over.status, over.captured_amount) == (Payment.Status.RELEASED, 0)
    assert stage.calls(sandbox, "/capture") == []
    assert (Earning.objects.count(), LedgerEntry.objects.filter(transaction__payment=over).count()) == (0, 0)
    assert_agreed(sandbox)


def test_it_is_written_down_who_reduced_it(over: Payment, staff: User) -> None:
    reduced(over, 2_500, staff)
    decision = StaffDecision.objects.get()
    assert (decision.actor, decision.decision, decision.subject_id) == (staff, "hold_reduced", str(over.pk))
    assert decision.after == {
        "amount": 2_500, "currency": "usd", "coach_part": 2_000, "fee_part": 500, "loss_part": 0,
    }  # fmt: skip


# --- more than one person may -------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("amount", [2_499, 2_500])
def test_up_to_the_limit_one_person_is_enough(over: Payment, staff: User, settings: Any, amount: int) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_500
    assert quote(over, amount).amount == Money(amount, "usd")
    reduced(over, amount, staff)
    assert (over.status, over.captured_amount) == (Payment.Status.CAPTURED, 10_000 - amount)


@BOTH
@pytest.mark.parametrize("amount", [2_501, 10_000])
def test_above_the_limit_one_person_is_refused(
    sandbox: Sandbox, over: Payment, staff: User, settings: Any, amount: int
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_500
    with pytest.raises(TooMuchForOne):
        reduce(over, amount, staff)
    assert_untouched(sandbox, over)


def test_above_the_limit_it_is_not_even_shown(over: Payment, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_500
    with pytest.raises(TooMuchForOne):
        quote(over, 2_501)


def test_what_stripe_would_not_take_of_the_rest_counts_as_given_back(
    sandbox: Sandbox, over: Payment, staff: User, settings: Any
) -> None:
    """99.60 are asked for, and 100.00 would be released."""
    settings.REFUND_APPROVAL_LIMIT = 9_999
    with pytest.raises(TooMuchForOne):
        quote(over, 9_960)
    with pytest.raises(TooMuchForOne):
        reduce(over, 9_960, staff)
    assert_untouched(sandbox, over)


def test_what_was_not_taken_of_the_hold_counts_for_the_refunds_that_follow(
    over: Payment, staff: User, settings: Any
) -> None:
    """A hold reduced by as much as one may, and then a refund of as much again, would be twice the limit."""
    settings.REFUND_APPROVAL_LIMIT = 2_500
    reduced(over, 2_000, staff)

    assert give_back(over, 500, actor=staff).status == Refund.Status.REQUESTED
    sweep()
    assert give_back(over, 1, actor=staff).status == Refund.Status.TO_APPROVE


def test_more_than_is_held_is_called_just_that(sandbox: Sandbox, over: Payment, staff: User, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_500
    with pytest.raises(RefundTooHigh):
        quote(over, 10_001)
    with pytest.raises(RefundTooHigh):
        reduce(over, 10_001, staff)
    assert_untouched(sandbox, over)


def test_a_rule_has_no_limit(over: Payment, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 0
    reduced(over, 2_500, None)
    assert (over.status, over.captured_amount, StaffDecision.objects.count()) == ("captured", 7_500, 0)


# --- at the desk --------------------------------------------------------------------------------


def test_the_desk_reduces_it_up_to_the_limit(over: Payment, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_500
    client = as_role("support")
    page = at_desk(client, over)
    assert (page.status_code, page.context["waits"]) == (200, False)
    assert at_desk(client, over, shown=page.context["shown"]).status_code == 302
    sweep()
    over.refresh_from_db()
    assert (over.captured_amount, Earning.objects.get().amount) == (7_500, 6_000)


@pytest.mark.parametrize("role", ["support", "finance"])
def test_the_desk_says_in_words_that_it_is_too_much_for_one(
    sandbox: Sandbox, over: Payment, settings: Any, role: str
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_499
    page = at_desk(as_role(role), over)
    assert page.status_code == 403
    assert TOO_MUCH in page.content.decode()
    assert page.context["form"]["note"].value() == "The sound was bad."
    assert "shown" not in page.context
    assert_untouched(sandbox, over)


def test_a_confirmation_above_the_limit_is_refused_in_words_too(sandbox: Sandbox, over: Payment, settings: Any) -> None:
    client = as_role("support")
    shown = at_desk(client, over).context["shown"]
    settings.REFUND_APPROVAL_LIMIT = 2_499
    for said in (shown, shown.replace("False", "True")):
        page = at_desk(client, over, shown=said)
        assert page.status_code == 403
        assert TOO_MUCH in page.content.decode()
    assert_untouched(sandbox, over)
