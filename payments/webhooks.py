"""What stored events do. An event is a hint: the object is read from Stripe, and one `record_*` says what is new.

So duplicates, any order, and no events at all end in the same state. A row is worked by whoever holds its
lease; what can't be worked yet comes round again, and what can't be worked at all is parked for staff.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, Q

from marketplace import clock
from payments import gateway, marks, payouts, services
from payments.errors import NotYetError, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Operation, Payment, PayoutAccount, PayoutLine, StripeEvent, Transfer
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

State = StripeEvent.State

# A handler makes at most three reads, each repeated once at most and 13 s long. Wall time.
LEASE = timedelta(seconds=120)
# An event may come before the commit that makes its object known to us.
UNKNOWN_FOR = timedelta(hours=1)
# What Stripe would not answer for this long is for staff to see.
UNANSWERED_FOR = timedelta(days=3)
BUGS_BEFORE_PARKING = 8
LONGEST_DELAY_SECONDS = 300
KEEP_PAYLOAD = timedelta(days=30)


class NotOursError(Exception):
    """The event is not about anything of ours: set aside, with the reason."""


class UnknownObjectError(Exception):
    """The object bears our marks, but we don't know it: perhaps not yet."""


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event as its handler sees it; `object` is the object at the time of the event."""

    id: str
    type: str
    account: str
    object: Mapping[str, Any]


Handler = Callable[[Event, datetime], None]


# --- handlers: the platform's own objects -------------------------------------------------------


def on_checkout_session(event: Event, now: datetime) -> None:
    payment = _payment_of_marks(_metadata(event.object))
    page = services.read_page(str(event.object["id"]))
    if payment.checkout_session_id not in (None, page.session.id):
        raise StripeMismatchError(f"{page.session.id} is not the page of {payment}.")
    services.record_checkout(payment=payment, page=page, now=now)


def on_setup_intent(event: Event, now: datetime) -> None:
    payment = _payment_of_marks(_metadata(event.object))
    services.record_setup(payment=payment, setup=gateway.retrieve_setup_intent(str(event.object["id"])), now=now)


def on_card_detached(event: Event, now: datetime) -> None:
    method = gateway.retrieve_payment_method(str(event.object["id"]))
    if not method.customer:  # or else it was attached anew since
        services.record_card_removed(payment_method_id=method.id, now=now)


def on_payment_intent(event: Event, now: datetime) -> None:
    _record_intent(str(event.object["id"]), _metadata(event.object), now)


def on_charge(event: Event, now: datetime) -> None:
    intent_id = event.object.get("payment_intent")
    if not intent_id:
        raise NotOursError("a charge without a PaymentIntent")
    _record_intent(str(intent_id), _metadata(event.object), now)


def on_transfer(event: Event, now: datetime) -> None:
    operation_id = marks.operation_id(_metadata(event.object))
    if operation_id is None:
        # Made by Stripe with a capture, and booked with it.
        _expect_transfer_of_capture(event)
        return
    operation = Operation.objects.filter(pk=operation_id, kind=Operation.Kind.TRANSFER).first()
    if operation is None:
        raise UnknownObjectError("a transfer with our marks, by an operation that we don't know")
    transfer = gateway.retrieve_transfer(str(event.object["id"]))
    expected = (operation.params["destination"], operation.params["transfer_group"])
    if (transfer.destination, transfer.transfer_group) != expected or transfer.livemode != settings.STRIPE_LIVE_MODE:
        raise StripeMismatchError(f"{transfer.id} is not the transfer that was asked for.")
    payouts.record_transfer(line=PayoutLine.objects.get(operations=operation), facts=transfer, now=now)


def on_refund(event: Event, now: datetime) -> None:
    refund = gateway.retrieve_refund(str(event.object["id"]))
    services.record_refund(payment=_payment_of_intent(refund.payment_intent), facts=refund, now=now)


def on_charge_refunded(event: Event, now: datetime) -> None:
    payment = _payment_of_intent(str(event.object.get("payment_intent") or ""))
    for refund in reversed(gateway.list_refunds(charge=str(event.object["id"]))):
        services.record_refund(payment=payment, facts=refund, now=now)


def on_transfer_reversed(event: Event, now: datetime) -> None:
    transfer = Transfer.objects.filter(stripe_transfer_id=str(event.object["id"])).first()
    if transfer is None:
        raise UnknownObjectError("a transfer that we don't know")
    services.record_reversals(transfer=transfer, now=now)


def on_dispute(event: Event, now: datetime) -> None:
    payment = _payment_of_intent(str(event.object.get("payment_intent") or ""))
    services.record_dispute(payment=payment, facts=gateway.retrieve_dispute(str(event.object["id"])), now=now)


def on_fraud_warning(event: Event, now: datetime) -> None:
    payment = _payment_of_intent(str(event.object.get("payment_intent") or ""))
    warning = gateway.retrieve_fraud_warning(str(event.object["id"]))
    services.record_fraud_warning(payment=payment, facts=warning, now=now)


def on_payout(event: Event, now: datetime) -> None:
    account = _account_of(event) if event.account else None
    facts = gateway.retrieve_payout(str(event.object["id"]), account_id=event.account)
    services.record_payout(facts=facts, account=account, now=now)


def mirror_only(event: Event, now: datetime) -> None:
    """Nothing for us to decide: the mirror takes it up as the next step."""


# --- handlers: connected accounts ---------------------------------------------------------------


def on_account(event: Event, now: datetime) -> None:
    account = _account_of(event)
    services.record_account(facts=services.read_account(account.stripe_account_id), now=now)


def on_deauthorised(event: Event, now: datetime) -> None:
    # The account can't be read any more: here the event is all there is.
    services.record_deauthorised(stripe_account_id=event.account, now=now)


# docs/stripe-events.md says why each is handled, and a test compares it with these.
PLATFORM_HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": on_checkout_session,
    "checkout.session.expired": on_checkout_session,
    "setup_intent.succeeded": on_setup_intent,
    "setup_intent.setup_failed": on_setup_intent,
    "payment_intent.amount_capturable_updated": on_payment_intent,
    "payment_intent.succeeded": on_payment_intent,
    "payment_intent.payment_failed": on_payment_intent,
    "payment_intent.canceled": on_payment_intent,
    "charge.succeeded": on_charge,
    "charge.captured": on_charge,
    "charge.updated": on_charge,
    "charge.expired": on_charge,
    "charge.refunded": on_charge_refunded,
    "refund.created": on_refund,
    "refund.updated": on_refund,
    "refund.failed": on_refund,
    "transfer.created": on_transfer,
    "transfer.reversed": on_transfer_reversed,
    "charge.dispute.created": on_dispute,
    "charge.dispute.updated": on_dispute,
    "charge.dispute.funds_withdrawn": on_dispute,
    "charge.dispute.funds_reinstated": on_dispute,
    "charge.dispute.closed": on_dispute,
    "radar.early_fraud_warning.created": on_fraud_warning,
    "radar.early_fraud_warning.updated": on_fraud_warning,
    "payout.created": on_payout,
    "payout.updated": on_payout,
    "payout.paid": on_payout,
    "payout.failed": on_payout,
    "payout.canceled": on_payout,
    "payment_method.attached": mirror_only,
    "payment_method.detached": on_card_detached,
    "customer.created": mirror_only,
    "customer.updated": mirror_only,
    "balance.available": mirror_only,
}
CONNECT_HANDLERS: dict[str, Handler] = {
    "account.updated": on_account,
    "capability.updated": on_account,
    "account.external_account.created": on_account,
    "account.external_account.updated": on_account,
    "account.external_account.deleted": on_account,
    "payout.created": on_payout,
    "payout.updated": on_payout,
    "payout.paid": on_payout,
    "payout.failed": on_payout,
    "payout.canceled": on_payout,
    "account.application.deauthorized": on_deauthorised,
}


# --- what handlers share ------------------------------------------------------------------------


def _metadata(stripe_object: Mapping[str, Any]) -> Mapping[str, Any]:
    found = stripe_object.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _account_of(event: Event) -> PayoutAccount:
    account = PayoutAccount.objects.filter(stripe_account_id=event.account).first()
    if account is None:
        raise UnknownObjectError("an account that we don't know")
    if account.deauthorised_at is not None:
        raise NotOursError("an account that has left us, and can't be read any more")
    return account


def _payment_of_marks(metadata: Mapping[str, Any]) -> Payment:
    """The payment whose Checkout operation left these marks: a random id, which no other database repeats.

    Raises NotOursError, UnknownObjectError, and StripeMismatchError where the marks contradict each other.
    """
    operation_id = marks.operation_id(metadata)
    if operation_id is None:
        raise NotOursError("without our marks")
    operation = Operation.objects.select_related("payment").filter(pk=operation_id).first()
    if operation is None:
        raise UnknownObjectError("with our marks, by an operation that we don't know")
    if operation.payment is None or str(operation.payment.pk) != metadata.get("payment_id"):
        raise StripeMismatchError(f"Operation {operation_id} is not payment {metadata.get('payment_id')}'s.")
    return operation.payment


def _payment_of_intent(intent_id: str) -> Payment:
    payment = Payment.objects.filter(payment_intent_id=intent_id).first() if intent_id else None
    if payment is None:
        raise NotOursError("not of a payment of ours")
    return payment


def _record_intent(intent_id: str, metadata: Mapping[str, Any], now: datetime) -> None:
    payment = Payment.objects.filter(payment_intent_id=intent_id).first() or _payment_of_marks(metadata)
    services.record_intent(payment=payment, intent=gateway.retrieve_payment_intent(intent_id), now=now)


def _expect_transfer_of_capture(event: Event) -> None:
    if Transfer.objects.filter(stripe_transfer_id=str(event.object["id"])).exists():
        return
    charge_id = event.object.get("source_transaction")
    if not charge_id or not Payment.objects.filter(charge_id=str(charge_id)).exists():
        raise NotOursError("without our marks")
    raise NotYetError("The capture that made this transfer is not booked yet.")


# --- the work list ------------------------------------------------------------------------------


def sweep_events(*, now: datetime, limit: int = 500) -> int:
    """Work what is due, longest due first; any number of workers may do so at once. Returns how many were tried."""
    due = StripeEvent.objects.filter(_free(), state=State.NEW, next_try_at__lte=now)
    pks = list(due.order_by("next_try_at").values_list("pk", flat=True)[:limit])
    return sum(process_event(pk, now=now) for pk in for_a_while(pks))


def process_event(event_pk: int, *, now: datetime) -> bool:
    """Bring one event forward by one try; False where it is worked already or someone else is at it.

    Nothing that a handler raises gets out: one event's trouble is never another's.
    """
    row = _claim(event_pk, now)
    if row is None:
        return False
    try:
        _work(row, now)
    except NotOursError as error:
        _finish(row, State.IGNORED, now, str(error))
    except UnknownObjectError as error:
        _retry_until(row, row.received_at + UNKNOWN_FOR, State.IGNORED, now, str(error))
    except (GatewayError, NotYetError) as error:
        _unanswered(row, error, now)
    except StripeMismatchError as error:
        log.critical("event_set_aside", event_id=row.event_id, type=row.type, reason=str(error))
        _finish(row, State.PARKED, now, str(error))
    except Exception as error:
        log.exception("event_failed_by_a_bug", event_id=row.event_id, type=row.type)
        _after_bug(row, error, now)
    else:
        _finish(row, State.DONE, now, "")
    return True


def _work(row: StripeEvent, now: datetime) -> None:
    handlers = CONNECT_HANDLERS if row.account else PLATFORM_HANDLERS
    handler = handlers.get(row.type)
    if handler is None:
        raise NotOursError("not an event that we handle")
    payload = json.loads(bytes(row.payload))
    handler(Event(id=row.event_id, type=row.type, account=row.account, object=payload["data"]["object"]), now)


def _unanswered(row: StripeEvent, error: GatewayError | NotYetError, now: datetime) -> None:
    if isinstance(error, GatewayError):
        reason = f"Stripe: {error}"
        if error.permanent:
            # The object is not there: asking again brings the same.
            _finish(row, State.PARKED, now, reason)
            return
    else:
        reason = str(error)
    _retry_until(row, row.received_at + UNANSWERED_FOR, State.PARKED, now, reason)


def _after_bug(row: StripeEvent, error: Exception, now: datetime) -> None:
    reason = f"{type(error).__name__}: {error}"
    if row.tries >= BUGS_BEFORE_PARKING:
        _finish(row, State.PARKED, now, reason)
    else:
        _write(row, reason=_storable(reason))


def _retry_until(row: StripeEvent, end: datetime, then: StripeEvent.State, now: datetime, reason: str) -> None:
    if now >= end:
        _finish(row, then, now, reason)
    else:
        _write(row, reason=_storable(reason))


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=clock.wall())


def _claim(event_pk: int, now: datetime) -> StripeEvent | None:
    """Take the lease. The next try is pushed on at once, so that a row that kills its worker is not tried hot."""
    row = StripeEvent.objects.filter(pk=event_pk, state=State.NEW).first()
    if row is None:
        return None
    delay = timedelta(seconds=min(2 ** min(row.tries + 1, 10), LONGEST_DELAY_SECONDS))
    token = uuid.uuid4()
    hit = StripeEvent.objects.filter(_free(), pk=event_pk, state=State.NEW, tries=row.tries).update(
        tries=F("tries") + 1, lease_token=token, lease_until=clock.wall() + LEASE, next_try_at=now + delay
    )
    if not hit:
        return None
    row.tries += 1
    row.lease_token = token
    return row


def _finish(row: StripeEvent, state: StripeEvent.State, now: datetime, reason: str) -> None:
    _write(row, state=state, reason=_storable(reason), worked_at=now)


def _write(row: StripeEvent, **changes: object) -> None:
    """Only the holder of the lease writes, and gives it back."""
    mine = StripeEvent.objects.filter(pk=row.pk, state=State.NEW, lease_token=row.lease_token)
    if not mine.update(lease_token=None, lease_until=None, **changes):
        log.warning("event_lease_lost", event_id=row.event_id)


def _storable(reason: str) -> str:
    """A text column of PostgreSQL can't hold NUL."""
    return reason.replace("\x00", "")[:500]


# --- for staff, and for tidiness ----------------------------------------------------------------


def replay(*, event: StripeEvent, now: datetime) -> bool:
    """Work a parked event again, from the start; False where it is not parked, or its payload has been pruned."""
    parked = StripeEvent.objects.filter(pk=event.pk, state=State.PARKED).exclude(payload=b"")
    mirror_state = StripeEvent.MirrorState.NEW
    return bool(parked.update(state=State.NEW, reason="", tries=0, next_try_at=now, mirror_state=mirror_state))


def prune_events(*, now: datetime) -> int:
    """Empty the payloads of events that were worked and are 30 days old; what was decided is kept."""
    old = StripeEvent.objects.filter(received_at__lt=now - KEEP_PAYLOAD).exclude(state=State.NEW)
    return old.exclude(payload=b"").update(payload=b"")
