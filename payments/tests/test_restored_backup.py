"""A backup is restored, older than what Stripe knows: nothing is done a second time, and nothing stays unknown."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet

from bookings import tasks as bookings_tasks
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from payments import gateway, lookout, operations, payouts, reconcile, services, tasks
from payments.errors import PaymentNotSaved
from payments.models import (
    Difference,
    Dispute,
    Earning,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Reconciliation,
    Refund,
    Reversal,
    Standstill,
    Transfer,
)
from payments.services import standstill
from payments.tests import bank, holding, money_back, stage
from payments.tests.backups import Backup

pytestmark = pytest.mark.django_db(transaction=True)

Status = Payment.Status
# What makes no object of its own at Stripe, and so bears no mark there.
CALLS = "capture", "release", "evidence", "close_dispute", "remove_card"


@pytest.fixture
def backup(settings) -> Iterator[Backup]:
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    made = Backup()
    yield made
    made.drop()


# --- what is compared ---------------------------------------------------------------------------


def state() -> dict[str, list[Any]]:
    """All that is about money, by what names it at Stripe, and without our own numbers and clocks."""
    fields = "status", "captured_amount", "refunded_amount", "taken_back_amount", "returned_fee_amount"
    return {
        "payments": rows(Payment, "reference", "payment_intent_id", "charge_id", *fields),
        "refunds": rows(
            Refund, "stripe_refund_id", "status", "amount", "coach_part", "fee_part", "loss_part", "bearer", "reason"
        ),
        "reversals": rows(Reversal, "stripe_reversal_id", "transfer__stripe_transfer_id", "status", "amount"),
        "transfers": rows(Transfer, "stripe_transfer_id", "amount", "reversed_amount", "line__run__month"),
        "runs": rows(PayoutRun, "month", "status"),
        "lines": rows(PayoutLine, "run__month", "coach", "amount", "currency", "status"),
        "earnings": rows(
            Earning, "payment__reference", "kind", "amount", "frozen", "line__run__month",
            "reversal__stripe_reversal_id",
        ),
        "disputes": rows(Dispute, "stripe_dispute_id", "status", "amount", "charged_to"),
        "accounts": rows(PayoutAccount, "stripe_account_id", "coach"),
        "books": sorted(map(booked, LedgerTransaction.objects.prefetch_related("entries__account"))),
        "operations": rows(
            Operation.objects.filter(kind__in=("refund", "transfer", "reversal"), state=Operation.State.DONE),
            "kind", "pk", "result_id",
        ),
        "calls": rows(Operation.objects.filter(kind__in=CALLS, state=Operation.State.DONE), "kind", "pk"),
    }  # fmt: skip


def rows(of: Any, *fields: str) -> list[Any]:
    found = of if isinstance(of, QuerySet) else of.objects
    return sorted(found.values_list(*fields), key=repr)


def booked(fact: LedgerTransaction) -> tuple[Any, ...]:
    entries = [(each.account.code, each.amount, each.balance_transaction_id) for each in fact.entries.all()]
    at_stripe = any(entry[2] for entry in entries)
    # What Stripe has no part in is named by our own numbers.
    return fact.kind, fact.reference if at_stripe else "", str(fact.occurred_at) if at_stripe else "", sorted(entries)


def sent(sandbox) -> list[tuple[str, int]]:
    """Everything that was asked of Stripe and changes anything."""
    return [(row["path"], row["effect"]) for row in stage.calls(sandbox, "/v1/")]


# --- a day of money -----------------------------------------------------------------------------


@pytest.fixture
def before(sandbox, student, payable_coach, heard, backup) -> dict[str, Payment]:
    """What there is when the backup is taken."""
    coach = payable_coach

    def held(number: int) -> Payment:
        return stage.hold(sandbox, student, coach, reference=f"booking:{number}")

    def per_session(number: int) -> Payment:
        account = PayoutAccount.objects.filter(coach=coach)
        account.update(settlement_mode="per_session")
        payment = held(number)
        account.update(settlement_mode="monthly")
        return payment

    money_back.fund(sandbox, "usd")
    found = {
        "to refund": money_back.captured(sandbox, student, coach, reference="booking:1"),
        "to dispute": money_back.captured(sandbox, student, coach, reference="booking:2"),
        "to capture": held(3),
        "to take a part of": held(4),
        "to release": held(5),
        "to hold": stage.save_card(sandbox, student, coach, reference="booking:6"),
        "to capture for the coach": per_session(8),
        "refunded by us": money_back.captured(sandbox, student, coach, reference="booking:7"),
    }
    heard.clear()
    backup.take()
    return found


def live_a_day(sandbox, payments: dict[str, Payment]) -> None:
    now = clock.now()
    stage.request_capture(payments["to capture"], now)
    stage.request_capture(payments["to take a part of"], now, amount=Money(5_000, "usd"))
    stage.request_release(payments["to release"], now)
    stage.request_capture(payments["to capture for the coach"], now)
    money_back.sweep()
    sandbox.advance(60)
    give_back_of_ours(payments)
    money_back.sweep()
    money_back.pay_month(sandbox)
    sandbox.advance(60)
    holding.asked(payments["to hold"])
    ask_for_refund(payments)
    money_back.sweep()
    sandbox.advance(60)
    bank.disputed(sandbox, payments["to dispute"])
    money_back.sweep()
    sandbox.advance(60)


def ask_for_refund(payments: dict[str, Payment]) -> None:
    money_back.give_back(payments["to refund"], 3_000)
    money_back.give_back(payments["to capture for the coach"], 4_000)


def give_back_of_ours(payments: dict[str, Payment]) -> None:
    money_back.give_back(payments["refunded by us"], 2_000, bearer=Refund.Bearer.PLATFORM)


def all_timers() -> None:
    """As beat has them, at once and for some minutes."""
    for _ in range(3):
        tasks.run_due_payouts()
        tasks.sweep_operations()
        tasks.sweep_events()
        tasks.poll_open_payments()
        tasks.poll_refunds()
        tasks.find_refunds_at_stripe()
        tasks.poll_disputes()
        tasks.find_disputes_at_stripe()
        tasks.close_overdue_pages()
        tasks.poll_payout_accounts()
        bookings_tasks.run_due_transitions()
        tasks.look_out()
        operations.sweep(now=clock.now() + timedelta(minutes=10))


def compare() -> Reconciliation:
    done = reconcile.reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert done.failure == ""
    return done


def go_on() -> None:
    standstill.end(reason="All of it is taken over.", actor=None, now=clock.now())


# --- the tests ----------------------------------------------------------------------------------


def test_after_a_comparison_all_is_as_it_was(sandbox, before, backup):
    live_a_day(sandbox, before)
    was, done = state(), sent(sandbox)
    backup.restore()
    assert state() != was

    standstill.begin_after_restore(reason="A backup is restored.", actor=None, now=clock.now())
    compare()

    assert state() == was
    assert sent(sandbox) == done
    money_back.assert_agreed(sandbox)
    assert list(Difference.objects.filter(state=Difference.State.OPEN)) == []
    go_on()
    all_timers()
    assert sent(sandbox) == done
    assert state() == was
    money_back.assert_agreed(sandbox)


def test_timers_that_start_before_anybody_has_looked_send_nothing(sandbox, before, backup):
    """And whoever asks for the same once more, a rule or a person, does not get it twice."""
    live_a_day(sandbox, before)
    was, done = state(), sent(sandbox)
    backup.restore()

    now = clock.now()
    money_back.give_back(before["to refund"], 3_000)
    stage.request_capture(before["to capture"], now)
    stage.request_hold(before["to hold"], now)
    all_timers()

    assert sent(sandbox) == done
    standing = Standstill.objects.get(ended_at=None)
    assert (standing.behind, standing.began_by) == (True, None)
    assert PayoutRun.objects.count() == 0
    with pytest.raises(standstill.StandstillNeeded, match="reconcile --full"):
        go_on()
    compare()
    go_on()
    all_timers()
    assert sent(sandbox) == done
    assert state() == was
    money_back.assert_agreed(sandbox)


def test_what_was_given_back_is_not_held_anew(sandbox, before, backup, heard):
    """A hold that is gone is made anew on the student's card; not so where it was we who gave it back."""
    live_a_day(sandbox, before)
    backup.restore()
    heard.clear()
    lookout.look_out(clock.now())
    compare()
    assert Payment.objects.get(pk=before["to release"].pk).status == Status.RELEASED
    assert "hold_lost" not in [fact for fact, _ in heard]


# --- what bears no mark: only Stripe's events tell of it ------------------------------------------


def capture(sandbox, payments: dict[str, Payment]) -> None:
    stage.request_capture(payments["to capture"], clock.now())
    money_back.sweep()


def release(sandbox, payments: dict[str, Payment]) -> None:
    stage.request_release(payments["to release"], clock.now())
    money_back.sweep()


def take_after_timers(backup: Backup) -> None:
    """Nothing is due any more but what the test does."""
    all_timers()
    backup.take()


@pytest.mark.parametrize("act", [capture, release])
def test_the_loss_of_this_alone_is_noticed_and_taken_over(sandbox, before, backup, heard, act):
    take_after_timers(backup)
    sandbox.advance(3_600)
    act(sandbox, before)
    was, done = state(), sent(sandbox)
    backup.restore()
    heard.clear()

    all_timers()

    assert sent(sandbox) == done
    assert [fact for fact, _ in heard] == []
    standing = Standstill.objects.get(ended_at=None)
    assert (standing.behind, standing.began_by) == (True, None)
    compare()
    assert state() == was
    assert list(Difference.objects.filter(state=Difference.State.OPEN)) == []
    money_back.assert_agreed(sandbox)
    go_on()
    all_timers()
    assert sent(sandbox) == done
    assert state() == was
    assert "hold_lost" not in [fact for fact, _ in heard]
    assert lookout.look_out(clock.now()) is True


def test_a_hold_counts_as_given_back_from_when_it_was(sandbox, before, backup):
    sandbox.advance(3_600)
    release(sandbox, before)
    at_stripe = stage.at_stripe(sandbox, f"/v1/payment_intents/{before['to release'].payment_intent_id}")
    backup.restore()
    lookout.look_out(clock.now())
    compare()
    released_at = Payment.objects.get(pk=before["to release"].pk).released_at
    assert released_at == datetime.fromtimestamp(at_stripe["canceled_at"], UTC)


def test_what_was_captured_of_a_payment_that_is_lost_is_one_difference(sandbox, before, backup, student, payable_coach):
    lost = money_back.captured(sandbox, student, payable_coach, reference="booking:99")
    backup.restore()
    lookout.look_out(clock.now())
    compare()
    difference = Difference.objects.get(code=lookout.LOST_CHANGE)
    assert (difference.object_type, difference.object_id) == ("lost_payment_intent", lost.payment_intent_id)
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()
    assert lookout.look_out(clock.now()) is True


def test_what_was_lost_of_an_object_that_nobody_knows_is_left_to_a_person(sandbox, before, backup):
    intent = stage.post_at_stripe(sandbox, "/v1/payment_intents", held_without_marks(before["to hold"]))
    gateway.capture_payment_intent(intent["id"], params={}, key=f"{uuid.uuid4()}-1")
    assert lookout.look_out(clock.now()) is False
    compare()
    difference = Difference.objects.get(code=lookout.LOST_CHANGE)
    assert difference.object_id == intent["id"]
    with pytest.raises(standstill.StandstillNeeded, match=intent["id"]):
        go_on()
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()


def held_without_marks(payment: Payment) -> dict[str, Any]:
    assert payment.card is not None
    return {
        "amount": 700,
        "currency": "usd",
        "capture_method": "manual",
        "confirm": "true",
        "customer": payment.payer.stripe_customer.stripe_customer_id,
        "payment_method": payment.card.stripe_payment_method_id,
        "payment_method_types[]": "card",
    }


def test_a_dispute_that_was_answered_is_not_answered_once_more(sandbox, before, backup, staff):
    dispute = bank.disputed(sandbox, before["to dispute"])
    take_after_timers(backup)
    bank.answered(dispute, staff, submit=True, fields={"uncategorized_text": "They were there."})
    was, done = state(), sent(sandbox)
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()
    go_on()
    all_timers()
    assert (state(), sent(sandbox)) == (was, done)
    dispute.refresh_from_db()
    assert dispute.evidence_state == Dispute.Evidence.SUBMITTED


def test_what_was_staged_and_lost_is_taken_back_by_the_next_answer(sandbox, before, backup, staff):
    dispute = bank.disputed(sandbox, before["to dispute"])
    backup.take()
    bank.answered(dispute, staff, submit=False, fields={"uncategorized_text": "Wrong."})
    backup.restore()
    lookout.look_out(clock.now())
    compare()
    go_on()
    dispute.refresh_from_db()
    bank.answered(dispute, staff, submit=True, fields={"product_description": "An hour of piano."})
    told = bank.at_stripe(sandbox, dispute)["evidence"]
    assert told["product_description"] == "An hour of piano."
    assert told["uncategorized_text"] != "Wrong."


def test_a_dispute_that_we_gave_in_to_stays_so(sandbox, before, backup, staff):
    dispute = bank.disputed(sandbox, before["to dispute"])
    take_after_timers(backup)
    services.accept_dispute(
        dispute=dispute, reason="They are right.", actor=staff, version=dispute.version, now=clock.now()
    )
    money_back.sweep()
    bank.hear()
    was, done = state(), sent(sandbox)
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()
    go_on()
    all_timers()
    assert (state(), sent(sandbox)) == (was, done)
    dispute.refresh_from_db()
    assert dispute.evidence_state == Dispute.Evidence.ACCEPTED
    money_back.assert_agreed(sandbox)


def test_a_card_that_was_removed_stays_removed(sandbox, before, backup, student):
    card = before["to hold"].card
    Payment.objects.filter(pk=before["to hold"].pk).update(status=Status.LAPSED)
    backup.take()
    services.remove_card(user=student, card_id=card.pk, now=clock.now())
    money_back.sweep()
    done = sent(sandbox)
    backup.restore()
    card.refresh_from_db()
    assert card.removed_at is None
    assert lookout.look_out(clock.now()) is False
    compare()
    go_on()
    all_timers()
    card.refresh_from_db()
    assert card.removed_at is not None
    assert sent(sandbox) == done


def test_what_was_taken_over_once_can_be_lost_a_second_time(sandbox, before, backup, payable_coach):
    """What an earlier restore has settled about an object says nothing of what is done to it afterwards."""
    Difference.objects.create(
        code=lookout.LOST_CHANGE,
        object_type="lost_payment_intent",
        object_id=before["to capture"].payment_intent_id,
        state=Difference.State.REPAIRED,
        found_at=clock.now(),
        seen_at=clock.now(),
    )
    backup.take()
    capture(sandbox, before)
    backup.restore()
    assert lookout.look_out(clock.now()) is False


# --- what is left to a person, and what is not --------------------------------------------------


@pytest.mark.thorough
def test_what_was_held_and_given_back_meanwhile_is_not_held_again(sandbox, before, backup):
    payment = holding.asked(before["to hold"])
    stage.request_release(payment, clock.now())
    money_back.sweep()
    done = sent(sandbox)
    backup.restore()
    all_timers()
    compare()
    go_on()
    payment.refresh_from_db()
    assert payment.status == Status.RELEASED
    with pytest.raises(PaymentNotSaved):
        stage.request_hold(payment, clock.now())
    assert sent(sandbox) == done


@pytest.mark.thorough
def test_a_run_that_was_under_way_is_finished_by_what_was_paid(sandbox, before, backup):
    earning = Earning.objects.latest("release_at")
    end = payouts.end_of(earning.release_at.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    run = payouts.open_run(payouts.month_before(clock.now()), clock.now())
    backup.take()
    all_timers()
    was, done = state(), sent(sandbox)
    backup.restore()

    all_timers()
    assert run.lines.get().status == PayoutLine.Status.PLANNED
    compare()
    go_on()
    all_timers()

    assert (state(), sent(sandbox)) == (was, done)


def test_a_payment_that_is_lost_is_left_to_a_person(sandbox, before, backup, student, payable_coach):
    lost = stage.hold(sandbox, student, payable_coach, reference="booking:99")
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()

    difference = Difference.objects.get(code=lookout.LOST_CHANGE)
    assert difference.object_id == lost.payment_intent_id
    assert "does not have" in difference.stripes["not_repaired"]
    with pytest.raises(standstill.StandstillNeeded, match=str(lost.payment_intent_id)):
        go_on()
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()
    assert lookout.look_out(clock.now()) is True
    assert not lookout.is_standing_still()


@pytest.mark.thorough
def test_a_younger_payment_with_the_number_of_a_lost_one_is_not_taken_for_it(
    sandbox, before, backup, student, payable_coach
):
    lost = stage.hold(sandbox, student, payable_coach, reference="booking:99")
    sandbox.advance(3_600)
    backup.restore()
    young = stage.write_down_payment(student, payable_coach, reference="booking:99")
    assert young.pk == lost.pk
    lookout.look_out(clock.now())
    compare()
    young.refresh_from_db()
    assert (young.status, young.payment_intent_id) == (Status.OPEN, None)
    assert Difference.objects.filter(code=lookout.LOST_CHANGE, state=Difference.State.OPEN).count() == 1


@pytest.mark.thorough
def test_a_transfer_that_fits_no_line_is_left_to_a_person(sandbox, before, backup):
    live_a_day(sandbox, before)
    backup.restore()
    Earning.objects.filter(payment=before["to dispute"]).update(frozen=True)
    lookout.look_out(clock.now())
    compare()
    left = Difference.objects.get(code=lookout.LOST_CHANGE, object_type="lost_transfer")
    assert "was transferred" in left.stripes["not_repaired"]
    assert PayoutLine.objects.get().status == PayoutLine.Status.PLANNED
    with pytest.raises(standstill.StandstillNeeded):
        go_on()


def test_what_a_second_try_takes_over_needs_nobodys_word(sandbox, before, backup):
    coach = CoachFactory.create()
    backup.take()
    account = stage.onboard(sandbox, coach)
    backup.restore()
    in_the_way = PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_another", country="US")
    lookout.look_out(clock.now())
    compare()
    difference = Difference.objects.get(code=lookout.LOST_CHANGE, state=Difference.State.OPEN)
    in_the_way.delete()

    standstill.begin_after_restore(reason="What was in the way is gone.", actor=None, now=clock.now())
    compare()

    difference.refresh_from_db()
    assert difference.state == Difference.State.REPAIRED
    assert PayoutAccount.objects.get(coach=coach).stripe_account_id == account.stripe_account_id
    go_on()


def test_an_account_that_was_made_meanwhile_is_the_coachs_again(sandbox, before, backup):
    coach = CoachFactory.create()
    backup.take()
    account = stage.onboard(sandbox, coach)
    backup.restore()
    assert lookout.look_out(clock.now()) is False
    compare()
    assert coach.payout_account.stripe_account_id == account.stripe_account_id
    go_on()
    made = services.create_payout_account(coach=coach, country="US", now=clock.now())
    assert made.stripe_account_id == account.stripe_account_id
    assert lookout.look_out(clock.now()) is True


@pytest.mark.thorough
def test_broken_off_it_is_to_be_called_again(sandbox, before, backup):
    live_a_day(sandbox, before)
    was = state()
    backup.restore()
    lookout.look_out(clock.now())
    stage.break_next(sandbox, "respond", "/v1/disputes", method="GET", status=503, body={}, stored=False, times=2)
    broken = reconcile.reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert "did not answer" in broken.not_compared["lost_changes"]
    assert Standstill.objects.get().behind
    stage.mend(sandbox)
    compare()
    assert state() == was
