"""What the tests run on: private servers, settings of their own, and nothing beyond this machine."""

import ipaddress
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from bin import _servers

TEST_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "marketplace.settings",
    "ENV_FILES": "",  # a developer's own settings must not change a test
    "DEBUG": "true",
    "DEMO": "false",
    "SECRET_KEY": "tests-only-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-xyz",
    "SITE_URL": "http://127.0.0.1:8000",
    "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
    "STRIPE_SECRET_KEY": "sk_test_sandboxsandboxsandbox0001",
    "STRIPE_WEBHOOK_SECRETS": "whsec_sandboxplatform0000000001",
    "STRIPE_CONNECT_WEBHOOK_SECRETS": "whsec_sandboxconnect00000000001",
    "CURRENCIES": "usd,eur,gbp,jpy",
    "COUNTRIES": "US,DE,GB,JP",
    "LOG_LEVEL": "WARNING",
    "PAYOUT_SENDERS": "1",  # in the test's own transaction; those that are about several set it
    # Tests of it switch it on: the others count each call to Stripe.
    "STRIPE_LOOK_OUT_SECONDS": "0",
    # Playwright runs an event loop in the test's thread, where Django would otherwise refuse the database.
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    # A machine that reaches the web by a proxy would ask that for its own servers, too.
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


@dataclass
class Environment:
    """The servers of one test run, and what could not be had."""

    embedded: bool
    missing: list[str] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)
    sandbox_port: int = 0

    def prepare(self, worker: str) -> None:
        """Sets the environment that Django's settings read. `worker` is xdist's name for this process, or empty."""
        given = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
        for name in _names_in_example():
            os.environ.pop(name, None)
        os.environ.update(TEST_SETTINGS)
        self._sandbox()
        if worker:  # the servers are those of the process that started us
            os.environ.update({name: value for name, value in given.items() if value})
            os.environ["REDIS_URL"] = given["REDIS_URL"].rsplit("/", 1)[0] + f"/{int(worker.removeprefix('gw')) + 1}"
        elif self.embedded:
            self._redis_from(_servers.valkey_program())
        else:
            self.use_servers(database_url=given["DATABASE_URL"], redis_url=given["REDIS_URL"])

    def use_servers(self, *, database_url: str, redis_url: str) -> None:
        """PostgreSQL and Redis: those that are named, or our own, or the embedded ones."""
        self._postgres(database_url)
        self._redis(redis_url)

    def _sandbox(self) -> None:
        holder = self.stack.enter_context(_servers.reserve_port())
        self.sandbox_port = holder.getsockname()[1]
        os.environ["STRIPE_SANDBOX_URL"] = f"http://127.0.0.1:{self.sandbox_port}"

    def _postgres(self, url: str) -> None:
        programs = _servers.postgres_programs()
        if url:
            os.environ["DATABASE_URL"] = url
        elif programs:
            os.environ["DATABASE_URL"] = self.stack.enter_context(_servers.private_postgres(programs))
        else:
            self.missing.append("PostgreSQL is not installed and DATABASE_URL is not set: ran on SQLite.")

    def _redis(self, url: str) -> None:
        if url:
            os.environ["REDIS_URL"] = url
        elif _servers.redis_program():
            self._redis_from(_servers.redis_program())
        else:
            self._redis_from(_servers.valkey_program())
            self.missing.append("Redis is not installed and REDIS_URL is not set: ran on the embedded Valkey.")

    def _redis_from(self, program: str) -> None:
        os.environ["REDIS_URL"] = self.stack.enter_context(_servers.private_redis(program))


def _names_in_example() -> list[str]:
    lines = (_servers.ROOT / ".env.example").read_text().splitlines()
    return [line.split("=")[0] for line in lines if "=" in line and not line.startswith("#")]


def allow_this_machine_only() -> None:
    """From now on this process connects to nothing but this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_far(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_far(self, address)
        return connect_ex(self, address)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign, assignment]  # the point of it
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign, assignment]  # the point of it


def _refuse_far(connecting: socket.socket, address: Any) -> None:
    if connecting.family not in {socket.AF_INET, socket.AF_INET6} or address[0] == "localhost":
        return
    try:
        near = ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        near = False
    if not near:
        raise RuntimeError(f"A test tried to reach {address[0]}: tests stay on this machine.")
