"""A year adds up from its parts where the books were corrected: on the pages, in the file and in the API."""

import csv
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from coaches.models import Coach
from marketplace.lib.months import end_of
from marketplace.tests.staff import as_role
from payments import ledger, statements
from payments.models import ClosedMonth
from payments.statements import QuarterTotals
from payments.tests.correcting import COACH, approve, of_finance, on_suspense, propose
from payments.tests.month_books import IN_OCTOBER, post, session, transfer

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
Reads = Callable[[Coach], list[QuarterTotals]]


@pytest.fixture
def corrected(coach: Coach) -> Coach:
    """One session, two corrections of 7.00 and -2.00, something of no session's kept back, and a transfer."""
    ada, bo = of_finance("Ada"), of_finance("Bo")
    fact, at = on_suspense(200), IN_OCTOBER + HOUR
    payment = session(coach, IN_OCTOBER)
    approve(propose(ada, amount=-700, to_account=COACH, coach=coach, now=at), bo, now=at)
    approve(propose(ada, amount=200, to_account=COACH, coach=coach, clears=fact, now=at), bo, now=at)
    post("reversal_kept", {f"coach_payable:{coach.pk}": 100, "platform_losses": -100}, at, payment)
    transfer(coach, 5_000, at)
    return coach


def by_coach(coach: Coach) -> list[QuarterTotals]:
    return statements.year_totals(2026, coach_ids=[coach.pk])


def everybodys(_coach: Coach) -> list[QuarterTotals]:
    return statements.whole_year(2026).coaches


def everybodys_kept(_coach: Coach) -> list[QuarterTotals]:
    ClosedMonth.objects.create(month="2026-10", ends_at=end_of("2026-10"), closed_at=end_of("2026-10"))
    statements.sum_up_closed_months()
    return statements.whole_year(2026).coaches


@pytest.mark.parametrize("read", [by_coach, everybodys, everybodys_kept])
def test_what_was_corrected_is_a_part_of_the_year(corrected: Coach, read: Reads) -> None:
    [row] = read(corrected)
    assert (row.gross, row.fees, row.borne_by_us, row.adjusted, row.paid) == (10_000, 2_000, -100, 500, 5_000)
    left = row.gross - row.refunds - row.fees + row.borne_by_us + row.adjusted - row.paid
    assert left == -ledger.balance(ledger.coach_payable(corrected.pk), "usd").amount == 3_400


def test_the_coach_reads_it(corrected: Coach) -> None:
    client = Client()
    client.force_login(corrected.user)
    page = client.get(reverse("payments:statement_year", args=[2026])).content.decode()
    assert '<dt>Adjustments</dt><dd class="money">$5.00</dd>' in page
    [quarter] = client.get(reverse("api_year", args=[2026])).json()["quarters"]
    assert quarter["adjusted"] == 500


def test_a_year_without_any_says_nothing_of_adjustments(coach: Coach) -> None:
    session(coach, IN_OCTOBER)
    [row] = by_coach(coach)
    assert "Adjustments" not in [words for words, _ in row.sums()]


def test_staff_read_it_on_the_page_and_in_the_file(corrected: Coach) -> None:
    finance = as_role("finance")
    page = finance.get(reverse("admin:payments_statement_year", args=[2026])).content.decode()
    assert "Adjustments $5.00" in " ".join(strip_tags(page).split())
    answer = finance.get(reverse("admin:payments_statement_totals", args=[2026]))
    [row] = csv.DictReader(StringIO(answer.getvalue().decode().lstrip("\ufeff")))
    assert row["adjusted"] == "5.00"
    theirs = sum(Decimal(row[part]) for part in ("paid_by_students", "borne_by_platform", "adjusted"))
    assert theirs - sum(Decimal(row[part]) for part in ("refunded", "fees", "transferred")) == 34
