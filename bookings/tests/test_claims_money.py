"""Decided reports at the sandbox: each way, both settlement modes, currencies of 2, 0 and 3 decimals, to the cent."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from bookings import services
from bookings.demo.stage import settle
from bookings.models import Booking, Claim
from bookings.tests.factories import fresh
from bookings.tests.far_ahead import book_and_pay, move_to
from bookings.tests.reporting import coach_reports, decide, read, student_reports, wait_in_the_room
from bookings.tests.test_life import last_event
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments.models import Earning, Payment, PayoutAccount, Transfer
from payments.tests import bank, stage
from payments.tests.money_back import assert_agreed, at_coach, books, fund, pay_month, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status, Kind, Outcome = Booking.Status, Claim.Kind, Claim.Outcome
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Case:
    """Of three sessions: the student missed one (half is kept), the coach one, and `back` is given back of one.

    `paid` by the student, `coach` and `fee` for each, worked out by hand: 20 % of what stays paid, in the currency's
    steps, half up; the coach gets the rest.
    """

    price: int
    back: int
    paid: tuple[int, int, int]
    coach: tuple[int, int, int]
    fee: int


CASES = {
    "usd": Case(10_000, 2_500, (5_000, 0, 7_500), (4_000, 0, 6_000), 1_000 + 1_500),
    # Half is 2,502.5; a fifth of 2,503 is 500.6, of 3,770 it is 754.
    "jpy": Case(5_005, 1_235, (2_503, 0, 3_770), (2_002, 0, 3_016), 501 + 754),
    # In tens: half is 5,005, so 5,010; a fifth of that is 1,002, of 7,510 it is 1,502.
    "kwd": Case(10_010, 2_500, (5_010, 0, 7_510), (4_010, 0, 6_010), 1_000 + 1_500),
}
EVERY = [(mode, currency) for mode in ("monthly", "per_session") for currency in CASES]
EACH = pytest.mark.parametrize("world", EVERY, indirect=True, ids=[" ".join(each) for each in EVERY])


@dataclass
class World:
    sandbox: Sandbox
    currency: str
    case: Case
    coach: Coach
    sessions: list[Booking]

    def back(self) -> Money:
        return Money(self.case.back, self.currency)

    def payments(self) -> list[Payment]:
        return [Payment.objects.get(booking=booking) for booking in self.sessions]


@pytest.fixture
def world(sandbox: Sandbox, bookable: Offering, settings: Settings, request: pytest.FixtureRequest) -> World:
    """Three sessions of one coach, held on the cards of three students; the last of them has just ended."""
    mode, currency = request.param
    case = CASES[currency]
    settings.CURRENCIES = [currency]
    fund(sandbox, currency)
    PayoutAccount.objects.filter(coach=bookable.coach).update(settlement_mode=mode)
    bookable.currency, bookable.price_amount = currency, case.price
    bookable.save(update_fields=["currency", "price_amount"])
    sessions: list[Booking] = []
    for _ in range(3):
        from_ = sessions[-1].ends_at if sessions else clock.now() + DAY
        sessions.append(book_and_pay(bookable, from_=from_, card="pm_card_visa"))
    settle()
    move_to(sessions[-1].ends_at)
    wait_in_the_room(fresh(sessions[0]), start=sessions[0].starts_at)
    sessions = [fresh(booking) for booking in sessions]
    assert {booking.status for booking in sessions} == {Status.ACCEPTED}
    return World(sandbox, currency, case, bookable.coach, sessions)


def report_all(world: World) -> list[Claim]:
    now = clock.now()
    by_coach, by_student, problem = world.sessions
    return [
        coach_reports(by_coach, now=now),
        student_reports(by_student, now=now),
        student_reports(problem, now=now, kind=Kind.PROBLEM, words="No sound."),
    ]


def contradict_all(claims: list[Claim]) -> None:
    for claim in claims:
        booking = read(claim).booking
        other = booking.coach.user if claim.side == "student" else booking.student.user
        services.contradict(claim=read(claim), actor=other, words="Not so.", now=clock.now())


def staff_decide_all(world: World, claims: list[Claim], staff: User) -> None:
    now = clock.now()
    decide(claims[0], staff, Outcome.NO_SHOW_STUDENT, now=now)
    decide(claims[1], staff, Outcome.NO_SHOW_COACH, now=now)
    decide(claims[2], staff, Outcome.REFUNDED, back=world.back(), now=now)
    sweep()


def stays_paid(world: World) -> tuple[int, ...]:
    """As Stripe has it."""
    return tuple(_paid_at_stripe(world.sandbox, payment) for payment in world.payments())


def _paid_at_stripe(sandbox: Sandbox, payment: Payment) -> int:
    intent = stage.at_stripe(sandbox, f"/v1/payment_intents/{payment.payment_intent_id}?expand[]=latest_charge")
    charge: dict[str, Any] = intent["latest_charge"]
    return int(intent["amount_received"]) - int(charge["amount_refunded"])


def assert_settled(world: World) -> None:
    """After the months that pay it: the students, the coach and the platform have what the case says, at Stripe too."""
    case, currency = world.case, world.currency
    assert stays_paid(world) == case.paid
    assert [fresh(booking).status for booking in world.sessions] == [
        Status.NO_SHOW_STUDENT, Status.NO_SHOW_COACH, Status.COMPLETED,
    ]  # fmt: skip
    if Earning.objects.exists():
        pay_month(world.sandbox)
        sweep()
    assert at_coach(world.sandbox, world.coach, currency) == sum(case.coach)
    assert books(f"coach_payable:{world.coach.pk}", currency) == 0
    assert books("platform_revenue", currency) == -case.fee
    assert books("platform_losses", currency) == 0
    assert not Earning.objects.filter(frozen=True).exists()
    assert_agreed(world.sandbox, currency)


@EACH
def test_from_a_live_hold(world: World, staff: User) -> None:
    claims = report_all(world)
    decide(claims[2], staff, Outcome.REFUNDED, back=world.back(), now=clock.now())
    move_to(clock.now() + DAY)
    settle()
    assert [read(claim).decided_by for claim in claims] == [None, None, staff]
    assert stage.effects(world.sandbox, "/v1/refunds") == 0
    assert_settled(world)


@EACH
def test_after_it_was_taken(world: World, staff: User) -> None:
    for booking in world.sessions:
        services.complete(booking=booking, actor=world.coach.user, now=clock.now())
    sweep()
    claims = report_all(world)
    decide(claims[2], staff, Outcome.REFUNDED, back=world.back(), now=clock.now())
    sweep()
    move_to(clock.now() + DAY)
    settle()
    sweep()
    assert [read(claim).decided_by for claim in claims] == [None, None, staff]
    assert stage.effects(world.sandbox, "/v1/refunds") == 3
    assert {last_event(fresh(booking)).transition for booking in world.sessions} == {"refunded"}
    assert_settled(world)


@EACH
def test_undecided_until_the_hold_ends_it_is_taken_and_nobody_is_paid(world: World, staff: User) -> None:
    claims = report_all(world)
    contradict_all(claims)
    ends = min(payment.capture_before for payment in world.payments() if payment.capture_before)
    move_to(ends - timedelta(hours=6, seconds=-1))
    settle()
    sweep()
    assert {fresh(booking).status for booking in world.sessions} == {Status.COMPLETED}
    assert {payment.captured_amount for payment in world.payments()} == {world.case.price}
    assert Earning.objects.filter(frozen=True).count() == 3

    pay_month(world.sandbox)
    sweep()
    assert at_coach(world.sandbox, world.coach, world.currency) == 0
    assert not Transfer.objects.filter(payment=None).exists()
    assert_agreed(world.sandbox, world.currency)

    staff_decide_all(world, claims, staff)
    sweep()
    assert not Earning.objects.filter(frozen=True).exists()
    world.sandbox.advance(32 * 24 * 3600)
    assert_settled(world)


ONE = pytest.mark.parametrize("world", [("monthly", "usd")], indirect=True, ids=["monthly usd"])


def complete_and_report(world: World) -> list[Claim]:
    for booking in world.sessions:
        services.complete(booking=booking, actor=world.coach.user, now=clock.now())
    sweep()
    return report_all(world)


@ONE
def test_both_are_told_of_a_refund_as_it_is(world: World, staff: User) -> None:
    claims = complete_and_report(world)
    mail.outbox.clear()
    decide(claims[2], staff, Outcome.REFUNDED, back=world.back(), now=clock.now(), reason="Half of it had no sound.")
    sweep()
    move_to(clock.now() + timedelta(minutes=11))
    settle()
    student = world.sessions[2].student.user.email
    told = {message.to[0]: message.body for message in mail.outbox if "refund" in message.subject}
    assert "$25.00 of the $100.00 that you paid is refunded by now" in told[student]
    assert (
        "$25.00 of the price is refunded to the student by now. Your part of that, $20.00" in told["coach@example.com"]
    )
    decision = [str(message.body) for message in mail.outbox if "The decision:" in str(message.body)]
    assert len(decision) == 2
    assert all("Half of it had no sound. $25.00 of the price goes back." in text for text in decision)


@ONE
def test_while_the_bank_disputes_it_nothing_is_given_back_twice(world: World) -> None:
    claims = complete_and_report(world)
    missed, payment = world.sessions[1], world.payments()[1]
    dispute = bank.disputed(world.sandbox, payment)
    move_to(clock.now() + DAY)
    settle()
    assert read(claims[1]).state == Claim.State.OPEN
    assert fresh(missed).status == Status.COMPLETED

    bank.decide(world.sandbox, dispute, "lost")
    move_to(clock.now() + timedelta(minutes=11))
    settle()
    sweep()
    assert read(claims[1]).outcome == Outcome.NO_SHOW_COACH
    assert fresh(missed).status == Status.NO_SHOW_COACH
    assert not payment.refunds.exists()
    assert_agreed(world.sandbox)
