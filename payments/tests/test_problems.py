"""One list of what is wrong, for the admin, the health page and the mails to operators."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.health import ask
from marketplace.tests.staff import as_role
from payments import ledger, problems, tasks
from payments.models import (
    Difference,
    LedgerTransaction,
    LookOut,
    Operation,
    Payout,
    PayoutLine,
    PayoutRun,
    Problem,
    Reconciliation,
    Standstill,
    StripeEvent,
    Watch,
)
from payments.payouts.lines import BALANCE_TOO_LOW, NO_ACCOUNT
from payments.tests.factories_books import earn, post_test_imbalance
from payments.tests.wrong import DAY, HOUR, MINUTE, NOW, TO, a_round, differ, kinds, stand_still

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def operators(settings: Any) -> None:
    settings.OPERATOR_EMAILS = TO


# --- what is found ------------------------------------------------------------------------------


def wait_in_a_run(coach: Coach, reason: str) -> PayoutLine:
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW - HOUR)
    facts: dict[str, Any] = {"coach": coach, "amount": 1, "currency": "usd", "status": "waiting"}
    return PayoutLine.objects.create(run=run, waiting_for=reason, **facts)


def leave_a_run_half_done(coach: Coach) -> None:
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW - DAY)
    PayoutLine.objects.create(run=run, coach=coach, amount=1, currency="usd")


def fail_to_pay_out(_coach: Coach) -> None:
    facts: dict[str, Any] = {"amount": 5_000, "currency": "usd", "created_at": NOW - DAY, "recorded_at": NOW - DAY}
    Payout.objects.create(status="failed", stripe_payout_id="po_1", failed_at=NOW, **facts)


def leave_an_event(_coach: Coach) -> None:
    facts: dict[str, Any] = {"livemode": False, "payload": b"{}", "received_at": NOW - HOUR}
    StripeEvent.objects.create(event_id="evt_1", type="payout.paid", next_try_at=NOW - HOUR, **facts)


def capture_without_an_event(coach: Coach) -> None:
    earn(coach)
    StripeEvent.objects.create(
        event_id="evt_1",
        type="payout.paid",
        livemode=False,
        payload=b"{}",
        state="done",
        received_at=LedgerTransaction.objects.get().occurred_at - HOUR,
        next_try_at=NOW,
    )


def leave_an_operation(_coach: Coach) -> None:
    Operation.objects.create(kind="refund", created_at=NOW - HOUR, next_try_at=NOW - HOUR)


def let_stripe_be_silent(_coach: Coach) -> None:
    LookOut.objects.update(looked_at=clock.wall() - HOUR)


def break_off_comparing(_coach: Coach) -> None:
    for days in range(4):
        Reconciliation.objects.create(
            scope="full", began_at=NOW - days * DAY, ended_at=NOW, failure="Stripe did not answer" if days < 3 else ""
        )


WRONG: dict[str, tuple[str, Callable[[Coach], object]]] = {
    "a standstill": ("standstill", lambda _coach: stand_still()),
    "a difference": ("difference", lambda _coach: differ()),
    "a run that waits for our balance": ("run", lambda coach: wait_in_a_run(coach, BALANCE_TOO_LOW)),
    "a run that is not worked": ("run", leave_a_run_half_done),
    "a run that was not begun": ("run", earn),
    "a payout of the platform's": ("platform_payout", fail_to_pay_out),
    "an event that nobody works": ("events", leave_an_event),
    "an operation that nobody sends": ("operations", leave_an_operation),
    "a Stripe that is silent": ("look_out", let_stripe_be_silent),
    "comparisons that break off": ("comparison", break_off_comparing),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_found_and_told_once(
    wrong: str, coach: Coach, settings: Any, mailoutbox: list[EmailMessage]
) -> None:
    settings.STRIPE_LOOK_OUT_SECONDS = 60
    kind, make = WRONG[wrong]
    make(coach)
    for minutes in range(3):
        a_round(NOW + minutes * MINUTE)
    assert kinds() == [kind]
    (mail,) = mailoutbox
    problem = Problem.objects.get()
    assert mail.to == TO
    assert mail.subject == f"[Holdfast] {problem.what}"
    for part in (problem.what, problem.meaning, f"http://127.0.0.1:8000{problem.page}"):
        assert part in mail.body
    assert coach.user.email not in mail.body
    assert coach.user.name not in mail.body


@pytest.mark.parametrize("wrong", WRONG)
def test_finance_may_open_the_page_that_it_leads_to(wrong: str, coach: Coach, settings: Any) -> None:
    settings.STRIPE_LOOK_OUT_SECONDS = 60
    WRONG[wrong][1](coach)
    problems.look(NOW)
    settings.STRIPE_LOOK_OUT_SECONDS = 0
    assert as_role("finance").get(Problem.objects.get().page, follow=True).status_code == 200


def test_in_an_empty_house_nothing_is_wrong(mailoutbox: list[EmailMessage], settings: Any) -> None:
    settings.STRIPE_LOOK_OUT_SECONDS = 60
    assert not a_round(NOW)
    assert (kinds(), mailoutbox) == ([], [])


def test_captures_of_which_no_event_tells_are_silent_webhooks(coach: Coach) -> None:
    capture_without_an_event(coach)
    at = LedgerTransaction.objects.get().occurred_at
    PayoutRun.objects.create(month="2026-09", opened_at=at, status="closed")
    problems.look(at + 20 * MINUTE)
    assert kinds() == []
    problems.look(at + 31 * MINUTE)
    assert kinds() == ["webhooks"]
    StripeEvent.objects.update(received_at=at)
    problems.look(at + 32 * MINUTE)
    assert kinds() == []


def test_what_waits_for_a_coach_is_the_coachs(coach: Coach) -> None:
    wait_in_a_run(coach, NO_ACCOUNT)
    problems.look(NOW)
    assert kinds() == []


def test_a_failed_payout_is_over_when_the_platform_is_paid_out_again(coach: Coach) -> None:
    fail_to_pay_out(coach)
    problems.look(NOW)
    Payout.objects.create(status="pending", amount=1, currency="usd", created_at=NOW, recorded_at=NOW)
    problems.look(NOW + MINUTE)
    assert kinds() == []


def test_books_that_do_not_balance_stay_on_the_list_until_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    post_test_imbalance()
    tasks.check_ledger()
    [problem] = problems.current()
    assert problem.what == "The books don't balance: transfers_in_flight has not returned to zero: 7 usd."
    tasks.tell_operators()
    assert kinds() == ["books"]
    monkeypatch.setattr(ledger, "check", list)
    tasks.check_ledger()
    assert kinds() == []


def test_books_that_do_not_balance_are_in_the_log_though_the_list_can_not_be_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post_test_imbalance()

    def differ_from_the_database() -> datetime:
        raise clock.WrongClockError

    monkeypatch.setattr(clock, "for_timers", differ_from_the_database)
    with pytest.raises(clock.WrongClockError):
        tasks.check_ledger()
    assert "books_out_of_balance" in caplog.text
    assert kinds() == []


def test_timers_that_stood_still_are_told_when_they_run_again(mailoutbox: list[EmailMessage]) -> None:
    problems.look(NOW)
    Watch.objects.update(looked_at=clock.wall() - timedelta(minutes=61, seconds=30))
    a_round(NOW + HOUR)
    assert [mail.subject for mail in mailoutbox] == ["[Holdfast] The timers stood still for 61 minutes"]
    assert kinds() == []
    assert not a_round(NOW + 2 * HOUR)


def test_what_the_check_of_the_books_tells_is_told_by_it_alone() -> None:
    """The comparison of each night finds the same, and files it by its words."""
    facts = {"object_type": "books", "object_id": "The books as a whole are off by 1 usd."}
    Difference.objects.create(code="books_do_not_add_up", found_at=NOW, seen_at=NOW, **facts)
    problems.look(NOW)
    assert kinds() == []


def test_an_imbalance_of_another_amount_is_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for hours, amount in enumerate((7, -12_000)):
        problems.keep_imbalances([f"stripe_fees has not returned to zero: {amount} usd."], NOW + hours * HOUR)
    [problem] = Problem.objects.all()
    assert problem.what == "The books don't balance: stripe_fees has not returned to zero: -12000 usd."
    problems.keep_imbalances(["The books as a whole are off by 1 usd.", "The books as a whole are off by 1 eur."], NOW)
    assert len(kinds()) == 2


def test_of_a_row_that_a_rival_writes_down_meanwhile_nothing_is_said() -> None:
    def write_beside_a_rival(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        if sql.startswith("UPDATE") and not Problem.objects.exists():
            Problem.objects.create(kind="difference", about="1", began_at=NOW, seen_at=NOW)
        return done

    with connection.execute_wrapper(write_beside_a_rival):
        problems.keep("difference", [], NOW)
    assert kinds() == ["difference"]


def test_what_waits_since_we_are_behind_stripe_is_the_standstills(coach: Coach) -> None:
    Standstill.objects.create(reason="Restored.", began_at=NOW, behind=True)
    leave_an_event(coach)
    leave_an_operation(coach)
    problems.look(NOW)
    assert kinds() == ["standstill"]


def test_words_that_are_too_long_hide_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = problems.Found("1", "what " * 100, "meaning " * 100, "/", NOW)
    monkeypatch.setitem(problems.FINDERS, "difference", lambda _now: [endless])
    for minutes in range(2):
        problems.look(NOW + minutes * MINUTE)
    assert kinds() == ["difference"]


def test_a_bug_in_one_look_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_now: datetime) -> list[problems.Found]:
        raise RuntimeError

    differ()
    problems.look(NOW)
    stand_still()
    monkeypatch.setitem(problems.FINDERS, "difference", broken)
    problems.look(NOW + MINUTE)
    assert sorted(kinds()) == ["difference", "standstill"]


# --- the other places ---------------------------------------------------------------------------


@pytest.mark.parametrize(("role", "sees"), [("finance", True), ("admin", True), ("support", False)])
def test_the_list_is_for_those_who_see_the_books(role: str, sees: bool) -> None:
    stand_still()
    problems.look(NOW)
    client = as_role(role)
    assert (client.get(reverse("admin:payments_problem_changelist")).status_code == 200) is sees
    assert ("What is wrong" in client.get(reverse("admin:index")).content.decode()) is sees


def test_the_list_shows_what_is_wrong_and_leads_on() -> None:
    stand_still()
    problems.look(NOW)
    page = as_role("finance").get(reverse("admin:payments_problem_changelist"), {"ended_at__isnull": "True"})
    text = page.content.decode()
    assert "Nothing is sent to Stripe" in text
    assert reverse("admin:payments_standstill_now") in text


@pytest.mark.django_db(transaction=True)
def test_the_health_page_tells_kinds_and_no_more(client: Client) -> None:
    for number in range(2):
        differ(number)
    problems.look(NOW)
    said = ask(client, "/health/").json()["Problems()"]
    assert said == "differences with Stripe (2)"


@pytest.mark.parametrize("page", ["admin:index", "admin:payments_problem_changelist"])
def test_a_long_list_costs_no_more_queries(page: str, django_assert_num_queries: Any) -> None:
    client = as_role("finance")
    differ()
    problems.look(NOW)
    client.get(reverse(page))
    with CaptureQueriesContext(connection) as one:
        client.get(reverse(page))
    for number in range(2, 30):
        differ(number)
    problems.look(NOW)
    with django_assert_num_queries(len(one)):
        client.get(reverse(page))
