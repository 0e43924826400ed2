"""What may happen in a random life of the platform's money: by people, in Stripe's dashboard, at banks, to messages.

A deed is tried on whatever is there. It returns what it did, in words for the schedule, or nothing where there was
nothing to do it with; what our services or Stripe refuse is a part of life.
"""

from collections.abc import Callable
from datetime import timedelta

import requests
from django.conf import settings
from django.db import transaction

from marketplace import clock
from marketplace.lib.money import Money, step
from marketplace.lib.months import end_of, month_of
from payments import operations, payouts, services, statements
from payments.models import ClosedMonth, Dispute, Payment, PayoutAccount, Reconciliation, Refund, Transfer
from payments.reconcile import reconcile
from payments.tests import money_back, reports, stage
from payments.tests.random_life import Life

Status = Payment.Status
# Least and most that a session costs, and what the platform has put on its balance to begin with.
PRICES = {"usd": (500, 30_000), "eur": (500, 30_000), "jpy": (500, 50_000)}
FUNDS = 100_000
CARDS = (
    *("pm_card_visa",) * 6,
    *("pm_card_bypassPending",) * 3,
    "pm_card_pendingRefund",
    "pm_card_refundFail",
    "pm_card_createDispute",
    "pm_card_createDisputeInquiry",
)
DAY = 86_400


# --- students -----------------------------------------------------------------------------------


def book(life: Life) -> str | None:
    currency = life.currency()
    price = Money(_whole(life, currency, *PRICES[currency]), currency)
    opening = life.one_of([Payment.Opening.HOLD] * 4 + [Payment.Opening.SAVE])
    coach, reference = life.one_of(life.coaches), life.new_reference()
    payment = stage.open_page(life.student, coach, reference=reference, price=price, opening=opening)
    card = life.one_of(CARDS)
    if life.happens(0.1):
        return f"{reference}: {price!r} with coach {coach.pk}, and nobody paid"
    stage.pay(life.sandbox, payment, card)
    if life.happens(0.75):
        services.refresh_payment(payment=payment, now=clock.now())
    return f"{reference}: {price!r} with coach {coach.pk} by {card}, {opening}, now {_status(payment)}"


def hold_saved_card(life: Life) -> str | None:
    payment = _payment(life, Status.SAVED)
    if payment is None:
        return None
    stage.request_hold(payment, clock.now())
    return f"{payment.reference}: hold asked for"


# --- the platform -------------------------------------------------------------------------------


def capture(life: Life) -> str | None:
    payment = _payment(life, Status.HELD)
    if payment is None:
        return None
    part = {} if life.happens(0.6) else {"amount": _part(life, payment, payment.amount)}
    request = life.one_of([services.request_capture] * 4 + [services.request_capture_kept_back])
    with transaction.atomic():
        request(payment=payment, now=clock.now(), **part)
    return f"{payment.reference}: {request.__name__} {part or 'of all'}"


def release(life: Life) -> str | None:
    payment = _payment(life, Status.HELD)
    if payment is None:
        return None
    stage.request_release(payment, clock.now())
    return f"{payment.reference}: release asked for"


def refund(life: Life) -> str | None:
    payment = _payment(life, Status.CAPTURED)
    if payment is None:
        return None
    amount, bearer = _part(life, payment, payment.captured_amount), life.one_of(list(Refund.Bearer))
    money_back.give_back(payment, amount.amount, bearer=bearer)
    return f"{payment.reference}: refund of {amount!r}, borne by {bearer}"


def freeze(life: Life) -> str | None:
    payment = _payment(life, Status.CAPTURED)
    if payment is None:
        return None
    act = life.one_of([services.freeze_earnings, services.unfreeze_earnings])
    with transaction.atomic():
        act(payment=payment)
    return f"{payment.reference}: {act.__name__}"


def work(life: Life) -> str:
    """What the workers do all the time."""
    operations.sweep(now=clock.now() + timedelta(minutes=life.chance.randrange(10)))
    return "the workers' turn"


def run_month(life: Life) -> str:
    end = end_of(month_of(life.sandbox.now()))
    life.sandbox.advance(int((end - life.sandbox.now()).total_seconds()) + life.chance.randrange(2 * DAY))
    run = payouts.run_due(clock.now())
    return f"the run of {run and run.month} at {life.sandbox.now():%m-%d %H:%M}"


def close_months(life: Life) -> str:
    done = statements.close_due_months(clock.now())
    return f"months closed, {done}: {', '.join(ClosedMonth.objects.values_list('month', flat=True))}"


def compare(life: Life) -> str:
    """In the middle of everything, as it is each hour."""
    row = reconcile(scope=Reconciliation.Scope.RECENT, now=clock.now())
    return f"compared: {row.compared} {row.failure}"


def let_time_pass(life: Life) -> str:
    life.sandbox.advance(life.chance.randrange(8 * DAY) if life.happens(0.3) else life.chance.randrange(DAY))
    return f"it is {life.sandbox.now():%Y-%m-%d %H:%M:%S}"


# --- banks, and Stripe --------------------------------------------------------------------------


def dispute(life: Life) -> str | None:
    payment = _payment(life, Status.CAPTURED)
    if payment is None:
        return None
    body = {"payment_intent": payment.payment_intent_id, "inquiry": life.happens(0.3)}
    made = life.sandbox.post("/_sandbox/disputes", body)
    return f"{payment.reference}: {made['id']} {body}"


def decide_dispute(life: Life) -> str | None:
    """Of one that we may have heard of, or not yet."""
    rows = stage.at_stripe(life.sandbox, "/v1/disputes?limit=100")["data"]
    open_ones = [row["id"] for row in rows if row["status"] not in Dispute.ENDS]
    if not open_ones:
        return None
    path, chosen = f"/_sandbox/disputes/{life.one_of(open_ones)}", life.one_of(["won", "lost", "escalate"])
    life.sandbox.post(*((f"{path}/escalate",) if chosen == "escalate" else (f"{path}/resolve", {"outcome": chosen})))
    return f"{path}: {chosen}"


def warn_of_fraud(life: Life) -> str | None:
    payment = _payment(life, Status.CAPTURED)
    if payment is None:
        return None
    life.sandbox.post("/_sandbox/early_fraud_warnings", {"payment_intent": payment.payment_intent_id})
    return f"{payment.reference}: a fraud warning"


def fail_refund(life: Life) -> str | None:
    rows = stage.at_stripe(life.sandbox, "/v1/refunds?limit=100")["data"]
    if not rows:
        return None
    chosen = life.one_of([row["id"] for row in rows])
    life.sandbox.post(f"/_sandbox/refunds/{chosen}/fail")
    return f"{chosen} fails"


def pay_out(life: Life) -> str | None:
    """By a coach or, in Stripe's dashboard, by the platform."""
    coach = life.one_of([*life.coaches, None])
    currency = life.currency()
    account = {"Stripe-Account": PayoutAccount.objects.get(coach=coach).stripe_account_id} if coach else {}
    answer = requests.post(
        f"{life.sandbox.url}/v1/payouts",
        data={"amount": _whole(life, currency, 100, 20_000), "currency": currency},
        headers=account,
        auth=(settings.STRIPE_SECRET_KEY, ""),
        timeout=30,
    )
    answer.raise_for_status()
    made = answer.json()
    if life.happens(0.3):
        life.sandbox.post(f"/_sandbox/payouts/{made['id']}/fail", {"failure_code": "account_closed"})
    return f"{made['id']} of {made['amount']} {currency} to the bank of {coach or 'the platform'}"


def charge_fee(life: Life) -> str:
    body = {"type": "stripe_fee", "amount": -life.chance.randrange(1, 500), "currency": life.currency()}
    life.sandbox.post("/_sandbox/balance_transactions", body)
    return f"Stripe's own fee {body}"


def top_up(life: Life) -> str:
    body = {"amount": life.chance.randrange(1, FUNDS), "currency": life.currency(), "available": life.happens(0.5)}
    life.sandbox.post("/_sandbox/balance", body)
    return f"a top-up {body}"


# --- somebody in Stripe's dashboard -------------------------------------------------------------


def refund_at_stripe(life: Life) -> str | None:
    """Where one has failed, the same again: one refund for two debts is for staff to explain."""
    payment = _payment(life, Status.CAPTURED)
    if payment is None:
        return None
    path = f"/v1/refunds?payment_intent={payment.payment_intent_id}&limit=100"
    made = stage.at_stripe(life.sandbox, path)["data"]
    failed = [row["amount"] for row in made if row["status"] == "failed"]
    if len(made) > 1 and failed:
        return None
    amount = Money(failed[0], payment.currency) if failed else _part(life, payment, payment.captured_amount)
    return f"{payment.reference}: {money_back.made_at_stripe(life.sandbox, payment, amount.amount)} of {amount!r}"


def reverse_at_stripe(life: Life) -> str | None:
    transfer = life.any_of(Transfer.objects.order_by("pk"))
    if transfer is None:
        return None
    amount = _whole(life, transfer.currency, 1, transfer.amount)
    path = f"/v1/transfers/{transfer.stripe_transfer_id}/reversals"
    made = stage.post_at_stripe(life.sandbox, path, {"amount": amount})
    return f"{made['id']} of {amount} of {transfer}"


def end_hold_at_stripe(life: Life) -> str | None:
    payment = _payment(life, Status.HELD)
    if payment is None:
        return None
    act = life.one_of(["capture", "cancel"])
    stage.post_at_stripe(life.sandbox, f"/v1/payment_intents/{payment.payment_intent_id}/{act}", {})
    return f"{payment.reference}: {act} in the dashboard"


# --- messages -----------------------------------------------------------------------------------


def lose_answer(life: Life) -> str:
    action = life.one_of(["reset_after_effect", "reset_before_effect", "garbage_body", "rate_limit", "lock_timeout"])
    # With a key: none of those that a test itself sends.
    stage.break_next(life.sandbox, action, "/v1/*", idempotency_key="?*")
    return f"the next answer: {action}"


def hear(life: Life) -> str | None:
    """Some of what Stripe has told since the last time arrives: all, none or a part, in any order, some of it twice."""
    told = reports.events(life.sandbox)
    new = [event for event in told[life.told :] if life.happens(life.arriving)]
    life.told = len(told)
    if not new:
        return None
    if life.happens(0.5):
        life.chance.shuffle(new)
    again = [event for event in new if life.happens(0.1)]
    reports.deliver_and_work([*new, *again])
    return f"{len(new)} events, {len(again)} twice"


# --- what deeds are done with -------------------------------------------------------------------


def _payment(life: Life, status: Payment.Status) -> Payment | None:
    found: Payment | None = life.any_of(Payment.objects.filter(status=status).order_by("pk"))
    return found


def _status(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.status


def _part(life: Life, payment: Payment, most: int) -> Money:
    amount = most if life.happens(0.4) else _whole(life, payment.currency, 1, most)
    return Money(amount, payment.currency)


def _whole(life: Life, currency: str, least: int, most: int) -> int:
    """Between the two, in the currency's smallest coins."""
    coin = step(currency)
    return max(life.chance.randint(least, most) // coin * coin, coin)


Deed = Callable[[Life], str | None]
# How often each is tried, against the others.
DEEDS: dict[Deed, int] = {
    book: 10,
    hold_saved_card: 2,
    capture: 10,
    release: 1,
    refund: 5,
    freeze: 1,
    work: 6,
    run_month: 2,
    close_months: 2,
    compare: 1,
    let_time_pass: 4,
    dispute: 2,
    decide_dispute: 2,
    warn_of_fraud: 1,
    fail_refund: 1,
    pay_out: 2,
    charge_fee: 1,
    top_up: 1,
    refund_at_stripe: 2,
    reverse_at_stripe: 2,
    end_hold_at_stripe: 1,
    lose_answer: 2,
    hear: 4,
}
