"""Events: what happened, frozen at the moment it happened."""

import json
from fnmatch import fnmatchcase
from typing import Any

from . import webhooks
from .errors import Json
from .rendering import to_json
from .shapes import complete
from .world import API_VERSION, Resource, World

RETENTION = 30 * 86400


def emit(world: World, account: str, type: str, subject: Json, previous: Json | None = None) -> None:
    """Records an event of the account and hands it to the webhook endpoints that listen.

    `previous` holds the old values of what changed and goes into `*.updated` events as `previous_attributes`.
    """
    if _is_lost(world, type):
        return
    data: Json = {"object": complete(subject)}
    if previous:
        data["previous_attributes"] = previous
    request = world.request
    fields: Json = {
        "api_version": API_VERSION,
        "type": type,
        "pending_webhooks": 0,
        "request": {
            "id": request.id if request else None,
            "idempotency_key": request.idempotency_key if request else None,
        },
    }
    if not world.is_platform(account):
        fields["account"] = account
    # Kept as text: the data of an event never changes again, and a string is the cheapest deep copy.
    event = world.create("event", account, fields, hidden={"data": to_json(data), "deliveries": []})
    webhooks.enqueue(world, event)


def changed(world: World, account: str, type: str, subject: Resource, **changes: Any) -> None:
    """Applies changes to the object and emits its `*.updated` event with the old values; nothing when nothing changes."""
    previous = previous_values(subject, changes)
    if previous:
        subject.update(changes)
        emit(world, account, type, subject, previous)


def previous_values(subject: Resource, changes: Json) -> Json:
    """Of all that changes, what it is until then."""
    return {name: _old_part(subject.get(name), value) for name, value in changes.items() if subject.get(name) != value}


def _old_part(old: Any, new: Any) -> Any:
    """Of a hash only the keys that change; of anything else, lists included, the whole old value."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {name: value for name, value in old.items() if new.get(name) != value}
    return old


def rendered(world: World, event: Resource) -> Json:
    """The event as Stripe shows it."""
    return {**event, "data": json.loads(event.hidden["data"]), "pending_webhooks": webhooks.pending(world, event)}


def _is_lost(world: World, type: str) -> bool:
    """Whether the control plane asked that this event be generated nowhere."""
    for rule in world.state.webhook_controls.get("lost", []):
        if rule["left"] != 0 and any(fnmatchcase(type, pattern) for pattern in rule["types"]):
            rule["left"] -= 1
            rule["hits"] += 1
            return True
    return False
