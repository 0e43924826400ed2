"""The demo's story, told over the real sandbox: every state is there, and the books agree with Stripe's to the cent."""

import os
from collections import defaultdict
from datetime import timedelta

import pytest
import requests
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db.models import Sum
from django.test import override_settings

from bookings.demo.people import COACHES
from bookings.demo.stage import play
from bookings.demo.story import SCENES
from bookings.models import Booking, Notice
from coaches.models import Coach, DateOverride, WeeklyHours
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import BEGIN, Sandbox
from payments import ledger
from payments.models import Difference, LedgerEntry, Operation, Payment, Payout, Reconciliation, Statement
from payments.reconcile import reconcile

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.thorough]


def at_stripe(sandbox: Sandbox) -> dict[str, int]:
    """The platform's balance in each currency, pending and available together."""
    answer = requests.get(f"{sandbox.url}/v1/balance", auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30).json()
    sums: dict[str, int] = defaultdict(int)
    for part in [*answer["available"], *answer["pending"]]:
        sums[part["currency"]] += part["amount"]
    return {currency: amount for currency, amount in sums.items() if amount}


def in_our_books() -> dict[str, int]:
    entries = LedgerEntry.objects.filter(account__code=ledger.STRIPE_BALANCE).values_list("account__currency")
    return {currency: amount for currency, amount in entries.annotate(total=Sum("amount")) if amount}


def test_the_story_ends_in_every_state_with_books_that_agree(sandbox: Sandbox) -> None:
    play(opens_at=BEGIN)

    assert ledger.check() == []
    assert in_our_books() == at_stripe(sandbox)
    assert set(in_our_books()) == {coach.currency for coach in COACHES}
    assert Booking.objects.count() == len(SCENES)
    assert set(Booking.objects.values_list("status", flat=True)) == {
        Booking.Status.AWAITING_PAYMENT,
        Booking.Status.REQUESTED,
        Booking.Status.ACCEPTED,
        Booking.Status.COMPLETED,
        Booking.Status.ABANDONED,
        Booking.Status.DECLINED,
        Booking.Status.EXPIRED,
        Booking.Status.CANCELLED,
    }
    ahead = Booking.objects.filter(status=Booking.Status.ACCEPTED, payment__status=Payment.Status.SAVED)
    assert sorted(round((booking.starts_at - clock.now()).days, -1) for booking in ahead) == [20, 40]
    proposed = Booking.objects.exclude(proposed_starts_at=None).get()
    assert (proposed.status, proposed.proposed_by) == (Booking.Status.ACCEPTED, "coach")
    assert proposed.proposal_due_at is not None
    assert proposed.proposal_due_at > clock.now() + timedelta(hours=12)
    assert WeeklyHours.objects.filter(ends_next_day=True).exists()
    assert DateOverride.objects.filter(windows=[], note="Holidays").exists()
    assert Booking.objects.filter(policy="moderate").exists()
    assert not Operation.objects.exclude(state=Operation.State.DONE).exists()
    assert Statement.objects.exists()
    assert set(Payout.objects.values_list("status", "automatic")) == {(Payout.Status.PAID, True)}
    assert not Notice.objects.filter(sent_at=None).exists()
    assert set(Coach.objects.filter(payable=False).values_list("user__email", flat=True)) == {"newcoach@example.com"}
    assert abs(clock.now() - BEGIN) < timedelta(minutes=10)  # the last acts take a while


def test_the_story_agrees_with_stripe_object_by_object(sandbox: Sandbox) -> None:
    play(opens_at=BEGIN)
    compared = reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert compared.failure == ""
    assert list(map(str, Difference.objects.all())) == []


# Thirteen hours later the first free time of one coach is in the student's session with another one.
FEW_HOURS = [13, 2, 6, 18, 23]
MANY_HOURS = [*range(1, 24), *range(30, 24 * 40, 31)]


@pytest.mark.parametrize("hours", MANY_HOURS if os.environ.get("FULL_SWEEP") == "true" else FEW_HOURS)
def test_it_can_be_told_whenever_it_opens(sandbox: Sandbox, hours: int) -> None:
    play(opens_at=BEGIN + timedelta(hours=hours))
    assert ledger.check() == []
    assert Booking.objects.count() == len(SCENES)


@pytest.mark.parametrize(
    "off", [{"DEMO": False, "DEBUG": True}, {"DEMO": True, "DEBUG": False}, {"DEMO": True, "STRIPE_SANDBOX_URL": ""}]
)
def test_the_logins_are_made_in_the_demo_only(off: dict[str, object]) -> None:
    with override_settings(**{"DEMO": True, "DEBUG": True, **off}), pytest.raises(CommandError):
        call_command("load_demo")

    assert not User.objects.exists()


def test_a_database_with_people_in_it_is_left_alone(sandbox: Sandbox, student: User) -> None:
    with override_settings(DEMO=True, DEBUG=True):
        call_command("load_demo")

    assert list(User.objects.all()) == [student]
