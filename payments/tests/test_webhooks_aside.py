"""Events that are not ours, come too early, are not right, or can't be worked: set aside, retried, or parked."""

import copy
import uuid
from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, payouts, webhooks
from payments.facts import Fact
from payments.models import (
    Operation,
    Payment,
    PayoutAccount,
    StripeEvent,
    Transfer,
)
from payments.tests import reports, stage
from payments.tests.reports import made_up

State = StripeEvent.State
Heard = list[tuple[Fact, int]]


# --- not ours, not yet, not right ---------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (made_up("invoice.paid", {"id": "in_1"}), "not an event that we handle"),
        (made_up("payment_intent.succeeded", {"id": "pi_1"}), "without our marks"),
        (
            made_up("payment_intent.succeeded", {"id": "pi_1", "metadata": {"operation_id": "7"}}),
            "without our marks",
        ),
        (made_up("checkout.session.completed", {"id": "cs_1", "metadata": {}}), "without our marks"),
        (
            made_up("charge.succeeded", {"id": "ch_1", "payment_intent": None}),
            "a charge without a PaymentIntent",
        ),
        (made_up("transfer.created", {"id": "tr_1", "metadata": {}}), "without our marks"),
        # O4: the platform's objects are not taken from a connected account's event, nor the other way round.
        (made_up("payment_intent.succeeded", {"id": "pi_1"}, account="acct_1"), "not an event that we handle"),
        (made_up("account.updated", {"id": "acct_1"}), "not an event that we handle"),
    ],
)
def test_what_is_not_ours_is_set_aside_without_asking_stripe(sandbox: Sandbox, event: Any, reason: str) -> None:
    [row] = reports.deliver_and_work([event])
    assert (row.state, row.reason) == (State.IGNORED, reason)
    assert sandbox.get("/_sandbox/requests")["data"] == []


@pytest.mark.django_db
def test_an_unknown_object_with_our_marks_is_retried_for_an_hour(sandbox: Sandbox) -> None:
    marks = {"operation_id": str(uuid.uuid4()), "payment_id": "1"}
    row = reports.deliver(made_up("payment_intent.succeeded", {"id": "pi_1", "metadata": marks}))
    start = row.received_at

    webhooks.process_event(row.pk, now=start + timedelta(minutes=59))
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.NEW, "with our marks, by an operation that we don't know")
    assert row.next_try_at > start + timedelta(minutes=59)

    webhooks.process_event(row.pk, now=start + timedelta(minutes=60))
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.IGNORED, "with our marks, by an operation that we don't know")
    assert sandbox.get("/_sandbox/requests")["data"] == []


@pytest.mark.django_db
def test_an_unknown_account_is_retried_and_then_set_aside(sandbox: Sandbox) -> None:
    row = reports.deliver(made_up("account.updated", {"id": "acct_1"}, account="acct_1"))
    reports.work(row)
    assert row.state == State.NEW
    webhooks.process_event(row.pk, now=row.received_at + timedelta(hours=1))
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.IGNORED, "an account that we don't know")


@pytest.mark.django_db
def test_an_account_that_has_left_us_is_set_aside(sandbox: Sandbox, payable_coach: Coach) -> None:
    """Its last events may come after the one that says so, or before: then they wait for that one."""
    account = PayoutAccount.objects.get()
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    late = reports.deliver(reports.events(sandbox, "account.updated")[0])
    reports.work(late)
    assert (late.state, late.reason) == (State.NEW, "Stripe: busy: account_invalid")

    reports.deliver_and_work(reports.events(sandbox, "account.application.deauthorized"))
    reports.work(late)
    assert (late.state, late.reason) == (State.IGNORED, "an account that has left us, and can't be read any more")


@pytest.mark.django_db
def test_metadata_edited_to_another_payment_is_parked(
    sandbox: Sandbox, student: User, paid: Payment, heard: Heard
) -> None:
    other = stage.open_page(student, paid.coach, reference="booking:2")
    [event] = reports.events(sandbox, "checkout.session.completed")
    forged = copy.deepcopy(event)
    forged["data"]["object"]["metadata"]["payment_id"] = str(other.pk)
    marks_of_other = copy.deepcopy(event)
    marks_of_other["id"] = "evt_2"
    marks_of_other["data"]["object"]["metadata"] = {
        "payment_id": str(other.pk),
        "operation_id": str(other.operations.get().pk),
    }
    rows = reports.deliver_and_work([forged, marks_of_other])
    assert [row.state for row in rows] == [State.PARKED, State.PARKED]
    assert [row.lease_token for row in rows] == [None, None]
    other.refresh_from_db()
    assert other.status == Payment.Status.OPEN
    assert heard == []


@pytest.mark.django_db
def test_another_payments_page_that_ran_out_closes_none_of_ours(sandbox: Sandbox, paid: Payment, heard: Heard) -> None:
    other = stage.open_page(paid.payer, paid.coach, reference="booking:2")
    gateway.expire_checkout_session(str(other.checkout_session_id), key="dashboard")
    [expired] = reports.events(sandbox, "checkout.session.expired")
    expired["data"]["object"]["metadata"] = {
        "payment_id": str(paid.pk),
        "operation_id": str(paid.operations.get().pk),
    }
    [row] = reports.deliver_and_work([expired])
    assert (row.state, heard) == (State.PARKED, [])
    paid.refresh_from_db()
    assert paid.status == Payment.Status.OPEN


@pytest.mark.django_db
def test_another_amount_than_ours_is_parked_and_confirms_nothing(sandbox: Sandbox, paid: Payment, heard: Heard) -> None:
    Payment.objects.filter(pk=paid.pk).update(amount=9_999)
    [row] = reports.deliver_and_work(reports.events(sandbox, "payment_intent.amount_capturable_updated"))
    assert row.state == State.PARKED
    assert "is over 10000 usd" in row.reason
    paid.refresh_from_db()
    assert paid.status == Payment.Status.OPEN
    assert heard == []


@pytest.mark.django_db
def test_a_transfer_that_was_not_asked_for_like_this_is_parked(sandbox: Sandbox, held: Payment, heard: Heard) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    sandbox.advance(45 * 86_400)
    payouts.run_due(clock.now())
    operation = Operation.objects.get(kind="transfer")
    Operation.objects.filter(pk=operation.pk).update(params={**operation.params, "destination": "acct_other"})
    [row] = reports.deliver_and_work(reports.events(sandbox, "transfer.created"))
    assert (row.state, Transfer.objects.count()) == (State.PARKED, 1)


# --- Stripe away, bugs, staff -------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault", [{"action": "rate_limit"}, {"action": "respond", "status": 500}, {"action": "refuse"}]
)
def test_while_stripe_does_not_answer_the_event_waits(
    sandbox: Sandbox, paid: Payment, heard: Heard, fault: dict[str, Any]
) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/*", "times": 0, **fault})
    [row] = reports.deliver_and_work(reports.events(sandbox, "checkout.session.completed"))
    assert row.state == State.NEW
    assert row.reason.startswith("Stripe: ")
    assert row.lease_token is None
    assert row.next_try_at > clock.now()
    assert heard == []

    stage.mend(sandbox)
    webhooks.sweep_events(now=clock.now() + timedelta(minutes=6))
    row.refresh_from_db()
    assert (row.state, row.reason) == (State.DONE, "")
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


@pytest.mark.django_db
def test_what_stripe_did_not_answer_for_three_days_is_parked(sandbox: Sandbox, paid: Payment) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/*", "times": 0, "action": "rate_limit"})
    row = reports.deliver(reports.events(sandbox, "checkout.session.completed")[0])
    webhooks.process_event(row.pk, now=row.received_at + timedelta(days=3))
    row.refresh_from_db()
    assert row.state == State.PARKED


@pytest.mark.django_db
def test_an_object_that_stripe_does_not_have_is_parked(sandbox: Sandbox, paid: Payment) -> None:
    event = reports.events(sandbox, "payment_intent.amount_capturable_updated")[0]
    event["data"]["object"]["id"] = "pi_gone"
    [row] = reports.deliver_and_work([event])
    assert (row.state, row.reason) == (State.PARKED, "Stripe: refused: resource_missing")


def poison(paid: Payment) -> dict[str, Any]:
    marks = {"operation_id": str(paid.operations.get().pk), "payment_id": str(paid.pk)}
    return made_up("checkout.session.completed", {"metadata": marks, "note": "an object without an id\x00"})


@pytest.mark.django_db
def test_a_poison_event_is_parked_after_some_tries_and_holds_up_no_other(
    sandbox: Sandbox, paid: Payment, heard: Heard
) -> None:
    bad = reports.deliver(poison(paid))
    good = reports.deliver(reports.events(sandbox, "checkout.session.completed")[0])
    webhooks.sweep_events(now=clock.now())
    good.refresh_from_db()
    bad.refresh_from_db()
    assert good.state == State.DONE
    assert (bad.state, bad.reason, bad.tries) == (State.NEW, "KeyError: 'id'", 1)

    for minutes in range(1, 9):
        webhooks.sweep_events(now=clock.now() + timedelta(minutes=10 * minutes))
    bad.refresh_from_db()
    assert (bad.state, bad.reason, bad.tries) == (State.PARKED, "KeyError: 'id'", 8)
    assert webhooks.sweep_events(now=clock.now() + timedelta(days=1)) == 0


@pytest.mark.django_db
def test_a_parked_event_can_be_worked_again(sandbox: Sandbox, paid: Payment, heard: Heard) -> None:
    row = reports.deliver(reports.events(sandbox, "checkout.session.completed")[0])
    StripeEvent.objects.filter(pk=row.pk).update(state=State.PARKED, reason="KeyError: 'id'", tries=8)
    assert webhooks.replay(event=row, now=clock.now()) is True
    assert webhooks.replay(event=row, now=clock.now()) is False
    webhooks.sweep_events(now=clock.now())
    row.refresh_from_db()
    assert (row.state, row.reason, row.tries) == (State.DONE, "", 1)
    assert heard == [(Fact.HOLD_RECORDED, paid.pk)]


@pytest.mark.django_db
@pytest.mark.embedded
def test_someone_elses_lease_keeps_us_off_until_it_runs_out(sandbox: Sandbox) -> None:
    row = reports.deliver(made_up("invoice.paid", {"id": "in_1"}))
    StripeEvent.objects.filter(pk=row.pk).update(
        lease_token=uuid.uuid4(), lease_until=clock.wall() + timedelta(seconds=60)
    )
    assert webhooks.process_event(row.pk, now=clock.now()) is False
    assert webhooks.sweep_events(now=clock.now()) == 0
    StripeEvent.objects.filter(pk=row.pk).update(lease_until=clock.wall() - timedelta(seconds=1))
    assert webhooks.process_event(row.pk, now=clock.now()) is True


@pytest.mark.django_db
@pytest.mark.embedded
def test_payloads_are_emptied_after_thirty_days_and_decisions_are_kept(sandbox: Sandbox) -> None:
    worked, waiting, young = (reports.deliver(made_up("invoice.paid", {"id": f"in_{n}"})) for n in range(3))
    reports.work(worked, young)
    now = clock.now()
    StripeEvent.objects.exclude(pk=young.pk).update(received_at=now - timedelta(days=30, seconds=1))
    assert webhooks.prune_events(now=now) == 1
    assert webhooks.prune_events(now=now) == 0
    for row in (worked, waiting, young):
        row.refresh_from_db()
    assert (bytes(worked.payload), worked.state, worked.reason) == (b"", State.IGNORED, "not an event that we handle")
    assert bytes(waiting.payload) != b""
    assert bytes(young.payload) != b""
    StripeEvent.objects.filter(pk=worked.pk).update(state=State.PARKED)
    assert webhooks.replay(event=worked, now=now) is False
