"""The whole product as processes: a web server, a worker, their Redis and a Stripe sandbox, on one database."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import redis
import requests
from celery import Celery
from django.conf import settings
from django.db import connections

from bin import _servers, _template
from bookings.models import Booking, Notice
from marketplace import clock
from marketplace.dev_mail import StoredMail, newest_first
from marketplace.tests.main_path.processes import Process
from payments.models import Operation, StripeEvent

# A Tuesday on which nothing is special, so that a run never depends on the day it is made.
BEGIN = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)
START_SECONDS = 180
DEADLINE_SECONDS = 300
# How long the machine waits for something before the product's clock is helped on, and by how much.
PATIENCE_SECONDS = 1.0
HELPED_ON = timedelta(seconds=15)
QUEUE = "celery"

EVENT_TICKS = ("payments.tasks.sweep_events",)
POLL_TICKS = ("payments.tasks.poll_open_payments", "payments.tasks.poll_payout_accounts")
OTHER_TICKS = (
    "payments.tasks.sweep_operations",
    "payments.tasks.run_due_payouts",
    "payments.tasks.mirror_events",
    "bookings.tasks.run_due_transitions",
    "bookings.tasks.send_notices",
)
ALL_TICKS = EVENT_TICKS + POLL_TICKS + OTHER_TICKS


class Watcher(Protocol):
    """Whoever looks on while the product works, and may interfere."""

    def look(self, product: "Product", asking: "Future[Any] | None") -> None:
        """`asking` is the request of a person that the web process is answering at the moment."""


class Product:
    """Web, worker, Redis and sandbox. Instead of beat, `until` sends the tasks that beat would send, only faster."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.ticks: tuple[str, ...] = ALL_TICKS
        self.watchers: list[Watcher] = []
        web, self.sandbox_port, self.redis_port = (_port(stack) for _ in range(3))
        self.url, self.sandbox_url = f"http://127.0.0.1:{web}", f"http://127.0.0.1:{self.sandbox_port}"
        self.environment = self._environment()
        self._http = stack.enter_context(requests.Session())
        self._people = stack.enter_context(ThreadPoolExecutor(1))
        self.broker = Celery(broker=self.environment["REDIS_URL"], set_as_current=False)
        self._queue = redis.Redis.from_url(self.environment["REDIS_URL"])
        stack.callback(self._queue.close)
        stack.callback(self.broker.close)
        self.redis = self._process("redis", _servers.redis_command(_redis_program(), self.redis_port, None))
        self.sandbox = self._process("sandbox", self._sandbox_command())
        self.web = self._process("web", _web_command(web))
        self.worker = self.worker_named("worker")
        for process in self.processes:
            stack.callback(process.end)

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.redis, self.sandbox, self.web, self.worker)

    def worker_named(self, name: str) -> Process:
        command = ["-m", "celery", "-A", "marketplace", "worker", "-n", f"{name}@%h", "--concurrency", "1"]
        return self._process(name, [sys.executable, *command, "--without-gossip", "--without-mingle"])

    def beat_named(self, name: str) -> Process:
        command = ["-m", "celery", "-A", "marketplace", "beat", "--schedule", str(self.folder / f"{name}.schedule")]
        return self._process(name, [sys.executable, *command, "--pidfile", ""])

    def _process(self, name: str, command: list[str]) -> Process:
        return Process(name, command, self.environment, self.folder)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "marketplace.settings",
            "DATABASE_URL": _database_url(os.environ["DATABASE_URL"]),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "SITE_URL": self.url,
            "STRIPE_SANDBOX_URL": self.sandbox_url,
            "EMAIL_FILE_PATH": str(self.folder / "mail"),
            "LOG_LEVEL": "INFO",
        }

    def _sandbox_command(self) -> list[str]:
        (secret,), (connect_secret,) = settings.STRIPE_WEBHOOK_SECRETS, settings.STRIPE_CONNECT_WEBHOOK_SECRETS
        return [
            *(sys.executable, "-m", "stripe_sandbox", "--port", str(self.sandbox_port)),
            *("--platform-webhook", f"{self.url}/stripe/webhooks/", "--platform-webhook-secret", secret),
            *("--connect-webhook", f"{self.url}/stripe/webhooks/connect/", "--connect-webhook-secret", connect_secret),
        ]

    # --- beginning ------------------------------------------------------------------------------

    def start(self) -> None:
        for process in self.processes:
            process.start()
        self._await(lambda: bool(self._queue.ping()))
        self._await(lambda: bool(self.stripe_control("GET", "health")))
        self.await_web()

    def await_web(self) -> None:
        self._await(lambda: self._http.get(f"{self.url}/accounts/login/", timeout=30).status_code == 200)

    def begin_anew(self) -> None:
        """An empty database, an empty Stripe, an empty queue, no mail; the watchers are gone and it is BEGIN."""
        for process in self.processes:
            if not process.running:
                process.end()
                process.start()
        self.forget_everything()
        connections.close_all()
        store = _template.store()
        store.copy(store.ensure_template(), connections["default"].settings_dict["NAME"])
        self.set_clock(BEGIN)
        self.await_web()

    def forget_everything(self) -> None:
        self.watchers, self.ticks = [], ALL_TICKS
        self._await(lambda: bool(self._queue.ping()))
        self.flush_redis()
        self._await(lambda: bool(self.stripe_control("POST", "reset")))
        for path in (self.folder / "mail").glob("*"):
            path.unlink()

    def _await(self, answered: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if answered():
                    return
            except (requests.ConnectionError, redis.ConnectionError):
                pass  # not yet
            if time.monotonic() > deadline:
                raise AssertionError(f"The product did not start.\n{self.logs()}")
            time.sleep(0.02)

    # --- time -----------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.stripe_control("GET", "clock")["now"], UTC)

    def set_clock(self, moment: datetime) -> None:
        """Returns once every process has noticed: each asks the sandbox again after so long."""
        self.stripe_control("POST", "clock", {"set": int(moment.timestamp())})
        time.sleep(clock._OFFSET_LIFE_SECONDS)

    def let_pass(self, time_span: timedelta) -> None:
        self.set_clock(self.now() + time_span)

    def help_on(self, by: timedelta) -> None:
        """Without waiting for anyone to notice: less than any process would mind."""
        self.stripe_control("POST", "clock", {"advance": int(by.total_seconds())})

    # --- the work -------------------------------------------------------------------------------

    def until(self, what: str, true: Callable[[], bool]) -> None:
        """Has the workers do what is due until this is so; whatever waits for a later time gets it."""
        deadline, patience = time.monotonic() + DEADLINE_SECONDS, time.monotonic() + PATIENCE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"It never came to this: {what}.\n{where_it_stands()}\n{self.logs()}")
            self.tick()
            self.look(None)
            if time.monotonic() > patience:
                self.help_on(HELPED_ON)
                patience = time.monotonic() + PATIENCE_SECONDS
            time.sleep(0.02)

    def tick(self) -> None:
        """What beat does, whenever the workers have done all they were given."""
        try:
            if self._queue.llen(QUEUE) == 0:
                for name in self.ticks:
                    self.broker.send_task(name, expires=30)
        except redis.ConnectionError:
            pass  # a test has stopped it

    def flush_redis(self) -> None:
        self._queue.flushall()

    def look(self, asking: "Future[Any] | None") -> None:
        for watcher in list(self.watchers):
            watcher.look(self, asking)

    def ask(self, request: Callable[[], requests.Response]) -> requests.Response:
        """A person's request. While somebody interferes, a person whose connection breaks tries again."""
        while True:
            asking = self._people.submit(request)
            while not asking.done():
                self.look(asking)
                time.sleep(0.01)
            try:
                return asking.result()
            except requests.ConnectionError:
                if not self.watchers:
                    raise
                self.await_web()

    def until_quiet(self) -> None:
        """Nothing is open, unworked, unmirrored or unsent."""
        self.until("all work is done", lambda: not open_work())

    # --- Stripe, as its own users and its makers see it -----------------------------------------

    def stripe_control(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The sandbox's control plane; raises requests.HTTPError on a 4xx or 5xx."""
        answer = self._http.request(method, f"{self.sandbox_url}/_sandbox/{path}", json=body, timeout=90)
        answer.raise_for_status()
        return answer.json()

    def stripe_list(self, path: str, account: str = "") -> list[dict[str, Any]]:
        """All objects of a v1 list, oldest first."""
        return list(reversed(self.stripe_read(f"{path}?limit=100", account)["data"]))

    def stripe_read(self, path: str, account: str = "") -> Any:
        headers = {"Stripe-Account": account} if account else {}
        url = f"{self.sandbox_url}/v1/{path}"
        answer = self._http.get(url, auth=(settings.STRIPE_SECRET_KEY, ""), headers=headers, timeout=30)
        answer.raise_for_status()
        return answer.json()

    # --- what it leaves behind ------------------------------------------------------------------

    def mails_to(self, address: str) -> list[StoredMail]:
        """Newest first."""
        return [mail for mail in newest_first(self.folder / "mail") if mail.to == address]

    def logs(self) -> str:
        return "\n".join(process.log_tail() for process in self.processes)


def open_work() -> list[str]:
    """In words: what the workers still have to do about money and events, or owe in mails."""
    operations = Operation.objects.filter(state__in=Operation.OPEN_STATES).values_list("kind", flat=True)
    events = StripeEvent.objects.filter(state=StripeEvent.State.NEW).values_list("type", flat=True)
    unmirrored = StripeEvent.objects.filter(mirror_state=StripeEvent.MirrorState.NEW).values_list("type", flat=True)
    notices = Notice.objects.filter(sent_at=None).values_list("template", flat=True)
    return [*operations, *events, *unmirrored, *notices]


def where_it_stands() -> str:
    """For the message of a test that fails."""
    rows = [
        *Booking.objects.order_by("pk").values_list("pk", "status", "starts_at", "payment__status", "retry_at"),
        *Operation.objects.order_by("created_at").values_list(
            "kind", "state", "tries", "next_try_at", "lease_until", "error_code", "error_message"
        ),
    ]
    return "\n".join([" ".join(map(str, row)) for row in rows] + [f"open: {open_work()}"])


@contextmanager
def running_product(folder: Path) -> Iterator[Product]:
    """Ends every process it has started, also when the test fails."""
    with ExitStack() as stack:
        product = Product(folder, stack)
        product.start()
        yield product


def _port(stack: ExitStack) -> int:
    return int(stack.enter_context(_servers.reserve_port()).getsockname()[1])


def _redis_program() -> str:
    return _servers.redis_program() or _servers.valkey_program()


def _database_url(server: str) -> str:
    return server.rsplit("/", 1)[0] + f"/{connections['default'].settings_dict['NAME']}"


def _web_command(port: int) -> list[str]:
    command = ["-m", "gunicorn", "marketplace.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
    return [sys.executable, *command, "--workers", "1", "--threads", "4", "--preload", "--no-control-socket"]
