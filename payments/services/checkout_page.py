"""How a Checkout page is opened and closed at Stripe."""

from datetime import datetime, timedelta

import structlog

from payments import gateway, operations
from payments.gateway import GatewayError
from payments.models import Operation, Payment
from payments.operations import KindHandler
from payments.services.holds import record_checkout_expired
from payments.services.parameters import PAGE_LIFE
from payments.services.truth import Page, read_page, record_checkout
from payments.stripe_objects import SessionFacts

log = structlog.get_logger(__name__)

# A page that opens later than this is no use to the student. It is asked after once more at its end, when Stripe
# either returns it or refuses to make it.
OPEN_WITHIN = timedelta(minutes=5)


def _open(operation: Operation) -> SessionFacts:
    return gateway.create_checkout_session(params=operation.params, key=operation.idempotency_key)


def _find(operation: Operation) -> SessionFacts | None:
    return gateway.find_checkout_session(operation_id=str(operation.pk), customer=operation.params["customer"])


def _record_opened(operation: Operation, session: SessionFacts, now: datetime) -> str:  # noqa: ARG001  # the interface's
    unopened = Payment.objects.filter(operations=operation, checkout_session_id=None)
    unopened.update(checkout_session_id=session.id)
    return session.id


def _record_unopened(operation: Operation, error: GatewayError, now: datetime) -> None:
    log.error("checkout_refused", payment=operation.payment_id, code=error.code)
    record_checkout_expired(payment=Payment.objects.get(operations=operation), now=now)


def _reopen_at(operation: Operation, now: datetime) -> datetime:
    soon = operations.backoff(operation, now)
    if soon <= operation.created_at + OPEN_WITHIN:
        return soon
    return max(soon, operation.created_at + PAGE_LIFE)


def _close(operation: Operation) -> Page:
    session_id = operation.params["session"]
    try:
        session = gateway.expire_checkout_session(session_id, key=operation.idempotency_key)
    except GatewayError as error:
        if not error.permanent:
            raise
        # Closed already, by what the student did there or by its time.
        closed = _closed(session_id)
        if closed is None:
            raise
        return closed
    return Page(session, None, None)


def _closed(session_id: str) -> Page | None:
    try:
        page = read_page(session_id)
    except GatewayError as error:
        # That this read fails says nothing about the page: the same key brings the same answer again later.
        raise GatewayError("lost", error.code, error.message) from error
    return None if page.session.status == "open" else page


def _look_whether_closed(operation: Operation) -> Page | None:
    return _closed(operation.params["session"])


def _record_closed(operation: Operation, page: Page, now: datetime) -> str:
    record_checkout(payment=Payment.objects.get(operations=operation), page=page, now=now)
    return page.session.id


def _refuse_closing(operation: Operation, error: GatewayError, now: datetime) -> None:  # noqa: ARG001  # the interface's
    """The page is open and Stripe will not close it; it ends by itself ten minutes later, which the poller sees."""
    log.critical("checkout_stays_open", payment=operation.payment_id, code=error.code)


operations.register(Operation.Kind.CHECKOUT, KindHandler(_open, _find, _record_opened, _record_unopened, _reopen_at))
operations.register(
    Operation.Kind.EXPIRE_CHECKOUT, KindHandler(_close, _look_whether_closed, _record_closed, _refuse_closing)
)
