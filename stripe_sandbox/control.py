"""The control plane under /_sandbox/: what tests and tools do to the sandbox and its world. JSON in, JSON out."""

import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable

from . import api, beginning, events, faults, idempotency, money
from .api import Incoming
from .errors import Json, StripeError
from .limits import Limits
from .resources import account_state, balance, checkout_flow, disputes, hosted_onboarding, payment_flow, payouts
from .routing import endpoints
from .webhooks import Courier
from .world import Resource, World

SETTLE_TIMEOUT = 60.0
# 2100-01-01. Every day on the way there is worked, so further away is no test but a mistake.
LAST_MOMENT = 4102444800
LARGEST_AMOUNT = 10**12


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
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return 500, {"error": f"The sandbox itself failed: {type(error).__name__}."}


def _body(raw: bytes) -> Json:
    try:
        body = json.loads(raw) if raw else {}
    except RecursionError:
        raise MisuseError("The body is nested too deeply.") from None
    if not isinstance(body, dict):
        raise MisuseError("The body must be a JSON object.")
    if b"\\ud" in raw.lower():  # half a surrogate pair is no text that can be stored or sent; raises ValueError
        json.dumps(body, ensure_ascii=False).encode()
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


def choice(body: Json, name: str, values: Iterable[str], default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or value not in values:
        raise MisuseError(f"{name} must be one of {', '.join(values)}.")
    return value


def moment(world: World, body: Json) -> int:
    """The time on the sandbox clock that `set` names, or that is `advance` seconds away."""
    if ("advance" in body) == ("set" in body):
        raise MisuseError("Give either advance or set.")
    if "set" in body:
        return integer(body, "set")
    wanted = world.now() + integer(body, "advance", low=-LAST_MOMENT)
    if not 0 <= wanted <= LAST_MOMENT:
        raise MisuseError("The clock goes from 1970 to 2100.")
    return wanted


def stored(world: World, kind: str, id: str) -> Resource:
    found = world.state.objects.get(id)
    if found is None or found["object"] != kind or found.hidden.get("deleted"):
        raise StripeError(f"No such {kind}: '{id}'", status=404, code="resource_missing")
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
    world.set_clock(moment(world, body))
    if body.get("settle"):
        await courier.settle(SETTLE_TIMEOUT)
    return _clock(world)


@action("POST", "checkout/*/pay")
async def pay(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer pays; `authenticate` answers the bank (null: left open). A decline answers 402 as Stripe words it."""
    session = stored(world, "checkout.session", ids[0])
    checkout_flow.pay(
        world,
        session,
        text(body, "payment_method", "pm_card_visa"),
        authenticate=body.get("authenticate", True),
        email=text(body, "email", "") or None,
    )
    return session


@action("POST", "checkout/*/abandon")
async def abandon(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The customer closes the page: the session stays open until it expires."""
    return stored(world, "checkout.session", ids[0])


@action("POST", "payment_intents/*/authenticate")
async def authenticate(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, stored(world, "payment_intent", ids[0]), body)


@action("POST", "setup_intents/*/authenticate")
async def authenticate_setup(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    return _authenticate(world, stored(world, "setup_intent", ids[0]), body)


def _authenticate(world: World, intent: Resource, body: Json) -> Json:
    if intent["status"] != "requires_action":
        raise MisuseError(f"The {intent['object']} is {intent['status']}: its bank asks nothing.")
    checkout_flow.answer_bank(world, intent, succeeded=bool(body.get("succeeded", True)))
    return intent


@action("POST", "payment_intents/*/lapse")
async def lapse(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """The hold ends now, before its time."""
    payment_flow.hold_lapses(world, intent=stored(world, "payment_intent", ids[0]).id)
    return world.get(ids[0])


@action("POST", "accounts/*/onboard")
async def onboard(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    outcome = choice(body, "outcome", hosted_onboarding.OUTCOMES, "complete")
    account = stored(world, "account", ids[0])
    hosted_onboarding.onboard(world, account, outcome)
    return account


@action("POST", "accounts/*/restrict")
async def restrict(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Stripe asks for a document: at once, or with `deadline` (unix seconds) later."""
    account = stored(world, "account", ids[0])
    account_state.restrict(world, account, deadline=integer(body, "deadline") if body.get("deadline") else None)
    return account


@action("POST", "accounts/*/deauthorize")
async def deauthorize(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    account = stored(world, "account", ids[0])
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
    intent = stored(world, "payment_intent", text(body, "payment_intent", ""))
    if not intent["latest_charge"]:
        raise MisuseError("This payment has no charge to dispute.")
    charge, reason = world.get(intent["latest_charge"]), text(body, "reason", "fraudulent")
    return disputes.open_dispute(world, charge, reason=reason, inquiry=bool(body.get("inquiry")))


@action("POST", "disputes/*/resolve")
async def resolve_dispute(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = stored(world, "dispute", ids[0])
    disputes.resolve(world, found, won=choice(body, "outcome", ("won", "lost")) == "won")
    return found


@action("POST", "payouts/*/fail")
async def fail_payout(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    payout = stored(world, "payout", ids[0])
    if payout["status"] not in ("pending", "in_transit", "paid"):
        raise MisuseError(f"The payout is {payout['status']}.")
    payouts.fail(world, payout, text(body, "failure_code", "could_not_process"))
    return payout


@action("POST", "balance")
async def add_balance(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Adds (or, negative, takes) money, as a top-up would: to the platform, or to `account`."""
    account = text(body, "account", world.settings.platform)
    stored(world, "account", account)
    currency = money.check_currency(text(body, "currency", "usd"))
    due = None if body.get("available", True) else money.funds_available_on(world, account)
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


@action("GET", "events")
async def list_events(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    found = [event for (_, kind), group in world.state.lists.items() if kind == "event" for event in group]
    return {"data": [events.rendered(world, event) for event in sorted(found, key=lambda each: each.sequence)]}


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


@action("POST", "rate_limit")
async def rate_limit(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Requests a second for each account and for each of its endpoints, until the next reset; 0 for no limit."""
    world.limits = Limits(integer(body, "account", 0), integer(body, "endpoint", 0))
    return {"account": world.limits.account, "endpoint": world.limits.endpoint}
