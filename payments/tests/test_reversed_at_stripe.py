"""Somebody takes money back from a coach in Stripe's dashboard: it is in the books, and no run pays it by itself."""

from functools import partial
from typing import Any

import pytest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from payments import earnings, gateway, payouts, services
from payments.errors import NotStaff, OwnMoney, StripeMismatchError
from payments.models import Earning, LedgerTransaction, Payment, PayoutLine, Reversal, Transfer
from payments.reconcile import KINDS, open_differences
from payments.services import reversed_at_stripe
from payments.services.corrections import entry_of
from payments.story import story_of
from payments.tests import bank, stage
from payments.tests.correcting import COACH, approve, compare, of_finance, propose
from payments.tests.money_back import assert_agreed, at_coach, books, captured, fund, given_back, pay_month

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


@pytest.fixture
def staff(db: Any) -> User:
    return User.objects.create_user("finance@example.com", name="Fin", is_staff=True)


@pytest.fixture
def paid(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Transfer:
    """Two sessions of 100.00 each, and both shares with the coach by one transfer."""
    captured(sandbox, student, payable_coach)
    captured(sandbox, student, payable_coach, reference="booking:2")
    bank.days_later(sandbox, 5)
    pay_month(sandbox)
    return Transfer.objects.get()


def reverse_at_stripe(sandbox: Sandbox, transfer: Transfer, amount: int) -> str:
    return str(
        stage.post_at_stripe(sandbox, f"/v1/transfers/{transfer.stripe_transfer_id}/reversals", {"amount": amount})[
            "id"
        ]
    )


def hear_of(transfer: Transfer) -> None:
    services.record_reversals(transfer=transfer, now=clock.now())


def next_month(sandbox: Sandbox) -> None:
    end = payouts.end_of(clock.now().strftime("%Y-%m"))
    sandbox.advance(int((end - sandbox.now()).total_seconds()) + 5)
    payouts.run_due(clock.now())


def test_it_is_booked_once_and_waits(sandbox: Sandbox, paid: Transfer, payable_coach: Coach) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    for _ in range(3):
        hear_of(paid)
    next_month(sandbox)

    reversal = Reversal.objects.get()
    assert (reversal.amount, reversal.status, reversal.refund, reversal.dispute) == (3_000, "at_stripe", None, None)
    assert PayoutLine.objects.count() == 1
    assert books(f"coach_payable:{payable_coach.pk}") == -3_000
    assert at_coach(sandbox, payable_coach, "usd") == 13_000
    paid.refresh_from_db()
    assert paid.reversed_amount == 3_000
    assert_agreed(sandbox)


def test_of_what_paid_a_correction_alone_it_is_kept_with_the_latest_payment(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach
) -> None:
    ada, bo = of_finance("Ada"), of_finance("Bo")
    approve(propose(ada, amount=-5_000, to_account=COACH, coach=payable_coach), bo)
    next_month(sandbox)
    of_correction = Transfer.objects.exclude(pk=paid.pk).get()
    reverse_at_stripe(sandbox, of_correction, 2_000)
    hear_of(of_correction)
    kept_with = Earning.objects.get(kind="reversed").paid_for
    assert kept_with == payable_coach.payments.latest("pk")
    assert books(f"coach_payable:{payable_coach.pk}") == -2_000
    assert_agreed(sandbox)


def test_what_is_kept_of_a_correction_is_of_no_session(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User
) -> None:
    """That session's refunds and disputes charge the coach as ever."""
    ada, bo = of_finance("Ada"), of_finance("Bo")
    approve(propose(ada, amount=-5_000, to_account=COACH, coach=payable_coach), bo)
    next_month(sandbox)
    of_correction = Transfer.objects.exclude(pk=paid.pk).get()
    reverse_at_stripe(sandbox, of_correction, 2_000)
    hear_of(of_correction)
    latest = payable_coach.payments.latest("pk")
    Earning.objects.create(
        payment=latest, coach=payable_coach, kind="taken_back", amount=-500, currency="usd", release_at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip

    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Not theirs.", now=clock.now())

    latest.refresh_from_db()
    assert latest.kept_amount == 0
    assert (books("platform_losses"), books(f"coach_payable:{payable_coach.pk}")) == (3_000, 0)


@pytest.fixture
def corrected(sandbox: Sandbox, payable_coach: Coach) -> Transfer:
    """Nobody has ever paid for a session of this coach: 50.00 were owed to them by a correction, and are paid."""
    fund(sandbox, "usd")
    approve(propose(of_finance("Ada"), amount=-5_000, to_account=COACH, coach=payable_coach), of_finance("Bo"))
    next_month(sandbox)
    return Transfer.objects.get()


def test_of_a_coach_without_any_payment_it_is_booked_on_suspense_and_shown(
    sandbox: Sandbox, corrected: Transfer, payable_coach: Coach
) -> None:
    reverse_at_stripe(sandbox, corrected, 2_000)
    reverse_at_stripe(sandbox, corrected, 1_000)
    for _ in range(2):
        hear_of(corrected)
        compare()

    assert list(Reversal.objects.order_by("pk").values_list("amount", "status")) == [(2_000, "done"), (1_000, "done")]
    assert (books("suspense"), books(f"coach_payable:{payable_coach.pk}")) == (-3_000, 0)
    assert_agreed(sandbox)
    shown = open_differences().values_list("code", "object_type", "coach", "ours__reference")
    assert sorted(shown) == sorted(
        ("reversed_without_session", "balance_transaction", payable_coach.pk, reversal.stripe_reversal_id)
        for reversal in Reversal.objects.all()
    )
    assert "suspense" in KINDS["reversed_without_session"].what_to_do


def test_from_suspense_two_people_have_it_paid_again(
    sandbox: Sandbox, corrected: Transfer, payable_coach: Coach
) -> None:
    reverse_at_stripe(sandbox, corrected, 2_000)
    hear_of(corrected)
    compare()
    [difference] = open_differences()
    entry = entry_of(difference)
    assert entry is not None
    proposal = propose(
        of_finance("Cy"), amount=-2_000, clears=entry, to_account=COACH, coach=payable_coach, difference=difference
    )
    approve(proposal, of_finance("Di"))
    next_month(sandbox)
    compare()

    assert list(open_differences()) == []
    assert at_coach(sandbox, payable_coach, "usd") == 5_000
    assert (books("suspense"), books(f"coach_payable:{payable_coach.pk}")) == (0, 0)
    assert_agreed(sandbox)


def test_one_that_can_not_be_recorded_keeps_no_other_of_the_same_transfer(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach
) -> None:
    older = reverse_at_stripe(sandbox, paid, 3_000)
    reverse_at_stripe(sandbox, paid, 1_000)
    sandbox.post(f"/_sandbox/objects/{older}/tamper", {"set": {"currency": "eur"}})
    with pytest.raises(StripeMismatchError, match=older):
        hear_of(paid)
    assert [reversal.amount for reversal in Reversal.objects.all()] == [1_000]
    assert books(f"coach_payable:{payable_coach.pk}") == -1_000


@pytest.mark.django_db(transaction=True)
def test_two_that_report_it_at_once_without_any_payment_book_it_once(sandbox: Sandbox, corrected: Transfer) -> None:
    reverse_at_stripe(sandbox, corrected, 2_000)
    [facts] = gateway.list_reversals(corrected.stripe_transfer_id)
    record = partial(services.record_any_reversal, transfer=corrected, facts=facts, now=clock.now())
    stage.at_once([record, record])
    assert LedgerTransaction.objects.filter(kind="reversal").count() == 1
    assert Transfer.objects.get().reversed_amount == 2_000


@pytest.mark.django_db(transaction=True)
def test_two_that_report_it_at_once_book_it_once(sandbox: Sandbox, paid: Transfer) -> None:
    reverse_at_stripe(sandbox, paid, 16_000)
    [facts] = gateway.list_reversals(paid.stripe_transfer_id)
    record = partial(services.record_any_reversal, transfer=paid, facts=facts, now=clock.now())
    stage.at_once([record, record])
    assert LedgerTransaction.objects.filter(kind="reversal").count() == 1
    assert Earning.objects.filter(kind="reversed").count() == 1


def test_finance_has_it_paid_again(sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    reversed_at_stripe.pay_again(reversal=Reversal.objects.get(), actor=staff, reason="It was a slip.", now=clock.now())
    next_month(sandbox)

    line = PayoutLine.objects.latest("pk")
    assert (line.amount, line.status) == (3_000, "paid")
    assert at_coach(sandbox, payable_coach, "usd") == 16_000
    assert books(f"coach_payable:{payable_coach.pk}") == 0
    decision = StaffDecision.objects.get()
    assert (decision.decision, decision.reason, decision.actor) == ("reversal_paid_again", "It was a slip.", staff)
    assert_agreed(sandbox)


def test_the_story_still_tells_of_it_after_it_was_paid_again(sandbox: Sandbox, paid: Transfer, staff: User) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    payment = Earning.objects.get(kind="reversed").paid_for
    reversed_at_stripe.pay_again(reversal=Reversal.objects.get(), actor=staff, reason="It was a slip.", now=clock.now())
    [step] = [step for step in story_of(payment).steps if step.row == Reversal.objects.get()]
    assert (step.title, step.fact) == (
        "From the coach's account: fetched back",
        LedgerTransaction.objects.get(kind="reversal"),
    )


def test_it_stays_frozen_with_the_session(sandbox: Sandbox, paid: Transfer, staff: User) -> None:
    """A question about it is open: what was fetched back before is frozen, and so is what is taken back now."""
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    services.freeze_earnings(payment=Earning.objects.get(kind="reversed").paid_for)
    reverse_at_stripe(sandbox, paid, 1_000)
    hear_of(paid)
    for reversal in Reversal.objects.all():
        reversed_at_stripe.pay_again(reversal=reversal, actor=staff, reason="It was a slip.", now=clock.now())
    next_month(sandbox)
    assert PayoutLine.objects.count() == 1


def test_finance_keeps_it(sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid by mistake.", now=clock.now())
    next_month(sandbox)

    assert PayoutLine.objects.count() == 1
    assert books(f"coach_payable:{payable_coach.pk}") == 0
    assert books("platform_losses") == -3_000
    assert_agreed(sandbox)


@pytest.mark.parametrize("second", [reversed_at_stripe.keep, reversed_at_stripe.pay_again])
def test_it_is_decided_once(sandbox: Sandbox, paid: Transfer, staff: User, second: Any) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    reversal = Reversal.objects.get()
    reversed_at_stripe.keep(reversal=reversal, actor=staff, reason="Paid by mistake.", now=clock.now())
    with pytest.raises(services.ReversalDecided):
        second(reversal=reversal, actor=staff, reason="Again.", now=clock.now())
    assert StaffDecision.objects.count() == 1
    assert books("platform_losses") == -3_000


@pytest.mark.parametrize("decide", [reversed_at_stripe.keep, reversed_at_stripe.pay_again])
def test_nobody_decides_about_their_own_money_or_without_being_staff_still(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User, decide: Any
) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    decide_now = partial(decide, reversal=Reversal.objects.get(), reason="It is mine.", now=clock.now())
    User.objects.filter(pk=payable_coach.user_id).update(is_staff=True)
    with pytest.raises(OwnMoney):
        decide_now(actor=payable_coach.user)
    User.objects.filter(pk=staff.pk).update(is_active=False)
    with pytest.raises(NotStaff):
        decide_now(actor=staff)
    assert Reversal.objects.get().status == Reversal.Status.AT_STRIPE
    assert books(f"coach_payable:{payable_coach.pk}") == -3_000


def test_a_refund_afterwards_fetches_back_what_is_left(sandbox: Sandbox, paid: Transfer, payable_coach: Coach) -> None:
    """8,000 of the first session's share are gone from the coach, 8,000 of the second are there: those are fetched."""
    reverse_at_stripe(sandbox, paid, 8_000)
    hear_of(paid)
    given_back(Payment.objects.get(reference="booking:1"), 10_000)

    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert books(f"coach_payable:{payable_coach.pk}") == -8_000
    assert_agreed(sandbox)


def test_what_was_kept_is_not_asked_for_again_by_a_refund(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User
) -> None:
    """5,000 of the share of 8,000 are kept: of a refund of the whole the coach bears the other 3,000."""
    reverse_at_stripe(sandbox, paid, 5_000)
    hear_of(paid)
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid by mistake.", now=clock.now())
    refund = given_back(Payment.objects.get(reference="booking:1"), 10_000)

    assert (refund.coach_part, refund.fee_part, refund.loss_part) == (3_000, 2_000, 5_000)
    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    assert books(f"coach_payable:{payable_coach.pk}") == 0
    assert books("platform_losses") == 0
    assert_agreed(sandbox)


def test_what_was_kept_is_not_asked_for_again_by_a_lost_dispute(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User
) -> None:
    reverse_at_stripe(sandbox, paid, 8_000)
    hear_of(paid)
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid by mistake.", now=clock.now())
    bank.decide(sandbox, bank.disputed(sandbox, Payment.objects.get(reference="booking:1")), "lost")

    assert at_coach(sandbox, payable_coach, "usd") == 8_000
    assert books(f"coach_payable:{payable_coach.pk}") == 0
    assert_agreed(sandbox)


@pytest.mark.parametrize(("refunded", "owed", "kept"), [(2_500, 2_000, 6_000), (10_000, 8_000, 0)])
def test_what_is_kept_meets_the_debt_for_a_refund_first(
    sandbox: Sandbox,
    student: User,
    payable_coach: Coach,
    heard: list[Any],
    staff: User,
    refunded: int,
    owed: int,
    kept: int,
) -> None:
    """Nothing is left to be fetched back: the coach owes their part of the refund. It is not taken from them twice."""
    payment = captured(sandbox, student, payable_coach, mode="per_session")
    bank.days_later(sandbox, 5)
    transfer = Transfer.objects.get()
    reverse_at_stripe(sandbox, transfer, 8_000)
    hear_of(transfer)
    given_back(payment, refunded)
    assert Earning.objects.get(kind="taken_back").amount == -owed
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid by mistake.", now=clock.now())
    next_month(sandbox)

    assert books("platform_losses") == -kept
    assert books(f"coach_payable:{payable_coach.pk}") == 0
    assert Earning.objects.get(kind="reversed", reversal=None).amount == owed
    assert at_coach(sandbox, payable_coach, "usd") == 0
    assert PayoutLine.objects.count() == 0
    assert_agreed(sandbox)


def test_what_moved_with_a_capture_comes_back_the_same_way(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    captured(sandbox, student, payable_coach, mode="per_session")
    bank.days_later(sandbox, 5)
    transfer = Transfer.objects.get()
    reverse_at_stripe(sandbox, transfer, 5_000)
    hear_of(transfer)

    assert Earning.objects.get().payment == transfer.payment
    assert books(f"coach_payable:{payable_coach.pk}") == -5_000
    assert_agreed(sandbox)


def test_the_coach_sees_it_with_the_session(
    sandbox: Sandbox, paid: Transfer, payable_coach: Coach, staff: User
) -> None:
    reverse_at_stripe(sandbox, paid, 3_000)
    hear_of(paid)
    assert _last_step() == ("Taken back from your Stripe account", "now", "$30.00", "We are looking into it.")
    reversed_at_stripe.keep(reversal=Reversal.objects.get(), actor=staff, reason="Paid by mistake.", now=clock.now())
    assert _last_step() == ("Taken back from your Stripe account", "done", "$30.00", "It was paid to you by mistake.")


def _last_step() -> tuple[str, str, str, str]:
    payment = Earning.objects.get(kind="reversed").paid_for
    step = earnings.share_timeline(payment, clock.now())[-1]
    return step.label, step.state, str(step.money), step.detail
