"""The HTTP server: an ASGI application on uvicorn, with a hand on the connection for broken answers."""

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import api, beginning, control, control_money, control_tamper, control_webhooks, pages, resources
from .api import Answer, Incoming
from .errors import Json, StripeError, no_such, unrecognised_url
from .pages.html import Page
from .webhooks import Courier
from .world import World

CONTROL = (control, control_money, control_tamper, control_webhooks)  # all add to the one table of control calls
MAX_BODY, MAX_UPLOAD = 2 * 1024 * 1024, 17 * 1024 * 1024
SAVE_EVERY = 1.0
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class BreakableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection reachable from the application so that a fault can break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox.transport": {"transport": self.transport}}


class Server:
    """Routes requests to the API, the control plane and the pages; keeps the clock running and the state saved."""

    def __init__(self, world: World, *, latency_ms: int, state_file: Path | None) -> None:
        self.world = world
        self.courier = Courier(world)
        self.latency_ms = latency_ms
        self.state_file = state_file
        self.tasks: list[asyncio.Task[None]] = []
        self.woken = asyncio.Event()
        resources.load()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.world.on_delivery = self.courier.send_later
        self.world.on_schedule = self.woken.set
        beginning.prepare(self.world)
        for row in self.world.state.deliveries:
            if (
                row["status"] == "pending"
            ):  # queued or being sent when it stopped; planned retries are jobs of the clock
                row["next_attempt_at"] = row["next_attempt_at"] or row["created"]
                self.courier.send_later(row)
        self.tasks = [asyncio.create_task(self._keep_time()), asyncio.create_task(self._keep_state())]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self.tasks:
            task.cancel()
        self.courier.close()
        self.world.unsaved = True  # the log of reads, which are not saved for their own sake
        self._save()
        await send({"type": "lifespan.shutdown.complete"})

    async def _keep_time(self) -> None:
        """Does what falls due as real time passes."""
        while True:
            self.woken.clear()
            due = self.world.next_due()
            wait = 60.0 if due is None else max(0.0, min(60.0, due - self.world.now()))
            with suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), wait)
                continue
            self.world.run_due()

    async def _keep_state(self) -> None:
        while True:
            await asyncio.sleep(SAVE_EVERY)
            self._save()

    def _save(self) -> None:
        if not (self.state_file and self.world.unsaved):
            return
        try:
            self.world.save(self.state_file)
        except OSError as error:  # tried again every second, as a full disk may be emptied
            print(f"stripe_sandbox: cannot write the state: {error}", file=sys.stderr)

    async def _http(self, scope: Any, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        most = MAX_UPLOAD if path == api.FILES else MAX_BODY
        try:
            body = await _read(receive, most) if scope["method"] not in ("GET", "HEAD") else b""
        except _HasLeftError:
            return
        if body is None:
            await _send(
                send,
                413,
                to_bytes({"error": {"message": "Request body too large.", "type": "invalid_request_error"}}),
                {"Content-Type": "application/json"},
            )
            return
        self.world.unsaved = self.world.unsaved or scope["method"] != "GET" or path.startswith("/setup/")
        client_port = scope["client"][1] if scope["client"] else None
        incoming = Incoming(scope["method"], path, scope["query_string"], headers, body, client_port)
        if scope["method"] == "GET" and path.startswith(api.FILES) and path.endswith("/contents"):
            await _send_file(self.world, send, incoming)
        elif path.startswith(("/v1/", "/v2/")):
            answer = await api.handle(self.world, incoming, self.latency_ms)
            await _answer(scope, send, answer)
        elif path.startswith("/_sandbox/"):
            status, result = await control.handle(self.world, self.courier, incoming)
            await _send(send, status, to_bytes(result), {"Content-Type": "application/json"})
        else:
            page = await self._page(incoming)
            await _send(
                send,
                page.status,
                page.body.encode(),
                {"Content-Type": page.content_type, "Cache-Control": "no-store", **page.headers},
            )

    async def _page(self, incoming: Incoming) -> Page:
        self.world.run_due()
        try:
            found = await pages.handle(self.world, self.courier, incoming)
        except StripeError as error:
            return pages.error_page(error)
        if found is not None:
            return found
        if incoming.headers.get("authorization"):  # a Stripe client that missed the API's paths
            unknown = unrecognised_url(incoming.method, incoming.path)
            return Page(
                json.dumps(unknown.body(self.world.settings.platform, None)),
                status=404,
                content_type="application/json",
            )
        return pages.error_page(no_such("page", incoming.path, param="url", status=404))


def to_bytes(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


class _HasLeftError(Exception):
    """The client hung up before its request was whole: half a request must have no effect."""


async def _read(receive: Receive, most: int) -> bytes | None:
    """The request's body; None when it is larger than any request may be. Raises _HasLeftError."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _HasLeftError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(scope: Any, send: Send, answer: Answer) -> None:
    transport = scope["extensions"]["sandbox.transport"]["transport"]
    if answer.cut == "reset":
        connection = transport.get_extra_info("socket")
        if connection is not None:  # no lingering: the client sees a reset, not an orderly end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return
    if answer.cut == "close":
        transport.close()
        return
    body = answer.body.encode()
    headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, no-store", **answer.headers}
    if answer.cut is None:
        await _send(send, answer.status, body, headers)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": _header_list(headers, len(body))})
    if answer.cut == "drip":
        steps = max(1, min(20, len(body)))
        size = -(-len(body) // steps)
        for start in range(0, len(body), size):
            await send(
                {
                    "type": "http.response.body",
                    "body": body[start : start + size],
                    "more_body": start + size < len(body),
                }
            )
            await asyncio.sleep(answer.drip_ms / 1000 / steps)
    else:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(0)
        transport.close()


async def _send_file(world: World, send: Send, incoming: Incoming) -> None:
    """What was uploaded, as the `url` of a file object promises: with a key, and only to the file's own account."""
    try:
        caller = api.authenticate(world, incoming.headers)
        found = world.require("file", incoming.path.split("/")[3], caller.account, param="file", status=404)
    except StripeError as error:
        body = to_bytes(error.body(world.settings.platform, None))
        await _send(send, error.status, body, {"Content-Type": "application/json"})
        return
    await _send(send, 200, found.hidden["content"], {"Content-Type": "application/octet-stream"})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _header_list(headers, len(body))})
    await send({"type": "http.response.body", "body": body})


def _header_list(headers: dict[str, str], length: int) -> Iterable[tuple[bytes, bytes]]:
    listed = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return [*listed, (b"content-length", str(length).encode())]
