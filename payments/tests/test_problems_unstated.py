"""Statements of closed months that could not be made are on the list of what is wrong, until they are made."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role
from payments import operator_mails, problems, tasks
from payments.models import ClosedMonth, Problem, Statement
from payments.statements import invoices
from payments.tests.month_books import CLOSING_TIME, OCTOBER, session
from payments.tests.wrong import DAY, HOUR, MINUTE, TO, kinds

pytestmark = pytest.mark.django_db
MAKE = invoices.make_invoice


@pytest.fixture(autouse=True)
def operators(settings: Any) -> None:
    settings.OPERATOR_EMAILS = TO


@pytest.fixture
def bug(coach: Coach, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The coach's invoice fails; everybody else's is made. `undo` mends it."""

    def fail_for_the_coach(found: Any, whose: Coach, now: datetime) -> Any:
        if whose == coach:
            raise RuntimeError("a bug")
        return MAKE(found, whose, now)

    patch = pytest.MonkeyPatch()
    patch.setattr(invoices, "make_invoice", fail_for_the_coach)
    monkeypatch.setattr(tasks.close_months, "delay", lambda: None)
    session(coach)
    yield patch
    patch.undo()


def tick(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(clock, "for_timers", lambda: now)
    tasks.close_months()


def test_one_that_could_not_be_made_is_told_once_and_by_number(
    coach: Coach, bug: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, mailoutbox: list[EmailMessage]
) -> None:
    other = CoachFactory.create()
    session(other)
    for minutes in (0, 50, 60, 70):
        tick(monkeypatch, CLOSING_TIME + minutes * MINUTE)
        operator_mails.send_due(now=CLOSING_TIME + minutes * MINUTE)
    [problem] = problems.current()
    assert (problem.kind, problem.what) == (
        "statement",
        f"The statement of October 2026 for coach {coach.pk} (USD) is not made",
    )
    assert "put_off" in problem.meaning
    assert problem.began_at == CLOSING_TIME
    [mail] = [each for each in mailoutbox if each.to == TO]
    assert problem.meaning in mail.body
    assert coach.user.email not in mail.body
    assert coach.user.name not in mail.body
    monkeypatch.setattr(clock, "now", lambda: CLOSING_TIME + 2 * HOUR)
    assert as_role("finance").get(problem.page).status_code == 200


def test_what_a_round_had_no_time_for_is_not_wrong_yet(
    bug: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes in (0, 59):
        tick(monkeypatch, CLOSING_TIME + minutes * MINUTE)
    assert kinds() == []


def test_it_is_over_by_itself_when_the_statement_is_made(
    bug: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch, CLOSING_TIME)
    tick(monkeypatch, CLOSING_TIME + HOUR)
    assert kinds() == ["statement"]
    bug.undo()
    tick(monkeypatch, CLOSING_TIME + 3 * HOUR)
    assert Statement.objects.filter(month=OCTOBER).exists()
    assert kinds() == []
    assert Problem.objects.get().ended_at == CLOSING_TIME + 3 * HOUR


def test_one_of_an_older_month_stays_on_the_list_on_days_on_which_its_month_is_not_looked_at(
    bug: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log and the tries have forgotten it by then."""
    january = datetime(2027, 1, 5, tzinfo=UTC)
    tick(monkeypatch, january)
    assert ClosedMonth.objects.count() == 3
    for days in range(1, 32):
        tick(monkeypatch, january + days * DAY)
        if kinds():
            break
    for later in range(1, 4):
        tick(monkeypatch, january + (days + later) * DAY)
        assert [problem.about[:7] for problem in problems.current()] == [OCTOBER]
    assert Problem.objects.count() == 1


def test_more_coaches_cost_no_more_queries(
    bug: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    tick(monkeypatch, CLOSING_TIME)
    later = CLOSING_TIME + timedelta(hours=1)
    session(CoachFactory.create())
    problems.keep_unstated(later)
    with CaptureQueriesContext(connection) as few:
        problems.keep_unstated(later)
    for each in (CoachFactory.create() for _ in range(5)):
        session(each)
    with django_assert_num_queries(len(few)):
        problems.keep_unstated(later)
