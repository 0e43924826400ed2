"""The command line: `python -m stripe_sandbox --port 12111`."""

import argparse
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import stripe
import uvicorn

from .server import BreakableProtocol, Server
from .world import Settings, World

PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.die_with_parent:
        die_with_parent()
    listener = _listen(options.host, options.port)
    if listener is None:
        print(
            f"stripe_sandbox: port {options.port} on {options.host} is taken; choose another with --port.",
            file=sys.stderr,
        )
        return 1
    world = World(_settings(options))
    world.base_url = f"http://{options.host}:{listener.getsockname()[1]}"
    state_file = Path(options.state) if options.state else None
    if state_file and not _takes_up(world, state_file):
        return 1
    server = Server(world, latency_ms=options.latency_ms, state_file=state_file)
    print(f"stripe_sandbox: {world.base_url}  (platform {world.settings.platform}, no real money)", flush=True)
    config = uvicorn.Config(
        server,
        http=BreakableProtocol,
        loop="asyncio",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=2,
        ws="none",
        backlog=2048,
    )
    _Quiet(config).run(sockets=[listener])
    return 0


def _takes_up(world: World, file: Path) -> bool:
    """Goes on from the state in the file, if there is one; says why where that or keeping it there is not possible."""
    if not os.access(file.parent, os.W_OK):
        print(f"stripe_sandbox: cannot write the state to {file}.", file=sys.stderr)
        return False
    try:
        if file.exists():
            world.load(file)
    except Exception as error:
        print(
            f"stripe_sandbox: cannot read the state in {file} ({type(error).__name__}); move it away to begin anew.",
            file=sys.stderr,
        )
        return False
    return True


class _Quiet(uvicorn.Server):
    """Ends with exit code 0 on SIGTERM and SIGINT; uvicorn itself would raise the signal again when it has shut down."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stripe_sandbox", description="A local, stateful Stripe with Connect. No real money."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111, help="0 lets the system choose; the address is printed")
    parser.add_argument("--state", metavar="FILE", help="keep everything in this file over restarts")
    parser.add_argument("--latency-ms", type=int, default=0, help="how long each API request takes")
    parser.add_argument(
        "--rate-limit", type=int, default=0, metavar="N", help="requests a second for each account; more get a 429"
    )
    parser.add_argument(
        "--endpoint-rate-limit", type=int, default=0, metavar="N", help="the same for each endpoint of an account"
    )
    parser.add_argument("--seed", type=int, help="makes all ids repeat from run to run")
    parser.add_argument("--platform-country", default="US")
    parser.add_argument("--platform-currency", default="usd")
    parser.add_argument(
        "--platform-payouts", choices=("manual", "daily"), default="manual", help="the platform's own payout schedule"
    )
    parser.add_argument("--platform-webhook", metavar="URL", help="receives the platform's events")
    parser.add_argument("--platform-webhook-secret", metavar="whsec_...")
    parser.add_argument("--connect-webhook", metavar="URL", help="receives the events of connected accounts")
    parser.add_argument("--connect-webhook-secret", metavar="whsec_...")
    parser.add_argument(
        "--die-with-parent", action="store_true", help="end when the process that started this one ends (Linux)"
    )
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    endpoints = []
    for connect, url, secret in (
        (False, options.platform_webhook, options.platform_webhook_secret),
        (True, options.connect_webhook, options.connect_webhook_secret),
    ):
        if bool(url) != bool(secret):
            raise SystemExit("stripe_sandbox: a webhook URL and its secret must be given together.")
        if url:
            # The version that Stripe gives to an endpoint which its library registers.
            endpoints.append({"url": url, "secret": secret, "connect": connect, "api_version": stripe.api_version})
    return Settings(
        country=options.platform_country.upper(),
        currency=options.platform_currency.lower(),
        seed=options.seed,
        platform_payouts=options.platform_payouts,
        rate_limit=options.rate_limit,
        endpoint_rate_limit=options.endpoint_rate_limit,
        endpoints=endpoints,
    )


def die_with_parent() -> None:
    """Has the kernel end this process with its parent, however the parent ends."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended while we asked
        sys.exit(0)


def _listen(host: str, port: int) -> socket.socket | None:
    # Named as TCP so that asyncio switches Nagle's delay off: it costs 40 ms an answer.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # from here on nobody is refused: who reads the address may connect
    except OSError:
        listener.close()
        return None
    listener.set_inheritable(True)
    return listener
