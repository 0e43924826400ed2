"""The monthly run while things break: raced, answers lost, refused, and failing by bugs of ours."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from marketplace import clock
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, operations, payouts
from payments.errors import NotYetError
from payments.models import (
    LedgerTransaction,
    Operation,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Transfer,
)
from payments.tests import stage
from payments.tests.factories_books import NOW, earn
from payments.tests.payday import MONTH, MakeCoach, fund, only_line, transfers_made

pytestmark = pytest.mark.thorough


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_four_beats_at_once_pay_each_coach_once(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    coaches = [make_coach() for _ in range(3)]
    for coach in coaches:
        earn(coach)
    now = clock.now()
    stage.at_once([lambda: payouts.run_due(now)] * 4)
    payouts.run_due(now)

    assert PayoutRun.objects.get().status == PayoutRun.Status.CLOSED
    assert PayoutLine.objects.filter(status=PayoutLine.Status.PAID).count() == 3
    assert transfers_made(sandbox) == 3
    assert Operation.objects.filter(kind="transfer").count() == 3
    assert ledger.check() == []


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["reset_after_effect", "truncate_body", "garbage_body"])
def test_a_lost_answer_is_asked_for_again_and_pays_once(sandbox: Sandbox, make_coach: MakeCoach, action: str) -> None:
    earn(make_coach())
    stage.break_next(sandbox, action, "/v1/transfers")
    run = payouts.run_due(clock.now())
    assert run is not None
    assert run.status == PayoutRun.Status.OPEN
    assert (only_line().status, only_line().waiting_for) == (PayoutLine.Status.PLANNED, "")
    assert Operation.objects.get(kind="transfer").state == Operation.State.UNKNOWN
    assert LedgerTransaction.objects.filter(kind="transfer").count() == 0

    payouts.run_due(clock.now() + timedelta(minutes=6))

    assert only_line().status == PayoutLine.Status.PAID
    assert transfers_made(sandbox) == 1
    assert Operation.objects.get(kind="transfer").attempt == 1
    assert LedgerTransaction.objects.filter(kind="transfer").count() == 1
    assert ledger.check() == []


@pytest.mark.django_db
def test_an_answer_lost_for_longer_than_keys_live_is_looked_up(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    earn(make_coach())
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    payouts.run_due(clock.now())
    sandbox.post("/_sandbox/idempotency/prune")

    payouts.run_due(clock.now() + timedelta(hours=30))

    assert only_line().status == PayoutLine.Status.PAID
    assert transfers_made(sandbox) == 1
    assert len(stage.calls(sandbox, "/v1/transfers")) == 1


@pytest.mark.django_db
def test_parameters_that_changed_under_a_key_prove_nothing_and_are_looked_up(
    sandbox: Sandbox, make_coach: MakeCoach
) -> None:
    """As after a release that writes the same request in other words: the first one may have had its effect."""
    earn(make_coach())
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    payouts.run_due(clock.now())
    sent = Operation.objects.get(kind="transfer")
    Operation.objects.filter(pk=sent.pk).update(params={**sent.params, "description": "In other words"})

    for minutes in (6, 12, 80, 160):
        payouts.run_due(clock.now() + timedelta(minutes=minutes))

    assert only_line().status == PayoutLine.Status.PAID
    assert transfers_made(sandbox) == 1
    assert Operation.objects.get(kind="transfer").attempt == 1
    assert ledger.check() == []


@pytest.mark.django_db
def test_a_transfer_is_not_booked_before_stripe_shows_its_balance_transaction(
    sandbox: Sandbox, make_coach: MakeCoach
) -> None:
    earn(make_coach())
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    payouts.run_due(clock.now())
    sent = Operation.objects.get(kind="transfer")
    made = gateway.find_transfer(
        operation_id=str(sent.pk),
        transfer_group=sent.params["transfer_group"],
        destination=sent.params["destination"],
    )
    assert made is not None
    with pytest.raises(NotYetError):
        payouts.record_transfer(line=only_line(), facts=replace(made, balance_transaction=None), now=clock.now())
    assert only_line().status == PayoutLine.Status.PLANNED
    assert Transfer.objects.count() == 0


@pytest.mark.django_db
def test_a_request_that_never_arrived_is_sent_again(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    earn(make_coach())
    stage.break_next(sandbox, "reset_before_effect", "/v1/transfers")
    payouts.run_due(clock.now())
    assert transfers_made(sandbox) == 0
    operations.sweep(now=clock.now() + timedelta(minutes=6))  # the sweeper alone is enough
    assert only_line().status == PayoutLine.Status.PAID
    assert transfers_made(sandbox) == 1


@pytest.mark.django_db
@pytest.mark.embedded
def test_too_low_a_balance_makes_a_line_wait_and_the_others_go_on(sandbox: Sandbox) -> None:
    rich, poor = CoachFactory.create(), CoachFactory.create()
    for coach, amount in ((rich, 500_000), (poor, 10_000)):
        stage.onboard(sandbox, coach)
        earn(coach, amount=amount, platform_fee=100)
    fund(sandbox, 20_000)

    run = payouts.run_due(clock.now())

    lines = {line.coach_id: line for line in PayoutLine.objects.all()}
    assert (lines[rich.pk].status, lines[rich.pk].waiting_for) == (
        PayoutLine.Status.WAITING,
        "The platform's available balance at Stripe is too low.",
    )
    assert lines[poor.pk].status == PayoutLine.Status.PAID
    assert run is not None
    assert run.status == PayoutRun.Status.OPEN
    assert ledger.check() == []

    # Not asked for again hot; and then with a new key, since Stripe keeps a refusal under the old one.
    fund(sandbox, 600_000)
    payouts.run_due(clock.now() + timedelta(minutes=59))
    assert PayoutLine.objects.get(coach=rich).status == PayoutLine.Status.WAITING
    payouts.run_due(clock.now() + timedelta(minutes=61))
    paid = PayoutLine.objects.get(coach=rich)
    assert (paid.status, paid.waiting_for) == (PayoutLine.Status.PAID, "")
    assert list(paid.operations.order_by("created_at").values_list("state", flat=True)) == ["failed", "done"]
    assert transfers_made(sandbox) == 2
    assert PayoutRun.objects.get().status == PayoutRun.Status.CLOSED
    assert ledger.check() == []


@pytest.mark.django_db
@pytest.mark.parametrize("known", [{"transfers_active": False}, {"deauthorised_at": NOW}])
def test_an_account_that_we_know_is_restricted_is_not_even_asked_for(
    sandbox: Sandbox, make_coach: MakeCoach, known: dict[str, Any]
) -> None:
    good, restricted = make_coach(), make_coach()
    earn(good)
    earn(restricted)
    PayoutAccount.objects.filter(coach=restricted).update(**known)

    payouts.run_due(clock.now())

    waiting = PayoutLine.objects.get(coach=restricted)
    assert (waiting.status, waiting.waiting_for) == (PayoutLine.Status.WAITING, payouts.CANT_RECEIVE)
    assert waiting.operations.count() == 0
    assert PayoutLine.objects.get(coach=good).status == PayoutLine.Status.PAID
    assert len(stage.calls(sandbox, "/v1/transfers")) == 1

    PayoutAccount.objects.filter(coach=restricted).update(transfers_active=True, deauthorised_at=None)
    payouts.run_due(clock.now())
    assert PayoutLine.objects.get(coach=restricted).status == PayoutLine.Status.PAID
    assert PayoutRun.objects.get().status == PayoutRun.Status.CLOSED


@pytest.mark.django_db
def test_a_line_that_waited_over_the_turn_of_a_month_is_paid_beside_the_new_run(
    sandbox: Sandbox, make_coach: MakeCoach
) -> None:
    coach = make_coach()
    earn(coach)
    PayoutAccount.objects.filter(coach=coach).update(transfers_active=False)
    first, a_month_later = payouts.run_due(clock.now()), clock.now() + timedelta(days=32)
    assert first is not None
    PayoutAccount.objects.filter(coach=coach).update(transfers_active=True)

    payouts.run_due(a_month_later)

    assert only_line().run == first
    assert only_line().status == PayoutLine.Status.PAID
    assert list(PayoutRun.objects.values_list("status", flat=True)) == [PayoutRun.Status.CLOSED] * 2
    assert transfers_made(sandbox) == 1


@pytest.mark.django_db
def test_an_account_that_only_stripe_knows_is_restricted_waits_too(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    good, restricted = make_coach(), make_coach()
    earn(good)
    earn(restricted)
    account = PayoutAccount.objects.get(coach=restricted)
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict")

    payouts.run_due(clock.now())

    assert PayoutLine.objects.get(coach=good).status == PayoutLine.Status.PAID
    waiting = PayoutLine.objects.get(coach=restricted)
    assert waiting.status == PayoutLine.Status.WAITING
    assert waiting.waiting_for != ""
    assert transfers_made(sandbox) == 1


@pytest.mark.django_db
def test_a_line_that_fails_by_a_bug_holds_up_no_other(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    broken, good = make_coach(), make_coach()
    earn(broken)
    earn(good)
    # An answer that is not what was asked for: somebody at Stripe, or we, have it wrong.
    body = {
        "id": "tr_other", "object": "transfer", "amount": 1, "amount_reversed": 0, "currency": "usd", "livemode": False,
        "destination": "acct_x", "transfer_group": "g", "metadata": {}, "balance_transaction": None,
    }  # fmt: skip
    stage.break_next(sandbox, "respond", "/v1/transfers", status=200, body=body)

    payouts.run_due(clock.now())

    assert PayoutLine.objects.get(coach=good).status == PayoutLine.Status.PAID
    assert PayoutLine.objects.get(coach=broken).status == PayoutLine.Status.PLANNED
    assert Transfer.objects.count() == 1
    assert PayoutRun.objects.get().status == PayoutRun.Status.OPEN


@pytest.mark.django_db(transaction=True)
def test_our_own_call_and_stripes_event_at_once_record_one_transfer(sandbox: Sandbox, make_coach: MakeCoach) -> None:
    earn(make_coach())
    run = payouts.open_run(MONTH, clock.now())
    stage.break_next(sandbox, "reset_after_effect", "/v1/transfers")
    payouts.pay_lines(run, clock.now())
    line, operation, now = only_line(), Operation.objects.get(kind="transfer"), clock.now()
    facts = gateway.find_transfer(
        operation_id=str(operation.pk),
        transfer_group=operation.params["transfer_group"],
        destination=operation.params["destination"],
    )
    assert facts is not None

    stage.at_once([lambda: payouts.record_transfer(line=line, facts=facts, now=now)] * 6)

    assert Transfer.objects.count() == 1
    assert LedgerTransaction.objects.filter(kind="transfer").count() == 1
    assert only_line().status == PayoutLine.Status.PAID
    assert ledger.check() == []
