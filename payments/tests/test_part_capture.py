"""A part is taken and the rest given back: the books agree with Stripe's balance to the minor unit, in any currency."""

from collections import Counter
from datetime import timedelta

import pytest

from marketplace import clock
from marketplace.lib.money import Money
from payments import gateway, ledger, operations, pollers, services
from payments.facts import Fact
from payments.models import Earning, LedgerEntry, Operation, Payment, SettlementMode, Transfer
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Status = Payment.Status
MONTHLY, PER_SESSION = SettlementMode.MONTHLY, SettlementMode.PER_SESSION


@pytest.fixture
def hold(sandbox, student, payable_coach, heard):
    def make(mode: SettlementMode, price: Money) -> Payment:
        services.choose_settlement_mode(coach=payable_coach, mode=mode, now=clock.now())
        return stage.hold(sandbox, student, payable_coach, price=price)

    return make


def take(payment: Payment, amount: int) -> None:
    stage.request_capture(payment, clock.now(), amount=Money(amount, payment.currency))
    operations.sweep(now=clock.now())
    payment.refresh_from_db()


def balance_at_stripe(sandbox) -> Counter[str]:
    """The platform's money at Stripe by currency, pending or available."""
    balance = stage.at_stripe(sandbox, "/v1/balance")
    total: Counter[str] = Counter()
    for row in [*balance["available"], *balance["pending"]]:
        total[row["currency"]] += row["amount"]
    return total


def the_books_agree(sandbox, payment) -> None:
    assert ledger.balance("stripe_balance", payment.currency).amount == balance_at_stripe(sandbox)[payment.currency]
    ours = LedgerEntry.objects.filter(account__code="stripe_balance").values_list("balance_transaction_id", "amount")
    theirs = stage.at_stripe(sandbox, "/v1/balance_transactions?limit=100")["data"]
    assert set(ours) == {(row["id"], row["net"]) for row in theirs}
    assert ledger.check() == []


# --- shared -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SettlementMode)
@pytest.mark.parametrize(
    ("currency", "price", "part", "share"),
    [
        ("usd", 10_000, 5_000, 4_000),
        ("usd", 9_999, 3_333, 2_666),  # our fee of 666.6 is rounded up
        ("usd", 10_000, 50, 40),  # the least that Stripe takes
        ("usd", 10_000, 10_000, 8_000),
        ("jpy", 8_001, 4_001, 3_201),
        ("jpy", 5_000, 50, 40),
        ("kwd", 25_000, 12_510, 10_010),  # in tens: a fee of 2,502 is 2,500
    ],
)
def test_of_a_part_the_coach_gets_its_share_and_the_books_agree(
    mode, currency, price, part, share, sandbox, hold, heard
):
    payment = hold(mode, Money(price, currency))
    take(payment, part)
    assert (payment.status, payment.captured_amount) == (Status.CAPTURED, part)
    assert heard[-1] == (Fact.CAPTURED, payment.pk)
    assert ledger.balance("platform_revenue", currency).amount == share - part
    moved = sum(Transfer.objects.values_list("amount", flat=True))
    earned = sum(Earning.objects.values_list("amount", flat=True))
    assert (moved, earned) == ((0, share) if mode == MONTHLY else (part, 0))
    the_books_agree(sandbox, payment)
    intent = stage.at_stripe(sandbox, f"/v1/payment_intents/{payment.payment_intent_id}")
    assert (intent["amount_received"], intent["amount_capturable"]) == (part, 0)


def test_per_session_our_fee_is_of_the_part(sandbox, hold):
    """Stripe would keep the fee of the whole."""
    payment = hold(PER_SESSION, Money(10_000, "usd"))
    take(payment, 5_000)
    (call,) = stage.calls(sandbox, "/capture")
    charge = stage.at_stripe(sandbox, f"/v1/charges/{payment.charge_id}?expand[]=application_fee")
    assert charge["application_fee"]["amount"] == 1_000
    assert call["effect"]


@pytest.mark.parametrize("mode", SettlementMode)
def test_of_a_part_too_small_for_a_fee_the_coach_gets_all(mode, sandbox, hold):
    """Per session Stripe keeps the fee of the whole all the same, and the monthly run gives it to the coach."""
    payment = hold(mode, Money(25_000, "kwd"))
    take(payment, 10)
    assert (payment.captured_amount, Earning.objects.get().amount) == (10, 10)
    assert ledger.balance("platform_revenue", "kwd").amount == 0
    the_books_agree(sandbox, payment)


# --- too little, too much -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", SettlementMode)
@pytest.mark.parametrize(("currency", "price", "part"), [("usd", 10_000, 49), ("jpy", 5_000, 49), ("kwd", 25_000, 0)])
def test_what_is_too_little_for_stripe_is_given_back(mode, currency, price, part, sandbox, hold, heard):
    payment = hold(mode, Money(price, currency))
    take(payment, part)
    assert (payment.status, payment.captured_amount) == (Status.RELEASED, 0)
    assert heard[-1] == (Fact.RELEASED, payment.pk)
    assert stage.calls(sandbox, "/capture") == []
    assert LedgerEntry.objects.count() == 0
    assert balance_at_stripe(sandbox)[currency] == 0


def test_more_than_is_held_is_refused_here(sandbox, held):
    with pytest.raises(ValueError, match="more than is held"):
        stage.request_capture(held, clock.now(), amount=Money(10_001, "usd"))
    held.refresh_from_db()
    assert (held.status, Operation.objects.filter(kind=Operation.Kind.CAPTURE).count()) == (Status.HELD, 0)


def test_another_currency_is_refused_here(held):
    with pytest.raises(ValueError, match="do not add up"):
        stage.request_capture(held, clock.now(), amount=Money(5_000, "eur"))
    held.refresh_from_db()
    assert held.status == Status.HELD


# --- when something stands in the way -----------------------------------------------------------


def test_a_part_whose_capture_was_refused_is_asked_anew_as_the_same_part(sandbox, held, heard):
    refusal = {"error": {"type": "invalid_request_error", "code": "lock", "message": "Not now."}}
    stage.break_next(sandbox, "respond", "/v1/payment_intents/*/capture", status=400, body=refusal)
    take(held, 2_500)
    assert held.status == Status.CAPTURING
    sandbox.advance(3700)
    pollers.poll_open_payments(now=clock.now())
    operations.sweep(now=clock.now() + timedelta(seconds=1))
    held.refresh_from_db()
    assert (held.status, held.captured_amount) == (Status.CAPTURED, 2_500)
    the_books_agree(sandbox, held)


@pytest.mark.faults
@pytest.mark.parametrize("action", ["reset_after_effect", "garbage_body", "reset_before_effect"])
def test_a_part_is_taken_once_whatever_becomes_of_the_answer(action, sandbox, held):
    stage.break_next(sandbox, action, "/v1/payment_intents/*/capture")
    take(held, 2_500)
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    held.refresh_from_db()
    assert (held.status, held.captured_amount) == (Status.CAPTURED, 2_500)
    assert stage.effects(sandbox, "/capture") == 1
    the_books_agree(sandbox, held)


def test_whatever_part_was_taken_at_the_dashboard_is_what_is_booked(sandbox, held):
    stage.request_capture(held, clock.now(), amount=Money(2_500, "usd"))
    gateway.capture_payment_intent(held.payment_intent_id, params={"amount_to_capture": 7_000}, key="dashboard")
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert (held.status, held.captured_amount, Earning.objects.get().amount) == (Status.CAPTURED, 7_000, 5_600)
    the_books_agree(sandbox, held)
