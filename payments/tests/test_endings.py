"""Ends without money, in whatever state the payment is; pages whose time is over; and sessions nobody has paid for."""

from contextlib import suppress
from datetime import timedelta

import pytest
import requests

from marketplace import clock
from marketplace.lib.money import Money
from payments import ledger, operations, pollers, services
from payments.facts import Fact
from payments.models import Earning, LedgerTransaction, Operation, Payment, SettlementMode
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Kind = Operation.Kind
Status = Payment.Status


def work() -> None:
    for _ in range(2):
        operations.sweep(now=clock.now() + timedelta(seconds=1))


def page_at_stripe(sandbox, payment):
    return stage.at_stripe(sandbox, f"/v1/checkout/sessions/{payment.checkout_session_id}")["status"]


# --- given back ---------------------------------------------------------------------------------


def test_what_is_held_is_released_at_stripe(sandbox, held, heard):
    stage.give_back(held, clock.now())
    assert held.status == Status.RELEASING
    work()
    held.refresh_from_db()
    assert (held.status, heard[-1]) == (Status.RELEASED, (Fact.RELEASED, held.pk))


@pytest.mark.parametrize("status", [Status.SAVED, Status.REFUSED, Status.LOST])
def test_what_is_held_nowhere_is_over_at_once(status, sandbox, held):
    Payment.objects.update(status=status)
    asked = len(sandbox.get("/_sandbox/requests")["data"])
    stage.give_back(held, clock.now())
    work()
    held.refresh_from_db()
    assert (held.status, held.released_at is not None) == (Status.RELEASED, True)
    assert len(sandbox.get("/_sandbox/requests")["data"]) == asked


@pytest.mark.parametrize("status", [Status.AUTHORISING, Status.CAPTURING, Status.RELEASING, Status.RELEASED])
def test_what_is_on_its_way_is_left_to_come(status, held):
    Payment.objects.update(status=status)
    stage.give_back(held, clock.now())
    held.refresh_from_db()
    assert (held.status, Operation.objects.filter(kind__in=Operation.MONEY_KINDS).count()) == (status, 0)


def test_what_is_taken_is_set_aside_and_paid_out_to_nobody(held, caplog):
    stage.request_capture(held, clock.now())
    work()
    stage.give_back(held, clock.now())
    assert Earning.objects.get().frozen
    assert "captured_what_was_to_be_released" in caplog.text


def test_an_open_page_is_closed_by_a_worker(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    for _ in range(2):
        stage.give_back(payment, clock.now())
    assert (payment.status, page_at_stripe(sandbox, payment)) == (Status.OPEN, "open")
    work()
    payment.refresh_from_db()
    assert (payment.status, page_at_stripe(sandbox, payment)) == (Status.LAPSED, "expired")
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]
    assert stage.effects(sandbox, "/expire") == 1


def test_a_page_that_is_not_open_is_not_closed(held):
    services.request_close(payment=held, now=clock.now())
    assert not Operation.objects.filter(kind=Kind.EXPIRE_CHECKOUT).exists()


# --- pages whose time is over -------------------------------------------------------------------


@pytest.mark.parametrize("opening", [Payment.Opening.HOLD, Payment.Opening.SAVE])
def test_a_page_whose_time_is_over_is_closed_whatever_it_is_for(opening, sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach, opening=opening)
    sandbox.advance(30 * 60 - 60)
    assert pollers.close_overdue_pages(now=clock.now()) == 0
    assert page_at_stripe(sandbox, payment) == "open"
    sandbox.advance(61)
    assert pollers.close_overdue_pages(now=clock.now()) == 1
    payment.refresh_from_db()
    assert (payment.status, page_at_stripe(sandbox, payment)) == (Status.LAPSED, "expired")
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]
    assert pollers.close_overdue_pages(now=clock.now()) == 0


def test_a_page_that_we_never_heard_of_is_closed_at_its_end(sandbox, student, payable_coach, heard):
    """Its answer was lost, and the worker with it: the same request says what there is."""
    payment = stage.write_down_payment(student, payable_coach)
    stage.break_next(sandbox, "reset_after_effect", "/v1/checkout/sessions")
    operations.run_operation(payment.operations.get().pk, now=clock.now())
    services.request_close(payment=payment, now=clock.now())
    assert not Operation.objects.filter(kind=Kind.EXPIRE_CHECKOUT).exists()
    sandbox.advance(31 * 60)
    pollers.close_overdue_pages(now=clock.now())
    payment.refresh_from_db()
    assert (payment.status, page_at_stripe(sandbox, payment)) == (Status.LAPSED, "expired")
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]


def test_one_that_can_not_be_closed_keeps_no_other_waiting(sandbox, student, payable_coach, heard):
    first, second = (stage.open_page(student, payable_coach, reference=f"booking:{n}") for n in range(2))
    stage.break_next(sandbox, "respond", f"/v1/checkout/sessions/{first.checkout_session_id}/expire", status=503)
    sandbox.advance(31 * 60)
    assert pollers.close_overdue_pages(now=clock.now()) == 2
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == (Status.OPEN, Status.LAPSED)


@pytest.mark.parametrize("how", ["close_checkout", "request_close", "close_overdue_pages"])
def test_a_payment_on_a_link_that_is_being_closed_wins(how, sandbox, held, student, payable_coach, heard):
    """It was paid before its page is closed, so that it counts, and the old hold is given back."""
    link = stage.open_page(student, payable_coach, replaces=held)
    stage.pay(sandbox, link)
    if how == "close_overdue_pages":
        sandbox.advance(31 * 60)
        pollers.close_overdue_pages(now=clock.now())
    else:
        getattr(services, how)(payment=link, now=clock.now())
    work()
    link.refresh_from_db()
    held.refresh_from_db()
    assert (link.status, held.status) == (Status.HELD, Status.RELEASED)
    assert heard[1:] == [(Fact.HOLD_RECORDED, link.pk), (Fact.RELEASED, held.pk)]


@pytest.mark.faults
def test_paid_while_the_answer_of_the_closing_is_lost(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/checkout/sessions/*/expire")
    services.close_checkout(payment=payment, now=clock.now())
    stage.pay(sandbox, payment)
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    payment.refresh_from_db()
    assert (payment.status, heard) == (Status.HELD, [(Fact.HOLD_RECORDED, payment.pk)])


@pytest.mark.django_db(transaction=True)
def test_paying_and_closing_at_the_same_moment_is_one_or_the_other(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    paid = []

    def pay():
        with suppress(requests.HTTPError):  # the page was closed first
            stage.pay(sandbox, payment)
            paid.append(pay)

    stage.at_once([pay, lambda: services.close_checkout(payment=Payment.objects.get(), now=clock.now())])
    payment.refresh_from_db()
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    expected = (Status.HELD, Fact.HOLD_RECORDED) if paid else (Status.LAPSED, Fact.CHECKOUT_EXPIRED)
    assert (payment.status, heard) == (expected[0], [(expected[1], payment.pk)])


# --- nobody has paid ----------------------------------------------------------------------------


def balances(*codes):
    return [ledger.balance(code, "usd").amount for code in codes]


@pytest.fixture
def lost(sandbox, held):
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    services.refresh_payment(payment=held, now=clock.now())
    held.refresh_from_db()
    return held


def test_the_platform_pays_the_coach_once(lost):
    for _ in range(3):
        services.write_off(payment=lost, now=clock.now())
    assert lost.written_off_at is not None
    payable = ledger.coach_payable(lost.coach_id)
    assert balances("platform_losses", payable, "platform_revenue", "stripe_balance") == [8_000, -8_000, 0, 0]
    earning = Earning.objects.get()
    assert (earning.amount, earning.payment, earning.frozen) == (8_000, lost, False)
    assert earning.release_at == lost.service_ends_at + timedelta(days=7)
    assert LedgerTransaction.objects.get().kind == "write_off"
    assert ledger.check() == []


@pytest.mark.django_db(transaction=True)
def test_many_at_once_write_it_off_once(lost):
    stage.at_once([lambda: services.write_off(payment=Payment.objects.get(), now=clock.now())] * 5)
    assert Earning.objects.get().amount == 8_000
    assert ledger.check() == []


def test_another_attempt_to_pay_for_it_that_is_lost_too_is_not_written_off_again(lost):
    services.write_off(payment=lost, now=clock.now())
    later = stage.renew_hold(lost, clock.now())
    Payment.objects.filter(pk=later.pk).update(status=Status.LOST)
    services.write_off(payment=later, now=clock.now())
    assert (Earning.objects.count(), LedgerTransaction.objects.count()) == (1, 1)
    assert ledger.check() == []


@pytest.mark.parametrize("take", [False, True])
def test_what_is_paid_for_is_not_written_off(take, held, caplog):
    if take:
        stage.request_capture(held, clock.now())
        work()
    booked = LedgerTransaction.objects.count()
    services.write_off(payment=held, now=clock.now())
    held.refresh_from_db()
    assert (held.written_off_at, LedgerTransaction.objects.count()) == (None, booked)
    assert "paid_and_not_written_off" in caplog.text


def test_a_coach_who_gets_nothing_is_owed_nothing(lost):
    Payment.objects.update(platform_fee=10_000, fee_bps=10_000)
    lost.refresh_from_db()
    services.write_off(payment=lost, now=clock.now())
    assert (Earning.objects.count(), LedgerTransaction.objects.count(), ledger.check()) == (0, 0, [])


@pytest.mark.parametrize("mode", SettlementMode)
def test_who_pays_after_all_pays_the_platform(mode, sandbox, lost, student, payable_coach):
    """The coach has the money already, and does not get it twice."""
    services.choose_settlement_mode(coach=payable_coach, mode=mode, now=clock.now())
    link = stage.open_page(student, payable_coach, replaces=lost)
    services.write_off(payment=lost, now=clock.now())
    stage.pay(sandbox, link)
    services.refresh_payment(payment=link, now=clock.now())
    stage.request_capture(link, clock.now())
    work()
    link.refresh_from_db()
    assert link.status == Status.CAPTURED
    payable = ledger.coach_payable(lost.coach_id)
    assert balances("platform_losses", payable, "platform_revenue", "stripe_balance") == [0, -8_000, -2_000, 9_680]
    assert [(earning.amount, earning.payment) for earning in Earning.objects.all()] == [(8_000, lost)]
    assert ledger.check() == []


def test_it_is_at_most_the_part_that_is_paid_after_all(sandbox, lost, student, payable_coach):
    services.write_off(payment=lost, now=clock.now())
    link = stage.open_page(student, payable_coach, replaces=lost)
    stage.pay(sandbox, link)
    services.refresh_payment(payment=link, now=clock.now())
    stage.request_capture(link, clock.now(), amount=Money(5_000, "usd"))
    work()
    assert balances("platform_losses", "platform_revenue") == [4_000, -1_000]
    assert ledger.check() == []
