"""Refunds on their way: late, failing, refused, made elsewhere, and what each does to state, books and coach."""

from dataclasses import replace
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, pollers, selectors, services
from payments.errors import NotYetError, RefundUnderWay, RefundWhileDisputed
from payments.facts import Fact
from payments.models import Dispute, Earning, Payment, Refund, Reversal
from payments.tests import reports, stage
from payments.tests.money_back import (
    assert_agreed,
    books,
    captured,
    fund,
    give_back,
    given_back,
    made_at_stripe,
    refunds_at_stripe,
    sweep,
)

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status = Refund.Status


@pytest.fixture
def taken(sandbox: Sandbox, held: Payment) -> Payment:
    """100.00 USD taken; the coach's 80.00 wait for the month."""
    fund(sandbox, "usd")
    stage.request_capture(held, clock.now())
    sweep()
    held.refresh_from_db()
    return held


def earned() -> list[tuple[str, int]]:
    return list(Earning.objects.order_by("pk").values_list("kind", "amount"))


# --- the way of one refund ----------------------------------------------------------------------


def test_stripe_is_asked_for_exactly_this(sandbox: Sandbox, taken: Payment) -> None:
    refund = given_back(taken, 2_500, reason=Refund.Reason.FRAUD)

    at_stripe = stage.at_stripe(sandbox, f"/v1/refunds/{refund.stripe_refund_id}")
    assert (at_stripe["amount"], at_stripe["currency"], at_stripe["reason"]) == (2_500, "usd", "fraudulent")
    assert at_stripe["transfer_reversal"] is None
    assert at_stripe["metadata"] == {
        "operation_id": str(refund.operations.get().pk),
        "refund_id": str(refund.pk),
        "payment_id": str(taken.pk),
        "reason": "fraud",
        "bearer": "shared",
    }


def test_the_decision_is_booked_before_stripe_is_asked(
    sandbox: Sandbox, taken: Payment, heard: list[tuple[Fact, int]]
) -> None:
    give_back(taken, 2_500)

    taken.refresh_from_db()
    assert (taken.refunded_amount, taken.taken_back_amount, taken.returned_fee_amount) == (2_500, 2_000, 500)
    assert books("refunds_in_flight") == -2_500
    assert books(ledger.coach_payable(taken.coach_id)) == -6_000
    assert earned() == [("share", 8_000), ("taken_back", -2_000)]
    assert refunds_at_stripe(sandbox, taken) == []
    assert (Fact.REFUNDED, taken.pk) not in heard
    assert ledger.check() == []

    sweep()
    assert heard.count((Fact.REFUNDED, taken.pk)) == 1
    assert books("refunds_in_flight") == 0
    assert_agreed(sandbox)


def test_a_second_refund_waits_for_the_first_ones_answer(sandbox: Sandbox, taken: Payment) -> None:
    give_back(taken, 2_500)
    with pytest.raises(RefundUnderWay):
        give_back(taken, 2_500)
    taken.refresh_from_db()
    assert (taken.refunded_amount, Refund.objects.count()) == (2_500, 1)

    sweep()
    given_back(taken, 2_500)
    assert refunds_at_stripe(sandbox, taken) == [2_500, 2_500]
    assert_agreed(sandbox)


def test_a_held_payment_is_released_and_not_refunded(sandbox: Sandbox, held: Payment) -> None:
    asked = services.request_refund(
        payment=held, amount=held.money, reason=Refund.Reason.STUDENT_ASKED, actor=None, now=clock.now()
    )
    sweep()
    held.refresh_from_db()

    assert asked is None
    assert (held.status, held.captured_amount, held.refunded_amount) == (Payment.Status.RELEASED, 0, 0)
    assert stage.calls(sandbox, "/v1/refunds") == []
    assert stage.at_stripe(sandbox, f"/v1/payment_intents/{held.payment_intent_id}")["status"] == "canceled"


def test_a_part_of_a_held_payment_is_not_taken(sandbox: Sandbox, held: Payment) -> None:
    services.request_refund(
        payment=held, amount=Money(2_500, "usd"), reason=Refund.Reason.STUDENT_ASKED, actor=None, now=clock.now()
    )
    sweep()
    held.refresh_from_db()

    assert (held.status, held.captured_amount) == (Payment.Status.CAPTURED, 7_500)
    assert earned() == [("share", 6_000)]
    assert stage.calls(sandbox, "/v1/refunds") == []
    assert_agreed(sandbox)


def test_what_is_being_taken_just_now_waits_a_minute(sandbox: Sandbox, held: Payment) -> None:
    stage.request_capture(held, clock.now())
    with pytest.raises(RefundUnderWay):
        give_back(held, 2_500)
    assert Refund.objects.count() == 0


# --- late and failing ---------------------------------------------------------------------------


@pytest.mark.parametrize("told_by", ["poller", "events"])
def test_a_pending_refund_is_followed_to_its_end(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[tuple[Fact, int]], told_by: str
) -> None:
    payment = captured(sandbox, student, payable_coach, card="pm_card_pendingRefund")
    refund = given_back(payment, 10_000)
    assert refund.status == Status.PENDING
    assert (Fact.REFUNDED, payment.pk) not in heard
    assert_agreed(sandbox)

    sandbox.advance(120)
    if told_by == "poller":
        assert pollers.poll_refunds(now=clock.now()) == 1
        assert pollers.poll_refunds(now=clock.now()) == 0
    else:
        reports.deliver_and_work(reports.events(sandbox, "refund.updated"))

    refund.refresh_from_db()
    assert refund.status == Status.SUCCEEDED
    assert heard.count((Fact.REFUNDED, payment.pk)) == 1
    assert_agreed(sandbox)


@pytest.mark.parametrize("told_by", ["poller", "events"])
def test_a_refund_that_fails_later_is_owed_to_the_student(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], told_by: str
) -> None:
    payment = captured(sandbox, student, payable_coach, card="pm_card_refundFail")
    refund = given_back(payment, 2_500)
    assert refund.status == Status.SUCCEEDED

    sandbox.advance(3700)
    if told_by == "poller":
        pollers.poll_refunds(now=clock.now())
    else:
        reports.deliver_and_work(reports.events(sandbox, "refund.failed", "refund.updated"))

    refund.refresh_from_db()
    payment.refresh_from_db()
    assert (refund.status, refund.failure) == (Status.FAILED, "expired_or_canceled_card")
    assert payment.refunded_amount == 2_500
    assert books(f"refunds_owed:{student.pk}") == -2_500
    assert [step.label for step in selectors.timeline(payment)][-1] == "Refund failed"
    assert_agreed(sandbox)

    again = made_at_stripe(sandbox, payment, 2_500)
    pollers.find_refunds_at_stripe(now=clock.now())
    refund.refresh_from_db()
    assert (refund.stripe_refund_id, refund.status, Refund.objects.count()) == (again, Status.SUCCEEDED, 1)
    assert books(f"refunds_owed:{student.pk}") == 0
    assert_agreed(sandbox)


def test_a_refund_without_funds_waits_for_them(sandbox: Sandbox, taken: Payment) -> None:
    sandbox.advance(3 * 86_400)
    sandbox.post("/_sandbox/balance", {"amount": -29_000, "currency": "usd"})
    refund = given_back(taken, 10_000)

    assert refund.status == Status.PENDING
    assert books("refunds_in_flight") == -10_000
    assert ledger.check() == []

    sandbox.post("/_sandbox/balance", {"amount": 29_000, "currency": "usd"})
    pollers.poll_refunds(now=clock.now())
    refund.refresh_from_db()
    assert (refund.status, books("refunds_in_flight")) == (Status.SUCCEEDED, 0)
    assert ledger.check() == []


def test_a_refund_that_fails_before_it_left_us_is_owed_all_the_same(sandbox: Sandbox, taken: Payment) -> None:
    sandbox.advance(3 * 86_400)
    sandbox.post("/_sandbox/balance", {"amount": -29_000, "currency": "usd"})
    refund = given_back(taken, 10_000)
    sandbox.post(f"/_sandbox/refunds/{refund.stripe_refund_id}/fail", {"failure_reason": "declined"})
    pollers.poll_refunds(now=clock.now())

    refund.refresh_from_db()
    assert refund.status == Status.FAILED
    assert (books("refunds_in_flight"), books(f"refunds_owed:{taken.payer_id}")) == (0, -10_000)
    assert ledger.check() == []


# --- refused, and made elsewhere ----------------------------------------------------------------


def test_a_refused_refund_leaves_everything_as_it_was(
    sandbox: Sandbox, taken: Payment, heard: list[tuple[Fact, int]]
) -> None:
    sandbox.post("/_sandbox/disputes", {"payment_intent": taken.payment_intent_id, "reason": "fraudulent"})
    refund = given_back(taken, 2_500)

    taken.refresh_from_db()
    assert refund.status == Status.REFUSED
    assert "charged back" in refund.failure
    assert (taken.refunded_amount, taken.taken_back_amount, taken.returned_fee_amount) == (0, 0, 0)
    assert sum(amount for _, amount in earned()) == 8_000
    assert books(ledger.coach_payable(taken.coach_id)) == -8_000
    assert (books("platform_revenue"), books("refunds_in_flight")) == (-2_000, 0)
    assert (Fact.REFUNDED, taken.pk) not in heard
    assert ledger.check() == []


@pytest.mark.parametrize("status", [Dispute.Status.NEEDS_RESPONSE, Dispute.Status.UNDER_REVIEW, Dispute.Status.LOST])
def test_what_is_disputed_is_not_refunded(sandbox: Sandbox, taken: Payment, status: str) -> None:
    _dispute(taken, status)
    with pytest.raises(RefundWhileDisputed):
        give_back(taken, 2_500)
    taken.refresh_from_db()
    assert (taken.refunded_amount, Refund.objects.count()) == (0, 0)
    assert stage.calls(sandbox, "/v1/refunds") == []


@pytest.mark.parametrize("status", [Dispute.Status.WARNING_NEEDS_RESPONSE, Dispute.Status.WON])
def test_an_inquiry_or_a_dispute_that_is_won_keeps_no_refund_back(taken: Payment, status: str) -> None:
    _dispute(taken, status)
    assert given_back(taken, 2_500).status == Status.SUCCEEDED


def _dispute(payment: Payment, status: str) -> Dispute:
    return Dispute.objects.create(
        stripe_dispute_id="du_1",
        payment=payment,
        charge_id=payment.charge_id,
        amount=payment.captured_amount,
        currency=payment.currency,
        reason="fraudulent",
        status=status,
        opened_at=clock.now(),
    )


@pytest.mark.parametrize("told_by", ["charge.refunded", "refund.created", "poller"])
def test_a_refund_made_in_stripes_dashboard_appears_in_our_books(
    sandbox: Sandbox, taken: Payment, heard: list[tuple[Fact, int]], told_by: str
) -> None:
    made = made_at_stripe(sandbox, taken, 2_500)
    if told_by == "poller":
        assert pollers.find_refunds_at_stripe(now=clock.now()) == 1
        assert pollers.find_refunds_at_stripe(now=clock.now()) == 0
    else:
        told = reports.events(sandbox, told_by)
        reports.deliver_and_work(told)

    refund = Refund.objects.get()
    assert (refund.stripe_refund_id, refund.status, refund.amount) == (made, Status.SUCCEEDED, 2_500)
    assert (refund.reason, refund.bearer, refund.requested_by) == ("at_stripe", "shared", None)
    assert earned() == [("share", 8_000), ("taken_back", -2_000)]
    assert heard.count((Fact.REFUNDED, taken.pk)) == 1
    assert_agreed(sandbox)


def test_every_event_of_a_refund_in_any_order_and_twice_is_one_refund(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    given_back(payment, 10_000)
    told = reports.events(sandbox, "refund.created", "refund.updated", "charge.refunded", "transfer.reversed")
    rows = [reports.deliver(event) for event in [*reversed(told), *told]]
    reports.work(*rows)

    assert {row.state for row in rows} == {"done"}
    assert (Refund.objects.count(), Reversal.objects.count()) == (1, 1)
    assert heard.count((Fact.REFUNDED, payment.pk)) == 1
    assert_agreed(sandbox)


def test_a_refund_at_stripe_that_leaves_no_room_for_ours_undoes_it(sandbox: Sandbox, taken: Payment) -> None:
    """Staff refund all of it here and at Stripe at the same time: the student gets it once."""
    give_back(taken, 10_000)
    made_at_stripe(sandbox, taken, 10_000)
    told = reports.deliver_and_work(reports.events(sandbox, "refund.created"))
    assert [row.state for row in told] == ["new"]

    sweep()
    reports.work(*told)
    states = dict(Refund.objects.values_list("reason", "status"))
    assert states == {"student_asked": Status.REFUSED, "at_stripe": Status.SUCCEEDED}
    assert refunds_at_stripe(sandbox, taken) == [10_000]
    assert_agreed(sandbox)


def test_a_refund_at_stripe_takes_the_place_of_one_that_waits_for_a_second_person(
    sandbox: Sandbox, taken: Payment, staff: User, settings: Any
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 0
    waiting = give_back(taken, 6_000, actor=staff)
    made_at_stripe(sandbox, taken, 10_000)
    pollers.find_refunds_at_stripe(now=clock.now())

    waiting.refresh_from_db()
    assert waiting.status == Status.DISMISSED
    assert Refund.objects.get(reason="at_stripe").status == Status.SUCCEEDED
    assert_agreed(sandbox)


def test_a_refund_that_is_not_shown_whole_is_recorded_later(taken: Payment) -> None:
    refund = given_back(taken, 2_500)
    facts = gateway.retrieve_refund(str(refund.stripe_refund_id))
    Refund.objects.filter(pk=refund.pk).update(status=Status.REQUESTED)
    with pytest.raises(NotYetError):
        services.record_refund(payment=taken, facts=replace(facts, balance_transaction=None), now=clock.now())
