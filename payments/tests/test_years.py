"""Everybody's year, read from closed months that were summed up: always the same as from the ledger."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.months import end_of, start_of
from marketplace.tests.factories import CoachFactory
from payments import ledger, statements, tasks
from payments.models import ClosedMonth, MonthTotals, PayoutAccount
from payments.statements import totals, years
from payments.statements.totals import NOBODY, QuarterTotals, totals_between
from payments.tests.month_books import CLOSING_TIME, IN_OCTOBER, post, refund, session, transfer

pytestmark = pytest.mark.django_db

YEAR = 2026
BEGINS, ENDS = datetime(YEAR, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def close_until(month: str) -> None:
    for number in range(1, int(month[-2:]) + 1):
        name = f"{YEAR}-{number:02d}"
        ClosedMonth.objects.get_or_create(month=name, ends_at=end_of(name), closed_at=end_of(name))


def from_ledger() -> list[QuarterTotals]:
    return [row for row in totals_between(BEGINS, ENDS) if row.coach_id != NOBODY]


def a_year_of_everything(seed: int) -> None:
    """Sessions, refunds, transfers, what we pay for, disputes that are lost, and corrections, at any time of a year."""
    chance = random.Random(seed)
    coaches = CoachFactory.create_batch(3)
    PayoutAccount.objects.create(coach=coaches[0], stripe_account_id="acct_1", country="DE")
    PayoutAccount.objects.create(coach=coaches[1], stripe_account_id="acct_2", country="US")
    seconds = int((ENDS - BEGINS).total_seconds()) - 1
    for _ in range(60):
        coach, at = chance.choice(coaches), BEGINS + timedelta(seconds=chance.randrange(seconds))
        currency = chance.choice(["usd", "eur", "jpy"])
        fee = chance.randrange(1, 900)
        payment = session(coach, at, amount=1_000, fee=fee, currency=currency)
        later = min(at + chance.randrange(60) * 24 * HOUR, ENDS - HOUR)
        mine = f"coach_payable:{coach.pk}"
        match chance.randrange(5):
            case 0:
                refund(payment, later, coach=1_000 - fee, fee=fee)
            case 1:
                transfer(coach, 100, later, currency=currency)
            case 2:
                post(
                    "dispute_lost", {mine: 300, "platform_losses": 200, "disputes_held": -500}, later, payment, currency
                )
            case 3:
                post("write_off", {mine: -700, "platform_losses": 700}, later, payment, currency)
            case _:
                post("correction", {"platform_revenue": 50, mine: -50}, later, None, currency)


@pytest.mark.everyday(2)
@pytest.mark.parametrize("seed", range(8))
def test_from_kept_sums_a_year_is_the_same_as_from_the_ledger(seed: int) -> None:
    a_year_of_everything(seed)
    ledgers, open_year = from_ledger(), statements.whole_year(YEAR)
    assert open_year.coaches == ledgers
    left: dict[tuple[int, str], int] = defaultdict(int)
    for row in ledgers:
        left[row.coach_id, row.currency] += row.gross - row.refunds - row.fees + row.borne_by_us
        left[row.coach_id, row.currency] += row.adjusted - row.paid
    for (coach_id, currency), amount in left.items():
        assert amount == -ledger.balance(ledger.coach_payable(coach_id), currency).amount
    revenue = sum(row.fees for row in totals_between(BEGINS, ENDS))
    for month in ("2026-01", "2026-05", "2026-12"):
        close_until(month)
        statements.sum_up_closed_months()
        whole = statements.whole_year(YEAR)
        assert whole == open_year
        assert sum(row.amount for row in whole.revenue) == revenue
    assert set(MonthTotals.objects.values_list("month", flat=True)) == {f"2026-{number:02d}" for number in range(1, 13)}


def test_of_a_closed_month_the_ledger_is_not_read_again(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> None:
    session(coach, IN_OCTOBER)
    close_until("2026-10")
    statements.sum_up_closed_months()
    read: list[datetime] = []

    def noted(begins: datetime, ends: datetime) -> list[QuarterTotals]:
        read.append(begins)
        return totals_between(begins, ends)

    monkeypatch.setattr(years, "totals_between", noted)
    [row] = statements.whole_year(YEAR).coaches
    assert (row.sessions, row.gross) == (1, 10_000)
    assert start_of("2026-10") not in read
    assert start_of("2026-11") in read


def test_a_month_is_summed_up_once(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> None:
    session(coach, IN_OCTOBER)
    close_until("2026-10")
    statements.sum_up_closed_months()
    kept = list(MonthTotals.objects.values())
    years._sum_up("2026-10")  # as a rival that began at the same time
    statements.sum_up_closed_months()
    assert list(MonthTotals.objects.values()) == kept


def test_sums_that_are_not_what_the_ledger_says_are_known() -> None:
    a_year_of_everything(1)
    close_until("2026-12")
    statements.sum_up_closed_months()
    months = [f"2026-{number:02d}" for number in range(1, 13)]
    assert [month for month in months if statements.are_totals_changed(month)] == []
    other = MonthTotals.objects.filter(month="2026-05", coach__isnull=False).order_by("pk")[0]
    MonthTotals.objects.create(
        month="2026-05", coach_id=other.coach_id, currency="kwd", **dict.fromkeys(years.SUMMED, 1)
    )
    assert [month for month in months if statements.are_totals_changed(month)] == ["2026-05"]


def test_a_month_that_is_open_is_not_summed_up(coach: Coach) -> None:
    session(coach, IN_OCTOBER)
    close_until("2026-09")
    statements.sum_up_closed_months()
    assert not MonthTotals.objects.filter(month="2026-10").exists()


def test_the_country_of_a_closed_month_stays(coach: Coach) -> None:
    session(coach, IN_OCTOBER)
    session(coach, IN_OCTOBER + 30 * 24 * HOUR)
    close_until("2026-10")
    statements.sum_up_closed_months()
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="DE")
    assert [(row.country, row.amount) for row in statements.whole_year(YEAR).revenue] == [("", 2_000), ("DE", 2_000)]


def test_revenue_of_no_payment_is_nobodys(coach: Coach) -> None:
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="DE")
    session(coach, IN_OCTOBER)
    post("correction", {"platform_revenue": -300}, IN_OCTOBER + HOUR)
    wanted: list[Any] = [("", 300), ("DE", 2_000)]
    assert [(row.country, row.amount) for row in statements.whole_year(YEAR).revenue] == wanted
    close_until("2026-12")
    statements.sum_up_closed_months()
    whole = statements.whole_year(YEAR)
    assert [(row.country, row.amount) for row in whole.revenue] == wanted
    assert [row.coach_id for row in whole.coaches] == [coach.pk]
    assert totals.NOBODY not in {row.coach_id for row in whole.coaches}


def test_sums_that_can_not_be_made_keep_no_coach_from_their_statement(
    monkeypatch: pytest.MonkeyPatch, coach: Coach, mailoutbox: list[EmailMessage]
) -> None:
    def fail(_month: str) -> None:
        raise RuntimeError("a bug")

    session(coach)
    monkeypatch.setattr(clock, "for_timers", lambda: CLOSING_TIME)
    monkeypatch.setattr(tasks.close_months, "delay", lambda: None)
    monkeypatch.setattr(years, "_sum_up", fail)
    with pytest.raises(RuntimeError):
        tasks.close_months()
    assert [mail.to for mail in mailoutbox] == [[coach.user.email]]
