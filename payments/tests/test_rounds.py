"""No round of a timer's work keeps a worker for long: what it does not reach is left to the next one."""

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import mirror, operations, payout_pollers, payouts, pollers, rounds, webhooks
from payments.models import Operation, Payment, Payout, PayoutAccount, PayoutLine, StripeEvent
from payments.tests import bankside, reports, stage
from payments.tests.factories_books import earn

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round's time is over as it begins."""
    monkeypatch.setattr(rounds, "LONGEST_SECONDS", 0)
    monkeypatch.setattr("payments.payouts.run.LONGEST_ROUND_SECONDS", 0)


def test_events_are_left_to_the_next_round(sandbox: Sandbox, paid: Payment) -> None:
    reports.deliver(reports.events(sandbox, "checkout.session.completed")[0])
    assert webhooks.sweep_events(now=clock.now()) == 0
    assert StripeEvent.objects.get().tries == 0


def test_objects_to_be_mirrored_are_left_to_the_next_round(sandbox: Sandbox, paid: Payment) -> None:
    reports.deliver_and_work(reports.events(sandbox, "charge.succeeded"))
    assert mirror.mirror_events(now=clock.now()) == 0
    assert StripeEvent.objects.get().mirror_state == StripeEvent.MirrorState.NEW


def test_operations_are_left_to_the_next_round(sandbox: Sandbox, held: Payment) -> None:
    stage.request_capture(held, clock.now())
    assert operations.sweep(now=clock.now()) == 0
    assert Operation.objects.get(kind=Operation.Kind.CAPTURE).tries == 0


def test_open_payments_and_accounts_are_left_to_the_next_round(
    sandbox: Sandbox, student: User, payable_coach: Coach
) -> None:
    stage.open_page(student, payable_coach)
    PayoutAccount.objects.update(read_at=None)
    assert pollers.poll_open_payments(now=clock.now()) == 0
    assert pollers.poll_payout_accounts(now=clock.now()) == 0
    assert Payment.objects.get().polled_at is None
    assert PayoutAccount.objects.get().read_at is None


def test_payouts_and_balances_are_left_to_the_next_round(sandbox: Sandbox, payable_coach: Coach) -> None:
    account = PayoutAccount.objects.get()
    bankside.fund(sandbox, account)
    bankside.ask(account)
    Payout.objects.update(polled_at=None)
    PayoutAccount.objects.update(balance_asked_at=None)
    assert payout_pollers.poll_payouts(now=clock.now()) == 0
    assert payout_pollers.poll_balances(now=clock.now()) == 0
    assert Payout.objects.get().polled_at is None
    assert PayoutAccount.objects.get().balance_asked_at is None


def test_payout_lines_are_left_to_the_next_round() -> None:
    earn(CoachFactory.create())
    run = payouts.run_due(clock.now())
    assert run is not None
    assert PayoutLine.objects.get().status == PayoutLine.Status.PLANNED
