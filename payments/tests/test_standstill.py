"""Standing still: nothing that changes anything is sent; and noticing by ourselves that we must."""

import uuid
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from marketplace import clock
from marketplace.models import StaffDecision
from marketplace.tests.factories import CoachFactory
from payments import gateway, lookout, operations, payouts, services, tasks
from payments.errors import PaymentsUnavailable, PayoutsUnavailable, StandingStill
from payments.gateway.marks import _read_call
from payments.models import Difference, LookOut, Operation, Payment, PayoutRun, Standstill
from payments.services import standstill
from payments.tests import stage
from payments.tests.factories_books import earn
from payments.tests.payday import END, MONTH, transfers_made

pytestmark = pytest.mark.django_db


def begin(**facts):
    return standstill.begin(**{"reason": "The key is rolled.", "actor": None, "now": clock.now(), **facts})


def end(**facts):
    return standstill.end(**{"reason": "It is rolled.", "actor": None, "now": clock.now(), **facts})


def made_by_a_lost_operation(sandbox, **more) -> str:
    """As if this database had asked for it before it was restored."""
    marks = {"metadata[operation_id]": str(uuid.uuid4())}
    customer = stage.at_stripe(sandbox, "/v1/customers?limit=1")["data"][0]["id"]
    form = {"amount": 5_000, "currency": "usd", "customer": customer, **marks, **more}
    return str(stage.post_at_stripe(sandbox, "/v1/payment_intents", form)["id"])


def looked_long_ago() -> None:
    LookOut.objects.update(looked_at=clock.wall() - timedelta(hours=3))


def done_by_a_lost_call(payment: Payment, *, key: str = "") -> str:
    """As if this database had asked for it before it was restored: a release makes no object that bears a mark."""
    assert payment.payment_intent_id is not None
    gateway.cancel_payment_intent(payment.payment_intent_id, params={}, key=key or f"{uuid.uuid4()}-1")
    return payment.payment_intent_id


# --- nothing is sent ----------------------------------------------------------------------------


def test_an_operation_stays_as_it_is_until_the_end(sandbox, held):
    begin()
    stage.request_capture(held, clock.now())
    before = Operation.objects.filter(kind=Operation.Kind.CAPTURE).values().get()

    assert operations.sweep(now=clock.now()) == 0
    operations.run_operation(before["id"], now=clock.now())

    assert Operation.objects.filter(kind=Operation.Kind.CAPTURE).values().get() == before
    assert (before["state"], before["tries"], before["lease_token"]) == (Operation.State.PENDING, 0, None)
    assert stage.calls(sandbox, "/capture") == []

    end()
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == Payment.Status.CAPTURED
    assert stage.effects(sandbox, "/capture") == 1


def test_who_waits_for_an_answer_is_told_to_come_back(sandbox, student, payable_coach):
    payment = stage.write_down_payment(student, payable_coach)
    coach = CoachFactory.create()
    begin()
    with pytest.raises(PaymentsUnavailable, match="try again"):
        services.start_checkout(payment=payment, now=clock.now())
    with pytest.raises(PayoutsUnavailable, match="try again"):
        services.create_payout_account(coach=coach, country="US", now=clock.now())
    assert stage.calls(sandbox, "/v1/checkout/sessions") == []
    payment.refresh_from_db()
    assert payment.status == Payment.Status.OPEN


def test_what_stripe_tells_is_recorded_all_the_same(sandbox, paid):
    begin()
    tasks.poll_open_payments()
    paid.refresh_from_db()
    assert paid.status == Payment.Status.HELD


def test_no_month_is_opened_and_no_line_is_paid(sandbox, make_coach):
    earn(make_coach())
    earn(make_coach())
    begin()
    assert payouts.run_due(END) is None
    with pytest.raises(StandingStill):
        payouts.open_run(MONTH, END)
    assert PayoutRun.objects.count() == 0
    end()
    run = payouts.plan_run(MONTH, END)
    begin()
    assert payouts.run_due(END) is None
    assert transfers_made(sandbox) == 0
    assert Operation.objects.filter(kind=Operation.Kind.TRANSFER).count() == 0
    end()
    payouts.run_due(END)
    run.refresh_from_db()
    assert (run.status, transfers_made(sandbox)) == (PayoutRun.Status.CLOSED, 2)


def test_a_run_by_hand_is_refused_with_words(sandbox, make_coach):
    earn(make_coach())
    begin()
    with pytest.raises(CommandError, match="Nothing is sent to Stripe"):
        call_command("run_payouts", month=MONTH, stdout=StringIO())
    assert PayoutRun.objects.count() == 0


# --- beginning and ending -----------------------------------------------------------------------


def test_it_is_begun_and_ended_once_and_logged(staff):
    begin(actor=staff)
    with pytest.raises(standstill.StandsStillAlready):
        begin(actor=staff)
    assert lookout.is_standing_still()
    end(actor=staff)
    with pytest.raises(standstill.NotStandingStill):
        end(actor=staff)
    assert not lookout.is_standing_still()
    logged = StaffDecision.objects.order_by("pk").values_list("decision", "reason", "actor")
    assert list(logged) == [
        ("standstill_begun", "The key is rolled.", staff.pk),
        ("standstill_ended", "It is rolled.", staff.pk),
    ]


def test_it_does_not_end_while_something_is_not_taken_over_or_explained(sandbox):
    standing = begin()
    Standstill.objects.update(behind=True)
    with pytest.raises(standstill.StandstillNeeded, match="reconcile --full"):
        end()
    Standstill.objects.update(behind=False)
    difference = Difference.objects.create(
        code=lookout.LOST_CHANGE,
        object_type="lost_transfer",
        object_id="tr_lost",
        found_at=clock.now(),
        seen_at=clock.now(),
    )
    with pytest.raises(standstill.StandstillNeeded, match=r"1 change\(s\).*tr_lost"):
        end()
    standing.refresh_from_db()
    assert standing.ended_at is None
    Difference.objects.filter(pk=difference.pk).update(state=Difference.State.EXPLAINED)
    end()


def test_that_a_backup_was_restored_can_be_said_before_and_after(staff):
    begin(actor=staff)
    standstill.begin_after_restore(reason="The disk broke.", actor=None, now=clock.now())
    standing = Standstill.objects.get()
    assert (standing.behind, standing.began_by) == (True, staff)
    with pytest.raises(standstill.StandstillNeeded):
        end()


def test_before_it_ends_we_look_whether_stripe_knows_more(sandbox, held, settings):
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    LookOut.objects.update(looked_at=clock.wall())
    begin()
    made_by_a_lost_operation(sandbox)
    with pytest.raises(standstill.StandstillNeeded, match="reconcile --full"):
        end()
    assert Standstill.objects.get().behind


def test_the_command_says_how_things_stand(held):
    stage.request_capture(held, clock.now())
    out = StringIO()
    call_command("standstill", "status", stdout=out)
    call_command("standstill", "begin", reason="The key is rolled.", stdout=out)
    with pytest.raises(CommandError, match="already"):
        call_command("standstill", "begin", reason="Again.", stdout=out)
    with pytest.raises(CommandError, match="Say why"):
        call_command("standstill", "end", stdout=out)
    call_command("standstill", "end", reason="It is rolled.", stdout=out)
    said = out.getvalue()
    assert "as usual. 1 operation(s) are open." in said
    assert "Why: The key is rolled." in said
    assert "1 operation(s) wait." in said


# --- noticing by ourselves ----------------------------------------------------------------------


def test_a_change_that_this_database_does_not_know_stops_all_sending(sandbox, held, caplog):
    lost = made_by_a_lost_operation(sandbox)
    stage.request_capture(held, clock.now())

    assert lookout.look_out(clock.now()) is False

    standing = Standstill.objects.get()
    assert (standing.behind, standing.began_by, standing.ended_at) == (True, None, None)
    assert lost in standing.reason
    assert "restored from a backup" in standing.reason
    assert "another installation" in standing.reason
    operations.sweep(now=clock.now())
    assert stage.calls(sandbox, "/capture") == []
    assert lookout.look_out(clock.now()) is False
    assert Standstill.objects.count() == 1


def test_it_joins_a_standstill_that_staff_have_begun(sandbox, held, staff):
    begin(actor=staff)
    made_by_a_lost_operation(sandbox)
    lookout.look_out(clock.now())
    standing = Standstill.objects.get()
    assert (standing.behind, standing.began_by) == (True, staff)


def test_while_we_are_behind_nothing_is_recorded_out_of_order(sandbox, paid):
    made_by_a_lost_operation(sandbox)
    lookout.look_out(clock.now())
    tasks.poll_open_payments()
    tasks.sweep_events()
    tasks.poll_refunds()
    tasks.find_refunds_at_stripe()
    tasks.poll_disputes()
    tasks.find_disputes_at_stripe()
    paid.refresh_from_db()
    assert paid.status == Payment.Status.OPEN


def test_what_we_know_and_what_is_not_ours_is_no_alarm(sandbox, held, make_coach):
    earn(make_coach())
    payouts.run_due(END)
    stage.post_at_stripe(sandbox, "/v1/payment_intents", {"amount": 700, "currency": "usd"})
    made_by_a_lost_operation(sandbox, **{"metadata[operation_id]": "of another program"})
    assert lookout.look_out(clock.now()) is True
    assert Standstill.objects.count() == 0


def test_a_call_that_left_no_mark_stops_all_sending_too(sandbox, held):
    lost = done_by_a_lost_call(held)
    assert lookout.look_out(clock.now()) is False
    standing = Standstill.objects.get()
    assert (standing.behind, standing.began_by) == (True, None)
    assert f"{lost} (payment_intent.canceled)" in standing.reason
    assert lookout.look_out(clock.now()) is False
    assert Standstill.objects.count() == 1


def test_a_call_in_its_second_attempt_is_known(sandbox, held):
    asked = Operation.objects.latest("created_at")
    done_by_a_lost_call(held, key=f"{asked.pk}-2")
    assert lookout.look_out(clock.now()) is True


@pytest.mark.parametrize(
    "key", ["dashboard", "7d0d4a36-9be1-4d26-a4a2-3b5e6f0f3a54", "7d0d4a36-9be1-4d26-a4a2-3b5e6f0f3a54-x"]
)
def test_a_call_under_a_key_that_is_no_operations_is_somebody_elses(sandbox, held, key):
    """The dashboard, Stripe's own pages and other programs send keys too; ours end with the number of the attempt."""
    done_by_a_lost_call(held, key=key)
    assert lookout.look_out(clock.now()) is True
    assert Standstill.objects.count() == 0


@pytest.mark.parametrize("request_", [None, "req_1", {"id": "req_1"}, {"id": None, "idempotency_key": None}])
def test_an_event_without_a_key_is_nobodys(request_):
    """Those of an account's oldest versions name the request alone."""
    event = {"type": "charge.captured", "created": 1_700_000_000, "request": request_}
    found = _read_call({**event, "data": {"object": {"id": "ch_1", "payment_intent": "pi_1"}}})
    assert (found.id, found.operation_id) == ("pi_1", None)


def test_what_nobody_asked_for_has_no_key_and_is_no_alarm(sandbox, held):
    sandbox.advance(8 * 86_400)
    told = sandbox.get("/_sandbox/events")["data"]
    [ran_out] = [event for event in told if event["type"] == "payment_intent.canceled"]
    assert ran_out["request"]["idempotency_key"] is None
    assert lookout.look_out(clock.now()) is True


def test_a_look_reads_one_page_of_each_kind_and_one_of_events(sandbox, held):
    before = len(stage.calls(sandbox, "/v1/", method="GET"))
    lookout.look_out(clock.now())
    asked = [row["path"] for row in stage.calls(sandbox, "/v1/", method="GET")[before:]]
    assert sorted(asked) == [
        "/v1/accounts",
        "/v1/events",
        "/v1/payment_intents",
        "/v1/payouts",
        "/v1/refunds",
        "/v1/transfers",
    ]


def test_an_old_call_of_another_database_is_no_alarm(sandbox, held):
    done_by_a_lost_call(held)
    Operation.objects.update(created_at=clock.now() + timedelta(hours=1))
    assert lookout.look_out(clock.now()) is True


def test_what_is_older_than_our_first_operation_is_of_another_database(sandbox, held):
    made_by_a_lost_operation(sandbox)
    Operation.objects.update(created_at=clock.now() + timedelta(hours=1))
    assert lookout.look_out(clock.now()) is True


def test_what_a_person_has_explained_is_no_alarm_any_more(sandbox, held):
    Difference.objects.create(
        code=lookout.LOST_CHANGE,
        object_type="lost_payment_intent",
        object_id=made_by_a_lost_operation(sandbox),
        state=Difference.State.EXPLAINED,
        found_at=clock.now(),
        seen_at=clock.now(),
    )
    assert lookout.look_out(clock.now()) is True


def test_nothing_leaves_on_the_ground_of_an_old_look(sandbox, held, settings):
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    stage.request_capture(held, clock.now())
    made_by_a_lost_operation(sandbox)
    looked_long_ago()

    operations.sweep(now=clock.now())

    assert stage.calls(sandbox, "/capture") == []
    assert Standstill.objects.get().behind


def test_a_look_is_good_for_some_time(sandbox, held, settings):
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    looked_long_ago()
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    assert len(stage.calls(sandbox, "/v1/transfers", method="GET")) == 1
    assert stage.effects(sandbox, "/capture") == 1
    assert clock.wall() - LookOut.objects.get().looked_at < timedelta(minutes=1)


def test_a_month_is_opened_after_a_look_of_its_own(sandbox, make_coach, settings, held):
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    earn(make_coach())
    LookOut.objects.update(looked_at=clock.wall())
    made_by_a_lost_operation(sandbox)
    assert payouts.run_due(END) is None
    assert (PayoutRun.objects.count(), transfers_made(sandbox)) == (0, 0)
    with pytest.raises(StandingStill):
        lookout.require_fresh_look(clock.now())


def test_where_stripe_does_not_answer_nothing_is_sent(sandbox, held, settings, monkeypatch):
    settings.STRIPE_LOOK_OUT_SECONDS = 120
    monkeypatch.setitem(lookout._unanswered, "at", float("-inf"))
    stage.request_capture(held, clock.now())
    looked_long_ago()
    stage.break_next(sandbox, "respond", "/v1/*", method="GET", status=503, body={}, stored=False, times=2)
    operations.sweep(now=clock.now())
    operations.sweep(now=clock.now())
    assert stage.calls(sandbox, "/capture") == []
    assert Standstill.objects.count() == 0
    stage.mend(sandbox)
    monkeypatch.setitem(lookout._unanswered, "at", float("-inf"))
    operations.sweep(now=clock.now())
    assert stage.effects(sandbox, "/capture") == 1


def test_to_ask_whether_we_stand_still_is_one_query(sandbox, held, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert lookout.may_send(clock.now())
    begin()
    with django_assert_num_queries(1):
        assert not lookout.may_send(clock.now())
