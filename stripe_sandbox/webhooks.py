"""Webhook deliveries: one row for each event and endpoint, signed as Stripe signs, retried on the sandbox clock."""

import asyncio
import hashlib
import hmac
import json
import sys
import threading
import time
import traceback
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import requests

from .errors import Json
from .rendering import to_json
from .world import Resource, World, job

# Stripe publishes no table for its sandboxes, only "three retries over a few hours".
RETRY_AFTER = (60, 600, 3600)
TIMEOUT = 10  # seconds of silence
LONGEST_DELIVERY = 15  # seconds, for an endpoint that answers byte by byte
LONGEST_ANSWER = 2000  # characters that are kept
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
                row["next_attempt_at"] = world.now()
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
    return is_live(endpoint) and ("*" in endpoint["enabled_events"] or type in endpoint["enabled_events"])


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
            rule["hits"] += 1
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


def record_attempt(world: World, row: Json, instant: int, status: int | None, answer: str) -> None:
    """Books the outcome of the attempt that fell due at `instant`; a failure is retried until the schedule is exhausted."""
    world.unsaved = True
    row["attempts"].append({"at": instant, "status": status, "answer": answer[:LONGEST_ANSWER]})
    row["next_attempt_at"] = None
    if status is not None and 200 <= status < 300:
        row["status"] = "delivered"
    elif row["status"] != "delivered":
        tried = len(row["attempts"])
        if tried <= len(RETRY_AFTER):
            row["next_attempt_at"] = instant + RETRY_AFTER[tried - 1]
            world.schedule(row["next_attempt_at"], "retry_delivery", number=row["number"])
        row["status"] = "retrying" if row["next_attempt_at"] else "failed"


@job
def retry_delivery(world: World, *, number: int) -> None:
    row = world.state.deliveries[number]
    # Sent again by hand in the meantime, it has a later schedule, and this one is over.
    if row["status"] != "retrying" or row["next_attempt_at"] > world.now():
        return
    endpoint = world.get(row["endpoint"])
    if not is_live(endpoint):  # Stripe makes no further attempts then; enabled again before, it gets them all
        row.update(status="failed", next_attempt_at=None)
    elif world.state.webhook_controls.get("hold"):
        row.update(status="held", next_attempt_at=None)
    else:
        row.update(status="pending", url=endpoint["url"])
        world.on_delivery(row)


def is_live(endpoint: Resource) -> bool:
    return endpoint["status"] == "enabled" and not endpoint.hidden.get("deleted")


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
    """Sends deliveries in the background: one queue for each URL, by the instant they fell due, without blocking anything else."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queues: dict[str, asyncio.PriorityQueue[tuple[int, int, Json]]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.queued = 0
        self.in_flight = 0

    def send_later(self, row: Json) -> None:
        """Queues the attempt that falls due at the row's `next_attempt_at`."""
        queue = self.queues.get(row["url"])
        if queue is None:
            queue = self.queues[row["url"]] = asyncio.PriorityQueue()
            task = asyncio.get_running_loop().create_task(self._work(queue))
            self.tasks.add(task)
        self.in_flight += 1
        self.queued += 1
        queue.put_nowait((row["next_attempt_at"], self.queued, row))

    async def send(self, row: Json, instant: int) -> None:
        """One attempt, now, booked for that instant of the sandbox clock; the row has its outcome afterwards."""
        world = self.world
        if not _is_known(world, row):
            return
        if not is_live(world.get(row["endpoint"])):
            if row["status"] != "delivered":
                row.update(status="failed", next_attempt_at=None)
            return
        payload, headers = message(world, row)
        status, answer = await _posted(row["url"], payload, headers)
        if _is_known(world, row):
            record_attempt(world, row, instant, status, answer)
            world.run_due()  # the clock may have passed the instant of the next attempt meanwhile

    async def send_all(self, rows: list[Json], seconds: float) -> bool:
        """Sends these now, one after the other. False when that takes longer than `seconds`; it goes on nevertheless."""
        for row in rows:
            row["status"] = "pending"  # nobody else releases them
        self.in_flight += len(rows)
        task = asyncio.create_task(self._send_each(rows))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=seconds)
        return bool(done)

    async def _send_each(self, rows: list[Json]) -> None:
        for row in rows:
            try:
                await self.send(row, self.world.now())
            except Exception:
                traceback.print_exc(file=sys.stderr)
            finally:
                self.in_flight -= 1

    async def settle(self, seconds: float) -> bool:
        """Waits until nothing is queued or being sent. False when the time is over first."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.in_flight:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def walk(self, offset: int, seconds: float) -> bool:
        """Moves the clock forward to `offset` in steps, so that each instant's deliveries are made before the next one comes.

        False when they took longer than `seconds` altogether: the clock is there nevertheless, and they go on behind it.
        Another move meanwhile takes over: one further ahead is walked to as well, any other ends the walk.
        """
        world, loop = self.world, asyncio.get_running_loop()
        deadline = loop.time() + seconds
        world.destination = offset
        settled = await self.settle(seconds)
        while world.destination is not None and world.state.clock_offset < world.destination:
            due = world.next_due()
            if settled and due is not None:
                world.set_offset(min(world.destination, max(world.state.clock_offset, due - int(time.time()))))
            else:
                world.set_offset(world.destination)
            settled = await self.settle(deadline - loop.time())
        world.destination = None
        return settled

    async def _work(self, queue: "asyncio.PriorityQueue[tuple[int, int, Json]]") -> None:
        while True:
            instant, _, row = await queue.get()
            try:
                if row["status"] == "pending" and _is_known(self.world, row):
                    await self.send(row, instant)
            except Exception:
                traceback.print_exc(file=sys.stderr)
            finally:
                self.in_flight -= 1

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()


def _is_known(world: World, row: Json) -> bool:
    """Not when a reset has forgotten the delivery."""
    known = world.state.deliveries
    return row["number"] < len(known) and known[row["number"]] is row


async def _posted(url: str, payload: bytes, headers: dict[str, str]) -> tuple[int | None, str]:
    """`_post` in a thread of its own that does not keep the program from ending, as one of a pool would."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[tuple[int | None, str]] = loop.create_future()

    def tell(answer: tuple[int | None, str]) -> None:
        if not outcome.cancelled():
            outcome.set_result(answer)

    def work() -> None:
        answer = _post(url, payload, headers)
        with suppress(RuntimeError):  # the program ends, and its loop is closed
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=work, name="webhook", daemon=True).start()
    try:
        return await asyncio.wait_for(outcome, LONGEST_DELIVERY)
    except TimeoutError:
        return None, f"ReadTimeout: no whole answer in {LONGEST_DELIVERY} seconds."


def _post(url: str, payload: bytes, headers: dict[str, str]) -> tuple[int | None, str]:
    """The status and the beginning of the answer; no status when the endpoint could not be reached in time."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy for the world outside has no part in this
            options: Any = {"timeout": TIMEOUT, "allow_redirects": False, "stream": True}
            with session.post(url, data=payload, headers=headers, **options) as answer:
                begin: bytes = next(answer.iter_content(LONGEST_ANSWER), b"")  # it may never end
    except (requests.RequestException, ValueError) as error:  # the latter for some addresses that are none
        return None, f"{type(error).__name__}: {error}"
    return answer.status_code, begin.decode(errors="replace")
