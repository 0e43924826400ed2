"""When payouts are asked after: often on their way, now and then while they may come back, and then never."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from coaches.models import Coach
from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import payout_pollers, services
from payments.models import Payout, PayoutAccount
from payments.tests import bankside, stage

pytestmark = pytest.mark.django_db

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PAYOUT = "/v1/payouts/"


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach, settings: Any) -> PayoutAccount:
    made = bankside.custom(sandbox, coach, settings)
    bankside.fund(sandbox, made)
    return made


@pytest.fixture
def payout(account: PayoutAccount) -> Payout:
    return bankside.ask(account)


def asked_after(later: timedelta) -> int:
    """As if so much time had gone by since we heard of them, and the sandbox had stood still."""
    Payout.objects.update(polled_at=F("polled_at") - later)
    return payout_pollers.poll_payouts(now=clock.now())


def test_what_was_just_heard_of_is_not_asked_after(payout: Payout) -> None:
    assert asked_after(59 * MINUTE) == 0
    assert asked_after(2 * MINUTE) == 1
    assert asked_after(59 * MINUTE) == 0


def test_what_arrives_within_minutes_is_asked_after_every_few(payout: Payout) -> None:
    Payout.objects.update(method=Payout.Method.INSTANT)
    assert asked_after(4 * MINUTE) == 0
    assert asked_after(2 * MINUTE) == 1


def test_what_is_paid_is_asked_after_twice_a_day_for_two_weeks(sandbox: Sandbox, payout: Payout) -> None:
    sandbox.advance(2 * bankside.DAY)
    services.refresh_payout(payout=payout, now=clock.now())
    assert asked_after(11 * HOUR) == 0
    assert asked_after(2 * HOUR) == 1
    Payout.objects.update(created_at=clock.now() - timedelta(days=14, seconds=1))
    assert asked_after(timedelta(days=3)) == 0


@pytest.mark.parametrize("status", ["failed", "canceled", "refused"])
def test_what_is_over_is_not_asked_after(status: str, payout: Payout) -> None:
    Payout.objects.update(status=status)
    assert asked_after(timedelta(days=3)) == 0


def test_what_stripe_has_not_made_is_for_its_operation(sandbox: Sandbox, account: PayoutAccount) -> None:
    stage.break_next(sandbox, "reset_before_effect", "/v1/payouts")
    bankside.ask(account)
    assert asked_after(timedelta(days=3)) == 0


def test_an_account_that_has_left_us_is_not_asked_after(sandbox: Sandbox, payout: Payout, coach: Coach) -> None:
    account_id = coach.payout_account.stripe_account_id
    services.record_deauthorised(stripe_account_id=account_id, now=clock.now())
    assert asked_after(timedelta(days=3)) == 0


@pytest.mark.django_db(transaction=True)
def test_two_pollers_at_once_ask_once(sandbox: Sandbox, payout: Payout) -> None:
    now = clock.now() + 2 * HOUR
    asked: list[int] = []
    stage.at_once([lambda: asked.append(payout_pollers.poll_payouts(now=now))] * 3)
    assert sum(asked) == 1
    assert len(stage.calls(sandbox, PAYOUT, "GET")) == 1


@pytest.fixture
def two(sandbox: Sandbox, payout: Payout) -> tuple[Payout, Payout]:
    """The first one is asked after first."""
    other = stage.onboard(sandbox, CoachFactory.create())
    bankside.fund(sandbox, other)
    second = bankside.ask(other)
    sandbox.advance(2 * bankside.DAY)
    Payout.objects.filter(pk=payout.pk).update(polled_at=None)
    return payout, second


def test_one_that_differs_from_what_we_know_does_not_hold_up_the_other(
    two: tuple[Payout, Payout], caplog: pytest.LogCaptureFixture
) -> None:
    Payout.objects.filter(pk=two[0].pk).update(amount=1)
    assert payout_pollers.poll_payouts(now=clock.now()) == 2
    assert "payout_differs_from_stripe" in caplog.text
    assert set(Payout.objects.order_by("pk").values_list("status", flat=True)) == {"pending", "paid"}


def test_nor_does_one_that_stripe_does_not_know(two: tuple[Payout, Payout]) -> None:
    Payout.objects.filter(pk=two[0].pk).update(stripe_payout_id="po_nowhere")
    assert payout_pollers.poll_payouts(now=clock.now()) == 2
    assert Payout.objects.get(pk=two[1].pk).status == "paid"


def test_nor_a_bug(two: tuple[Payout, Payout], monkeypatch: pytest.MonkeyPatch) -> None:
    refresh = services.refresh_payout

    def trip(*, payout: Payout, now: Any) -> None:
        if payout.pk == two[0].pk:
            raise RuntimeError("a bug")
        refresh(payout=payout, now=now)

    monkeypatch.setattr(services, "refresh_payout", trip)
    assert payout_pollers.poll_payouts(now=clock.now()) == 2
    assert Payout.objects.get(pk=two[1].pk).status == "paid"


def test_while_stripe_answers_nobody_the_round_ends(sandbox: Sandbox, two: tuple[Payout, Payout]) -> None:
    stage.break_next(sandbox, "refuse", "/v1/payouts*", method="GET", times=0)
    assert payout_pollers.poll_payouts(now=clock.now()) == 1
    assert payout_pollers.find_platform_payouts(now=clock.now()) == 0
    stage.mend(sandbox)
    assert payout_pollers.poll_payouts(now=clock.now() + 2 * HOUR) == 2
    assert set(Payout.objects.values_list("status", flat=True)) == {"paid"}
