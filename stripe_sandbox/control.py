"""The control plane under /_sandbox/: what tests and tools do to the sandbox and its world. JSON in, JSON out."""

import json
import random
from collections.abc import Awaitable, Callable

from . import api, beginning, events, faults, idempotency, money, webhooks
from .api import Incoming
from .errors import Json, StripeError
from .resources import account_state, balance, checkout_flow, disputes, payment_flow, payouts
from .routing import endpoints
from .webhooks import Courier
from .world import Resource, World

SETTLE_TIMEOUT = 60.0


class MisuseError(Exception):
    """A control call that makes no sense, in words for who made it."""


Action = Callable[[World, Courier, list[str], Json], Awaitable[Json]]
_ACTIONS: dict[tuple[str, str], Action] = {}


def action(method: str, path: str) -> Callable[[Action], Action]:
    """Registers a control call; `*` in the path stands for an id."""

    def register(function: Action) -> Action:
        _ACTIONS[(method, path)] = function
        return function

    return register


async def handle(world: World, courier: Courier, incoming: Incoming) -> tuple[int, Json]:
    """Answers a control call: the status and the JSON to send."""
    world.run_due()
    parts = incoming.path.removeprefix("/_sandbox/").strip("/").split("/")
    function, ids = _match(incoming.method, parts)
    if function is None:
        known = sorted({f"{method} /_sandbox/{path}" for method, path in _ACTIONS})
        return 404, {"error": f"There is no {incoming.method} {incoming.path}.", "known": known}
    try:
        return 200, await function(world, courier, ids, _body(incoming.body))
    except StripeError as error:
        return error.status, error.body(world.settings.platform, "")
    except (MisuseError, ValueError) as error:
        return 400, {"error": str(error)}


def _body(raw: bytes) -> Json:
    body = json.loads(raw) if raw else {}
    if not isinstance(body, dict):
        raise MisuseError("The body must be a JSON object.")
    return body


def _match(method: str, parts: list[str]) -> tuple[Action | None, list[str]]:
    for (wanted, path), function in _ACTIONS.items():
        pattern = path.split("/")
        if (
            wanted == method
            and len(pattern) == len(parts)
            and all(each in ("*", part) for each, part in zip(pattern, parts, strict=True))
        ):
            return function, [part for each, part in zip(pattern, parts, strict=True) if each == "*"]
    return None, []


def _integer(body: Json, name: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisuseError(f"{name} must be a whole number.")
    return value


def _found(world: World, kind: str, id: str) -> Resource:
    found = world.state.objects.get(id)
    if found is None or found["object"] != kind or found.hidden.get("deleted"):
        raise StripeError(f"No such {kind}: '{id}'", status=404, code="resource_missing")
    return found


def _types(body: Json) -> list[str]:
    types = body.get("types", ["*"])
    if not isinstance(types, list) or not all(isinstance(each, str) for each in types):
        raise MisuseError('types must be a list such as ["charge.*"].')
    return types


@action("GET", "health")
async def health(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {
        "status": "ok",
        "now": world.now(),
        "platform": world.settings.platform,
        "endpoints": endpoints(),
        "balance_errors": balance.check(world),
    }


@action("POST", "reset")
async def reset(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.reset()
    world.state.accounts_v1_refused = bool(body.get("accounts_v1_refused"))
    beginning.prepare(world)
    return {"now": world.now(), "platform": world.settings.platform}


def _clock(world: World) -> Json:
    """`offset` (whole seconds) is exact: who adds it to the machine's time has no jumps from rounding."""
    return {"now": world.now(), "offset": world.state.clock_offset, "next_due": world.next_due()}


@action("GET", "clock")
async def read_clock(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _clock(world)


@action("POST", "clock")
async def move_clock(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """`advance` seconds or `set` unix. Answers when all that fell due has happened; with `settle`, also when it has been delivered."""
    if ("advance" in body) == ("set" in body):
        raise MisuseError("Give either advance or set.")
    world.set_clock(world.now() + _integer(body, "advance") if "advance" in body else _integer(body, "set"))
    if body.get("settle"):
        await courier.settle(SETTLE_TIMEOUT)
    return _clock(world)


@action("POST", "checkout/*/pay")
async def pay(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer pays; `authenticate` answers the bank (null: left open). A decline answers 402 as Stripe words it."""
    session = _found(world, "checkout.session", ids[0])
    checkout_flow.pay(
        world,
        session,
        body.get("payment_method", "pm_card_visa"),
        authenticate=body.get("authenticate", True),
        email=body.get("email"),
    )
    return session


@action("POST", "checkout/*/abandon")
async def abandon(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer closes the page: the session stays open until it expires."""
    return _found(world, "checkout.session", ids[0])


@action("POST", "payment_intents/*/authenticate")
async def authenticate(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, _found(world, "payment_intent", ids[0]), body)


@action("POST", "setup_intents/*/authenticate")
async def authenticate_setup(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, _found(world, "setup_intent", ids[0]), body)


def _authenticate(world: World, intent: Resource, body: Json) -> Json:
    if intent["status"] != "requires_action":
        raise MisuseError(f"The {intent['object']} is {intent['status']}: its bank asks nothing.")
    checkout_flow.answer_bank(world, intent, succeeded=bool(body.get("succeeded", True)))
    return intent


@action("POST", "payment_intents/*/lapse")
async def lapse(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The hold ends now, before its time."""
    payment_flow.hold_lapses(world, intent=_found(world, "payment_intent", ids[0]).id)
    return world.get(ids[0])


@action("POST", "accounts/*/onboard")
async def onboard(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    outcome = body.get("outcome", "complete")
    if outcome not in account_state.OUTCOMES:
        raise MisuseError(f"outcome must be one of {', '.join(account_state.OUTCOMES)}.")
    account = _found(world, "account", ids[0])
    account_state.onboard(world, account, outcome)
    return account


@action("POST", "accounts/*/restrict")
async def restrict(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Stripe asks for a document: at once, or with `deadline` (unix seconds) later."""
    account = _found(world, "account", ids[0])
    account_state.restrict(world, account, deadline=_integer(body, "deadline") if body.get("deadline") else None)
    return account


@action("POST", "accounts/*/deauthorize")
async def deauthorize(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    account = _found(world, "account", ids[0])
    account_state.deauthorize(world, account)
    return {"id": account.id, "deauthorized": True}


@action("POST", "accounts_v1")
async def accounts_v1(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """`{"refused": true}` makes Stripe refuse v1 accounts, as it does for new platforms."""
    world.state.accounts_v1_refused = bool(body.get("refused"))
    return {"refused": world.state.accounts_v1_refused}


@action("POST", "disputes")
async def dispute(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The cardholder disputes a payment, or (`inquiry`) only asks about it."""
    intent = _found(world, "payment_intent", str(body.get("payment_intent")))
    if not intent["latest_charge"]:
        raise MisuseError("This payment has no charge to dispute.")
    charge, reason = world.get(intent["latest_charge"]), str(body.get("reason", "fraudulent"))
    return disputes.open_dispute(world, charge, reason=reason, inquiry=bool(body.get("inquiry")))


@action("POST", "disputes/*/resolve")
async def resolve_dispute(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = _found(world, "dispute", ids[0])
    if body.get("outcome") not in ("won", "lost"):
        raise MisuseError("outcome must be won or lost.")
    disputes.resolve(world, found, won=body["outcome"] == "won")
    return found


@action("POST", "payouts/*/fail")
async def fail_payout(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    payout = _found(world, "payout", ids[0])
    if payout["status"] not in ("pending", "in_transit", "paid"):
        raise MisuseError(f"The payout is {payout['status']}.")
    payouts.fail(world, payout, body.get("failure_code", "could_not_process"))
    return payout


@action("POST", "balance")
async def add_balance(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Adds (or, negative, takes) money, as a top-up would: to the platform, or to `account`."""
    account = body.get("account") or world.settings.platform
    _found(world, "account", account)
    currency = money.check_currency(body.get("currency", "usd"))
    due = None if body.get("available", True) else money.funds_available_on(world, account)
    money.post(
        world,
        account,
        type="topup",
        category="topup",
        amount=_integer(body, "amount"),
        currency=currency,
        source=None,
        description="Sandbox balance",
        available_on=due,
    )
    return money.balance_object(world, account)


@action("GET", "requests")
async def requests(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": [api.logged(entry) for entry in world.state.requests]}


@action("GET", "events")
async def list_events(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = [event for (_, kind), group in world.state.lists.items() if kind == "event" for event in group]
    return {"data": [events.rendered(world, event) for event in sorted(found, key=lambda each: each.sequence)]}


@action("POST", "events/*/resend")
async def resend(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Sends the event once more to each endpoint that got it, or to one that `endpoint` names; answers with the outcomes."""
    event = _found(world, "event", ids[0])
    wanted = body.get("endpoint")
    rows = [world.state.deliveries[number] for number in event.hidden["deliveries"]]
    rows = [row for row in rows if wanted in (None, row["endpoint"])]
    if not rows and wanted:
        rows = [webhooks.add_delivery(world, event, _found(world, "webhook_endpoint", wanted))]
    for row in rows:
        await courier.send(row)
    return {"data": rows}


@action("GET", "deliveries")
async def list_deliveries(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": world.state.deliveries}


@action("POST", "faults")
async def add_fault(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return faults.add(world, body)


@action("GET", "faults")
async def list_faults(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": world.state.faults, "actions": faults.ACTIONS}


@action("DELETE", "faults")
async def clear_faults(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.state.faults = []
    return {"data": []}


@action("POST", "idempotency/prune")
async def prune(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"pruned": idempotency.prune_all(world)}


@action("GET", "webhooks")
async def show_controls(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"controls": world.state.webhook_controls, "in_flight": courier.in_flight}


@action("POST", "webhooks/hold")
async def hold(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.state.webhook_controls["hold"] = True
    return {"controls": world.state.webhook_controls}


@action("POST", "webhooks/release")
async def release(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Sends all that was held: in order, reversed or shuffled, each `copies` times. Answers when every one was tried."""
    order, copies = body.get("order", "kept"), _integer(body, "copies", 1)
    if order not in ("kept", "reversed", "shuffled"):
        raise MisuseError("order must be kept, reversed or shuffled.")
    world.state.webhook_controls["hold"] = False
    held = [row for row in world.state.deliveries if row["status"] == "held"] * copies
    if order == "reversed":
        held.reverse()
    elif order == "shuffled":
        random.Random(body.get("seed", 7)).shuffle(held)
    for row in held:
        if row["status"] == "held":
            row["status"] = "pending"
        await courier.send(row)
    return {"sent": len(held), "deliveries": sorted({row["id"] for row in held})}


@action("POST", "webhooks/drop")
async def drop(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Events of these types reach nobody from now on (they can still be listed); an empty list ends it."""
    world.state.webhook_controls["drop"] = _types(body)
    return {"controls": world.state.webhook_controls}


@action("POST", "webhooks/tamper")
async def tamper(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Falsifies the next `times` deliveries (0: all): `what` is secret, timestamp (value: seconds of age), livemode, api_version or account."""
    what = body.get("what")
    if what not in ("secret", "timestamp", "livemode", "api_version", "account"):
        raise MisuseError("what must be secret, timestamp, livemode, api_version or account.")
    _add_rule(
        world,
        "tamper",
        {
            "what": what,
            "value": body.get("value", {"livemode": True}.get(what)),
            "types": _types(body),
            "left": _integer(body, "times", 1) or -1,
            "hits": 0,
        },
    )
    return {"controls": world.state.webhook_controls}


@action("POST", "events/lost")
async def lose_events(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The next `times` events of these types (0: all) are generated nowhere: neither sent nor listed."""
    _add_rule(world, "lost", {"types": _types(body), "left": _integer(body, "times", 1) or -1, "hits": 0})
    return {"controls": world.state.webhook_controls}


def _add_rule(world: World, name: str, rule: Json) -> None:
    world.state.webhook_controls.setdefault(name, []).append(rule)


@action("POST", "webhooks/clear")
async def clear_controls(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Ends hold, drop, tampering and losing. What is still held stays held; release it first."""
    world.state.webhook_controls = {}
    return {"controls": {}}


@action("POST", "webhooks/settle")
async def settle(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Waits until no delivery is queued or being sent."""
    return {"settled": await courier.settle(float(_integer(body, "timeout", 30)))}
