"""Finance holds a line back and lets it go: with a reason, on the record, and never one that is on its way."""

from typing import Any

import pytest

from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import CoachFactory, UserFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import member_of
from payments import ledger, operations, payouts
from payments.errors import NotStaff, OwnMoney, ReasonNeeded
from payments.models import Operation, PayoutLine, PayoutRun
from payments.tests import stage
from payments.tests.factories_books import earn
from payments.tests.payday import END, MONTH, MakeCoach, only_line, transfers_made

Status = PayoutLine.Status


def hold(line: PayoutLine, actor: User, reason: str = "The coach has moved.") -> PayoutLine:
    return payouts.hold_line(line=line, actor=actor, reason=reason, now=clock.now())


def release(line: PayoutLine, actor: User, reason: str = "It is theirs.") -> PayoutLine:
    return payouts.release_line(line=line, actor=actor, reason=reason, now=clock.now())


@pytest.mark.django_db
def test_a_held_line_is_left_alone_until_it_is_released(sandbox: Sandbox, make_coach: MakeCoach, finance: User) -> None:
    held_coach, other = make_coach(), make_coach()
    earn(held_coach)
    earn(other)
    run = payouts.open_run(MONTH, clock.now())
    line = run.lines.get(coach=held_coach)
    hold(line, finance)

    payouts.run_due(clock.now())

    line.refresh_from_db()
    assert (line.status, line.held_by, line.held_reason) == (Status.HELD, finance, "The coach has moved.")
    assert run.lines.get(coach=other).status == Status.PAID
    assert PayoutRun.objects.get(pk=run.pk).status == PayoutRun.Status.OPEN
    assert transfers_made(sandbox) == 1

    release(line, finance)
    payouts.run_due(clock.now())

    line.refresh_from_db()
    assert (line.status, line.held_by, line.held_at, line.held_reason) == (Status.PAID, None, None, "")
    assert PayoutRun.objects.get(pk=run.pk).status == PayoutRun.Status.CLOSED
    assert transfers_made(sandbox) == 2
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_line_that_is_held_after_a_round_has_chosen_it_is_not_paid(
    sandbox: Sandbox, make_coach: MakeCoach, finance: User
) -> None:
    earn(make_coach())
    chosen = payouts.open_run(MONTH, clock.now()).lines.get()
    hold(chosen, finance)

    payouts.pay_line(chosen, clock.now())

    assert PayoutLine.objects.get().status == Status.HELD
    assert Operation.objects.filter(kind="transfer").count() == 0
    assert transfers_made(sandbox) == 0


@pytest.mark.django_db
def test_both_decisions_are_on_record_with_their_reasons(finance: User) -> None:
    earn(CoachFactory.create())
    payouts.open_run(MONTH, END)
    hold(only_line(), finance, "Ask the bank first.")
    release(only_line(), finance, "The bank says yes.")
    taken = StaffDecision.objects.order_by("pk").values_list("actor", "decision", "reason", "before", "after")
    planned = {"status": "planned", "amount": 8_000, "currency": "usd"}
    held = {**planned, "status": "held"}
    assert list(taken) == [
        (finance.pk, "hold_payout_line", "Ask the bank first.", planned, held),
        (finance.pk, "release_payout_line", "The bank says yes.", held, planned),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["reset_after_effect", "reset_before_effect"])
def test_what_stripe_was_asked_for_cannot_be_held(
    sandbox: Sandbox, make_coach: MakeCoach, finance: User, action: str
) -> None:
    earn(make_coach())
    stage.break_next(sandbox, action, "/v1/transfers")
    payouts.run_due(clock.now())
    assert Operation.objects.get(kind="transfer").state != Operation.State.DONE
    with pytest.raises(payouts.LineOnItsWay):
        hold(only_line(), finance)
    assert only_line().status == Status.PLANNED
    assert StaffDecision.objects.count() == 0


@pytest.mark.django_db
def test_a_paid_line_cannot_be_held(sandbox: Sandbox, make_coach: MakeCoach, finance: User) -> None:
    earn(make_coach())
    payouts.run_due(clock.now())
    with pytest.raises(payouts.LineOnItsWay):
        hold(only_line(), finance)
    assert only_line().status == Status.PAID


@pytest.mark.django_db
def test_a_line_that_stripe_has_refused_can_be_held(sandbox: Sandbox, make_coach: MakeCoach, finance: User) -> None:
    coach = make_coach()
    earn(coach, amount=5_000_000, platform_fee=100)
    payouts.run_due(clock.now())
    assert only_line().status == Status.WAITING

    hold(only_line(), finance)
    sandbox.advance(86_400)
    payouts.run_due(clock.now())

    assert (only_line().status, only_line().waiting_for) == (Status.HELD, "")
    assert len(stage.calls(sandbox, "/v1/transfers")) == 1


@pytest.mark.django_db
def test_it_takes_the_right_a_reason_and_somebody_else_than_the_coach(finance: User) -> None:
    coach = CoachFactory.create()
    earn(coach)
    payouts.open_run(MONTH, END)
    for user, reason, error in (
        (member_of("support"), "Because.", NotStaff),
        (UserFactory.create(), "Because.", NotStaff),
        (finance, " \n", ReasonNeeded),
    ):
        with pytest.raises(error):
            hold(only_line(), user, reason)
    coach.user.is_staff = coach.user.is_superuser = True
    coach.user.save(update_fields=["is_staff", "is_superuser"])
    with pytest.raises(OwnMoney):
        hold(only_line(), coach.user)
    assert only_line().status == Status.PLANNED
    assert StaffDecision.objects.count() == 0


@pytest.mark.django_db
def test_it_is_held_once_and_released_once(finance: User) -> None:
    earn(CoachFactory.create())
    payouts.open_run(MONTH, END)
    with pytest.raises(payouts.LineNotHeld):
        release(only_line(), finance)
    hold(only_line(), finance)
    with pytest.raises(payouts.LineHeld):
        hold(only_line(), finance)
    release(only_line(), finance)
    with pytest.raises(payouts.LineNotHeld):
        release(only_line(), finance)
    assert StaffDecision.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(4))
def test_a_hold_racing_the_transfer_holds_it_or_comes_too_late(
    sandbox: Sandbox, make_coach: MakeCoach, round_: int
) -> None:
    finance = UserFactory.create(is_staff=True, is_superuser=True)
    earn(make_coach())
    run, now = payouts.open_run(MONTH, clock.now()), clock.now()
    line, said = only_line(), list[Any]()

    def hold_it() -> None:
        try:
            said.append(hold(line, finance).status)
        except payouts.LineOnItsWay as error:
            said.append(error.code)

    stage.at_once([lambda: payouts.pay_lines(run, now), hold_it])
    operations.sweep(now=now)

    expected = {Status.HELD: (Status.HELD, 0, 0), "line_on_its_way": (Status.PAID, 1, 1)}
    transfers = Operation.objects.filter(kind="transfer").count()
    assert (only_line().status, transfers, transfers_made(sandbox)) == expected[said[0]]
    assert ledger.check() == []


@pytest.mark.django_db(transaction=True)
def test_a_release_racing_a_beat_pays_once(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    finance = UserFactory.create(is_staff=True, is_superuser=True)
    earn(make_coach())
    run, now = payouts.open_run(MONTH, clock.now()), clock.now()
    line = hold(only_line(), finance)

    stage.at_once([lambda: payouts.pay_lines(run, now), lambda: release(line, finance)])
    payouts.pay_lines(run, now)

    assert only_line().status == Status.PAID
    assert transfers_made(sandbox) == 1
    assert ledger.check() == []
