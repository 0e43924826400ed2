"""The Checkout page of a payment: opened, found again, and closed."""

import uuid
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction

from payments import gateway, operations
from payments.errors import CheckoutClosed, PaymentsUnavailable
from payments.gateway import GatewayError
from payments.models import Operation, Payment

log = structlog.get_logger(__name__)


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


def request_close(*, payment: Payment, now: datetime) -> None:
    """In the caller's transaction: the page is to be closed, by a worker. One that is closed already is left alone.

    A page that we do not know to be open is closed at its time (`close_overdue_pages`): nobody has its address.
    """
    if payment.status != Payment.Status.OPEN or not payment.checkout_session_id:
        return
    # Looked for first: to write down a second one is to wait for whoever records the answer to the first.
    closing = payment.operations.filter(kind=Operation.Kind.EXPIRE_CHECKOUT, state__in=Operation.OPEN_STATES)
    if closing.exists():
        return
    try:
        with transaction.atomic():
            operations.create(
                Operation.Kind.EXPIRE_CHECKOUT,
                params={"session": payment.checkout_session_id},
                payment=payment,
                now=now,
            )
    except IntegrityError:
        log.info("page_is_being_closed", payment=payment.pk)


def _page_address(payment: Payment) -> str:
    """Read each time: whoever has the address can pay by it, so it is kept nowhere."""
    try:
        session = gateway.retrieve_checkout_session(str(payment.checkout_session_id))
    except GatewayError as error:
        raise PaymentsUnavailable from error
    if session.status != "open" or not session.url:
        raise CheckoutClosed
    return session.url


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
