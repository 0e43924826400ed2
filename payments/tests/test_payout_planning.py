"""What a run plans: nothing too early, nothing too little, nothing twice, however many sessions there are."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from payments import ledger, payouts, tasks
from payments.models import Earning, PayoutAccount, PayoutLine, PayoutRun
from payments.tests import stage
from payments.tests.factories_books import earn
from payments.tests.locks import on_postgresql, waiting
from payments.tests.payday import END, MONTH, only_line

TICK = timedelta(microseconds=1)
NEXT_END = datetime(2026, 12, 1, tzinfo=UTC)


def share(coach: Coach, amount: int, currency: str = "usd", **fields: Any) -> Earning:
    """So much for the coach."""
    return earn(coach, amount=amount + 100, platform_fee=100, currency=currency, **fields)


def owe(earning: Earning, amount: int) -> Earning:
    """As a refund leaves it."""
    return Earning.objects.create(
        payment=earning.payment, kind=Earning.Kind.TAKEN_BACK, coach=earning.coach, amount=-amount,
        currency=earning.currency, release_at=earning.release_at, created_at=earning.created_at,
    )  # fmt: skip


def planned() -> list[tuple[int, str, int]]:
    return list(PayoutLine.objects.order_by("pk").values_list("coach_id", "currency", "amount"))


# --- when a month ends --------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("month", "end"),
    [
        ("2026-10", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2028-02", datetime(2028, 3, 1, tzinfo=UTC)),
        ("2027-02", datetime(2027, 3, 1, tzinfo=UTC)),
    ],
)
def test_the_last_instant_of_a_month_is_in_it_and_the_next_is_not(month: str, end: datetime) -> None:
    coach = CoachFactory.create()
    share(coach, 700, release_at=end - TICK)
    share(coach, 900, release_at=end)

    payouts.open_run(month, end)

    assert planned() == [(coach.pk, "usd", 700)]


@pytest.mark.django_db
def test_the_29th_of_february_is_paid_with_february() -> None:
    coach = CoachFactory.create()
    share(coach, 700, release_at=datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC))
    run = payouts.open_run("2028-02", datetime(2028, 3, 1, tzinfo=UTC))
    assert (run.month, planned()) == ("2028-02", [(coach.pk, "usd", 700)])


@pytest.mark.django_db
def test_a_clock_that_went_back_opens_nothing_twice() -> None:
    share(CoachFactory.create(), 700)
    payouts.run_due(END + timedelta(days=3))
    before = planned()

    payouts.run_due(END - TICK)
    payouts.run_due(END + timedelta(days=3))

    assert planned() == before
    assert list(PayoutRun.objects.order_by("month").values_list("month", flat=True)) == ["2026-09", "2026-10"]


@pytest.mark.django_db
def test_a_clock_that_went_ahead_pays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine believes that the month is over; the database, and so all others, know better."""
    share(CoachFactory.create(), 700, release_at=clock.now())
    ahead = clock.wall() + timedelta(days=40)
    monkeypatch.setattr(clock, "wall", lambda: ahead)
    with pytest.raises(clock.WrongClockError):
        tasks.run_due_payouts()
    assert PayoutRun.objects.count() == 0


# --- the minimum --------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(("amount", "lines"), [(999, 0), (1_000, 1)])
def test_less_than_the_minimum_is_not_planned(settings: Any, amount: int, lines: int) -> None:
    settings.PAYOUT_MINIMUM = {"usd": 1_000}
    coach = CoachFactory.create()
    share(coach, amount - 1)
    share(coach, 1)

    assert len(payouts.dry_run(MONTH, END)) == lines
    payouts.open_run(MONTH, END)

    assert PayoutLine.objects.count() == lines
    assert Earning.objects.filter(line=None).count() == 2 - 2 * lines


@pytest.mark.django_db
def test_the_minimum_is_of_each_currency(settings: Any) -> None:
    settings.PAYOUT_MINIMUM = {"usd": 1_000, "jpy": 2_000}
    coach = CoachFactory.create()
    for currency in ("usd", "jpy", "eur"):
        share(coach, 1_500, currency)
    payouts.open_run(MONTH, END)
    assert planned() == [(coach.pk, "eur", 1_500), (coach.pk, "usd", 1_500)]


@pytest.mark.django_db
def test_a_sum_below_the_minimum_is_carried_until_it_is_enough(settings: Any) -> None:
    settings.PAYOUT_MINIMUM = {"usd": 1_000}
    coach = CoachFactory.create()
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="US")
    share(coach, 600)
    payouts.open_run(MONTH, END)
    assert planned() == []
    assert [(each.money.amount, each.reason) for each in payouts.waiting(END)] == [
        (600, "Below the minimum: carried over to the next run.")
    ]

    share(coach, 400, release_at=END)
    payouts.open_run("2026-11", NEXT_END)

    assert planned() == [(coach.pk, "usd", 1_000)]
    assert payouts.waiting(NEXT_END) == []


# --- debts --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_debt_is_netted_in_its_own_currency_alone() -> None:
    coach = CoachFactory.create()
    owe(share(coach, 700), 300)
    share(coach, 900, "eur")
    _book_debt(coach, 300)

    assert [(line.money.amount, line.earnings, line.sessions) for line in payouts.dry_run(MONTH, END)] == [
        (900, 1, 1),
        (400, 2, 1),
    ]
    payouts.open_run(MONTH, END)

    assert planned() == [(coach.pk, "eur", 900), (coach.pk, "usd", 400)]
    assert Earning.objects.filter(line=None).count() == 0


@pytest.mark.django_db
def test_a_debt_that_is_as_large_as_what_is_earned_waits_with_it() -> None:
    coach = CoachFactory.create()
    owe(share(coach, 700), 700)
    _book_debt(coach, 700)
    payouts.open_run(MONTH, END)
    assert planned() == []
    assert Earning.objects.filter(line=None).count() == 2


def _book_debt(coach: Coach, amount: int) -> None:
    lines = [
        ledger.Line(ledger.coach_payable(coach.pk), Money(amount, "usd")),
        ledger.Line("platform_losses", Money(-amount, "usd")),
    ]
    with transaction.atomic():
        ledger.post(kind="test", reference="debt", lines=lines, now=END)


# --- how much it takes --------------------------------------------------------------------------


@pytest.mark.django_db
def test_planning_asks_as_often_for_many_coaches_as_for_few() -> None:
    def queries(month: str, end: datetime) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            payouts.open_run(month, end)
        return len(asked)

    share(CoachFactory.create(), 700)
    few = queries(MONTH, END)
    for _ in range(12):
        coach = CoachFactory.create()
        for _ in range(3):
            share(coach, 700, release_at=END)
    assert queries("2026-11", NEXT_END) == few
    assert PayoutLine.objects.count() == 13


@pytest.mark.django_db
def test_what_is_linked_to_a_line_is_what_it_pays() -> None:
    for number in range(5):
        coach = CoachFactory.create()
        for amount in range(1, 7):
            share(coach, amount * 111 + number, ("usd", "eur", "jpy")[amount % 3])
    payouts.open_run(MONTH, END)
    sums = PayoutLine.objects.annotate(earned=Sum("earnings__amount"))
    assert [line.amount for line in sums] == [line.earned for line in sums]
    assert len(sums) == 15


# --- what happens at the same moment ------------------------------------------------------------


def in_a_thread(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=lambda: stage.apart(act))
    thread.start()
    return thread


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_planning_waits_for_a_refund_under_way_and_sees_its_debt() -> None:
    coach = CoachFactory.create()
    earning = share(coach, 700)
    planning = None
    with transaction.atomic():
        Earning.objects.select_for_update().get(pk=earning.pk)
        planning = in_a_thread(lambda: payouts.open_run(MONTH, END))
        stage.await_that(waiting)
        owe(earning, 200)
        _book_debt(coach, 200)
    planning.join()
    assert only_line().amount == 500
    assert Earning.objects.filter(line=None).count() == 0


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_capture_while_a_run_is_planned_waits_for_the_next_one() -> None:
    first, other = CoachFactory.create(), CoachFactory.create()
    share(first, 700)
    with transaction.atomic():
        payouts.open_run(MONTH, END)
        late = in_a_thread(lambda: share(other, 900))
        stage.await_that(waiting)
    late.join()
    assert planned() == [(first.pk, "usd", 700)]
    assert Earning.objects.get(coach=other).line is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_six_who_open_a_run_at_once_open_one() -> None:
    for _ in range(4):
        share(CoachFactory.create(), 700)
    stage.at_once([lambda: payouts.open_run(MONTH, END)] * 6)
    assert PayoutRun.objects.count() == 1
    assert [amount for _, _, amount in planned()] == [700] * 4
