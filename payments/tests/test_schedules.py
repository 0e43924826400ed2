"""The coach chooses when Stripe pays them out, within the operator's limits; what is shown is what Stripe answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.tests.sandbox import Sandbox
from payments import gateway, operations, services
from payments.models import Operation, PayoutAccount
from payments.tests import bankside, reports, stage

pytestmark = pytest.mark.django_db

ACCOUNT = "/v1/accounts/acct_*"
FEBRUARY_27 = 1_803_686_400  # 2027, 0:00 UTC


@pytest.fixture
def account(sandbox: Sandbox, payable_coach: Coach, settings: Any) -> PayoutAccount:
    settings.PAYOUT_INTERVALS = ["daily", "weekly", "monthly"]
    return PayoutAccount.objects.get()


def choose(coach: Coach, interval: str = "monthly", **anchors: Any) -> PayoutAccount:
    return services.choose_schedule(coach=coach, interval=interval, **{"now": clock.now(), **anchors})


def kept(account: PayoutAccount) -> tuple[str, int | None, str]:
    account.refresh_from_db()
    return account.schedule_interval, account.schedule_monthly_anchor, account.schedule_weekly_anchor


def at_stripe(account: PayoutAccount) -> tuple[str, int | None, str]:
    schedule = gateway.retrieve_account(account.stripe_account_id).schedule
    return schedule.interval, schedule.monthly_anchor, schedule.weekly_anchor


def updates(sandbox: Sandbox, account: PayoutAccount) -> int:
    calls = stage.calls(sandbox, account.stripe_account_id)
    return sum(call["effect"] for call in calls if call["path"].endswith(account.stripe_account_id))


@pytest.mark.parametrize(
    ("interval", "anchors", "expected"),
    [
        ("monthly", {"monthly_anchor": 12}, ("monthly", 12, "")),
        ("monthly", {"monthly_anchor": 1}, ("monthly", 1, "")),
        ("monthly", {"monthly_anchor": 31}, ("monthly", 31, "")),
        ("weekly", {"weekly_anchor": "friday"}, ("weekly", None, "friday")),
        ("daily", {}, ("daily", None, "")),
        ("daily", {"monthly_anchor": 3, "weekly_anchor": "monday"}, ("daily", None, "")),
    ],
)
def test_what_is_chosen_is_so_at_stripe_and_here(
    interval: str, anchors: dict[str, Any], expected: Any, sandbox: Sandbox, coach: Coach, account: PayoutAccount
) -> None:
    assert kept(account) == ("monthly", 5, "")
    choose(coach, interval, **anchors)
    assert kept(account) == at_stripe(account) == expected


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("interval", "anchors", "named"),
    [
        ("manual", {}, "daily, weekly, monthly"),
        ("", {}, "daily, weekly, monthly"),
        ("yearly", {}, "daily, weekly, monthly"),
        ("monthly", {}, "from 3 to 20"),
        ("monthly", {"monthly_anchor": 2}, "from 3 to 20"),
        ("monthly", {"monthly_anchor": 21}, "from 3 to 20"),
        ("monthly", {"monthly_anchor": -1}, "from 3 to 20"),
        ("monthly", {"monthly_anchor": True}, "from 3 to 20"),
        ("monthly", {"monthly_anchor": "5"}, "from 3 to 20"),
        ("weekly", {}, "Monday to Friday"),
        ("weekly", {"weekly_anchor": "sunday"}, "Monday to Friday"),
        ("weekly", {"weekly_anchor": "Friday"}, "Monday to Friday"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name_and_not_sent(
    interval: str, anchors: dict[str, Any], named: str, sandbox: Sandbox, account: PayoutAccount, settings: Any
) -> None:
    settings.PAYOUT_EARLIEST_DAY, settings.PAYOUT_LATEST_DAY = 3, 20
    with pytest.raises(services.ScheduleOutOfBounds, match=named):
        choose(account.coach, interval, **anchors)
    assert not Operation.objects.filter(kind="update_account").exists()
    assert kept(account) == at_stripe(account) == ("monthly", 5, "")


def test_an_interval_that_the_operator_does_not_offer_is_refused(account: PayoutAccount, settings: Any) -> None:
    settings.PAYOUT_INTERVALS = ["monthly"]
    with pytest.raises(services.ScheduleOutOfBounds, match="monthly"):
        choose(account.coach, "daily")


def test_the_last_day_of_a_month_pays_in_february_too(sandbox: Sandbox, coach: Coach, account: PayoutAccount) -> None:
    choose(coach, monthly_anchor=31)
    sandbox.post("/_sandbox/clock", {"set": FEBRUARY_27})
    clock.forget_offset()
    bankside.fund(sandbox, account, 7_000)
    sandbox.advance(bankside.DAY - 3_600)
    assert bankside.at_stripe(sandbox, account) == []
    sandbox.advance(7_200)
    (payout,) = bankside.at_stripe(sandbox, account)
    assert (payout["amount"], payout["automatic"]) == (7_000, True)


def test_without_an_account_there_is_nothing_to_choose(sandbox: Sandbox, coach: Coach) -> None:
    with pytest.raises(services.NoPayoutAccount):
        choose(coach, monthly_anchor=5)


def test_an_account_that_has_left_us_is_not_changed(sandbox: Sandbox, account: PayoutAccount) -> None:
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())
    with pytest.raises(services.AccountGone):
        choose(account.coach, monthly_anchor=9)
    assert updates(sandbox, account) == 0


def test_one_that_left_and_nobody_has_told_us_is_refused_once_and_for_all(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")
    with pytest.raises(services.RefusedByStripe):
        choose(account.coach, monthly_anchor=9)
    assert Operation.objects.get(kind="update_account").state == Operation.State.FAILED
    assert kept(account) == ("monthly", 5, "")


def test_what_stripe_refuses_is_said_and_nothing_has_changed(sandbox: Sandbox, account: PayoutAccount) -> None:
    body = {"error": {"type": "invalid_request_error", "message": "No."}}
    stage.break_next(sandbox, "respond", ACCOUNT, status=400, body=body)
    with pytest.raises(services.RefusedByStripe):
        choose(account.coach, monthly_anchor=9)
    assert kept(account) == ("monthly", 5, "")
    assert kept(choose(account.coach, monthly_anchor=9)) == ("monthly", 9, "")


@pytest.mark.parametrize("fault", ["reset_after_effect", "reset_before_effect", "garbage_body"])
def test_a_lost_answer_is_late_and_comes_by_the_sweeper(fault: str, sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, fault, ACCOUNT)
    with pytest.raises(services.AnswerLate):
        choose(account.coach, monthly_anchor=9)
    assert kept(account) == ("monthly", 5, "")
    bankside.sweep(timedelta(minutes=2))
    assert kept(account) == at_stripe(account) == ("monthly", 9, "")
    assert updates(sandbox, account) == 1


def test_that_the_account_can_not_be_read_back_loses_nothing(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "refuse", ACCOUNT, method="GET", times=2)
    with pytest.raises(services.AnswerLate):
        choose(account.coach, monthly_anchor=9)
    bankside.sweep(timedelta(minutes=2))
    assert kept(account) == at_stripe(account) == ("monthly", 9, "")


def test_an_event_may_tell_of_it_before_our_own_answer(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "reset_after_effect", ACCOUNT)
    with pytest.raises(services.AnswerLate):
        choose(account.coach, monthly_anchor=9)
    reports.deliver_and_work(reports.events(sandbox, "account.updated"))
    assert kept(account) == ("monthly", 9, "")
    bankside.sweep(timedelta(minutes=2))
    assert kept(account) == ("monthly", 9, "")


def test_an_answer_asked_for_earlier_does_not_bring_the_old_schedule_back(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    early, asked_early = gateway.retrieve_account(account.stripe_account_id), clock.now()
    choose(account.coach, monthly_anchor=9)
    services.record_account(facts=early, now=asked_early)
    assert kept(account) == ("monthly", 9, "")


def test_an_answer_without_a_schedule_leaves_the_one_we_know(sandbox: Sandbox, account: PayoutAccount) -> None:
    assert at_stripe(account)[0] == "monthly"
    body = stage.at_stripe(sandbox, f"/v1/accounts/{account.stripe_account_id}") | {"settings": {}}
    stage.break_next(sandbox, "respond", ACCOUNT, method="GET", status=200, body=body)
    services.refresh_payout_account(account=account, now=clock.now())
    assert kept(account) == ("monthly", 5, "")


@pytest.mark.django_db(transaction=True)
def test_the_same_choice_clicked_at_once_is_made_once(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_before", ACCOUNT, delay_ms=300)
    stage.at_once([lambda: choose(account.coach, monthly_anchor=9)] * 4)
    assert kept(account) == ("monthly", 9, "")
    assert updates(sandbox, account) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_choices_at_once_one_is_told_to_wait(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "delay_before", ACCOUNT, delay_ms=60_000)
    refused: list[str] = []

    def click(day: int) -> Callable[[], None]:
        def act() -> None:
            try:
                choose(account.coach, monthly_anchor=day)
            except DomainError as error:
                refused.append(error.code)

        return act

    stage.at_once([click(9), click(10), lambda: stage.let_go(sandbox, when=lambda: refused and stage.hits(sandbox))])
    assert refused == ["change_under_way"]
    assert kept(account) == at_stripe(account)
    assert updates(sandbox, account) == 1


def test_a_worker_that_dies_after_sending_loses_nothing(
    sandbox: Sandbox, account: PayoutAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `kill -9` leaves it: sent, nothing recorded, the lease still held."""
    update = gateway.update_account

    def send_and_die(*args: Any, **call: Any) -> Any:
        update(*args, **call)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(gateway, "update_account", send_and_die)
        with pytest.raises(KeyboardInterrupt):
            choose(account.coach, monthly_anchor=9)
    Operation.objects.filter(kind="update_account").update(lease_until=clock.wall() - timedelta(seconds=1))
    operations.sweep(now=clock.now() + timedelta(minutes=2))
    assert kept(account) == ("monthly", 9, "")
    assert updates(sandbox, account) == 1
