"""The control plane's part about events and webhooks: hold, drop, falsify, lose and resend them; roll a secret."""

import random

from . import events, webhooks
from .control import LAST_MOMENT, SETTLE_TIMEOUT, MisuseError, action, choice, integer, stored, text
from .errors import Json
from .webhooks import Courier
from .world import World

MAX_COPIES = 100
# What can be falsified -> the type of its `value`; the secret is replaced by a wrong one that needs no telling.
FALSE_VALUES: dict[str, type] = {
    "secret": type(None),
    "timestamp": int,
    "livemode": bool,
    "api_version": str,
    "account": str,
}
FALSE_WORDS = {type(None): "left out", int: "a whole number", bool: "true, false", str: "a string"}


def _types(body: Json) -> list[str]:
    types = body.get("types", ["*"])
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        raise MisuseError('types must be a list such as ["charge.*"].')
    return types


@action("POST", "events/*/resend", "endpoint")
async def resend(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Sends the event once more to each endpoint that got it, or to one that `endpoint` names; answers with the outcomes."""
    event = stored(world, "event", ids[0])
    if world.now() - event["created"] > events.RETENTION:
        raise MisuseError("Events are sent again for 30 days.")
    rows = [world.state.deliveries[number] for number in event.hidden["deliveries"]]
    if body.get("endpoint") is not None:
        endpoint = stored(world, "webhook_endpoint", text(body, "endpoint", ""))
        if not webhooks.is_live(endpoint):
            raise MisuseError(f"The webhook_endpoint {endpoint.id} is {endpoint['status']}.")
        rows = [row for row in rows if row["endpoint"] == endpoint.id] or [
            webhooks.add_delivery(world, event, endpoint)
        ]
    rows = [row for row in rows if webhooks.is_live(world.get(row["endpoint"]))]
    for row in rows:
        await courier.send(row, world.now())
    return {"data": rows}


@action("GET", "deliveries")
async def list_deliveries(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": world.state.deliveries}


@action("GET", "webhooks")
async def show_controls(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"controls": world.state.webhook_controls, "in_flight": courier.in_flight}


@action("POST", "webhooks/hold")
async def hold(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.state.webhook_controls["hold"] = True
    return {"controls": world.state.webhook_controls}


@action("POST", "webhooks/release", "order", "copies", "seed", "timeout")
async def release(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Sends all that was held: in order, reversed or shuffled, each `copies` times. Answers when every one was tried.

    `settled` is false when that took longer than `timeout` seconds; the rest goes on behind the answer.
    """
    order = choice(body, "order", ("kept", "reversed", "shuffled"), "kept")
    copies, seed = integer(body, "copies", 1, low=1, high=MAX_COPIES), integer(body, "seed", 7)
    timeout = integer(body, "timeout", SETTLE_TIMEOUT, high=600)
    world.state.webhook_controls["hold"] = False
    held = [row for row in world.state.deliveries if row["status"] == "held"] * copies
    if order == "reversed":
        held.reverse()
    elif order == "shuffled":
        random.Random(seed).shuffle(held)
    settled = await courier.send_all(held, timeout)
    return {"sent": len(held), "settled": settled, "deliveries": sorted({row["id"] for row in held})}


@action("POST", "webhooks/drop", "types")
async def drop(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Events of these types reach nobody from now on (they can still be listed); an empty list ends it."""
    world.state.webhook_controls["drop"] = _types(body)
    return {"controls": world.state.webhook_controls}


@action("POST", "webhooks/tamper", "what", "value", "types", "times")
async def tamper(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Falsifies the next `times` deliveries (0: all): `what` is secret, timestamp (value: seconds of age), livemode, api_version or account."""
    what = choice(body, "what", tuple(FALSE_VALUES))
    value = body.get("value")
    if type(value) not in (type(None), FALSE_VALUES[what]):
        raise MisuseError(f"value must be {FALSE_WORDS[FALSE_VALUES[what]]} or null for {what}.")
    if what == "timestamp" and value is not None:
        integer(body, "value", low=-LAST_MOMENT)
    rule = {"what": what, "value": True if what == "livemode" and value is None else value}
    _add_rule(world, "tamper", {**rule, "types": _types(body), "left": integer(body, "times", 1) or -1, "hits": 0})
    return {"controls": world.state.webhook_controls}


@action("POST", "events/lost", "types", "times")
async def lose_events(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The next `times` events of these types (0: all) are generated nowhere: neither sent nor listed."""
    _add_rule(world, "lost", {"types": _types(body), "left": integer(body, "times", 1) or -1, "hits": 0})
    return {"controls": world.state.webhook_controls}


def _add_rule(world: World, name: str, rule: Json) -> None:
    world.state.webhook_controls.setdefault(name, []).append(rule)


@action("POST", "webhooks/clear")
async def clear_controls(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Ends hold, drop, tampering and losing. What is still held stays held; release it first."""
    world.state.webhook_controls = {}
    return {"controls": {}}


@action("POST", "webhooks/settle", "timeout")
async def settle(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Waits until no delivery is queued or being sent."""
    return {"settled": await courier.settle(float(integer(body, "timeout", 30, high=600)))}


@action("POST", "webhook_endpoints/*/roll_secret", "expires_in")
async def roll_secret(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """A new secret; deliveries are signed with the old ones too until `expires_in` seconds are over (0: at once)."""
    endpoint = stored(world, "webhook_endpoint", ids[0])
    secret = webhooks.roll_secret(
        world, endpoint, expires_in=integer(body, "expires_in", 0, high=webhooks.LONGEST_ROLL)
    )
    return {"id": endpoint.id, "secret": secret, "live_secrets": len(endpoint.hidden["secrets"])}
