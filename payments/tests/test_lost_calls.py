"""A backup is restored, and what was lost bears no mark at Stripe: only the keys of Stripe's events tell of it."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from marketplace import clock
from payments import gateway, lookout, services
from payments.adoption.adopt import _take_all
from payments.adoption.deeds import Deed
from payments.models import Difference, Dispute, Payment, PayoutAccount, Standstill
from payments.services import standstill
from payments.tests import bank, money_back, stage
from payments.tests.backups import Backup
from payments.tests.restored import all_timers, compare, go_on, sent, state

pytestmark = pytest.mark.django_db(transaction=True)

Status = Payment.Status


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


def test_a_lost_reversal_of_a_transfer_that_nobody_knows_is_left_to_a_person(sandbox, before, backup, payable_coach):
    account = PayoutAccount.objects.get(coach=payable_coach).stripe_account_id
    form = {"amount": 900, "currency": "usd", "destination": account}
    transfer = stage.post_at_stripe(sandbox, "/v1/transfers", form)
    lost = uuid.uuid4()
    gateway.create_reversal(
        transfer["id"], params={"amount": 100, "metadata": {"operation_id": str(lost)}}, key=f"{lost}-1"
    )
    assert lookout.look_out(clock.now()) is False
    compare()
    difference = Difference.objects.get(code=lookout.LOST_CHANGE)
    assert (difference.object_type, difference.object_id) == ("lost_reversal", transfer["id"])
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()
    assert lookout.look_out(clock.now()) is True


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


def test_what_can_not_be_taken_over_again_waits_for_a_persons_word(sandbox, before, backup):
    """Though an earlier restore had settled it: what nobody finds open, nobody can explain, and it would never end."""
    intent = stage.post_at_stripe(sandbox, "/v1/payment_intents", held_without_marks(before["to hold"]))
    gateway.capture_payment_intent(intent["id"], params={}, key=f"{uuid.uuid4()}-1")
    difference = Difference.objects.create(
        code=lookout.LOST_CHANGE,
        object_type="lost_payment_intent",
        object_id=intent["id"],
        state=Difference.State.REPAIRED,
        settlement="Taken over from Stripe.",
        settled_at=clock.now(),
        found_at=clock.now(),
        seen_at=clock.now(),
    )
    compare()
    difference.refresh_from_db()
    assert (difference.state, difference.settlement, difference.settled_at) == (Difference.State.OPEN, "", None)
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    go_on()


def test_what_we_did_ourselves_by_every_kind_of_call_is_no_alarm(sandbox, held, student, payable_coach, staff):
    captured = money_back.captured(sandbox, student, payable_coach, reference="booking:2")
    given_in = money_back.captured(sandbox, student, payable_coach, reference="booking:3")
    saved = stage.save_card(sandbox, student, payable_coach, reference="booking:4")
    stage.request_release(held, clock.now())
    bank.answered(bank.disputed(sandbox, captured), staff, submit=True, fields={"uncategorized_text": "They came."})
    dispute = bank.disputed(sandbox, given_in)
    facts = {"reason": "They are right.", "actor": staff, "version": dispute.version, "now": clock.now()}
    services.accept_dispute(dispute=dispute, **facts)
    Payment.objects.filter(pk=saved.pk).update(status=Payment.Status.LAPSED)
    assert saved.card_id is not None
    services.remove_card(user=student, card_id=saved.card_id, now=clock.now())
    paid_out = money_back.captured(sandbox, student, payable_coach, reference="booking:5")
    money_back.fund(sandbox, "usd")
    money_back.pay_month(sandbox)
    money_back.give_back(paid_out, 3_000)
    money_back.sweep()
    told = {event["type"] for event in sandbox.get("/_sandbox/events")["data"] if event["request"]["idempotency_key"]}
    assert set(gateway.CALL_TYPES) <= told
    assert lookout.look_out(clock.now()) is True


def test_all_events_of_one_lost_call_tell_what_it_was(held):
    """Stripe may tell of one request by several, in any order: one of them says that we gave in to a dispute."""
    call, now = uuid.uuid4(), clock.now()
    told = [
        gateway.MarkedFacts(each, "du_1", now, call) for each in ("charge.dispute.closed", "charge.dispute.updated")
    ]
    assert lookout.lost_changes(told) == told


def test_one_that_trips_over_a_bug_keeps_no_other_from_being_taken_over(caplog):
    def broken(at: datetime) -> None:
        raise TypeError("a bug")

    taken: list[datetime] = []
    now = clock.now()
    todo = [Deed("refund", "re_1", now, 0, broken), Deed("refund", "re_2", now, 0, taken.append)]
    assert [(deed.id, why) for deed, why in _take_all(todo)] == [("re_1", "TypeError: a bug")]
    assert taken == [now]
