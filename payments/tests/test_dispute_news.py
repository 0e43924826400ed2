"""How we hear of disputes: by events in any order, by looking, by old answers; and money that nobody explains."""

import itertools
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import requests
from django.conf import settings

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, payouts, pollers, services
from payments.errors import StripeMismatchError
from payments.models import (
    Dispute,
    Earning,
    FraudWarning,
    Operation,
    Payment,
    Reversal,
    StripeEvent,
)
from payments.stripe_disputes import DisputeEntry
from payments.stripe_objects import BalanceTransactionFacts
from payments.tests import bank, reports, stage
from payments.tests.money_back import (
    assert_agreed,
    books,
    captured,
    pay_month,
    sweep,
)

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


@pytest.fixture
def payment(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    """100.00 USD taken, settled monthly; the money is there."""
    made = captured(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    return made


def earnings() -> list[tuple[str, int]]:
    return list(Earning.objects.order_by("pk").values_list("kind", "amount"))


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_events_in_any_order_and_twice_lead_to_the_same(
    order: tuple[int, ...], outcome: str, sandbox: Sandbox, payment: Payment, staff: User
) -> None:
    dispute_id = bank.open_at_stripe(sandbox, payment)
    sandbox.post(f"/_sandbox/disputes/{dispute_id}/resolve", {"outcome": outcome})
    told = [event for event in reports.events(sandbox) if ".dispute." in event["type"]]
    told = [*told, told[0]][:4]
    rows = reports.deliver_and_work([told[place] for place in order])
    rows += reports.deliver_and_work(told)

    assert {row.state for row in rows} == {StripeEvent.State.DONE}
    dispute = Dispute.objects.get()
    assert (dispute.status, dispute.closed_at is None) == (outcome, False)
    assert earnings() == [("share", 8_000)] + ([("disputed", -8_000)] if outcome == "lost" else [])
    assert_agreed(sandbox)


def test_warnings_come_by_event_too(sandbox: Sandbox, payment: Payment) -> None:
    bank.warned(sandbox, payment)
    bank.open_at_stripe(sandbox, payment)
    told = [event for event in reports.events(sandbox) if "fraud_warning" in event["type"]]
    assert {row.state for row in reports.deliver_and_work(reversed(told))} == {StripeEvent.State.DONE}
    assert FraudWarning.objects.get().actionable is False


def test_a_dispute_of_something_else_is_set_aside(sandbox: Sandbox, payment: Payment) -> None:
    made_up = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_elsewhere"}
    [row] = reports.deliver_and_work([reports.made_up("charge.dispute.created", made_up)])
    assert (row.state, Dispute.objects.count()) == (StripeEvent.State.IGNORED, 0)


def test_an_older_answer_that_comes_last_changes_nothing(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment)
    older = gateway.retrieve_dispute(dispute.stripe_dispute_id)
    bank.decide(sandbox, dispute, "lost")
    services.record_dispute(payment=payment, facts=older, now=clock.now())
    dispute.refresh_from_db()
    assert dispute.status == "lost"
    assert_agreed(sandbox)


def test_a_dispute_that_contradicts_what_we_know_is_refused(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment)
    facts = gateway.retrieve_dispute(dispute.stripe_dispute_id)
    for wrong in ({"amount": 9_999}, {"currency": "eur"}, {"status": "unheard_of"}):
        with pytest.raises(StripeMismatchError):
            services.record_dispute(payment=payment, facts=replace(facts, **wrong), now=clock.now())
    assert_agreed(sandbox)


def test_money_that_moves_for_no_known_reason_goes_to_suspense(sandbox: Sandbox, payment: Payment) -> None:
    dispute = bank.disputed(sandbox, payment)
    facts = gateway.retrieve_dispute(dispute.stripe_dispute_id)
    odd = DisputeEntry("adjustment", BalanceTransactionFacts("txn_odd", -123, 0, -123, "usd"))
    for _ in range(2):
        services.record_dispute(payment=payment, facts=replace(facts, entries=(*facts.entries, odd)), now=clock.now())
    assert (books("suspense"), books("disputes_held")) == (123, 10_000)
    assert ledger.check() == []


def test_the_fee_for_answering_is_booked_and_comes_back_with_a_win(
    sandbox: Sandbox, payment: Payment, staff: User
) -> None:
    before = books("stripe_fees")
    dispute = bank.disputed(sandbox, payment)
    fields = {"uncategorized_text": "They were there."}
    bank.answered(dispute, staff, submit=True, fields=fields)
    assert books("stripe_fees") - before == 3_000
    assert_agreed(sandbox)
    bank.decide(sandbox, dispute, "won")
    assert books("stripe_fees") - before == 1_500
    assert_agreed(sandbox)


def test_a_silent_stripe_stops_the_look_and_loses_nothing(sandbox: Sandbox, payment: Payment) -> None:
    bank.open_at_stripe(sandbox, payment)
    stage.break_next(sandbox, "respond", "/v1/disputes", method="GET", status=500, times=2)
    assert pollers.find_disputes_at_stripe(now=clock.now()) == 0
    stage.mend(sandbox)
    assert pollers.find_disputes_at_stripe(now=clock.now()) == 1
    assert pollers.find_disputes_at_stripe(now=clock.now()) == 0


def test_the_sandbox_and_we_know_the_same_disputes(sandbox: Sandbox, payment: Payment) -> None:
    """What a person does in Stripe's dashboard comes to us, too: here, that they accept the dispute."""
    dispute = bank.disputed(sandbox, payment)
    address = f"{sandbox.url}/v1/disputes/{dispute.stripe_dispute_id}/close"
    requests.post(address, auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30).raise_for_status()
    bank.hear()
    dispute.refresh_from_db()
    assert dispute.status == "lost"
    assert Operation.objects.filter(kind=Operation.Kind.CLOSE_DISPUTE).count() == 0
    assert books("disputes_held") == 0
    assert Money(books("platform_revenue"), "usd") == Money(0, "usd")
    assert_agreed(sandbox)


@pytest.mark.django_db(transaction=True)
def test_whoever_hears_of_it_at_once_books_it_once(sandbox: Sandbox, payment: Payment) -> None:
    pay_month(sandbox)
    dispute_id = bank.open_at_stripe(sandbox, payment)
    for outcome in ("needs_response", "lost"):
        if outcome == "lost":
            sandbox.post(f"/_sandbox/disputes/{dispute_id}/resolve", {"outcome": "lost"})
        facts = gateway.retrieve_dispute(dispute_id)
        hear = partial(services.record_dispute, payment=payment, facts=facts, now=clock.now())
        stage.at_once([hear] * 4)
    sweep()
    dispute = Dispute.objects.get()
    assert (dispute.status, Reversal.objects.count()) == ("lost", 1)
    assert earnings() == [("share", 8_000), ("disputed", -8_000), ("reversed", 8_000)]
    assert_agreed(sandbox)


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_planned_just_now_pays_nothing_of_it(sandbox: Sandbox, payment: Payment) -> None:
    end = payouts.end_of(Earning.objects.get().release_at.strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    facts = gateway.retrieve_dispute(bank.open_at_stripe(sandbox, payment))
    now = clock.now()
    plan = partial(payouts.open_run, payouts.month_before(now), now)
    stage.at_once([plan, partial(services.record_dispute, payment=payment, facts=facts, now=now)])
    payouts.run_due(now)
    assert (Earning.objects.get().line, stage.effects(sandbox, "/v1/transfers")) == (None, 0)
    assert_agreed(sandbox)
