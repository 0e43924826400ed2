"""One API request from header to answer: who asks, is the key known, are the parameters right, what happens, what is said."""

import base64
import json
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from . import errors, faults, forms, idempotency, rendering, schema, versions
from .errors import Json, StripeError, validation
from .multipart import decode as decode_multipart
from .routing import Call, Route, match
from .world import API_VERSION, RequestInfo, World

# Fault actions by what they do to the effect of a request.
NO_EFFECT = frozenset({"refuse", "reset_before_effect", "timeout_before", "conflict", "rate_limit", "lock_timeout"})
FILES = "/v1/files"  # the one endpoint that takes multipart bodies
CUTS = {"reset_after_effect": "reset", "timeout_after": "close", "truncate_body": "truncate", "slow_drip": "drip"}


@dataclass(slots=True)
class Incoming:
    """A request as it came over the wire; header names in lower case."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes
    client_port: int | None = None


@dataclass(slots=True)
class Answer:
    """What goes back. `cut` tells the server to break the connection: `reset` or `close` (say nothing), `truncate` or `drip` (over drip_ms)."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None
    drip_ms: int = 0


@dataclass(slots=True)
class Result:
    """What an endpoint said, and whether an idempotency key remembers it."""

    status: int
    text: str
    stored: bool = True
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Caller:
    key: str
    account: str


async def handle(world: World, incoming: Incoming, latency_ms: int = 0) -> Answer:
    """Answers an API request. Never raises; an error of the sandbox itself is Stripe's 500."""
    world.run_due()
    request_id = world.new_id("request")
    entry = _log(world, incoming, request_id)
    fault = faults.strike(
        world,
        method=incoming.method,
        path=incoming.path,
        account=entry["account"],
        key=entry["idempotency_key"],
        request_id=request_id,
    )
    if fault:
        entry["fault"] = fault["action"]
    pause = latency_ms / 1000
    answer = (
        await _faulted(world, incoming, entry, fault, pause)
        if fault
        else await _answered(world, incoming, entry, pause)
    )
    entry["finished"] = True
    return answer


def _log(world: World, incoming: Incoming, request_id: str) -> Json:
    """The request's row in the log; it is there before the request is worked, so that a test can wait for it."""
    entry: Json = {
        "id": request_id,
        "at": world.now(),
        "method": incoming.method,
        "path": incoming.path,
        "account": incoming.headers.get("stripe-account"),
        "idempotency_key": incoming.headers.get("idempotency-key"),
        "stripe_version": incoming.headers.get("stripe-version"),
        "params": None,
        "status": None,
        "response": None,
        "replayed": False,
        "effect": False,
        "fault": None,
        "finished": False,
        # The other end of the connection: a test may want to know which of its processes asks.
        "client_port": incoming.client_port,
    }
    world.state.requests.append(entry)
    return entry


async def _faulted(world: World, incoming: Incoming, entry: Json, fault: Json, pause: float) -> Answer:
    """Plays the fault: before the effect, instead of it, or after it."""
    action, delay = fault["action"], fault["delay_ms"] / 1000
    if action == "timeout_before":
        await world.wait(delay)
    if action in NO_EFFECT or (action == "respond" and not fault["stored"]):
        return _without_effect(world, entry, fault)
    if action == "prune_keys":
        idempotency.prune_all(world)
    before = delay if action == "delay_before" else 0
    overriding = fault if action in ("respond", "respond_after_effect") else None
    answer = await _answered(world, incoming, entry, pause + before, overriding)
    if action in ("delay_after", "timeout_after"):
        await world.wait(delay)
    if action == "garbage_body":
        answer.body = "<html><body>upstream connect error</body></html>"
    answer.cut, answer.drip_ms = CUTS.get(action), fault["delay_ms"]
    return answer


def _without_effect(world: World, entry: Json, fault: Json) -> Answer:
    action = fault["action"]
    if action == "respond":  # something in front of Stripe answers; no idempotency key is looked at
        result = _prepared(fault)
        entry.update(status=result.status, response=result.text)
        return Answer(result.status, result.text, {**_common_headers(entry), **result.headers})
    if action == "conflict":
        error = idempotency.in_use(entry["idempotency_key"] or "")
    elif action == "rate_limit":
        error = errors.rate_limited("global-rate")
    elif action == "lock_timeout":
        error = StripeError(
            "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you "
            "see this error intermittently, retry the request.",
            status=429,
            code="lock_timeout",
            headers={"Stripe-Rate-Limited-Reason": "resource-specific"},
        )
    else:
        return Answer(0, "", cut="close" if action == "timeout_before" else "reset")
    error.headers = {**error.headers, **fault["headers"]}
    return _refusal(world, entry, error)


def _prepared(fault: Json) -> Result:
    """The answer that a fault rule carries; an idempotency key remembers it when the rule says so."""
    body = fault["body"]
    if body is None:
        body = {"error": {"message": "Something went wrong.", "type": "api_error"}}
    text = body if isinstance(body, str) else rendering.to_json(body)
    return Result(fault["status"], text, fault["stored"], fault["headers"])


async def _answered(
    world: World, incoming: Incoming, entry: Json, pause: float, overriding: Json | None = None
) -> Answer:
    """The answer after `pause` seconds, during which an idempotency key counts as in use."""
    try:
        return await _worked(world, incoming, entry, pause, overriding)
    except StripeError as error:
        return _refusal(world, entry, error)


def _refusal(world: World, entry: Json, error: StripeError) -> Answer:
    text = rendering.answer(error.body(world.settings.platform, entry["id"]))
    entry.update(status=error.status, response=text)
    return Answer(error.status, text, {**_common_headers(entry), **error.headers})


def _common_headers(entry: Json) -> dict[str, str]:
    headers = {"Request-Id": entry["id"], "Stripe-Version": entry["stripe_version"] or API_VERSION}
    if entry["idempotency_key"]:
        headers["Idempotency-Key"] = entry["idempotency_key"]
    return headers


async def _worked(world: World, incoming: Incoming, entry: Json, pause: float, overriding: Json | None) -> Answer:
    caller = authenticate(world, incoming.headers)
    versions.check(entry["stripe_version"] or API_VERSION)
    entry["account"] = None if world.is_platform(caller.account) else caller.account
    found = match(incoming.method, incoming.path)
    if found is None:
        raise errors.unrecognised_url(incoming.method, incoming.path)
    world.limits.count(caller.account, incoming.method, found[0].path)
    params = _params(incoming)
    entry["params"] = params
    key = incoming.headers.get("idempotency-key") if incoming.method == "POST" else None
    if key is not None:
        earlier = idempotency.begin(world, caller.account, key, (incoming.method, incoming.path, params), entry["id"])
        if earlier is not None:
            assert earlier.status is not None
            entry.update(status=earlier.status, response=earlier.body, replayed=True)
            return Answer(
                earlier.status,
                earlier.body,
                {**_common_headers(entry), "Idempotent-Replayed": "true", "Original-Request": earlier.request_id},
            )
    if pause:
        state = world.state
        await world.wait(pause)
        if world.state is not state:
            raise StripeError("The sandbox was reset while it worked on this request.", status=500, type="api_error")
        world.unsaved = True  # a save during the pause holds nothing of what follows
        world.run_due()
    endpoint, path = found
    version = incoming.headers.get("stripe-version")
    call = Call(world, caller.account, params, path, api_key=caller.key, stripe_version=version)
    world.request = RequestInfo(entry["id"], key)
    try:
        result = Result(0, "") if _is_instead(overriding) else _executed(endpoint, call, entry)
    finally:
        world.request = None
    if overriding:
        result = _prepared(overriding)
    if key is not None:
        if result.stored:
            idempotency.finish(world, caller.account, key, result.status, result.text)
        else:
            idempotency.release(world, caller.account, key)
    entry.update(status=result.status, response=result.text)
    return Answer(result.status, result.text, {**_common_headers(entry), **result.headers})


def _is_instead(overriding: Json | None) -> bool:
    """Whether the fault's answer comes instead of the effect, not after it."""
    return overriding is not None and overriding["action"] == "respond"


def _executed(endpoint: Route, call: Call, entry: Json) -> Result:
    """Checks the parameters and runs the endpoint."""
    world, writes = call.world, entry["method"] != "GET"
    try:
        if endpoint.params_type:
            call.params = schema.check(endpoint.params_type, call.params)
        call.expand = call.params.pop("expand", [])
        rendering.check_depth(call.expand)
        body = endpoint.handler(call)
        entry["effect"] = writes
        return Result(200, rendering.answer(rendering.expand(world, body, call.expand) if call.expand else body))
    except StripeError as error:
        done = entry["effect"]  # it is the expansion of the answer that failed: the key must not do it again
        entry["effect"] = done or (writes and error.status == 402)
        text = rendering.answer(error.body(world.settings.platform, entry["id"]))
        return Result(error.status, text, error.stored or done, error.headers)
    except Exception:
        traceback.print_exc(file=sys.stderr)
        problem = StripeError("An unknown error occurred.", status=500, type="api_error")
        return Result(500, rendering.to_json(problem.body(world.settings.platform, entry["id"])))


def _params(incoming: Incoming) -> Json:
    params = forms.decode(incoming.query)
    if incoming.method == "POST" and incoming.body:
        given = incoming.headers.get("content-type", "application/x-www-form-urlencoded")
        kind = given.partition(";")[0].strip().lower()
        if kind == "multipart/form-data" and incoming.path == FILES:
            return params | decode_multipart(incoming.body, given)
        if kind != "application/x-www-form-urlencoded":
            raise validation(
                "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any "
                "questions, we can help at https://support.stripe.com/."
            )
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
    if not world.is_platform(account) and world.connected(account) is None:
        raise errors.account_invalid(key, account)
    return Caller(key, account)


def _key(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[0]
        except ValueError:  # no base64, or of no UTF-8
            return ""
    return ""


def logged(entry: Json) -> Json:
    """A row of the request log for reading, its answer as JSON."""
    response: Any = entry["response"]
    if isinstance(response, str):
        with suppress(ValueError):  # a fault may have answered with something that is no JSON
            response = json.loads(response)
    return {**entry, "response": response}
