"""Runs the whole product on this machine: see bin/start."""

import argparse
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, ClassVar
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import environ

from bin import _servers
from bin._servers import ROOT

if TYPE_CHECKING:
    from django.conf import LazySettings

VAR = ROOT / "var"
LOGS = VAR / "log"
DEMO_ENV = VAR / "demo.env"
DATABASE = VAR / "holdfast.sqlite3"
SANDBOX_STATE = VAR / "sandbox.state"
# Written when the demo's data is complete. Without it the last start was broken off, and what it left is of no use.
LOADED = VAR / "demo-is-loaded"
READY_SECONDS = 90
DEMO_LOGINS = ("student@example.com", "coach@example.com", "staff@example.com")


class StartError(Exception):
    """Said in one sentence that a person can act on."""


@dataclass(frozen=True)
class Plan:
    """What this start runs itself: whatever `.env` and the environment leave open."""

    port: int
    sandbox_port: int
    demo: bool
    sandbox: bool
    own_database: bool
    own_redis: bool

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


@dataclass(frozen=True)
class Process:
    """A running part, and where it writes what it has to say."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/start", description="Runs web, worker, beat and the Stripe sandbox.")
    parser.add_argument("--fresh", action="store_true", help="throw the demo's data away and begin anew")
    fresh: bool = parser.parse_args().fresh
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _interrupt)
    reach_this_machine_itself()
    processes: list[Process] = []
    try:
        with _only_one():
            start(make_plan(), fresh, processes)
            watch(processes)
    except KeyboardInterrupt:
        print("\nStopping ...", flush=True)
    except StartError as error:
        print(f"bin/start: {error}", file=sys.stderr)
        return 1
    finally:
        stop(processes)
    return 0


def reach_this_machine_itself() -> None:
    """Where the web is reached by a proxy, that would be asked for our own parts, too."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    VAR.mkdir(exist_ok=True)
    with (VAR / "start.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError("it is already running in this folder; end that one first.") from None
        yield


# --- what to run --------------------------------------------------------------------------------


def make_plan() -> Plan:
    """Reads what is set, and writes the rest to var/demo.env. Raises StartError."""
    given = {**_read(ROOT / ".env"), **os.environ}
    demo = given.get("DEBUG", "true").lower() in {"true", "1", "yes"}
    plan = Plan(
        port=_port("PORT", 8000),
        sandbox_port=_port("SANDBOX_PORT", 12111),
        demo=demo,
        sandbox=demo and "STRIPE_SECRET_KEY" not in given,
        own_database=not given.get("DATABASE_URL"),
        own_redis=not given.get("REDIS_URL"),
    )
    _require_free("PORT", plan.port)
    if plan.sandbox:
        _require_free("SANDBOX_PORT", plan.sandbox_port)
    wanted = _demo_settings(plan, _read(DEMO_ENV).get("SECRET_KEY") or secrets.token_urlsafe(50))
    lines = [f"{name}={value}\n" for name, value in wanted.items() if name not in given]
    DEMO_ENV.touch(mode=0o600)
    DEMO_ENV.write_text("# Written by bin/start; .env and the environment win.\n" + "".join(lines))
    return plan


def _demo_settings(plan: Plan, secret_key: str) -> dict[str, str]:
    settings = {"SITE_URL": plan.url}
    if plan.own_redis:
        settings["REDIS_URL"] = f"redis://127.0.0.1:{_servers.free_port()}/0"
    if plan.demo:
        settings |= {"DEBUG": "true", "DEMO": "true", "SECRET_KEY": secret_key}
        settings |= {"OPERATOR_NAME": "Example Coaching Ltd", "OPERATOR_ADDRESS": "1 Example Street, Dublin"}
        settings |= {"OPERATOR_TAX_ID": "IE0000000X", "FEE_TAX_BPS": "2300"}
        settings |= {"CURRENCIES": "usd,eur,gbp,jpy", "COUNTRIES": "US,DE,GB,JP"}
    if plan.sandbox:
        settings |= {
            "STRIPE_SECRET_KEY": "sk_test_sandboxsandboxsandbox0001",
            "STRIPE_SANDBOX_URL": plan.sandbox_url,
            "STRIPE_WEBHOOK_SECRETS": "whsec_sandboxplatform0000000001",
            "STRIPE_CONNECT_WEBHOOK_SECRETS": "whsec_sandboxconnect00000000001",
        }
    return settings


def _read(path: Path) -> dict[str, str]:
    """The settings that a file sets."""

    class File(environ.Env):  # type: ignore[misc]  # ships no types
        ENVIRON: ClassVar[dict[str, str]] = {}

    if path.is_file():
        File.read_env(path)
    return File.ENVIRON


def _port(name: str, default: int) -> int:
    value = os.environ.get(name, "") or str(default)
    if not value.isdigit() or not 1 <= int(value) <= 65535:
        raise StartError(f"{name} must be a number from 1 to 65535.")
    return int(value)


def _require_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise StartError(f"port {port} is taken; choose another with {name}=... bin/start") from None


# --- start, watch, stop -------------------------------------------------------------------------


def start(plan: Plan, fresh: bool, processes: list[Process]) -> None:
    """Brings everything up, in the order in which one part needs another, and says where to go. Raises StartError."""
    began = time.monotonic()
    if fresh:
        throw_away(plan)
    elif plan.own_database and plan.sandbox and DATABASE.exists() and not LOADED.exists():
        print("The last start was broken off before its data was complete: beginning anew.")
        throw_away(plan)
    LOGS.mkdir(parents=True, exist_ok=True)
    settings = set_up_django()
    if plan.own_redis:
        launch(processes, "valkey", _servers.redis_command(_valkey(), _port_of(settings.REDIS_URL), VAR / "valkey"))
    if plan.sandbox:
        launch(processes, "sandbox", _sandbox_command(plan, settings))
        await_all(processes, {f"{plan.sandbox_url}/_sandbox/health": "the Stripe sandbox"})
    prepare_database(plan)
    launch_web(plan, processes)
    await_all(processes, {f"{plan.url}/health/live/": "the web process"})
    if plan.sandbox and not LOADED.exists():
        load_demo()
    launch_worker_and_beat(processes)
    await_all(processes, {f"{plan.url}/health/": "web, worker and beat"})
    say_ready(plan, time.monotonic() - began)


def throw_away(plan: Plan) -> None:
    """Deletes what earlier starts have made here, and nothing else."""
    if not plan.own_database:
        raise StartError("--fresh throws away the demo's own data, but DATABASE_URL names a database of yours.")
    for path in (VAR / "valkey", VAR / "mail", VAR / "media"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (DATABASE, Path(f"{DATABASE}-wal"), Path(f"{DATABASE}-shm"), SANDBOX_STATE, LOADED):
        path.unlink(missing_ok=True)


def set_up_django() -> "LazySettings":
    import django
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured

    os.environ["DJANGO_SETTINGS_MODULE"] = "marketplace.settings"
    try:
        django.setup()
    except ImproperlyConfigured as error:
        raise StartError(str(error)) from None
    return settings


def prepare_database(plan: Plan) -> None:
    """Migrates, showing each migration; a new SQLite file is a copy of the template."""
    from django.core.management import call_command
    from django.db import connection

    from bin import _template

    if plan.own_database and not DATABASE.exists():
        print("Making the database (the first time, dj-stripe's migrations take half a minute) ...", flush=True)
        store = _template.store()
        store.copy(store.ensure_template(), str(DATABASE))
    else:
        call_command("migrate", verbosity=1)
    if not plan.demo:
        call_command("collectstatic", interactive=False, verbosity=0)
    connection.close()


def load_demo() -> None:
    """With web up, so that the story's webhooks arrive, and before the worker, whose part the story plays."""
    from django.core.management import call_command
    from django.db import connection

    print("Loading the demo's data ...", flush=True)
    call_command("load_demo")
    LOADED.touch()
    connection.close()


def launch_web(plan: Plan, processes: list[Process]) -> None:
    web = ["gunicorn", "marketplace.wsgi", "--worker-class", "gthread", "--workers", "2", "--threads", "4"]
    launch(
        processes,
        "web",
        [
            sys.executable,
            "-m",
            *web,
            "--bind",
            f"127.0.0.1:{plan.port}",
            "--graceful-timeout",
            "3",
            "--preload",
            "--no-control-socket",
        ],
    )


def launch_worker_and_beat(processes: list[Process]) -> None:
    """Both are well once a new heartbeat is there: one that the last start left behind says nothing about them."""
    from django.core.cache import cache

    from marketplace.tasks import HEARTBEAT_KEY

    cache.delete(HEARTBEAT_KEY)
    celery = [sys.executable, "-m", "celery", "-A", "marketplace"]
    # The small protocols between workers are of no use to one.
    quiet = ["--without-mingle", "--without-gossip", "--loglevel", "INFO"]
    launch(processes, "worker", [*celery, "worker", "--concurrency", "2", *quiet])
    launch(processes, "beat", [*celery, "beat", "--schedule", str(VAR / "beat-schedule"), "--pidfile="])


def launch(processes: list[Process], name: str, command: list[str]) -> None:
    """Starts a part that ends with this process, whatever ends it, and appends what it says to its log."""
    path = LOGS / f"{name}.log"
    with path.open("w") as log:
        popen = subprocess.Popen(
            # Ctrl-C is for this process alone, which then ends the others in order.
            _servers.leashed(command),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    processes.append(Process(name, popen, path))


def _valkey() -> str:
    program = _servers.valkey_program()
    if not program:
        raise StartError("there is no Valkey for this machine; install redis-server, or set REDIS_URL.")
    return program


def _port_of(url: str) -> int:
    return urlsplit(url).port or 6379


def _sandbox_command(plan: Plan, settings: "LazySettings") -> list[str]:
    command = [sys.executable, "-m", "stripe_sandbox", "--port", str(plan.sandbox_port), "--state", str(SANDBOX_STATE)]
    command += ["--platform-webhook", f"{plan.url}/stripe/webhooks/"]
    command += ["--platform-webhook-secret", settings.STRIPE_WEBHOOK_SECRETS[0]]
    command += ["--connect-webhook", f"{plan.url}/stripe/webhooks/connect/"]
    return [*command, "--connect-webhook-secret", settings.STRIPE_CONNECT_WEBHOOK_SECRETS[0]]


def await_all(processes: list[Process], addresses: dict[str, str]) -> None:
    """Waits until each address answers 200. Raises StartError when a process ends before, or time runs out."""
    deadline = time.monotonic() + READY_SECONDS
    for address, name in addresses.items():
        while not _is_well(address):
            require_running(processes)
            if time.monotonic() > deadline:
                raise StartError(f"{name} did not answer within {READY_SECONDS} s; see {LOGS.relative_to(ROOT)}/.")
            time.sleep(0.2)


def _is_well(address: str) -> bool:
    try:
        with urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, TimeoutError, ConnectionError):
        return False


def require_running(processes: list[Process]) -> None:
    for process in processes:
        if process.popen.poll() is not None:
            last = "".join(f"\n    {line}" for line in process.log.read_text(errors="replace").splitlines()[-8:])
            raise StartError(f"{process.name} has ended; the end of {process.log.relative_to(ROOT)}:{last}")


def watch(processes: list[Process]) -> None:
    """Until Ctrl-C. Raises StartError when a part has ended by itself."""
    while True:
        require_running(processes)
        time.sleep(0.5)


def say_ready(plan: Plan, seconds: float) -> None:
    print(f"ready: {plan.url}")
    print(f"  started in {seconds:.0f} s; what each part says is in {LOGS.relative_to(ROOT)}/")
    if plan.demo:
        print(f"  mail:    {plan.url}/dev/mail/")
    if plan.sandbox:
        print(f"  sandbox: {plan.sandbox_url}/  (Stripe's side of it all; no real money)")
        print(f"  log in:  {', '.join(DEMO_LOGINS)}  password: demo-password")
    print("  Ctrl-C ends everything.", flush=True)


def stop(processes: list[Process]) -> None:
    """Ends all parts, the last started first asked; waits until they are gone."""
    for process in reversed(processes):
        process.popen.terminate()
    for process in processes:
        process.popen.wait()


if __name__ == "__main__":
    sys.exit(main())
