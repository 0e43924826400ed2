"""What waits says why, holds up nobody else, is not asked for hot, and is paid when nothing is in its way any more."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import ledger, payouts, services
from payments.models import Earning, Operation, Payment, PayoutAccount, PayoutLine, PayoutRun, Transfer
from payments.payouts import lines
from payments.tests import reports, stage
from payments.tests.factories_books import PaymentFactory, earn, post_test_imbalance
from payments.tests.payday import MONTH, MakeCoach, fund, only_line, transfers_made

Status = PayoutLine.Status
HOUR = timedelta(hours=1)


def waiting_for(coach: Coach) -> tuple[str, str]:
    line = PayoutLine.objects.get(coach=coach)
    return line.status, line.waiting_for


def run(later: timedelta = timedelta()) -> None:
    payouts.run_due(clock.now() + later)


# --- the coach's account ------------------------------------------------------------------------


@pytest.mark.django_db
def test_who_has_no_account_waits_and_is_paid_when_they_have_one(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    good, without = make_coach(), CoachFactory.create()
    earn(good)
    earn(without)

    run()

    assert waiting_for(without) == (Status.WAITING, lines.NO_ACCOUNT)
    assert waiting_for(good) == (Status.PAID, "")
    stage.onboard(sandbox, without)
    run()
    assert waiting_for(without) == (Status.PAID, "")
    assert PayoutRun.objects.get().status == PayoutRun.Status.CLOSED
    assert ledger.check() == []


@pytest.mark.django_db
def test_who_has_chosen_no_payout_method_waits_and_stripe_is_not_asked(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coach = make_coach()
    earn(coach)
    PayoutAccount.objects.update(payout_method="")
    run()
    assert waiting_for(coach) == (Status.WAITING, lines.NO_METHOD)
    assert stage.calls(sandbox, "/v1/transfers") == []
    PayoutAccount.objects.update(payout_method="stripe")
    run()
    assert waiting_for(coach) == (Status.PAID, "")


@pytest.mark.django_db
def test_the_reason_changes_with_what_is_in_the_way(sandbox: Sandbox) -> None:
    fund(sandbox, 1_000_000)
    coach = CoachFactory.create()
    earn(coach)
    run()
    assert waiting_for(coach)[1] == lines.NO_ACCOUNT
    stage.onboard(sandbox, coach, outcome="partial")
    run()
    assert waiting_for(coach)[1] == lines.CANT_RECEIVE


@pytest.mark.django_db
@pytest.mark.parametrize("trouble", ["restrict", "deauthorize", "reject"])
def test_an_account_that_broke_between_planning_and_transfer_waits_alone(
    sandbox: Sandbox, make_coach: MakeCoach, trouble: str
) -> None:
    """Nobody has told us yet: Stripe refuses, and that proves that nothing was moved."""
    good, broken = make_coach(), make_coach()
    earn(good)
    earn(broken)
    payouts.open_run(MONTH, clock.now())
    account = PayoutAccount.objects.get(coach=broken).stripe_account_id
    if trouble == "reject":
        stage.post_at_stripe(sandbox, f"/v1/accounts/{account}/reject", {"reason": "fraud"})
    else:
        sandbox.post(f"/_sandbox/accounts/{account}/{trouble}")

    run()

    status, words = waiting_for(broken)
    assert (status, words) in {(Status.WAITING, lines.CANT_RECEIVE), (Status.WAITING, lines.REFUSED)}
    assert waiting_for(good) == (Status.PAID, "")
    assert transfers_made(sandbox) == 1
    assert Transfer.objects.count() == 1
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_currency_that_the_account_cannot_hold_is_said_and_not_asked_for_hot(
    sandbox: Sandbox, make_coach: MakeCoach
) -> None:
    coach = make_coach()
    earn(coach)
    error = {
        "type": "invalid_request_error",
        "param": "currency",
        "message": "The destination account does not support the currency usd.",
    }
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body={"error": error}, times=0)

    for hours in range(30):
        run(hours * HOUR)

    assert waiting_for(coach) == (Status.WAITING, lines.WRONG_CURRENCY)
    assert len(stage.calls(sandbox, "/v1/transfers")) == 2
    assert Operation.objects.filter(kind="transfer", state="failed").count() == 2
    stage.mend(sandbox)
    run(60 * HOUR)
    assert waiting_for(coach) == (Status.PAID, "")


@pytest.mark.django_db
def test_stripes_own_words_are_for_staff_and_not_on_the_line(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    earn(make_coach())
    error = {"type": "invalid_request_error", "code": "something_new", "message": "Secret words about this account."}
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body={"error": error})
    run()
    assert (only_line().status, only_line().waiting_for) == (Status.WAITING, lines.REFUSED)
    assert Operation.objects.get(kind="transfer").error_message == "Secret words about this account."


@pytest.mark.django_db
def test_many_who_wait_cost_a_tick_nothing(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    for _ in range(2):
        earn(CoachFactory.create())
    run()
    with CaptureQueriesContext(connection) as few:
        run()
    for _ in range(6):
        earn(CoachFactory.create(), release_at=clock.now() - timedelta(days=1))
    later = timedelta(days=31)
    run(later)
    with CaptureQueriesContext(connection) as many:
        run(later)
    assert PayoutLine.objects.filter(status=Status.WAITING).count() == 8
    assert len(many) - len(few) <= 4  # there is a second run
    assert stage.calls(sandbox, "/v1/transfers") == []


# --- the platform's balance ---------------------------------------------------------------------


@pytest.mark.django_db
def test_funds_that_are_pending_at_stripe_pay_nobody_until_they_are_available(sandbox: Sandbox) -> None:
    coach = CoachFactory.create()
    stage.onboard(sandbox, coach)
    earn(coach)
    sandbox.post("/_sandbox/balance", {"amount": 8_000, "currency": "usd", "available": False})

    run()

    assert waiting_for(coach) == (Status.WAITING, lines.BALANCE_TOO_LOW)
    assert transfers_made(sandbox) == 0
    sandbox.advance(8 * 86_400)
    run()
    assert waiting_for(coach) == (Status.PAID, "")
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_short_balance_pays_those_whom_it_is_enough_for_and_a_top_up_the_rest(sandbox: Sandbox) -> None:
    coaches = [CoachFactory.create() for _ in range(4)]
    for coach, amount in zip(coaches, (9_000, 2_000, 9_000, 3_000), strict=True):
        stage.onboard(sandbox, coach)
        earn(coach, amount=amount, platform_fee=100)
    fund(sandbox, 5_000)

    run()

    assert [waiting_for(coach)[0] for coach in coaches] == ["waiting", "paid", "waiting", "paid"]
    asked = len(stage.calls(sandbox, "/v1/transfers"))
    run(HOUR / 2)
    assert len(stage.calls(sandbox, "/v1/transfers")) == asked

    fund(sandbox, 20_000)
    run(HOUR * 1.1)
    assert [waiting_for(coach) for coach in coaches] == [("paid", "")] * 4
    assert PayoutRun.objects.get().status == PayoutRun.Status.CLOSED
    assert transfers_made(sandbox) == 4
    assert ledger.check() == []


# --- the books ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_coach_whose_books_went_wrong_since_planning_is_left_out_and_paid_when_they_are_good(
    sandbox: Sandbox, make_coach: MakeCoach
) -> None:
    good, off = make_coach(), make_coach()
    earn(good)
    earn(off)
    payouts.open_run(MONTH, clock.now())
    stray = PaymentFactory.create(coach=off, status=Payment.Status.CAPTURED, captured_amount=10_000)

    run()

    assert waiting_for(off) == (Status.WAITING, lines.OUT_OF_BALANCE)
    assert waiting_for(good) == (Status.PAID, "")
    assert transfers_made(sandbox) == 1

    Payment.objects.filter(pk=stray.pk).update(status=Payment.Status.LOST, captured_amount=0)
    run()
    assert waiting_for(off) == (Status.PAID, "")
    assert ledger.check() == []


@pytest.mark.django_db
def test_the_books_are_not_checked_on_each_tick_for_them_alone(
    sandbox: Sandbox, make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = make_coach()
    earn(off)
    payouts.open_run(MONTH, clock.now())
    PaymentFactory.create(coach=off, status=Payment.Status.CAPTURED, captured_amount=10_000)
    checks, check = list[int](), ledger.check

    def count_and_check() -> list[ledger.Imbalance]:
        checks.append(1)
        return check()

    monkeypatch.setattr(ledger, "check", count_and_check)
    for _ in range(5):
        run()
    assert len(checks) == 2
    cache.clear()  # ten minutes later
    run()
    assert len(checks) == 3


@pytest.mark.django_db
def test_the_books_are_not_checked_for_a_line_that_is_not_asked_for_again_yet(
    sandbox: Sandbox, make_coach: MakeCoach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe has refused it for a reason that is not known to pass: it rests for a day, and ticks come each 30 s."""
    earn(make_coach())
    error = {"type": "invalid_request_error", "code": "something_new", "message": "No."}
    stage.break_next(sandbox, "respond", "/v1/transfers", status=400, body={"error": error})
    run()
    checks, check = list[int](), ledger.check

    def count_and_check() -> list[ledger.Imbalance]:
        checks.append(1)
        return check()

    monkeypatch.setattr(ledger, "check", count_and_check)
    for hours in range(24):
        run(hours * HOUR)
    assert checks == []
    run(25 * HOUR)
    assert len(checks) == 1
    assert only_line().status == Status.PAID


@pytest.mark.django_db
def test_books_that_are_off_as_a_whole_stop_lines_that_were_planned_before(
    sandbox: Sandbox, make_coach: MakeCoach, caplog: pytest.LogCaptureFixture
) -> None:
    earn(make_coach())
    opened = payouts.open_run(MONTH, clock.now())
    post_test_imbalance()

    assert payouts.run_due(clock.now()) is None
    with pytest.raises(payouts.BooksOutOfBalance, match="transfers_in_flight"):
        payouts.pay_lines(opened, clock.now())

    assert "payout_run_stopped" in caplog.text
    assert only_line().status == Status.PLANNED
    assert stage.calls(sandbox, "/v1/transfers") == []


# --- what comes later ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_transfer_that_is_reversed_later_leaves_its_line_paid(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    earn(make_coach())
    run()
    transfer = Transfer.objects.get()
    stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer.stripe_transfer_id}/reversals", {"amount": 3_000})
    reports.deliver_and_work(reports.events(sandbox, "transfer.reversed"))

    run(31 * 24 * HOUR)

    assert only_line().status == Status.PAID
    assert Operation.objects.filter(kind="transfer").count() == Transfer.objects.count() == 1
    assert PayoutRun.objects.get(month=MONTH).status == PayoutRun.Status.CLOSED


@pytest.mark.django_db
def test_an_account_that_is_reconnected_is_paid_what_waited(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coach = make_coach()
    earn(coach)
    account = PayoutAccount.objects.get(coach=coach)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    run()
    assert waiting_for(coach) == (Status.WAITING, lines.CANT_RECEIVE)
    assert stage.calls(sandbox, "/v1/transfers") == []
    PayoutAccount.objects.update(deauthorised_at=None, transfers_active=True)
    run()
    assert waiting_for(coach) == (Status.PAID, "")


# --- whose money waits, and how far a run is ----------------------------------------------------


@pytest.mark.django_db
def test_what_is_on_no_line_is_shown_with_the_reason(make_coach: MakeCoach, settings: Any) -> None:
    settings.PAYOUT_MINIMUM = {"usd": 1_000}
    frozen, small, nobody, undecided, paid, early = (
        make_coach(),
        make_coach(),
        CoachFactory.create(),
        *(make_coach() for _ in range(3)),
    )
    earn(frozen)
    Earning.objects.update(frozen=True)
    earn(small, amount=1_000, platform_fee=100)
    for coach in (nobody, undecided, paid):
        earn(coach)
    earn(early, release_at=clock.now() + timedelta(days=3))
    PayoutAccount.objects.filter(coach=undecided).update(payout_method="")

    found = {each.coach_id: (each.money.amount, each.reason.partition(":")[0]) for each in payouts.waiting(clock.now())}

    assert found == {
        frozen.pk: (8_000, "Kept back"),
        small.pk: (900, "Below the minimum"),
        nobody.pk: (8_000, "No Stripe account yet."),
        undecided.pk: (8_000, "No payout method chosen."),
    }


@pytest.mark.django_db
def test_progress_counts_by_status_and_currency_and_tells_the_end(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    for _ in range(4):
        earn(make_coach())
    earn(CoachFactory.create(), currency="eur")
    opened, now = payouts.open_run(MONTH, clock.now()), clock.now()
    before = payouts.progress(opened)
    assert (before.lines, before.paid, before.rate, before.expected_end) == (5, 0, None, None)

    for seconds, line in enumerate(opened.lines.filter(currency="usd").order_by("pk")[:3]):
        payouts.pay_line(line, now + timedelta(seconds=2 * seconds))
    payouts.pay_line(opened.lines.get(currency="eur"), now)

    progress = payouts.progress(opened)
    assert [(part.status, part.lines, part.money.amount, part.money.currency) for part in progress.parts] == [
        (Status.PAID, 3, 24_000, "usd"),
        (Status.PLANNED, 1, 8_000, "usd"),
        (Status.WAITING, 1, 8_000, "eur"),
    ]
    assert (progress.lines, progress.paid, progress.rate) == (5, 3, 0.5)
    assert progress.expected_end == now + timedelta(seconds=4 + 2)
