"""Opening a payment and its Checkout page, and closing the page."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from payments import gateway, operations, pricing, settlement
from payments.errors import CheckoutClosed, CoachNotPayable, PaymentsUnavailable
from payments.gateway import GatewayError
from payments.models import Operation, Payment, PayoutAccount, SettlementMode

# We close the page ourselves at its end; Stripe's own end comes later, and at least 30 minutes after creation.
PAGE_LIFE = timedelta(minutes=30)
STRIPE_PAGE_LIFE = timedelta(minutes=40)


def open_payment(
    *,
    reference: str,
    description: str,
    payer: User,
    coach: Coach,
    price: Money,
    service_ends_at: datetime,
    metadata: dict[str, str],
    return_url: str,
    cancel_url: str,
    now: datetime,
) -> Payment:
    """In the caller's transaction: the payment with price, fee and mode frozen, and the intent to open its page.

    The payer's customer must exist (`ensure_customer`). Addresses are absolute. Raises CoachNotPayable.
    """
    account = PayoutAccount.objects.filter(coach=coach).first()
    if account is None or not account.payable:
        raise CoachNotPayable
    quote = pricing.quote(price, settings.PLATFORM_FEE_BPS)
    per_session = account.settlement_mode == SettlementMode.PER_SESSION
    payment = Payment.objects.create(
        reference=reference,
        description=description,
        payer=payer,
        coach=coach,
        amount=price.amount,
        currency=price.currency,
        fee_bps=settings.PLATFORM_FEE_BPS,
        platform_fee=quote.platform_fee.amount,
        settlement_mode=account.settlement_mode,
        destination=account.stripe_account_id if per_session else "",
        service_ends_at=service_ends_at,
        created_at=now,
        checkout_ends_at=now + PAGE_LIFE,
    )
    operation_id = uuid.uuid4()
    operations.create_for_own_run(
        Operation.Kind.CHECKOUT,
        operation_id=operation_id,
        params=_session_params(
            payment=payment,
            operation_id=operation_id,
            metadata=metadata,
            return_url=return_url,
            cancel_url=cancel_url,
            now=now,
        ),
        payment=payment,
        now=now,
    )
    return payment


def start_checkout(*, payment: Payment, now: datetime) -> str:
    """Open the page at Stripe; returns its address. Network: call it after the commit of `open_payment`.

    Raises PaymentsUnavailable where Stripe can't be reached: the row stays, and is repaired or closed later.
    """
    operation = payment.operations.get(kind=Operation.Kind.CHECKOUT)
    operations.run_or_await(operation.pk, now=now)
    payment.refresh_from_db()
    if payment.status != Payment.Status.OPEN:
        raise PaymentsUnavailable("The payment page could not be opened. You have not been charged.")
    if not payment.checkout_session_id:
        raise PaymentsUnavailable
    return _page_address(payment)


def checkout_url(*, payment: Payment, now: datetime) -> str:
    """The address of a page that is still open, to continue paying. Network.

    Raises CheckoutClosed, and PaymentsUnavailable.
    """
    if payment.status != Payment.Status.OPEN or payment.checkout_ends_at is None or now >= payment.checkout_ends_at:
        raise CheckoutClosed
    return _page_address(payment) if payment.checkout_session_id else start_checkout(payment=payment, now=now)


def close_checkout(*, payment: Payment, now: datetime) -> None:
    """Close the page at Stripe, so that nobody can pay any more. Network: call it outside any transaction.

    What follows is a fact: CHECKOUT_EXPIRED, or HOLD_RECORDED where the student was faster. While Stripe can't
    be reached nothing follows: call again.
    """
    if payment.status != Payment.Status.OPEN:
        return
    if not payment.checkout_session_id:
        # Perhaps it was opened and we don't know. The same request tells: it returns the page that there is, or is
        # refused because its end has come too close, which proves that there is none.
        opening = payment.operations.get(kind=Operation.Kind.CHECKOUT)
        operations.run_or_await(opening.pk, now=now)
        payment.refresh_from_db()
    if payment.status == Payment.Status.OPEN and payment.checkout_session_id:
        operations.run_or_await(_write_down_closing(payment, now).pk, now=now)
        payment.refresh_from_db()


def _page_address(payment: Payment) -> str:
    """Read each time: whoever has the address can pay by it, so it is kept nowhere."""
    try:
        session = gateway.retrieve_checkout_session(str(payment.checkout_session_id))
    except GatewayError as error:
        raise PaymentsUnavailable from error
    if session.status != "open" or not session.url:
        raise CheckoutClosed
    return session.url


def _session_params(
    *,
    payment: Payment,
    operation_id: uuid.UUID,
    metadata: dict[str, str],
    return_url: str,
    cancel_url: str,
    now: datetime,
) -> dict[str, Any]:
    marks = {
        **metadata,
        "payment_id": str(payment.pk),
        "operation_id": str(operation_id),
        "session_type": "LIVE_SESSION",
    }
    price = {
        "currency": payment.currency,
        "unit_amount": payment.amount,
        "product_data": {"name": payment.description},
    }
    return {
        "mode": "payment",
        "customer": payment.payer.stripe_customer.stripe_customer_id,
        "client_reference_id": payment.reference,
        "line_items": [{"price_data": price, "quantity": 1}],
        # Only cards can be held; and only the price's own currency is what we hold.
        "payment_method_types": ["card"],
        "adaptive_pricing": {"enabled": False},
        "success_url": return_url,
        "cancel_url": cancel_url,
        "expires_at": int((now + STRIPE_PAGE_LIFE).timestamp()),
        "metadata": marks,
        "payment_intent_data": {
            "capture_method": "manual",
            "description": payment.description,
            "metadata": marks,
            **settlement.of(payment).checkout_params(payment),
        },
    }


def _write_down_closing(payment: Payment, now: datetime) -> Operation:
    try:
        with transaction.atomic():
            return operations.create_for_own_run(
                Operation.Kind.EXPIRE_CHECKOUT,
                operation_id=uuid.uuid4(),
                params={"session": payment.checkout_session_id},
                payment=payment,
                now=now,
            )
    except IntegrityError:
        # Another request was first: its operation is ours too.
        return payment.operations.filter(kind=Operation.Kind.EXPIRE_CHECKOUT).latest("created_at")
