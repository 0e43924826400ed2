"""Who may refund how much, and what is written down of it."""

from typing import Any

import pytest

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, services
from payments.errors import NotStaff, OwnMoney, RefundDecided, RefundWhileDisputed, SecondPersonNeeded
from payments.models import Dispute, Earning, Operation, Payment, Refund
from payments.refunds import NothingToRefund, RefundAmountWrong, RefundTooHigh
from payments.tests import stage
from payments.tests.money_back import assert_agreed, books, fund, give_back, sweep

pytestmark = pytest.mark.django_db

Status = Refund.Status


@pytest.fixture
def taken(sandbox: Sandbox, held: Payment, settings: Any) -> Payment:
    """100.00 USD taken; one person may refund 50.00 of them."""
    settings.REFUND_APPROVAL_LIMIT = 5_000
    fund(sandbox, "usd")
    stage.request_capture(held, clock.now())
    sweep()
    held.refresh_from_db()
    return held


@pytest.fixture
def other(db: None) -> User:
    return UserFactory.create(email="second@example.com", is_staff=True)


def test_up_to_the_limit_one_person_is_enough(sandbox: Sandbox, taken: Payment, staff: User) -> None:
    assert give_back(taken, 5_000, actor=staff).status == Status.REQUESTED
    sweep()
    # What was refunded before counts: small ones one after another would be no limit.
    assert give_back(taken, 1, actor=staff).status == Status.TO_APPROVE


def test_above_the_limit_nothing_moves_before_a_second_person(
    sandbox: Sandbox, taken: Payment, staff: User, other: User
) -> None:
    refund = give_back(taken, 5_001, actor=staff)
    sweep()
    refund.refresh_from_db()
    taken.refresh_from_db()
    assert (refund.status, taken.refunded_amount) == (Status.TO_APPROVE, 5_001)
    assert (Operation.objects.filter(kind="refund").count(), Earning.objects.count()) == (0, 1)
    assert books("refunds_in_flight") == 0
    assert ledger.check() == []

    services.approve_refund(refund=refund, actor=other, now=clock.now())
    sweep()
    refund.refresh_from_db()
    assert (refund.status, refund.requested_by, refund.approved_by) == (Status.SUCCEEDED, staff, other)
    assert_agreed(sandbox)


def test_nobody_agrees_to_their_own_refund(taken: Payment, staff: User) -> None:
    refund = give_back(taken, 10_000, actor=staff)
    with pytest.raises(SecondPersonNeeded):
        services.approve_refund(refund=refund, actor=staff, now=clock.now())
    refund.refresh_from_db()
    assert (refund.status, refund.approved_by) == (Status.TO_APPROVE, None)


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_a_demoted_person_decides_nothing_any_more(
    taken: Payment, staff: User, other: User, change: dict[str, bool]
) -> None:
    refund = give_back(taken, 10_000, actor=staff)
    User.objects.filter(pk=other.pk).update(**change)  # `other` still holds what was true when they signed in

    with pytest.raises(NotStaff):
        services.approve_refund(refund=refund, actor=other, now=clock.now())
    with pytest.raises(NotStaff):
        services.dismiss_refund(refund=refund, actor=other, now=clock.now())
    refund.refresh_from_db()
    assert refund.status == Status.TO_APPROVE


@pytest.mark.parametrize("side", ["payer", "coach"])
def test_nobody_decides_on_their_own_money(taken: Payment, other: User, side: str) -> None:
    own = taken.payer if side == "payer" else taken.coach.user
    User.objects.filter(pk=own.pk).update(is_staff=True)
    own.refresh_from_db()
    with pytest.raises(OwnMoney):
        give_back(taken, 100, actor=own)

    refund = give_back(taken, 10_000, actor=other)
    with pytest.raises(OwnMoney):
        services.approve_refund(refund=refund, actor=own, now=clock.now())
    assert Refund.objects.get().status == Status.TO_APPROVE


def test_a_student_refunds_nothing_by_themselves(taken: Payment, stranger: User) -> None:
    with pytest.raises(NotStaff):
        give_back(taken, 100, actor=stranger)
    assert Refund.objects.count() == 0


def test_what_is_dismissed_is_free_again(taken: Payment, staff: User, other: User) -> None:
    refund = give_back(taken, 10_000, actor=staff)
    with pytest.raises(NothingToRefund):
        give_back(taken, 1, actor=other)

    services.dismiss_refund(refund=refund, actor=other, note="Too much.", now=clock.now())
    taken.refresh_from_db()
    refund.refresh_from_db()
    assert (refund.status, taken.refunded_amount, taken.taken_back_amount) == (Status.DISMISSED, 0, 0)
    for decide in (services.approve_refund, services.dismiss_refund):
        with pytest.raises(RefundDecided):
            decide(refund=refund, actor=other, now=clock.now())
    assert ledger.check() == []


def test_a_dispute_that_opens_meanwhile_stops_the_second_person(taken: Payment, staff: User, other: User) -> None:
    refund = give_back(taken, 10_000, actor=staff)
    Dispute.objects.create(
        stripe_dispute_id="du_1",
        payment=taken,
        charge_id=taken.charge_id,
        amount=10_000,
        currency="usd",
        reason="fraudulent",
        status=Dispute.Status.NEEDS_RESPONSE,
        opened_at=clock.now(),
    )
    with pytest.raises(RefundWhileDisputed):
        services.approve_refund(refund=refund, actor=other, now=clock.now())
    assert Operation.objects.filter(kind="refund").count() == 0


@pytest.mark.parametrize(
    ("amount", "error"),
    [
        (Money(10_001, "usd"), RefundTooHigh),
        (Money(0, "usd"), RefundAmountWrong),
        (Money(-100, "usd"), RefundAmountWrong),
        (Money(100, "eur"), RefundAmountWrong),
    ],
)
def test_nonsense_is_refused(sandbox: Sandbox, taken: Payment, staff: User, amount: Money, error: Any) -> None:
    with pytest.raises(error):
        services.request_refund(
            payment=taken, amount=amount, reason=Refund.Reason.GOODWILL, actor=staff, now=clock.now()
        )
    assert (Refund.objects.count(), StaffDecision.objects.count()) == (0, 0)
    assert stage.calls(sandbox, "/v1/refunds") == []


def test_each_decision_is_written_down(taken: Payment, staff: User, other: User) -> None:
    refund = give_back(taken, 10_000, actor=staff, note="The lesson was cut short.")
    services.approve_refund(refund=refund, actor=other, now=clock.now())

    asked, agreed = StaffDecision.objects.order_by("pk")
    assert (asked.actor, asked.decision, asked.subject_type, asked.subject_id) == (
        staff,
        "refund_requested",
        "payments.Payment",
        str(taken.pk),
    )
    assert (asked.reason, asked.before) == ("The lesson was cut short.", {"refunded_amount": 0})
    assert asked.after["amount"] == 10_000
    assert (agreed.actor, agreed.decision, agreed.before) == (other, "refund_approved", {"status": "to_approve"})
    assert agreed.after["status"] == "requested"
