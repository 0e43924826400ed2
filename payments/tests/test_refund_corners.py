"""Where refunds, disputes and debts meet: nothing is counted twice, and nothing is forgotten."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, operations, pollers, services
from payments.models import Earning, Payment, Refund, Reversal
from payments.tests import bank, reports, stage
from payments.tests.money_back import (
    assert_agreed,
    at_coach,
    books,
    captured,
    empty_account,
    give_back,
    given_back,
    made_at_stripe,
    pay_month,
    sweep,
)

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

Status = Refund.Status


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    """100.00 USD taken, of which 80.00 are the coach's."""
    return captured(sandbox, student, payable_coach)


@pytest.mark.parametrize("made_by", ["us", "dashboard"])
def test_a_refund_that_failed_and_was_sent_again_is_not_counted_anew_by_its_old_news(
    sandbox: Sandbox, taken: Payment, made_by: str
) -> None:
    if made_by == "us":
        first = str(given_back(taken, 4_000).stripe_refund_id)
    else:
        first = made_at_stripe(sandbox, taken, 4_000)
        pollers.find_refunds_at_stripe(now=clock.now())
    sandbox.post(f"/_sandbox/refunds/{first}/fail", {"failure_reason": "declined"})
    services.refresh_refund(refund=Refund.objects.select_related("payment").get(), now=clock.now())
    again = made_at_stripe(sandbox, taken, 4_000)
    pollers.find_refunds_at_stripe(now=clock.now())

    services.record_refund(payment=taken, facts=gateway.retrieve_refund(first), now=clock.now())
    told = reports.deliver_and_work(reports.events(sandbox, "refund.created", "refund.failed", "charge.refunded"))
    assert {row.state for row in told} == {"done"}
    refund, taken_now = Refund.objects.get(), Payment.objects.get()
    assert (refund.stripe_refund_id, refund.status) == (again, Status.SUCCEEDED)
    assert (taken_now.refunded_amount, taken_now.taken_back_amount) == (4_000, 3_200)
    assert books(f"refunds_owed:{taken.payer_id}") == 0
    assert_agreed(sandbox)


def test_a_refund_at_stripe_that_failed_before_ours_is_booked_there_and_back(sandbox: Sandbox, taken: Payment) -> None:
    """We hear of it when everything has been given back: it needs no room, and nobody is owed anything."""
    made = made_at_stripe(sandbox, taken, taken.amount)
    sandbox.post(f"/_sandbox/refunds/{made}/fail")
    given_back(taken, taken.amount)
    for _ in range(2):
        services.record_refund(payment=taken, facts=gateway.retrieve_refund(made), now=clock.now())
    assert Refund.objects.get().stripe_refund_id != made
    assert books(f"refunds_owed:{taken.payer_id}") == 0
    assert_agreed(sandbox)


def test_a_refund_of_what_was_captured_at_stripe_too_waits_for_the_capture(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    captured(sandbox, student, payable_coach)
    held = stage.hold(sandbox, student, payable_coach, reference="booking:2")
    stage.post_at_stripe(sandbox, f"/v1/payment_intents/{held.payment_intent_id}/capture", {})
    made_at_stripe(sandbox, held, 2_500)
    [row] = reports.deliver_and_work(reports.events(sandbox, "refund.created"))
    assert (row.state, Refund.objects.count()) == ("new", 0)
    assert "bug" not in row.reason

    services.refresh_payment(payment=held, now=clock.now())
    reports.work(row)
    row.refresh_from_db()
    assert (row.state, Refund.objects.get().status) == ("done", Status.SUCCEEDED)
    assert_agreed(sandbox)


def test_a_refund_that_waits_for_a_second_person_gives_way_to_a_dispute(
    sandbox: Sandbox, taken: Payment, staff: User, settings: Any
) -> None:
    """Else a lost dispute would find nothing left of the coach's share, and the platform would bear all of it."""
    settings.REFUND_APPROVAL_LIMIT = 0
    bank.days_later(sandbox, 5)
    waiting = give_back(taken, 10_000, actor=staff)
    dispute = bank.disputed(sandbox, taken)
    waiting.refresh_from_db()
    assert (waiting.status, bool(waiting.failure)) == (Status.DISMISSED, True)

    bank.decide(sandbox, dispute, "lost")
    assert sum(Earning.objects.values_list("amount", flat=True)) == 0
    assert (books("platform_revenue"), books("platform_losses")) == (0, 0)
    assert_agreed(sandbox)


@pytest.mark.parametrize("amount", [4_000, 10_000])
def test_a_lost_dispute_pays_what_a_failed_refund_owed(sandbox: Sandbox, taken: Payment, amount: int) -> None:
    bank.days_later(sandbox, 5)
    refund = given_back(taken, amount)
    sandbox.post(f"/_sandbox/refunds/{refund.stripe_refund_id}/fail", {"failure_reason": "declined"})
    services.refresh_refund(refund=refund, now=clock.now())
    dispute = bank.disputed(sandbox, taken)
    assert books(f"refunds_owed:{taken.payer_id}") == -amount

    bank.decide(sandbox, dispute, "lost")
    assert books(f"refunds_owed:{taken.payer_id}") == 0
    assert (books("platform_revenue"), books("platform_losses")) == (0, 0)
    assert sum(Earning.objects.values_list("amount", flat=True)) == 0
    assert_agreed(sandbox)


def test_what_a_bank_takes_beyond_both_shares_is_our_loss(sandbox: Sandbox, taken: Payment) -> None:
    """The sandbox disputes no more than is left, and banks have done so: all of it, 40.00 having gone back before."""
    given_back(taken, 4_000)
    facts = gateway.retrieve_dispute(bank.open_at_stripe(sandbox, taken))
    [entry] = facts.entries
    all_of_it = replace(entry.booked, amount=-10_000, net=-10_000 - entry.booked.fee)
    lost = replace(facts, status="lost", amount=10_000, entries=(replace(entry, booked=all_of_it),))
    services.record_dispute(payment=taken, facts=lost, now=clock.now())
    assert sum(Earning.objects.values_list("amount", flat=True)) == 0
    assert (books("platform_revenue"), books("platform_losses"), books("disputes_held")) == (0, 4_000, 0)
    assert ledger.check() == []


@pytest.mark.parametrize("mode", ["monthly", "per_session"])
def test_what_is_refunded_after_a_win_is_taken_from_what_is_paid_anew(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any], mode: str
) -> None:
    payment = captured(sandbox, student, payable_coach, mode=mode)
    if mode == "monthly":
        pay_month(sandbox)
    else:
        bank.days_later(sandbox, 5)
    dispute = bank.disputed(sandbox, payment)
    assert at_coach(sandbox, payable_coach, "usd") == 0
    bank.decide(sandbox, dispute, "won")
    given_back(payment, 5_000)
    assert Reversal.objects.count() == 1

    pay_month(sandbox)
    assert at_coach(sandbox, payable_coach, "usd") == 4_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_an_inquiry_leaves_a_refund_that_waits_for_a_second_person(
    sandbox: Sandbox, taken: Payment, staff: User, settings: Any
) -> None:
    settings.REFUND_APPROVAL_LIMIT = 0
    waiting = give_back(taken, 10_000, actor=staff)
    bank.disputed(sandbox, taken, inquiry=True)
    waiting.refresh_from_db()
    assert waiting.status == Status.TO_APPROVE


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite locks no rows")
def test_giving_in_to_a_dispute_locks_its_payment_first(sandbox: Sandbox, taken: Payment, staff: User) -> None:
    """As the event of the same news does, which comes at the same moment: else each would wait for the other."""
    dispute = bank.disputed(sandbox, taken)
    operation = services.accept_dispute(
        dispute=dispute, reason="They are right.", actor=staff, version=dispute.version, now=clock.now()
    )
    with CaptureQueriesContext(connection) as queries:
        operations.run_operation(operation.pk, now=clock.now())
    dispute.refresh_from_db()
    assert (dispute.status, dispute.evidence_state) == ("lost", "accepted")
    said = [query["sql"] for query in queries]
    locked = next(at for at, sql in enumerate(said) if 'FROM "payments_payment"' in sql and "FOR NO KEY UPDATE" in sql)
    changed = next(at for at, sql in enumerate(said) if sql.startswith('UPDATE "payments_dispute"'))
    assert locked < changed


# --- per session --------------------------------------------------------------------------------


def kept_back(sandbox: Sandbox, student: User, coach: Coach) -> Payment:
    """Taken while a report is undecided: nothing of it is with the coach, who has 80.00 of another session."""
    captured(sandbox, student, coach, reference="booking:1", mode="per_session")
    payment = stage.hold(sandbox, student, coach, reference="booking:2")
    with transaction.atomic():
        services.request_capture_kept_back(payment=payment, now=clock.now())
    sweep()
    payment.refresh_from_db()
    return payment


def test_what_was_kept_back_is_not_fetched_back_for_a_refund(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = kept_back(sandbox, student, payable_coach)
    given_back(payment, 2_500)
    assert Reversal.objects.count() == 0
    assert at_coach(sandbox, payable_coach, "usd") == 8_000  # of the other session

    pay_month(sandbox)
    assert at_coach(sandbox, payable_coach, "usd") == 14_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)


def test_what_was_kept_back_is_not_fetched_back_for_a_dispute(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    payment = kept_back(sandbox, student, payable_coach)
    bank.days_later(sandbox, 5)
    bank.disputed(sandbox, payment)
    assert Reversal.objects.count() == 0
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    assert_agreed(sandbox)


def owing(sandbox: Sandbox, student: User, coach: Coach, amount: int) -> None:
    """The coach owes 80 % of it: what was paid on to them they have spent, and it was refunded since."""
    payment = captured(sandbox, student, coach, reference="booking:1")
    pay_month(sandbox)
    empty_account(sandbox, coach, 8_000)
    given_back(payment, amount)
    assert Reversal.objects.get().status == Reversal.Status.REFUSED


def test_a_debt_is_made_up_for_by_the_next_session_that_is_paid_at_once(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    owing(sandbox, student, payable_coach, 2_500)
    assert books(ledger.coach_payable(payable_coach.pk)) == 2_000

    captured(sandbox, student, payable_coach, reference="booking:2", mode="per_session")
    assert at_coach(sandbox, payable_coach, "usd") == 6_000
    assert books(ledger.coach_payable(payable_coach.pk)) == 0
    assert_agreed(sandbox)

    # What is settled is not taken a second time.
    captured(sandbox, student, payable_coach, reference="booking:3", mode="per_session")
    assert at_coach(sandbox, payable_coach, "usd") == 14_000
    assert pay_month(sandbox).lines.count() == 0
    assert_agreed(sandbox)


def test_a_debt_above_the_share_takes_all_of_it_and_no_more(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    owing(sandbox, student, payable_coach, 10_000)
    price = Money(5_000, "usd")
    captured(sandbox, student, payable_coach, reference="booking:2", mode="per_session", price=price)
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert books(ledger.coach_payable(payable_coach.pk)) == 4_000
    assert_agreed(sandbox)
