"""The page: what Stripe is asked for, and how it is closed without losing a payment."""

from contextlib import suppress
from datetime import timedelta

import pytest

from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from payments import services
from payments.facts import Fact
from payments.models import Customer, Operation, Payment, PayoutAccount, SettlementMode
from payments.tests import stage

pytestmark = pytest.mark.django_db

Status = Payment.Status


def last_session_params(sandbox):
    return stage.calls(sandbox, "/v1/checkout/sessions")[-1]["params"]


# --- opening ------------------------------------------------------------------------------------


def test_it_asks_for_a_hold_on_a_card_and_marks_it_as_ours(sandbox, student, payable_coach):
    payment = stage.open_page(student, payable_coach)
    params = last_session_params(sandbox)
    operation = Operation.objects.get(kind=Operation.Kind.CHECKOUT)
    marks = {
        "booking_id": "1",
        "payment_id": str(payment.pk),
        "operation_id": str(operation.pk),
        "session_type": "LIVE_SESSION",
    }
    assert params["payment_intent_data"]["capture_method"] == "manual"
    assert params["payment_intent_data"]["metadata"] == params["metadata"] == marks
    assert params["payment_intent_data"]["transfer_group"] == "booking:1"
    assert "application_fee_amount" not in params["payment_intent_data"]
    assert params["client_reference_id"] == "booking:1"
    assert params["payment_method_types"] == ["card"]
    assert params["customer"] == Customer.objects.get(user=student).stripe_customer_id
    assert int(params["expires_at"]) == int((payment.created_at + timedelta(minutes=40)).timestamp())
    assert (payment.status, payment.platform_fee) == (Status.OPEN, 2_000)
    assert payment.checkout_ends_at == payment.created_at + timedelta(minutes=30)


def test_per_session_sends_the_coachs_share_with_the_capture(sandbox, student, payable_coach):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = stage.open_page(student, payable_coach)
    data = last_session_params(sandbox)["payment_intent_data"]
    account = PayoutAccount.objects.get()
    assert data["transfer_data"] == {"destination": account.stripe_account_id}
    assert int(data["application_fee_amount"]) == 2_000
    assert "transfer_group" not in data
    assert payment.destination == account.stripe_account_id


def test_a_change_of_mode_counts_for_new_payments_only(sandbox, student, payable_coach):
    payment = stage.open_page(student, payable_coach)
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment.refresh_from_db()
    assert (payment.settlement_mode, payment.destination) == (SettlementMode.MONTHLY, "")


def test_a_coach_who_cant_be_paid_cant_be_paid_for(sandbox, student, coach):
    stage.onboard(sandbox, coach, outcome="pending")
    with pytest.raises(services.CoachNotPayable):
        stage.write_down_payment(student, coach)
    assert Payment.objects.count() == 0


def test_nothing_is_sent_before_the_commit(sandbox, student, payable_coach):
    stage.write_down_payment(student, payable_coach)
    assert stage.calls(sandbox, "/v1/checkout/sessions") == []


def test_stripe_being_down_tells_the_student_and_charges_nothing(sandbox, student, payable_coach, heard):
    payment = stage.write_down_payment(student, payable_coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/checkout/sessions")
    with pytest.raises(services.PaymentsUnavailable) as failure:
        services.start_checkout(payment=payment, now=clock.now())
    assert (failure.value.code, failure.value.status) == ("payments_unavailable", 503)
    payment.refresh_from_db()
    assert (payment.status, payment.checkout_session_id) == (Status.OPEN, None)
    assert heard == []
    assert services.checkout_url(payment=payment, now=clock.now()).startswith(sandbox.url)
    assert stage.effects(sandbox, "/v1/checkout/sessions") == 1


def test_a_second_click_leads_to_the_same_page(sandbox, student, payable_coach):
    payment = stage.write_down_payment(student, payable_coach)
    first = services.start_checkout(payment=payment, now=clock.now())
    assert services.start_checkout(payment=payment, now=clock.now()) == first
    assert services.checkout_url(payment=payment, now=clock.now()) == first
    assert stage.effects(sandbox, "/v1/checkout/sessions") == 1


def test_the_address_is_kept_nowhere(sandbox, student, payable_coach, caplog):
    payment = stage.write_down_payment(student, payable_coach)
    address = services.start_checkout(payment=payment, now=clock.now())
    assert address not in str(list(Operation.objects.values()) + list(Payment.objects.values()))
    assert address not in caplog.text


# --- closing ------------------------------------------------------------------------------------


def test_closing_ends_the_page_at_stripe_first(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    services.close_checkout(payment=payment, now=clock.now())
    assert payment.status == Status.LAPSED
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]
    session = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{payment.checkout_session_id}")
    assert session["status"] == "expired"


def test_closing_a_page_that_was_paid_records_the_hold(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    services.close_checkout(payment=payment, now=clock.now())
    assert payment.status == Status.HELD
    assert heard == [(Fact.HOLD_RECORDED, payment.pk)]


def test_while_stripe_is_down_a_page_is_not_believed_closed(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/checkout/sessions/*/expire")
    services.close_checkout(payment=payment, now=clock.now())
    assert (payment.status, heard) == (Status.OPEN, [])
    services.close_checkout(payment=payment, now=clock.now())
    assert (payment.status, heard) == (Status.LAPSED, [(Fact.CHECKOUT_EXPIRED, payment.pk)])


def test_a_page_we_never_heard_of_is_found_and_closed(sandbox, student, payable_coach, heard):
    """Its answer was lost, and the sweeper did not come by: the same request returns it."""
    payment = stage.write_down_payment(student, payable_coach)
    stage.break_next(sandbox, "reset_after_effect", "/v1/checkout/sessions")
    with suppress(DomainError):
        services.start_checkout(payment=payment, now=clock.now())
    sandbox.advance(30 * 60)
    services.close_checkout(payment=payment, now=clock.now())
    assert (payment.status, heard) == (Status.LAPSED, [(Fact.CHECKOUT_EXPIRED, payment.pk)])
    assert stage.effects(sandbox, "/v1/checkout/sessions") == 2  # opened once, expired once
    session = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{payment.checkout_session_id}")
    assert session["status"] == "expired"


def test_a_page_that_never_was_is_proven_absent_at_its_end(sandbox, student, payable_coach, heard):
    payment = stage.write_down_payment(student, payable_coach)
    stage.break_next(sandbox, "reset_before_effect", "/v1/checkout/sessions")
    with suppress(DomainError):
        services.start_checkout(payment=payment, now=clock.now())
    sandbox.advance(30 * 60)
    services.close_checkout(payment=payment, now=clock.now())
    assert (payment.status, heard) == (Status.LAPSED, [(Fact.CHECKOUT_EXPIRED, payment.pk)])
    assert stage.effects(sandbox, "/v1/checkout/sessions") == 0


def test_a_closed_page_is_not_continued(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    assert payment.checkout_ends_at is not None
    with pytest.raises(services.CheckoutClosed):
        services.checkout_url(payment=payment, now=payment.checkout_ends_at)
    services.close_checkout(payment=payment, now=clock.now())
    with pytest.raises(services.CheckoutClosed):
        services.checkout_url(payment=payment, now=clock.now())


def test_closing_twice_says_it_once(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    again = Payment.objects.get(pk=payment.pk)
    services.close_checkout(payment=payment, now=clock.now())
    services.close_checkout(payment=again, now=clock.now())
    assert heard == [(Fact.CHECKOUT_EXPIRED, payment.pk)]


# --- customers ----------------------------------------------------------------------------------


def test_a_person_has_one_customer(sandbox, student):
    first = services.ensure_customer(user=student, now=clock.now())
    assert services.ensure_customer(user=student, now=clock.now()) == first
    assert stage.effects(sandbox, "/v1/customers") == 1


@pytest.mark.django_db(transaction=True)
def test_however_many_ask_at_once_one_customer_is_made(sandbox, student):

    stage.break_next(sandbox, "delay_before", "/v1/customers", delay_ms=300)
    made = []
    stage.at_once([lambda: made.append(services.ensure_customer(user=student, now=clock.now()).pk)] * 4)
    assert len(made) == 4
    assert len(set(made)) == 1
    assert stage.effects(sandbox, "/v1/customers") == 1


def test_jpy_has_no_decimals(sandbox, student, payable_coach):
    payment = stage.open_page(student, payable_coach, price=Money(5_005, "jpy"))
    price = last_session_params(sandbox)["line_items"][0]["price_data"]
    assert (price["currency"], int(price["unit_amount"])) == ("jpy", 5_005)
    assert payment.platform_fee == 1_001
