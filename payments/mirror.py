"""dj-stripe's tables, kept in step with Stripe: for people and for comparison. Money is never read from them.

A second step after an event is worked, with its own state on the event's row: the object is read through our
gateway and handed to dj-stripe, whose own fetching is switched off. Whatever fails here holds up nothing.
"""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NoReturn

import stripe
import structlog
from django.db.models import F, Q, QuerySet
from djstripe import models as mirrored
from djstripe.exceptions import ImpossibleAPIRequest
from djstripe.models.base import StripeModel

from marketplace import clock
from payments import gateway
from payments.gateway import GatewayError
from payments.models import StripeEvent
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

MirrorState = StripeEvent.MirrorState

# An object and what it points to: at most six reads. Wall time, as is the pause after a failure.
LEASE = timedelta(seconds=180)
TRIES = 8
LONGEST_PAUSE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class _Kind:
    """dj-stripe's model for a type of object, and the fields whose objects must be there first (field: type).

    What is `left_out` is not for us to keep: who a coach is, and the details of their bank.
    """

    model: Any
    points_to: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


_KINDS = {
    "account": _Kind(mirrored.Account, left_out=("external_accounts", "individual", "company")),
    "customer": _Kind(mirrored.Customer),
    "payment_method": _Kind(mirrored.PaymentMethod, {"customer": "customer"}),
    "payment_intent": _Kind(mirrored.PaymentIntent, {"customer": "customer", "payment_method": "payment_method"}),
    "charge": _Kind(
        mirrored.Charge,
        {
            "customer": "customer",
            "payment_method": "payment_method",
            "payment_intent": "payment_intent",
            "balance_transaction": "balance_transaction",
        },
    ),
    "setup_intent": _Kind(mirrored.SetupIntent, {"customer": "customer", "payment_method": "payment_method"}),
    "checkout.session": _Kind(mirrored.Session, {"customer": "customer", "payment_intent": "payment_intent"}),
    "transfer": _Kind(mirrored.Transfer, {"balance_transaction": "balance_transaction"}),
    "balance_transaction": _Kind(mirrored.BalanceTransaction),
}


# --- dj-stripe, without its own fetching --------------------------------------------------------


def _refuse_to_fetch(*_: Any, **__: Any) -> NoReturn:
    """dj-stripe takes this for a reference that it can't follow, and leaves the column empty."""
    raise ImpossibleAPIRequest("The mirror is given its objects; it fetches none.")


def _refuse_to_fetch_file(*_: Any, **__: Any) -> NoReturn:
    """An account's icon and logo: the only refusal that dj-stripe expects there is one of its key."""
    raise stripe.PermissionError("The mirror is given its objects; it fetches none.")


def _platform(*_: Any, **__: Any) -> Any:
    """The account that everything we mirror belongs to: the one that belongs to itself.

    dj-stripe would ask Stripe whose key it has, and keep the key in the database for that, in plain text.
    """
    return mirrored.Account.objects.filter(djstripe_owner_account_id=F("id")).first()


StripeModel.api_retrieve = _refuse_to_fetch
StripeModel._find_owner_account = _platform  # noqa: SLF001  # it has no public way
mirrored.File.api_retrieve = _refuse_to_fetch_file


# --- one object ---------------------------------------------------------------------------------


def mirror_object(object_type: str, object_id: str) -> None:
    """Read the object and store it, after what it points to. Network: call it outside any transaction.

    Raises GatewayError.
    """
    if _platform() is None:
        _mirror_platform()
    _mirror(object_type, object_id)


def _mirror(object_type: str, object_id: str) -> None:
    kind = _KINDS[object_type]
    data = gateway.retrieve_raw(object_type, object_id)
    for name, type_of_other in kind.points_to.items():
        other = data.get(name)
        if isinstance(other, str) and not _KINDS[type_of_other].model.objects.filter(id=other).exists():
            _mirror(type_of_other, other)
    _store(kind, data)


def _store(kind: _Kind, data: dict[str, Any]) -> Any:
    kept = {name: value for name, value in data.items() if name not in kind.left_out}
    # dj-stripe pages through a transfer's reversals, which only the library's own object can do.
    return kind.model.sync_from_stripe_data(stripe.convert_to_stripe_object(kept))


def _mirror_platform() -> None:
    account = _store(_KINDS["account"], gateway.retrieve_platform())
    mirrored.Account.objects.filter(pk=account.pk).update(djstripe_owner_account=account)


def _mirror_intent(intent_id: str) -> None:
    """With its Checkout session, whose `payment_status` follows the intent without an event of its own."""
    mirror_object("payment_intent", intent_id)
    for session_id in list(mirrored.Session.objects.filter(payment_intent_id=intent_id).values_list("id", flat=True)):
        mirror_object("checkout.session", session_id)


def _mirror_settled_balance(now: datetime) -> None:
    """Balance transactions whose money has become available: their `status` is all that ever changes."""
    pending = mirrored.BalanceTransaction.objects.filter(
        stripe_data__status="pending", stripe_data__available_on__lte=int(now.timestamp())
    )
    for object_id in list(pending.values_list("id", flat=True)):
        mirror_object("balance_transaction", object_id)


def copies_of_accounts(account_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """As they were last mirrored, by their id; without those that an event is about to renew."""
    ids = set(account_ids)
    waiting = StripeEvent.objects.filter(mirror_state=MirrorState.NEW, object_id__in=ids)
    ids -= set(waiting.values_list("object_id", flat=True))
    return dict(mirrored.Account.objects.filter(id__in=ids).values_list("id", "stripe_data"))


# --- the work list ------------------------------------------------------------------------------


def mirror_events(*, now: datetime, limit: int = 200) -> int:
    """Mirror what worked events are about, oldest first. Returns how many objects were brought in step."""
    _skip_what_was_set_aside()
    waiting = _waiting().filter(_free()).order_by("received_at")
    return sum(_mirror_event(event, now) for event in for_a_while(list(waiting[:limit])))


def _waiting() -> QuerySet[StripeEvent]:
    return StripeEvent.objects.filter(mirror_state=MirrorState.NEW, state=StripeEvent.State.DONE)


def _skip_what_was_set_aside() -> None:
    aside = (StripeEvent.State.IGNORED, StripeEvent.State.PARKED)
    StripeEvent.objects.filter(mirror_state=MirrorState.NEW, state__in=aside).update(mirror_state=MirrorState.SKIPPED)


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=clock.wall())


def _mirror_event(event: StripeEvent, now: datetime) -> bool:
    token = _claim(event)
    if token is None:
        return False
    act = _action(event, now)
    if act is None:
        _finish(token, mirror_state=MirrorState.SKIPPED)
        return False
    try:
        act()
    except Exception as error:
        # Whatever it is, it must not stop the next object.
        log.exception("mirror_failed", event_id=event.event_id)
        _put_off(event, token, error)
        return False
    _finish(token, mirror_state=MirrorState.DONE, mirror_error="")
    return True


def _claim(event: StripeEvent) -> uuid.UUID | None:
    """Take all waiting events about the same object at once: one read serves them all.

    Whoever is at the object may have read it before our event, so it is left until they are done: their older
    answer must not be stored over our newer one.
    """
    same = _waiting().filter(object_id=event.object_id, account=event.account)
    if not event.object_id:
        same = same.filter(type=event.type)
    if same.exclude(_free()).exists():
        return None
    token = uuid.uuid4()
    return token if same.filter(_free()).update(lease_token=token, lease_until=clock.wall() + LEASE) else None


def _action(event: StripeEvent, now: datetime) -> Callable[[], None] | None:
    """What brings the mirror in step with this event; None where it mirrors nothing."""
    object_type = _object_type(event)
    if object_type == "balance" and not event.account:
        return lambda: _mirror_settled_balance(now)
    if object_type == "payment_intent" and not event.account:
        return lambda: _mirror_intent(event.object_id)
    if object_type not in _KINDS or (event.account and object_type != "account"):
        return None
    return lambda: mirror_object(object_type, event.object_id)


def _object_type(event: StripeEvent) -> str:
    """Empty where the payload has been pruned."""
    if not event.payload:
        return ""
    return str(json.loads(bytes(event.payload))["data"]["object"].get("object", ""))


def _put_off(event: StripeEvent, token: uuid.UUID, error: Exception) -> None:
    said = f"{type(error).__name__}: {error}".replace("\x00", "")[:300]
    hopeless = isinstance(error, GatewayError) and error.permanent
    if hopeless or event.mirror_tries + 1 >= TRIES:
        _finish(token, mirror_state=MirrorState.FAILED, mirror_tries=F("mirror_tries") + 1, mirror_error=said)
    else:
        _pause(token, event, said)


def _finish(token: uuid.UUID, **changes: Any) -> None:
    _waiting().filter(lease_token=token).update(lease_token=None, lease_until=None, **changes)


def _pause(token: uuid.UUID, event: StripeEvent, said: str) -> None:
    """The lease itself keeps everyone off until the next try."""
    pause = timedelta(seconds=min(5 * 2**event.mirror_tries, LONGEST_PAUSE_SECONDS))
    _waiting().filter(lease_token=token).update(
        lease_token=None, lease_until=clock.wall() + pause, mirror_tries=F("mirror_tries") + 1, mirror_error=said
    )
