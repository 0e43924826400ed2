"""The platform pays itself what is really its own, and each cent of that is in the books, whoever has sent it."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, services
from payments.errors import NotStaff, ReasonNeeded
from payments.ledger import Line
from payments.models import LedgerTransaction, Payout, Refund
from payments.services import platform_payout
from payments.tests import bank, bankside, factories_books, money_back, stage
from payments.tests.bankside import DAY, PAYOUTS
from payments.tests.locks import on_postgresql, waiting
from payments.tests.platform_money import FEE, OWN, PRICE, SHARE, TOP_UP, ask, at_bank, funds, made, read

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("agreed_at_the_end")]

Status = Payout.Status

# --- what is the platform's ---------------------------------------------------------------------


def test_what_coaches_are_owed_is_not_the_platforms(earned: Coach) -> None:
    found = funds()
    assert found.at_stripe == Money(TOP_UP + PRICE - FEE, "usd")
    assert found.owed_to_coaches == Money(SHARE, "usd")
    assert found.payable == Money(OWN, "usd")


def test_what_is_frozen_or_not_released_counts_as_owed_too(earned: Coach) -> None:
    assert earned.earnings.filter(release_at__gt=clock.now()).exists()
    earned.earnings.update(frozen=True)
    assert funds().payable == Money(OWN, "usd")


@pytest.mark.usefixtures("disagrees")
def test_the_debt_of_one_coach_is_not_paid_from_what_another_earned(
    sandbox: Sandbox, student: User, earned: Coach, make_coach: Callable[[], Coach]
) -> None:
    before = funds()
    other = make_coach()
    payment = money_back.captured(sandbox, student, other, mode="per_session", reference="booking:2")
    sandbox.advance(3 * DAY)
    body = {"error": {"type": "invalid_request_error", "code": "balance_insufficient", "message": "No."}}
    stage.break_next(sandbox, "respond", "/v1/transfers/*/reversals", status=400, body=body)
    money_back.given_back(payment, PRICE)
    assert money_back.books(ledger.coach_payable(other.pk)) > 0
    assert funds().owed_to_coaches == before.owed_to_coaches


def test_what_is_still_pending_is_nobodys_yet(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    money_back.captured(sandbox, student, payable_coach)
    found = funds()
    assert found.at_stripe == Money(TOP_UP, "usd")
    assert found.payable == Money(TOP_UP - SHARE, "usd")


@pytest.mark.usefixtures("disagrees")
def test_what_is_pending_below_zero_will_be_taken_from_what_is_there(sandbox: Sandbox, earned: Coach) -> None:
    before = funds()
    sandbox.post("/_sandbox/balance", {"amount": -1_000, "available": False})
    assert funds().at_stripe == before.at_stripe - Money(1_000, "usd")
    assert funds().payable == Money(OWN - 1_000, "usd")


def test_a_refund_on_its_way_is_the_students(sandbox: Sandbox, student: User, earned: Coach, staff: User) -> None:
    payment = earned.payments.get()
    money_back.give_back(payment, PRICE, reason=Refund.Reason.GOODWILL, bearer=Refund.Bearer.PLATFORM)
    found = funds()
    assert found.owed_to_students == Money(PRICE, "usd")
    assert found.payable == Money(OWN - PRICE, "usd")
    money_back.sweep()
    assert funds().owed_to_students == Money(0, "usd")
    assert funds().payable == Money(OWN - PRICE, "usd")


def test_a_refund_that_waits_for_a_second_person_is_counted_too(earned: Coach, staff: User, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 100
    payment = earned.payments.get()
    facts = {"reason": Refund.Reason.GOODWILL, "bearer": Refund.Bearer.PLATFORM, "actor": staff}
    refund = money_back.give_back(payment, 1_000, **facts)
    assert refund.status == Refund.Status.TO_APPROVE
    assert funds().payable == Money(OWN - 1_000, "usd")


def test_what_an_inquiry_asks_about_may_be_lost(sandbox: Sandbox, earned: Coach) -> None:
    bank.disputed(sandbox, earned.payments.get(), inquiry=True)
    found = funds()
    assert found.in_dispute == Money(PRICE, "usd")
    assert found.payable == Money(OWN - PRICE, "usd")


def test_what_a_bank_has_taken_is_out_of_the_balance_and_not_counted_twice(sandbox: Sandbox, earned: Coach) -> None:
    bank.disputed(sandbox, earned.payments.get())
    found = funds()
    assert found.in_dispute == Money(0, "usd")
    assert found.at_stripe == Money(TOP_UP + PRICE - FEE - PRICE - 1_500, "usd")
    assert found.payable == found.at_stripe - found.owed_to_coaches


def test_what_nobody_has_explained_may_be_somebodys(earned: Coach) -> None:
    lines = [Line("platform_revenue", Money(1_000, "usd")), Line("suspense", Money(-1_000, "usd"))]
    ledger.post(kind="adjustment", reference="unexplained", lines=lines, now=clock.now())
    found = funds()
    assert found.unexplained == Money(1_000, "usd")
    assert found.payable == Money(OWN - 1_000, "usd")


def test_the_reserve_stays(earned: Coach, settings: Any) -> None:
    settings.PLATFORM_RESERVE = {"usd": 5_000, "eur": 1}
    assert funds().reserve == Money(5_000, "usd")
    assert funds().payable == Money(OWN - 5_000, "usd")


def test_there_is_never_less_than_nothing(earned: Coach, settings: Any) -> None:
    settings.PLATFORM_RESERVE = {"usd": 1_000_000}
    assert funds().payable == Money(0, "usd")
    assert funds("eur").payable == Money(0, "eur")


@pytest.mark.usefixtures("disagrees")
def test_what_the_books_do_not_know_of_may_be_a_coachs(sandbox: Sandbox, earned: Coach) -> None:
    bankside_money = {"amount": 90_000, "currency": "usd"}
    sandbox.post("/_sandbox/balance", bankside_money)
    assert funds().payable == Money(OWN, "usd")


def test_that_stripe_does_not_answer_is_said(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    stage.break_next(sandbox, "refuse", "/v1/balance", method="GET", times=0)
    with pytest.raises(services.PayoutsUnavailable):
        funds()
    with pytest.raises(services.PayoutsUnavailable):
        ask(finance)
    stage.mend(sandbox)
    assert made(sandbox) == []


# --- asking for it ------------------------------------------------------------------------------


def test_it_is_made_booked_and_written_down_with_its_reason(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    payout = ask(finance, reason="  Rent of October ")
    assert (payout.status, payout.money, payout.account) == (Status.PENDING, Money(OWN, "usd"), None)
    assert payout.requested_by == finance
    assert at_bank() == OWN
    booked = LedgerTransaction.objects.get(kind="platform_payout")
    assert booked.reference == payout.stripe_payout_id
    facts = read(payout)
    assert facts.balance_transaction is not None
    assert booked.occurred_at == facts.balance_transaction.created
    decision = StaffDecision.objects.get(decision="platform_payout")
    assert (decision.actor, decision.reason, decision.subject_id) == (finance, "Rent of October", str(payout.pk))
    assert decision.after == {"amount": OWN, "currency": "usd"}
    assert decision.before == {"payable": OWN, "currency": "usd"}
    assert funds().payable == Money(0, "usd")


@pytest.mark.parametrize("amount", [OWN + 1, TOP_UP + PRICE - FEE, 10**9])
def test_a_cent_more_than_its_own_is_refused(amount: int, sandbox: Sandbox, earned: Coach, finance: User) -> None:
    with pytest.raises(platform_payout.PlatformFundsTooLow, match=r"\$216\.80"):
        ask(finance, amount)
    assert made(sandbox) == []
    assert not Payout.objects.exists()
    assert not StaffDecision.objects.exists()


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_and_less_are_no_amounts(amount: int, earned: Coach, finance: User) -> None:
    with pytest.raises(services.PayoutAmountWrong):
        ask(finance, amount)


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_a_reason_is_needed(reason: str, sandbox: Sandbox, earned: Coach, finance: User) -> None:
    with pytest.raises(ReasonNeeded):
        ask(finance, reason=reason)
    assert made(sandbox) == []


def test_only_those_with_the_right_may_ask(sandbox: Sandbox, earned: Coach, student: User, finance: User) -> None:
    support = UserFactory.create(is_staff=True)
    support.groups.add(Group.objects.get(name="support"))
    dismissed = UserFactory.create(is_staff=True, is_superuser=True)
    User.objects.filter(pk=dismissed.pk).update(is_active=False)
    for actor in (student, earned.user, support, dismissed):
        with pytest.raises(NotStaff):
            ask(actor)
    assert made(sandbox) == []


@pytest.mark.usefixtures("disagrees")
def test_while_the_books_are_out_of_balance_nothing_leaves(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    factories_books.post_test_imbalance()
    with pytest.raises(platform_payout.BooksDisagree):
        ask(finance, 1)
    assert made(sandbox) == []


def test_what_stripe_refuses_is_said_and_nothing_is_booked(sandbox: Sandbox, earned: Coach, finance: User) -> None:
    body = {"error": {"type": "invalid_request_error", "code": "balance_insufficient", "message": "No."}}
    stage.break_next(sandbox, "respond", PAYOUTS, status=400, body=body)
    with pytest.raises(services.PayoutRefused, match="not that much"):
        ask(finance)
    assert Payout.objects.get().status == Status.REFUSED
    assert at_bank() == 0
    assert funds().payable == Money(OWN, "usd")


def test_an_answer_that_comes_late_does_not_make_a_new_wish_an_old_click(
    sandbox: Sandbox, earned: Coach, finance: User
) -> None:
    stage.break_next(sandbox, "reset_after_effect", PAYOUTS)
    first = ask(finance, 5_000)
    sandbox.advance(300)
    bankside.sweep()
    assert ask(finance, 5_000).pk != first.pk
    assert made(sandbox) == [5_000, 5_000]


@pytest.mark.parametrize("fault", ["reset_after_effect", "reset_before_effect"])
def test_while_the_answer_is_lost_it_counts_as_gone(fault: str, sandbox: Sandbox, earned: Coach, finance: User) -> None:
    stage.break_next(sandbox, fault, PAYOUTS)
    assert ask(finance, 20_000).status == Status.REQUESTED
    assert funds().on_its_way == Money(20_000, "usd")
    assert funds().payable <= Money(OWN - 20_000, "usd")
    with pytest.raises(platform_payout.PlatformFundsTooLow):
        ask(finance, 2_000)
    bankside.sweep(timedelta(minutes=2))
    assert made(sandbox) == [20_000]
    assert at_bank() == 20_000
    assert funds().payable == Money(OWN - 20_000, "usd")


@pytest.mark.django_db(transaction=True)
def test_two_people_at_once_do_not_both_take_it(sandbox: Sandbox, earned: Coach, finance: User, staff: User) -> None:
    # All have looked into the books before the first one writes anything down.
    stage.break_next(sandbox, "delay_before", "/v1/balance", method="GET", delay_ms=60_000, times=4)
    refused: list[str] = []

    def click(actor: User, amount: int) -> Callable[[], None]:
        def act() -> None:
            try:
                ask(actor, amount)
            except DomainError as error:
                refused.append(error.code)

        return act

    # Either alone would be within what is the platform's; so would two small ones, but nobody has seen those.
    clicks = [click(finance, OWN), click(staff, OWN), click(finance, 100), click(staff, 100)]
    stage.at_once([*clicks, lambda: stage.let_go(sandbox, when=lambda: stage.hits(sandbox) == 4)])
    assert len(made(sandbox)) == 1
    assert len(refused) == 3
    assert set(refused) <= {"platform_funds_changed", "platform_funds_too_low"}
    assert StaffDecision.objects.filter(decision="platform_payout").count() == 1


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_who_comes_between_anothers_second_look_and_their_payout_waits_for_it(
    sandbox: Sandbox, earned: Coach, finance: User, staff: User
) -> None:
    """Each alone is within what is the platform's, both together are not; and Stripe would have paid both."""
    amount = OWN // 2 + 1_000
    assert OWN < 2 * amount < funds().at_stripe.amount
    told: list[str] = []

    def click(actor: User) -> None:
        try:
            told.append(ask(actor, amount).status)
        except DomainError as error:
            told.append(error.code)

    clicks = [threading.Thread(target=stage.apart, args=(partial(click, actor),)) for actor in (finance, staff)]
    with transaction.atomic(), connection.cursor() as cursor:
        # Payouts can be read and not written, so that the first stops after its second look, its answer decided.
        cursor.execute("LOCK TABLE payments_payout IN SHARE MODE")
        for each in clicks:
            each.start()
        stage.await_that(lambda: waiting() == 2)
    for each in clicks:
        each.join()
    assert sorted(told) == [Status.PENDING, "platform_funds_changed"]
    assert made(sandbox) == [amount]
    assert StaffDecision.objects.filter(decision="platform_payout").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_run_at_the_same_moment_is_never_short_of_what_coaches_are_owed(
    sandbox: Sandbox, student: User, earned: Coach, finance: User
) -> None:
    """Pending money of another session would hide a shortfall from whoever looked at sums alone."""
    money_back.captured(sandbox, student, earned, reference="booking:2")
    available_now = gateway.read_balance("").available["usd"]

    def greedy() -> None:
        with suppress(DomainError):
            ask(finance, available_now - 2 * SHARE + 1)
        with suppress(DomainError):
            ask(finance, available_now - 2 * SHARE)

    stage.at_once([greedy, greedy])
    bankside.sweep(timedelta(minutes=2))
    assert sum(made(sandbox)) == available_now - 2 * SHARE
    run = money_back.pay_month(sandbox)
    assert set(run.lines.values_list("status", flat=True)) == {"paid"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("disagrees")
def test_money_that_leaves_between_the_two_looks_is_not_paid_out_twice(
    sandbox: Sandbox, student: User, earned: Coach, finance: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transfer after Stripe was asked, booked before the second look: the first look still counts it as owed."""
    money_back.captured(sandbox, student, earned, reference="booking:2")
    look = platform_payout._at_stripe  # the moment between the two looks

    def look_and_then_pay_coaches(currency: str) -> int:
        seen = look(currency)
        monkeypatch.undo()
        money_back.pay_month(sandbox)
        return seen

    free = funds().payable.amount
    monkeypatch.setattr(platform_payout, "_at_stripe", look_and_then_pay_coaches)
    with pytest.raises(platform_payout.PlatformFundsTooLow):
        ask(finance, free + 1)
    assert made(sandbox) == []
