"""One API request from header to answer: who asks, is the key known, are the parameters right, what happens, what is said."""

import asyncio
import base64
import binascii
import json
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import errors, faults, forms, idempotency, rendering, schema
from .errors import Json, StripeError, validation
from .routing import Call, Route, match
from .world import API_VERSION, RequestInfo, World

# Fault actions by what they do to the effect of a request.
NO_EFFECT = frozenset({"refuse", "reset_before_effect", "timeout_before", "respond", "conflict", "rate_limit", "lock_timeout"})


@dataclass(slots=True)
class Incoming:
    """A request as it came over the wire; header names in lower case."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Answer:
    """What goes back. `cut` tells the server to break the connection: `reset` or `close` (say nothing), `truncate` or `drip` (over drip_ms)."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None
    drip_ms: int = 0


@dataclass(slots=True)
class Caller:
    key: str
    account: str


async def handle(world: World, incoming: Incoming, latency_ms: int = 0) -> Answer:
    """Answers an API request. Never raises; an error of the sandbox itself is Stripe's 500."""
    world.run_due()
    request_id = world.new_id("request")
    entry = _log(world, incoming, request_id)
    fault = faults.strike(world, method=incoming.method, path=incoming.path, account=entry["account"], key=entry["idempotency_key"],
                          request_id=request_id)
    if fault:
        entry["fault"] = fault["action"]
    pause = latency_ms / 1000
    answer = await _faulted(world, incoming, entry, fault, pause) if fault else await _answered(world, incoming, entry, pause)
    entry["finished"] = True
    return answer


def _log(world: World, incoming: Incoming, request_id: str) -> Json:
    """The request's row in the log; it is there before the request is worked, so that a test can wait for it."""
    entry: Json = {
        "id": request_id, "at": world.now(), "method": incoming.method, "path": incoming.path,
        "account": incoming.headers.get("stripe-account"), "idempotency_key": incoming.headers.get("idempotency-key"),
        "stripe_version": incoming.headers.get("stripe-version"), "params": None, "status": None, "response": None,
        "replayed": False, "effect": False, "fault": None, "finished": False,
    }
    world.state.requests.append(entry)
    return entry


async def _faulted(world: World, incoming: Incoming, entry: Json, fault: Json, pause: float) -> Answer:
    action, delay = fault["action"], fault["delay_ms"] / 1000
    if action == "timeout_before":
        await asyncio.sleep(delay)
    if action in NO_EFFECT:
        return _without_effect(world, entry, fault)
    if action == "prune_keys":
        idempotency.prune_all(world)
    if action == "delay_before":
        pause += delay
    answer = await _answered(world, incoming, entry, pause, fault if action == "respond_after_effect" else None)
    if action in ("delay_after", "timeout_after"):
        await asyncio.sleep(delay)
    if action == "reset_after_effect":
        answer.cut = "reset"
    elif action == "timeout_after":
        answer.cut = "close"
    elif action == "truncate_body":
        answer.cut = "truncate"
    elif action == "slow_drip":
        answer.cut, answer.drip_ms = "drip", fault["delay_ms"]
    elif action == "garbage_body":
        answer.body = "<html><body>upstream connect error</body></html>"
    return answer


def _without_effect(world: World, entry: Json, fault: Json) -> Answer:
    action = fault["action"]
    if action == "respond":
        return _prepared(entry, fault)
    if action == "conflict":
        error = idempotency.in_use(entry["idempotency_key"] or "")
    elif action == "rate_limit":
        error = StripeError("Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
                            status=429, code="rate_limit", headers={"Stripe-Rate-Limited-Reason": "global-rate"})
    elif action == "lock_timeout":
        error = StripeError(
            "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you "
            "see this error intermittently, retry the request.",
            status=429, code="lock_timeout", headers={"Stripe-Rate-Limited-Reason": "resource-specific"})
    else:
        return Answer(0, "", cut="close" if action == "timeout_before" else "reset")
    error.headers = {**error.headers, **fault["headers"]}
    return _refusal(world, entry, error)


def _prepared(entry: Json, fault: Json) -> Answer:
    """The answer that a fault rule carries."""
    body = fault["body"] if fault["body"] is not None else {"error": {"message": "Something went wrong.", "type": "api_error"}}
    text = body if isinstance(body, str) else rendering.to_json(body)
    entry.update(status=fault["status"], response=text)
    return Answer(fault["status"], text, {"Request-Id": entry["id"], **fault["headers"]})


async def _answered(world: World, incoming: Incoming, entry: Json, pause: float, overriding: Json | None = None) -> Answer:
    """The answer after `pause` seconds, during which an idempotency key counts as in use."""
    try:
        return await _worked(world, incoming, entry, pause, overriding)
    except StripeError as error:
        return _refusal(world, entry, error)


def _refusal(world: World, entry: Json, error: StripeError) -> Answer:
    text = rendering.to_json(error.body(world.settings.platform, entry["id"]))
    entry.update(status=error.status, response=text)
    return Answer(error.status, text, {**_common_headers(entry), **error.headers})


def _common_headers(entry: Json) -> dict[str, str]:
    headers = {"Request-Id": entry["id"], "Stripe-Version": entry["stripe_version"] or API_VERSION}
    if entry["idempotency_key"]:
        headers["Idempotency-Key"] = entry["idempotency_key"]
    return headers


async def _worked(world: World, incoming: Incoming, entry: Json, pause: float, overriding: Json | None) -> Answer:
    caller = authenticate(world, incoming.headers)
    entry["account"] = None if world.is_platform(caller.account) else caller.account
    found = match(incoming.method, incoming.path)
    if found is None:
        raise errors.unrecognised_url(incoming.method, incoming.path)
    params = _params(incoming)
    entry["params"] = params
    key = incoming.headers.get("idempotency-key") if incoming.method == "POST" else None
    if key is not None:
        earlier = idempotency.begin(world, caller.account, key, (incoming.method, incoming.path, params), entry["id"])
        if earlier is not None:
            assert earlier.status is not None
            entry.update(status=earlier.status, response=earlier.body, replayed=True)
            return Answer(earlier.status, earlier.body,
                          {**_common_headers(entry), "Idempotent-Replayed": "true", "Original-Request": earlier.request_id})
    if pause:
        await asyncio.sleep(pause)
        world.run_due()
    world.request = RequestInfo(entry["id"], key)
    try:
        status, text, stored, headers = _executed(world, found, caller, params, incoming, entry)
    finally:
        world.request = None
    if overriding:
        answer = _prepared(entry, overriding)
        status, text, headers = answer.status, answer.body, answer.headers
    if key is not None:
        if stored:
            idempotency.finish(world, caller.account, key, status, text)
        else:
            idempotency.release(world, caller.account, key)
    entry.update(status=status, response=text)
    return Answer(status, text, {**_common_headers(entry), **headers})


def _executed(world: World, found: tuple[Route, dict[str, str]], caller: Caller, params: Json, incoming: Incoming,
              entry: Json) -> tuple[int, str, bool, dict[str, str]]:
    """Runs the endpoint: status, body, whether an idempotency key remembers it, extra headers."""
    entry_route, path = found
    writes = incoming.method != "GET"
    try:
        checked = schema.check(entry_route.params_type, params) if entry_route.params_type else params
        call = Call(world, caller.account, checked, path, checked.pop("expand", []), caller.key, incoming.headers.get("stripe-version"))
        body = entry_route.handler(call)
        entry["effect"] = writes
        text = rendering.to_json(rendering.expand(world, body, call.expand) if call.expand else body)
        return 200, text, True, {}
    except StripeError as error:
        entry["effect"] = writes and error.status == 402
        text = rendering.to_json(error.body(world.settings.platform, entry["id"]))
        return error.status, text, error.stored, error.headers
    except Exception:
        traceback.print_exc(file=sys.stderr)
        problem = StripeError("An unknown error occurred.", status=500, type="api_error")
        return 500, rendering.to_json(problem.body(world.settings.platform, entry["id"])), True, {}


def _params(incoming: Incoming) -> Json:
    params = forms.decode(incoming.query)
    if incoming.method == "POST" and incoming.body:
        kind = incoming.headers.get("content-type", "application/x-www-form-urlencoded").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise validation("Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any "
                             "questions, we can help at https://support.stripe.com/.")
        params.update(forms.decode(incoming.body))
    return params


def authenticate(world: World, headers: Mapping[str, str]) -> Caller:
    """Whose key it is and as which account the call is made.

    Any test secret key is the platform's. Raises StripeError 401 for no, bad or publishable keys, 403 for a foreign account.
    """
    key = _key(headers.get("authorization", ""))
    if not key:
        raise errors.no_key()
    if key.startswith("pk_"):
        raise errors.publishable_key()
    if not key.startswith(("sk_test_", "rk_test_")):
        raise errors.bad_key(key)
    account = headers.get("stripe-account") or world.settings.platform
    if not world.is_platform(account) and world.find("account", account, world.settings.platform) is None:
        raise errors.account_invalid(key, account)
    return Caller(key, account)


def _key(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def logged(entry: Json) -> Json:
    """A row of the request log for reading, its answer as JSON."""
    response: Any = entry["response"]
    if isinstance(response, str):
        try:
            response = json.loads(response)
        except ValueError:
            pass
    return {**entry, "response": response}
