"""What events do: hints that lead to the same state in any order, any number of times, or set aside with a reason."""

import random
from datetime import timedelta

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, payouts, webhooks
from payments.facts import Fact
from payments.models import (
    Earning,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutAccount,
    PayoutLine,
    StripeEvent,
    Transfer,
)
from payments.tests import reports, stage

State = StripeEvent.State
Heard = list[tuple[Fact, int]]


def capture_at_stripe(sandbox: Sandbox, payment: Payment) -> None:
    """The money is taken, and our own call's answer is lost, so that only an event can tell."""
    stage.request_capture(payment, clock.now())
    stage.break_next(sandbox, "reset_after_effect", "/v1/payment_intents/*/capture")
    operations.sweep(now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Payment.Status.CAPTURING


# --- any order, any number, none ----------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
@pytest.mark.parametrize("seed", range(4))
def test_every_event_three_times_in_any_order_is_one_capture(
    sandbox: Sandbox, paid: Payment, heard: Heard, seed: int
) -> None:
    reports.deliver_and_work(reports.events(sandbox, "checkout.session.completed"))
    paid.refresh_from_db()
    capture_at_stripe(sandbox, paid)
    everything = reports.events(sandbox) * 3
    random.Random(seed).shuffle(everything)

    reports.deliver_and_work(everything)

    paid.refresh_from_db()
    assert (paid.status, paid.captured_amount) == (Payment.Status.CAPTURED, 10_000)
    assert heard == [(Fact.HOLD_RECORDED, paid.pk), (Fact.CAPTURED, paid.pk)]
    assert LedgerTransaction.objects.count() == 1
    assert Earning.objects.get().amount == 8_000
    assert ledger.check() == []
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {State.DONE, State.IGNORED}
    ignored = StripeEvent.objects.filter(state=State.IGNORED)
    assert set(ignored.values_list("reason", flat=True)) == {"not an event that we handle"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_four_workers_take_each_event_once(sandbox: Sandbox, paid: Payment, heard: Heard) -> None:
    reported = reports.events(sandbox)
    for event in reported:
        reports.deliver(event)
    taken: list[int] = []
    now = clock.now() + timedelta(seconds=1)
    stage.at_once([lambda: taken.append(webhooks.sweep_events(now=now))] * 4)

    assert sum(taken) == len(reported)
    assert set(StripeEvent.objects.values_list("tries", flat=True)) == {1}
    paid.refresh_from_db()
    assert paid.status == Payment.Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "event_type", ["checkout.session.completed", "payment_intent.amount_capturable_updated", "charge.succeeded"]
)
def test_each_event_of_a_hold_alone_is_enough(sandbox: Sandbox, paid: Payment, heard: Heard, event_type: str) -> None:
    [row] = reports.deliver_and_work(reports.events(sandbox, event_type))
    assert (row.state, row.reason, row.lease_token) == (State.DONE, "", None)
    paid.refresh_from_db()
    assert paid.status == Payment.Status.HELD
    assert paid.payment_intent_id is not None
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


@pytest.mark.django_db
@pytest.mark.parametrize("event_type", ["payment_intent.succeeded", "charge.captured"])
def test_each_event_of_a_capture_alone_is_enough(
    sandbox: Sandbox, held: Payment, heard: Heard, event_type: str
) -> None:
    capture_at_stripe(sandbox, held)
    reports.deliver_and_work(reports.events(sandbox, event_type))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert heard[-1] == (Fact.CAPTURED, held.pk)
    # Our own repeated call finds it done.
    operations.sweep(now=clock.now() + timedelta(minutes=10))
    assert Operation.objects.get(kind="capture").state == Operation.State.DONE
    assert LedgerTransaction.objects.count() == 1
    assert heard.count((Fact.CAPTURED, held.pk)) == 1


@pytest.mark.django_db
def test_an_event_that_precedes_the_commit_of_the_page_still_finds_the_payment(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Heard
) -> None:
    """Our answer is lost, so we don't know the page's id, and the student has paid on it already."""
    stage.break_next(sandbox, "reset_after_effect", "/v1/checkout/sessions")
    payment = stage.write_down_payment(student, payable_coach)
    operations.run_operation(payment.operations.get().pk, now=clock.now())
    session = stage.at_stripe(sandbox, "/v1/checkout/sessions")["data"][0]
    sandbox.post(f"/_sandbox/checkout/{session['id']}/pay", {"payment_method": "pm_card_visa"})
    payment.refresh_from_db()
    assert payment.checkout_session_id is None

    reports.deliver_and_work(reports.events(sandbox, "checkout.session.completed"))

    payment.refresh_from_db()
    assert payment.status == Payment.Status.HELD


# --- what else they tell ------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_refusal_keeps_the_banks_words(sandbox: Sandbox, student: User, payable_coach: Coach, heard: Heard) -> None:
    payment = stage.open_page(student, payable_coach)
    declined = f"/_sandbox/checkout/{payment.checkout_session_id}/pay"
    stage.pay_refused(sandbox, declined)
    [row] = reports.deliver_and_work(reports.events(sandbox, "payment_intent.payment_failed"))
    assert (row.state, row.reason) == (State.DONE, "")
    payment.refresh_from_db()
    assert payment.status == Payment.Status.OPEN
    assert payment.last_refusal == "Your card was declined."
    assert heard == []


@pytest.mark.django_db
def test_a_page_that_ran_out_lapses(sandbox: Sandbox, student: User, payable_coach: Coach, heard: Heard) -> None:
    payment = stage.open_page(student, payable_coach)
    sandbox.advance(41 * 60)
    reports.deliver_and_work(reports.events(sandbox, "checkout.session.expired"))
    payment.refresh_from_db()
    assert payment.status == Payment.Status.LAPSED
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]


@pytest.mark.django_db
@pytest.mark.parametrize("event_type", ["payment_intent.canceled", "charge.expired"])
def test_a_hold_that_ran_out_is_lost(sandbox: Sandbox, held: Payment, heard: Heard, event_type: str) -> None:
    sandbox.advance(7 * 86_400 + 60)
    reports.deliver_and_work(reports.events(sandbox, event_type))
    held.refresh_from_db()
    assert held.status == Payment.Status.LOST
    assert heard[-1] == (Fact.HOLD_LOST, held.pk)


@pytest.mark.django_db
def test_a_late_old_event_never_moves_a_payment_back(sandbox: Sandbox, held: Payment, heard: Heard) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    reports.deliver_and_work(reports.events(sandbox, "checkout.session.completed", "charge.succeeded"))
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.CAPTURED, held.pk)]


@pytest.mark.django_db
def test_a_transfers_event_adopts_our_own_lines_transfer(sandbox: Sandbox, held: Payment, heard: Heard) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    sandbox.advance(45 * 86_400)
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    payouts.run_due(clock.now())
    assert PayoutLine.objects.get().status == PayoutLine.Status.PLANNED

    [row] = reports.deliver_and_work(reports.events(sandbox, "transfer.created"))

    assert (row.state, row.reason) == (State.DONE, "")
    assert PayoutLine.objects.get().status == PayoutLine.Status.PAID
    assert Transfer.objects.get().amount == 8_000
    assert ledger.check() == []
    operations.sweep(now=clock.now() + timedelta(minutes=10))
    assert Operation.objects.get(kind="transfer").state == Operation.State.DONE
    assert Transfer.objects.count() == 1
    assert stage.effects(sandbox, "/v1/transfers") == 1


@pytest.mark.django_db
@pytest.mark.parametrize("event_type", ["account.updated", "capability.updated"])
def test_an_accounts_event_reads_the_account(sandbox: Sandbox, payable_coach: Coach, event_type: str) -> None:
    account = PayoutAccount.objects.get()
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict")
    [*_, row] = reports.deliver_and_work(reports.events(sandbox, event_type))
    assert (row.state, row.reason) == (State.DONE, "")
    account.refresh_from_db()
    payable_coach.refresh_from_db()
    assert account.transfers_active is False
    assert payable_coach.payable is False


@pytest.mark.django_db
def test_a_coach_who_cuts_the_connection_can_not_be_paid(sandbox: Sandbox, payable_coach: Coach) -> None:
    account = PayoutAccount.objects.get()
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    [row] = reports.deliver_and_work(reports.events(sandbox, "account.application.deauthorized"))
    assert (row.state, row.reason) == (State.DONE, "")
    account.refresh_from_db()
    payable_coach.refresh_from_db()
    assert account.deauthorised_at is not None
    assert payable_coach.payable is False
