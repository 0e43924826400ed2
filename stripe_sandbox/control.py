"""The control plane under /_sandbox/: what tests and tools do to the sandbox and its world. JSON in, JSON out."""

import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable

from . import api, beginning, events, faults, idempotency, money, shapes
from .api import Incoming
from .errors import Json, StripeError
from .resources import (
    account_state,
    balance,
    checkout_flow,
    disputes,
    hosted_onboarding,
    payment_flow,
    payout_failures,
    payouts,
)
from .routing import endpoints
from .webhooks import Courier
from .world import Resource, World

SETTLE_TIMEOUT = 50  # seconds; many clients give up after 60
# 2100-01-01. Every day on the way there is worked, so further away is no test but a mistake.
LAST_MOMENT = 4102444800
LARGEST_AMOUNT = 10**12


class MisuseError(Exception):
    """A control call that makes no sense, in words for who made it."""


Action = Callable[[World, Courier, list[str], Json], Awaitable[Json]]
# Method and path -> what does it, and the names its body may have.
_ACTIONS: dict[tuple[str, str], tuple[Action, tuple[str, ...]]] = {}


def action(method: str, path: str, *names: str) -> Callable[[Action], Action]:
    """Registers a control call that takes a body with these names; `*` in the path stands for an id."""

    def register(function: Action) -> Action:
        _ACTIONS[(method, path)] = function, names
        return function

    return register


async def handle(world: World, courier: Courier, incoming: Incoming) -> tuple[int, Json]:
    """Answers a control call: the status and the JSON to send."""
    world.run_due()
    parts = incoming.path.removeprefix("/_sandbox/").strip("/").split("/")
    found = {method: path for method, path in _ACTIONS if _fits(path, parts)}
    if incoming.method not in found:
        known = sorted(f"{method} /_sandbox/{path}" for method, path in _ACTIONS)
        return 405 if found else 404, {"error": f"There is no {incoming.method} {incoming.path}.", "known": known}
    path = found[incoming.method]
    function, names = _ACTIONS[(incoming.method, path)]
    ids = [part for each, part in zip(path.split("/"), parts, strict=True) if each == "*"]
    try:
        answer = await function(world, courier, ids, _body(incoming.body, names))
        return 200, shapes.complete(answer) if "object" in answer else answer
    except StripeError as error:
        return error.status, shapes.complete(error.body(world.settings.platform, None))
    except (MisuseError, ValueError) as error:
        return 400, {"error": str(error)}
    except RecursionError:
        return 400, {"error": "The body is nested too deeply."}
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return 500, {"error": f"The sandbox itself failed: {type(error).__name__}."}


def _body(raw: bytes, names: tuple[str, ...]) -> Json:
    body = json.loads(raw) if raw else {}
    # Half a surrogate pair and infinity are nothing that can be stored and sent; both raise ValueError.
    json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    if not isinstance(body, dict):
        raise MisuseError("The body must be a JSON object.")
    unknown = sorted(set(body) - set(names))
    if unknown:
        raise MisuseError(f"Unknown: {', '.join(unknown)}. This call takes {', '.join(names) or 'no body'}.")
    return body


def _fits(path: str, parts: list[str]) -> bool:
    pattern = path.split("/")
    return len(pattern) == len(parts) and all(each in ("*", part) for each, part in zip(pattern, parts, strict=True))


def integer(body: Json, name: str, default: int | None = None, *, low: int = 0, high: int = LAST_MOMENT) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise MisuseError(f"{name} must be a whole number.")
    if not low <= value <= high:
        raise MisuseError(f"{name} must be between {low} and {high}.")
    return value


def text(body: Json, name: str, default: str) -> str:
    """A string; null stands for the default, as if it had not been given."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise MisuseError(f"{name} must be a string.")
    return default if value is None else value


def flag(body: Json, name: str, default: bool) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise MisuseError(f"{name} must be true or false.")
    return default if value is None else value


def choice(body: Json, name: str, values: Iterable[str], default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or value not in values:
        raise MisuseError(f"{name} must be one of {', '.join(values)}.")
    return value


def _offset(world: World, body: Json) -> int:
    """How far from the machine's clock `set` is, or where the clock is with `advance` more; of a clock on its way, from its end."""
    if ("advance" in body) == ("set" in body):
        raise MisuseError("Give either advance or set.")
    machine = world.now() - world.state.clock_offset
    if "set" in body:
        return integer(body, "set") - machine
    wanted = world.offset_ahead() + integer(body, "advance", low=-LAST_MOMENT)
    if not 0 <= machine + wanted <= LAST_MOMENT:
        raise MisuseError("The clock goes from 1970 to 2100.")
    return wanted


def stored(world: World, kind: str, id: str) -> Resource:
    found = world.state.objects.get(id)
    if found is None or found["object"] != kind or found.hidden.get("deleted"):
        raise StripeError(f"No such {kind}: '{id}'", status=404, code="resource_missing")
    return found


def connected(world: World, id: str) -> Resource:
    """An account that the platform is connected with; it is not connected with itself."""
    found = stored(world, "account", id)
    if world.is_platform(found.id):
        raise StripeError(f"No such account: '{id}'", status=404, code="resource_missing")
    return found


@action("GET", "health")
async def health(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {
        "status": "ok",
        "now": world.now(),
        "platform": world.settings.platform,
        "endpoints": endpoints(),
        "balance_errors": balance.check(world),
    }


@action("POST", "reset", "accounts_v1_refused")
async def reset(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    refused = flag(body, "accounts_v1_refused", False)
    world.reset()
    world.state.accounts_v1_refused = refused
    beginning.prepare(world)
    return {"now": world.now(), "platform": world.settings.platform}


def _clock(world: World) -> Json:
    """`offset` (whole seconds) is exact: who adds it to the machine's time has no jumps from rounding."""
    return {"now": world.now(), "offset": world.state.clock_offset, "next_due": world.next_due()}


@action("GET", "clock")
async def read_clock(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _clock(world)


@action("POST", "clock", "advance", "set", "settle", "timeout")
async def move_clock(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """`advance` seconds or `set` unix. Answers when all that fell due has happened.

    With `settle` the clock goes there in steps, and the deliveries of each instant, retries included, are made before
    the next one comes; `settled` is false when they took longer than `timeout` seconds. Without it the clock jumps, and
    the deliveries follow on their own in the order of their instants.
    """
    offset, timeout = _offset(world, body), integer(body, "timeout", SETTLE_TIMEOUT, high=600)
    if not flag(body, "settle", False):
        world.jump(offset)
        beginning.prepare(world)
        return _clock(world)
    if offset < world.state.clock_offset:
        world.jump(offset)
        beginning.prepare(world)
    return {"settled": await courier.walk(offset, timeout), **_clock(world)}


@action("POST", "checkout/*/pay", "payment_method", "authenticate", "email")
async def pay(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer pays; `authenticate` answers the bank (null: left open). A decline answers 402 as Stripe words it."""
    session = stored(world, "checkout.session", ids[0])
    checkout_flow.pay(
        world,
        session,
        text(body, "payment_method", "pm_card_visa"),
        authenticate=None
        if "authenticate" in body and body["authenticate"] is None
        else flag(body, "authenticate", True),
        email=text(body, "email", "") or None,
    )
    return session


@action("POST", "checkout/*/abandon")
async def abandon(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer closes the page: the session stays open until it expires."""
    return stored(world, "checkout.session", ids[0])


@action("POST", "payment_intents/*/authenticate", "succeeded")
async def authenticate(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, stored(world, "payment_intent", ids[0]), body)


@action("POST", "setup_intents/*/authenticate", "succeeded")
async def authenticate_setup(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, stored(world, "setup_intent", ids[0]), body)


def _authenticate(world: World, intent: Resource, body: Json) -> Json:
    succeeded = flag(body, "succeeded", True)
    if intent["status"] != "requires_action":
        raise MisuseError(f"The {intent['object']} is {intent['status']}: its bank asks nothing.")
    checkout_flow.answer_bank(world, intent, succeeded=succeeded)
    return intent


@action("POST", "payment_intents/*/lapse")
async def lapse(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The hold ends now, before its time."""
    intent = stored(world, "payment_intent", ids[0])
    if intent["status"] != "requires_capture":
        raise MisuseError(f"The payment_intent is {intent['status']}: it has no hold that could lapse.")
    payment_flow.hold_lapses(world, intent=intent.id)
    return intent


@action("POST", "accounts/*/onboard", "outcome")
async def onboard(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    outcome = choice(body, "outcome", hosted_onboarding.OUTCOMES, "complete")
    account = connected(world, ids[0])
    hosted_onboarding.onboard(world, account, outcome)
    return account


@action("POST", "accounts/*/restrict", "deadline")
async def restrict(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Stripe asks for a document: at once, or with `deadline` (unix seconds) later."""
    account = connected(world, ids[0])
    deadline = None if body.get("deadline") is None else integer(body, "deadline", low=1)
    account_state.restrict(world, account, deadline=deadline)
    return account


@action("POST", "accounts/*/deauthorize")
async def deauthorize(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    account = connected(world, ids[0])
    account_state.deauthorize(world, account)
    return {"id": account.id, "deauthorized": True}


@action("POST", "accounts_v1", "refused")
async def accounts_v1(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """`{"refused": true}` makes Stripe refuse v1 accounts, as it does for new platforms."""
    world.state.accounts_v1_refused = flag(body, "refused", False)
    return {"refused": world.state.accounts_v1_refused}


@action("POST", "disputes", "payment_intent", "reason", "inquiry", "amount")
async def dispute(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The cardholder disputes a payment, or part of it (`amount`, minor units), or (`inquiry`) only asks about it."""
    intent = stored(world, "payment_intent", text(body, "payment_intent", ""))
    if not intent["latest_charge"]:
        raise MisuseError("This payment has no charge to dispute.")
    charge, reason = world.get(intent["latest_charge"]), text(body, "reason", "fraudulent")
    amount = None if body.get("amount") is None else integer(body, "amount", low=1, high=LARGEST_AMOUNT)
    return disputes.open_dispute(world, charge, reason=reason, inquiry=flag(body, "inquiry", False), amount=amount)


@action("POST", "disputes/*/resolve", "outcome")
async def resolve_dispute(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = stored(world, "dispute", ids[0])
    disputes.resolve(world, found, won=choice(body, "outcome", ("won", "lost")) == "won")
    return found


@action("POST", "payouts/*/fail", "failure_code")
async def fail_payout(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    payout = stored(world, "payout", ids[0])
    if payout["status"] not in ("pending", "in_transit", "paid"):
        raise MisuseError(f"The payout is {payout['status']}.")
    payouts.fail(world, payout, choice(body, "failure_code", payout_failures.MESSAGES, "could_not_process"))
    return payout


@action("POST", "balance", "account", "amount", "currency", "available")
async def add_balance(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Adds (or, negative, takes) money, as a top-up would: to the platform, or to `account`."""
    account = text(body, "account", world.settings.platform)
    stored(world, "account", account)
    currency = money.check_currency(text(body, "currency", "usd"))
    due = None if flag(body, "available", True) else money.funds_available_on(world, account)
    money.post(
        world,
        account,
        type="topup",
        category="topup",
        amount=integer(body, "amount", low=-LARGEST_AMOUNT, high=LARGEST_AMOUNT),
        currency=currency,
        source=None,
        description="Sandbox balance",
        available_on=due,
    )
    return money.balance_object(world, account)


@action("GET", "requests")
async def requests(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": [api.logged(entry) for entry in world.state.requests]}


@action("GET", "requests/heads")
async def request_heads(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """What was asked without what was answered: after large lists, a thousandth of the whole log."""
    heads = [{name: value for name, value in entry.items() if name != "response"} for entry in world.state.requests]
    return {"data": heads}


@action("GET", "events")
async def list_events(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = [event for (_, kind), group in world.state.lists.items() if kind == "event" for event in group]
    return {"data": [events.rendered(world, event) for event in sorted(found, key=lambda each: each.sequence)]}


@action("POST", "faults", *faults.NAMES)
async def add_fault(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return faults.add(world, body)


@action("GET", "faults")
async def list_faults(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"data": world.state.faults, "actions": faults.ACTIONS}


@action("DELETE", "faults")
async def clear_faults(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.state.faults = []
    return {"data": []}


@action("POST", "faults/release")
async def release_faults(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    world.release()
    return {"data": world.state.faults}


@action("POST", "idempotency/prune")
async def prune(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return {"pruned": idempotency.prune_all(world)}


@action("POST", "rate_limit", "account", "endpoint")
async def rate_limit(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Requests a second for each account and for each of its endpoints, until the next reset; 0 for no limit."""
    world.limit(integer(body, "account", 0), integer(body, "endpoint", 0))
    return {"account": world.limits.account, "endpoint": world.limits.endpoint}
