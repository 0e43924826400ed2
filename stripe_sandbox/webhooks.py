"""Webhook deliveries: one row for each event and endpoint, signed as Stripe signs, retried on the sandbox clock."""

import asyncio
import hashlib
import hmac
import json
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from typing import Any

import requests

from .errors import Json
from .rendering import to_json
from .world import Resource, World, job

# Stripe publishes no table for its sandboxes, only "three retries over a few hours".
RETRY_AFTER = (60, 600, 3600)
TIMEOUT = 10
LONGEST_ROLL = 24 * 3600  # seconds for which the Dashboard lets an old secret live on
WRONG_SECRET = "whsec_wrong"  # noqa: S105 - meant to be wrong


def enqueue(world: World, event: Resource) -> None:
    """Makes the delivery rows of a new event and sends them off, unless the control plane holds or drops them."""
    controls = world.state.webhook_controls
    connected = not world.is_platform(event.account)
    for endpoint in world.all("webhook_endpoint", world.settings.platform):
        if endpoint.hidden["connect"] == connected and _listens(endpoint, event["type"]):
            row = add_delivery(world, event, endpoint)
            if any(fnmatchcase(event["type"], pattern) for pattern in controls.get("drop", [])):
                row["status"] = "dropped"
            elif controls.get("hold"):
                row["status"] = "held"
            else:
                world.on_delivery(row)


def add_delivery(world: World, event: Resource, endpoint: Resource) -> Json:
    number = len(world.state.deliveries)
    row: Json = {
        "id": f"del_{number}",
        "number": number,
        "event": event.id,
        "type": event["type"],
        "account": event.get("account"),
        "endpoint": endpoint.id,
        "url": endpoint["url"],
        "created": world.now(),
        "status": "pending",
        "attempts": [],
        "next_attempt_at": None,
    }
    world.state.deliveries.append(row)
    event.hidden["deliveries"].append(number)
    return row


def pending(world: World, event: Resource) -> int:
    """How many endpoints have not acknowledged the event with a 2xx."""
    return sum(world.state.deliveries[number]["status"] != "delivered" for number in event.hidden["deliveries"])


def _listens(endpoint: Resource, type: str) -> bool:
    return endpoint["status"] == "enabled" and ("*" in endpoint["enabled_events"] or type in endpoint["enabled_events"])


def message(world: World, row: Json) -> tuple[bytes, dict[str, str]]:
    """The body and headers to send now, tampered with when the control plane asked for it."""
    event, endpoint = world.get(row["event"]), world.get(row["endpoint"])
    body: Json = {**event, "data": json.loads(event.hidden["data"]), "pending_webhooks": pending(world, event)}
    if endpoint["api_version"]:
        body["api_version"] = endpoint["api_version"]
    # Signed by the wall clock, whatever the world's clock says: receivers compare it with their own.
    secrets, timestamp = list(endpoint.hidden["secrets"]), int(time.time())
    for rule in world.state.webhook_controls.get("tamper", []):
        if rule["left"] != 0 and any(fnmatchcase(event["type"], pattern) for pattern in rule["types"]):
            rule["left"] -= 1
            if rule["what"] == "secret":
                secrets = [WRONG_SECRET]
            elif rule["what"] == "timestamp":
                timestamp -= int(rule["value"] or 3600)
            else:
                body[rule["what"]] = rule["value"]
    payload = to_json(body).encode()
    return payload, {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": signature(payload, secrets, timestamp),
    }


def signature(payload: bytes, secrets: list[str], timestamp: int) -> str:
    """The `Stripe-Signature` header: one v1 for each live secret, and the false v0 of test mode."""
    signed = f"{timestamp}.".encode() + payload
    parts = [f"t={timestamp}"]
    parts += ["v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    parts.append("v0=" + hashlib.sha256(signed).hexdigest())
    return ",".join(parts)


def record_attempt(world: World, row: Json, status: int | None, answer: str) -> None:
    """Books the outcome of one attempt; a failure is retried until the schedule is exhausted."""
    world.unsaved = True
    row["attempts"].append({"at": world.now(), "status": status, "answer": answer[:2000]})
    row["next_attempt_at"] = None
    if status is not None and 200 <= status < 300:
        row["status"] = "delivered"
    elif row["status"] != "delivered":
        tried = len(row["attempts"])
        if tried <= len(RETRY_AFTER):
            row["next_attempt_at"] = world.now() + RETRY_AFTER[tried - 1]
            world.schedule(row["next_attempt_at"], "retry_delivery", number=row["number"])
        row["status"] = "retrying" if row["next_attempt_at"] else "failed"


@job
def retry_delivery(world: World, *, number: int) -> None:
    row = world.state.deliveries[number]
    # Sent again by hand in the meantime, it has a later schedule, and this one is over.
    if row["status"] == "retrying" and row["next_attempt_at"] <= world.now():
        if world.state.webhook_controls.get("hold"):
            row["status"] = "held"
        else:
            world.on_delivery(row)


def roll_secret(world: World, endpoint: Resource, *, expires_in: int) -> str:
    """Gives the endpoint a new secret, as the Dashboard does; the old ones stay valid for `expires_in` seconds."""
    secret = new_secret(world)
    old = endpoint.hidden["secrets"]
    endpoint.hidden["secrets"] = [secret, *old] if expires_in else [secret]
    if expires_in:
        world.schedule(world.now() + expires_in, "expire_secrets", endpoint=endpoint.id, secrets=list(old))
    return secret


def new_secret(world: World) -> str:
    return "whsec_" + world.token(32)


@job
def expire_secrets(world: World, *, endpoint: str, secrets: list[str]) -> None:
    hidden = world.get(endpoint).hidden
    hidden["secrets"] = [each for each in hidden["secrets"] if each not in secrets]


class Courier:
    """Sends deliveries in the background: one queue for each endpoint, in order, without blocking anything else."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="webhook")
        self.queues: dict[str, asyncio.Queue[tuple[World, Any, Json]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.in_flight = 0

    def send_later(self, row: Json) -> None:
        queue = self.queues.get(row["url"])
        if queue is None:
            queue = self.queues[row["url"]] = asyncio.Queue()
            task = asyncio.get_running_loop().create_task(self._work(queue))
            self.tasks.add(task)
        self.in_flight += 1
        queue.put_nowait((self.world, self.world.state, row))

    async def send(self, row: Json) -> None:
        """One attempt, now; the row has its outcome afterwards."""
        state = self.world.state
        if self.world.get(row["endpoint"]).hidden.get("deleted"):
            row["status"] = "failed"
            return
        payload, headers = message(self.world, row)
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(self.threads, _post, row["url"], payload, headers)
        if self.world.state is state:  # a reset in the meantime has forgotten this delivery
            record_attempt(self.world, row, status, answer)

    async def settle(self, seconds: float) -> bool:
        """Waits until nothing is queued or being sent. False when the time is over first."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.in_flight:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _work(self, queue: "asyncio.Queue[tuple[World, Any, Json]]") -> None:
        while True:
            world, state, row = await queue.get()
            try:
                if world.state is state and row["status"] in ("pending", "retrying"):
                    await self.send(row)
            except Exception:
                traceback.print_exc(file=sys.stderr)
            finally:
                self.in_flight -= 1

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.threads.shutdown(wait=False, cancel_futures=True)


def _post(url: str, payload: bytes, headers: dict[str, str]) -> tuple[int | None, str]:
    """The status and the beginning of the answer; no status when the endpoint could not be reached in time."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy for the world outside has no part in this
            answer = session.post(url, data=payload, headers=headers, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        return None, f"{type(error).__name__}: {error}"
    return answer.status_code, answer.text
