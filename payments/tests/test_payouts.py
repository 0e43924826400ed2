"""The monthly run: each coach once, in full, and for the right month."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, payouts
from payments.models import (
    Earning,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Transfer,
)
from payments.tests import stage
from payments.tests.factories_books import PaymentFactory, earn, post_test_imbalance
from payments.tests.payday import END, MONTH, MakeCoach, fund, only_line, transfers_made

TICK = timedelta(microseconds=1)


# --- the main path ------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_captured_session_is_paid_out_after_the_months_end(sandbox: Sandbox, held: Payment, heard: list[Any]) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    earning = Earning.objects.get(payment=held)
    month, next_month = earning.release_at.strftime("%Y-%m"), payouts.end_of(earning.release_at.strftime("%Y-%m"))

    sandbox.advance(int((next_month - sandbox.now()).total_seconds()) - 300)
    payouts.run_due(clock.now())
    assert PayoutLine.objects.count() == 0

    sandbox.advance(300)
    run = payouts.run_due(clock.now())

    assert run is not None
    assert (run.month, run.status) == (month, PayoutRun.Status.CLOSED)
    line = only_line()
    assert (line.status, line.amount, line.currency, line.coach_id) == (
        PayoutLine.Status.PAID,
        8_000,
        "usd",
        held.coach_id,
    )
    transfer = Transfer.objects.get()
    at_stripe = stage.at_stripe(sandbox, f"/v1/transfers/{transfer.stripe_transfer_id}")
    assert (at_stripe["amount"], at_stripe["currency"]) == (8_000, "usd")
    assert at_stripe["destination"] == transfer.destination == PayoutAccount.objects.get().stripe_account_id
    assert at_stripe["transfer_group"] == f"payouts-{month}"
    assert at_stripe["metadata"] == {
        "operation_id": str(line.operations.get().pk),
        "payout_line_id": str(line.pk),
        "session_type": "LIVE_SESSION",
    }
    assert ledger.balance(ledger.coach_payable(held.coach_id), "usd") == Money(0, "usd")
    balance = stage.at_stripe(sandbox, "/v1/balance")
    theirs = sum(
        part["amount"] for kind in ("available", "pending") for part in balance[kind] if part["currency"] == "usd"
    )
    assert ledger.balance("stripe_balance", "usd") == Money(theirs, "usd") == Money(9_680 - 8_000, "usd")
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_second_run_of_a_month_changes_nothing(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coach = make_coach()
    earn(coach)
    first = payouts.run_due(clock.now())
    late = earn(coach)  # released in time, but captured after the run was opened: the next run's
    second = payouts.run_due(clock.now() + timedelta(minutes=1))
    assert first == second == PayoutRun.objects.get()
    assert transfers_made(sandbox) == 1
    late.refresh_from_db()
    assert late.line is None

    sandbox.advance(31 * 86_400)
    payouts.run_due(clock.now())
    late.refresh_from_db()
    assert late.line is not None
    assert late.line.run.month == "2026-11"
    assert late.line.status == PayoutLine.Status.PAID
    assert ledger.check() == []


@pytest.mark.django_db
def test_one_line_for_each_coach_and_currency(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    one, other = make_coach(), make_coach()
    fund(sandbox, 50_000, "eur")
    for _ in range(3):
        earn(one)
    earn(one, amount=5_000, platform_fee=1_000, currency="eur")
    earn(other)
    payouts.run_due(clock.now())
    lines = PayoutLine.objects.values_list("coach_id", "currency", "amount", "status").order_by("pk")
    assert list(lines) == [
        (one.pk, "eur", 4_000, "paid"),
        (one.pk, "usd", 24_000, "paid"),
        (other.pk, "usd", 8_000, "paid"),
    ]
    assert Earning.objects.filter(line=None).count() == 0
    assert transfers_made(sandbox) == 3
    assert ledger.check() == []


# --- what is due --------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_the_month_is_half_open_in_utc() -> None:
    coach = CoachFactory.create()
    inside, outside = earn(coach, release_at=END - TICK), earn(coach, release_at=END)
    run = payouts.open_run(MONTH, END)
    inside.refresh_from_db()
    outside.refresh_from_db()
    assert inside.line is not None
    assert inside.line.run == run
    assert outside.line is None
    assert only_line().amount == inside.amount


@pytest.mark.django_db
def test_what_earlier_months_left_is_paid_too() -> None:
    old = earn(CoachFactory.create(), release_at=datetime(2025, 1, 5, tzinfo=UTC))
    payouts.open_run(MONTH, END)
    old.refresh_from_db()
    assert old.line is not None


@pytest.mark.django_db
def test_a_frozen_earning_is_left_out() -> None:
    frozen = earn(CoachFactory.create())
    Earning.objects.filter(pk=frozen.pk).update(frozen=True)
    payouts.open_run(MONTH, END)
    assert PayoutLine.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_month_that_is_not_over_is_refused() -> None:
    earn(CoachFactory.create())
    with pytest.raises(payouts.MonthNotOver):
        payouts.open_run(MONTH, END - TICK)
    with pytest.raises(payouts.MonthNotOver):
        payouts.dry_run(MONTH, END - TICK)
    assert PayoutRun.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("now", "month"),
    [
        (END - TICK, "2026-09"),
        (END, "2026-10"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2026-12"),
        (datetime(2028, 3, 1, tzinfo=UTC), "2028-02"),
    ],
)
def test_it_runs_for_the_month_before(now: datetime, month: str) -> None:
    run = payouts.run_due(now)
    assert run is not None
    assert (run.month, run.status, run.closed_at) == (month, PayoutRun.Status.CLOSED, now)


@pytest.mark.parametrize(
    ("month", "end"),
    [
        ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2026-01", datetime(2026, 2, 1, tzinfo=UTC)),
        ("2028-02", datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_month_ends_where_the_next_begins(month: str, end: datetime) -> None:
    assert payouts.end_of(month) == end


@pytest.mark.parametrize(
    "month", ["", "2026", "2026-13", "2026-00", "26-10", "2026-1", "2026-10-01", "٢٠٢٦-10", "0000-01", "2026-10\n"]
)
def test_what_is_not_a_month_is_refused(month: str) -> None:
    with pytest.raises(payouts.UnknownMonth):
        payouts.end_of(month)


# --- the books come first -----------------------------------------------------------------------


@pytest.mark.django_db
def test_a_coach_whose_books_are_off_is_left_out_and_paid_when_they_are_good() -> None:
    good, off = earn(CoachFactory.create()), earn(CoachFactory.create())
    stray = PaymentFactory.create(coach=off.coach, status=Payment.Status.CAPTURED, captured_amount=10_000)
    payouts.open_run(MONTH, END)
    assert only_line().coach_id == good.coach_id
    off.refresh_from_db()
    assert off.line is None

    Payment.objects.filter(pk=stray.pk).update(status=Payment.Status.LOST, captured_amount=0)
    payouts.open_run("2026-11", datetime(2026, 12, 1, tzinfo=UTC))
    off.refresh_from_db()
    assert off.line is not None


@pytest.mark.django_db
def test_an_imbalance_of_everyones_stops_the_run() -> None:
    earn(CoachFactory.create())
    post_test_imbalance()
    with pytest.raises(payouts.BooksOutOfBalance, match="transfers_in_flight"):
        payouts.open_run(MONTH, END)
    assert payouts.run_due(END) is None
    assert PayoutRun.objects.count() == 0


# --- by hand ------------------------------------------------------------------------------------


def by_hand(*arguments: str) -> str:
    out = StringIO()
    call_command("run_payouts", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_a_dry_run_shows_the_lines_and_changes_nothing(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coach = make_coach()
    earn(coach)
    earn(coach)
    assert by_hand("--month", MONTH, "--dry-run").splitlines() == [
        f"{coach.display_name}: $160.00 for 2 session(s)",
        "1 line(s) would be paid for 2026-10. Nothing was changed.",
    ]
    assert PayoutRun.objects.count() == 0
    assert Earning.objects.filter(line=None).count() == 2
    assert transfers_made(sandbox) == 0


@pytest.mark.django_db
def test_by_hand_it_pays_with_a_bar_and_says_what_waits(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    one, other = make_coach(), make_coach()
    earn(one)
    earn(other)
    PayoutAccount.objects.filter(coach=other).update(transfers_active=False)
    assert by_hand("--month", MONTH).splitlines() == [
        "[###############...............] 1/2",
        "[##############################] 2/2",
        f"{other.display_name}: $80.00 not paid. {payouts.CANT_RECEIVE}",
        "2026-10: 1 line(s) paid, 1 not.",
    ]
    assert by_hand("--month", MONTH, "--dry-run").splitlines() == [
        f"{other.display_name}: $80.00 not paid. {payouts.CANT_RECEIVE}",
        "2026-10: 1 line(s) paid, 1 not.",
    ]

    PayoutAccount.objects.filter(coach=other).update(transfers_active=True)
    assert by_hand("--month", MONTH).splitlines()[-1] == "2026-10: 2 line(s) paid, 0 not."
    assert by_hand("--month", MONTH) == "2026-10: 2 line(s) paid, 0 not.\n"
    assert transfers_made(sandbox) == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("month", "words"), [("2999-01", "not over yet"), ("October", "like 2026-10")])
def test_by_hand_a_bad_month_is_refused_in_words(month: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        by_hand("--month", month)
    assert PayoutRun.objects.count() == 0


@pytest.mark.django_db
def test_what_a_run_pays_is_what_was_earned(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coach = make_coach()
    for amount in (3_333, 1, 9_999):
        earn(coach, amount=amount * 10, platform_fee=amount, currency="usd")
    payouts.run_due(clock.now())
    earned = Earning.objects.aggregate(total=Sum("amount"))["total"]
    assert Transfer.objects.aggregate(total=Sum("amount"))["total"] == earned == 13_333 * 9
