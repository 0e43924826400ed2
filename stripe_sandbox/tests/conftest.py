"""One sandbox for all these tests, a process of its own, reset before each; driven by the real `stripe` library."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe

from . import contract

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk_test_0123456789abcdefghij"
# When each test begins, in seconds: a Friday, 2026-11-20 12:00 UTC. Money reaches banks at midnight, and months end.
NOON = 1_795_176_000


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: tables that take their time")


class Refused(Exception):
    """The control plane said no."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


@dataclass
class Sandbox:
    """A running sandbox: its control plane, and clients for its API."""

    url: str
    process: "subprocess.Popen[str]"

    def control(self, method: str, path: str, body: Any = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)) from None

    def post(self, path: str, /, **body: Any) -> Any:
        return self.control("POST", path, body)

    def get(self, path: str) -> Any:
        return self.control("GET", path)

    def client(self, **options: Any) -> stripe.StripeClient:
        addresses: Any = {"api": self.url, "connect": self.url, "files": self.url}
        return stripe.StripeClient(KEY, base_addresses=addresses, **options)

    def raw(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, dict[str, str]]:
        """A request without the library: status, JSON, headers in lower case."""
        given = {"Authorization": f"Bearer {KEY}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(
            self.url + path, data=body if method == "POST" else None, method=method, headers=given
        )
        try:
            answer = urllib.request.urlopen(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, json.load(answer), {name.lower(): value for name, value in answer.headers.items()}

    def await_hit(self) -> None:
        """Until a request is in the hands of the first fault."""
        until(lambda: self.get("faults")["data"][0]["hits"])

    def advance(self, seconds: int) -> int:
        return int(self.post("clock", advance=seconds)["now"])

    def event_types(self, account: str | None = None) -> list[str]:
        """What was told so far, in order: of the platform, or of one connected account."""
        return [event["type"] for event in self.get("events")["data"] if event.get("account") == account]


def until(true: Callable[[], object]) -> None:
    """Waits for it, and fails where it does not come: a slow machine gets a minute."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came to this"
        time.sleep(0.01)


def start(*arguments: str) -> Sandbox:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": ""}
    process = subprocess.Popen(
        # A test run that is killed, or a test that fails before its `stop`, must leave no process behind.
        [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--die-with-parent", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    return Sandbox(found.group(), process)


def stop(sandbox: Sandbox) -> int:
    sandbox.process.terminate()
    code = sandbox.process.wait(60)
    assert sandbox.process.stdout is not None
    sandbox.process.stdout.close()
    return code


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    sandbox = start()
    yield sandbox
    assert stop(sandbox) == 0


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Empty, at NOON. Whatever a test does, every answer it gets is held against the package's classes."""
    running.post("reset")
    running.post("clock", set=NOON)
    yield running
    answers = [entry["response"] for entry in running.get("requests")["data"] if entry["fault"] is None]
    assert sorted(set(contract.faults(answers))) == []


@pytest.fixture
def api(sandbox: Sandbox) -> Any:
    return sandbox.client().v1


@pytest.fixture
def coach(api: Any, sandbox: Sandbox) -> str:
    """The id of an onboarded Express account that can receive transfers."""
    return onboarded(api, sandbox)


def onboarded(api: Any, sandbox: Sandbox, **fields: Any) -> str:
    account = api.accounts.create(
        {"type": "express", "country": "US", "capabilities": {"transfers": {"requested": True}}, **fields}
    )
    sandbox.post(f"accounts/{account.id}/onboard", outcome="complete")
    return str(account.id)


def pay(api: Any, amount: int = 10000, *, card: str = "pm_card_visa", **fields: Any) -> Any:
    """A PaymentIntent, created and confirmed in one call."""
    return api.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "confirm": True,
            "payment_method": card,
            "payment_method_types": ["card"],
            **fields,
        }
    )


def hold(api: Any, amount: int = 10000, **fields: Any) -> Any:
    return pay(api, amount, capture_method="manual", **fields)


def checkout(api: Any, amount: int = 10000, **fields: Any) -> Any:
    items = [
        {"price_data": {"currency": "usd", "unit_amount": amount, "product_data": {"name": "Lesson"}}, "quantity": 1}
    ]
    return api.checkout.sessions.create(
        {
            "mode": "payment",
            "line_items": items,
            "success_url": "http://shop.test/done?id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://shop.test/left",
            **fields,
        }
    )


def refused(call: Callable[[], Any]) -> Any:
    """The error that the library raises."""
    with pytest.raises(stripe.StripeError) as caught:
        call()
    return caught.value


@dataclass
class Receiver:
    """A webhook endpoint that remembers what came and answers what it is told."""

    url: str
    received: list[tuple[bytes, str]] = field(default_factory=list)
    status: int = 200
    meanwhile: Callable[[], None] = lambda: None  # what it does before it answers

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.received.append((body, self.headers["Stripe-Signature"]))
            kept.meanwhile()
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()
