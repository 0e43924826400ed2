"""Gets one calendar from the internet, from addresses that anyone may have typed.

Each name is resolved once, every address that it has is checked, and the connection goes to exactly one of these: a
name that answers differently the next time gains nothing. Each redirect starts over. The request is written by hand:
what monitoring hooks into HTTP libraries would note the address.
"""

import http.client
import io
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urljoin

from coaches.feeds.addresses import (
    DEFAULT_PORTS,
    PORTS,
    AddressRefused,
    FeedTrouble,
    IPAddress,
    Target,
    is_public,
    parse,
)

LARGEST = 2_000_000  # bytes
MOST_REDIRECTS = 3
CONNECT_SECONDS = 5.0
# Of everything together, redirects too: a server that answers a byte at a time holds nobody up.
TOTAL_SECONDS = 20.0
MOST_ADDRESSES_TRIED = 3
REDIRECTS = {301, 302, 303, 307, 308}

TOO_SLOW = "The calendar's server answers too slowly."
NOT_REACHED = "The calendar's server can't be reached."
NOT_HTTP = "The calendar's server does not answer as a web server does."
TOO_LARGE = f"The calendar is larger than {LARGEST // 1_000_000} MB, the most that is read."


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, in the order of preference. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True)
class Reach:
    """What may be connected to. Only tests, whose servers are on their own machine, have another than PUBLIC."""

    ports: frozenset[int] = PORTS
    may_connect: Callable[[IPAddress], bool] = is_public
    resolve: Callable[[str, int], list[str]] = resolve
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    seconds: float = TOTAL_SECONDS


PUBLIC = Reach()


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than none. Raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


@dataclass(frozen=True)
class _Answer:
    status: int
    location: str
    body: bytes


def fetch(address: str, *, reach: Reach = PUBLIC) -> bytes:
    """What is at the address, at most LARGEST bytes. Raises FeedTrouble, in words that don't repeat the address."""
    deadline = _Deadline(reach.seconds)
    target = parse(address, ports=reach.ports)
    for _ in range(MOST_REDIRECTS + 1):
        answer = _ask(target, reach, deadline)
        if answer.status == 200:
            return answer.body
        if answer.status not in REDIRECTS:
            raise FeedTrouble(_refusal_in_words(answer.status))
        target = _sent_on(target, answer.location, reach)
    raise FeedTrouble("The calendar's server sends us from one address to the next without an end.")


def _ask(target: Target, reach: Reach, deadline: _Deadline) -> _Answer:
    """One request. What goes wrong on the way is put in words here; its own words might hold the address."""
    try:
        with _connect(target, _checked(target, reach, deadline), deadline) as plain:
            return _exchange(target, _secured(plain, target, reach, deadline), deadline)
    except TimeoutError:
        raise FeedTrouble(TOO_SLOW) from None
    except ssl.SSLCertVerificationError:
        raise FeedTrouble("The calendar's server has no valid certificate.") from None
    except OSError:
        raise FeedTrouble(NOT_REACHED) from None
    except (http.client.HTTPException, ValueError):
        raise FeedTrouble(NOT_HTTP) from None


# --- the way there ------------------------------------------------------------------------------


def _checked(target: Target, reach: Reach, deadline: _Deadline) -> list[IPAddress]:
    """The addresses of the host. One that may not be connected to makes all of them suspect."""
    found = [ipaddress.ip_address(each) for each in _resolved(target, reach, deadline)]
    if not found:
        raise FeedTrouble("The calendar's server is not known: its name leads nowhere.")
    if not all(reach.may_connect(each) for each in found):
        raise AddressRefused("Only calendars on the public internet are read.")
    return found


def _resolved(target: Target, reach: Reach, deadline: _Deadline) -> list[str]:
    """In a thread, since the system's resolver keeps no time limit of ours."""
    answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(reach.resolve(target.host, target.port))
        except (OSError, ValueError):
            answers.put([])

    threading.Thread(target=look_up, daemon=True).start()
    try:
        return answers.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None


def _connect(target: Target, found: list[IPAddress], deadline: _Deadline) -> socket.socket:
    """To the first address that takes us. Raises OSError, of the last one that was tried."""
    problem: OSError | None = None
    for each in found[:MOST_ADDRESSES_TRIED]:
        try:
            return socket.create_connection((str(each), target.port), min(CONNECT_SECONDS, deadline.left()))
        except OSError as error:
            problem = error
    raise problem or OSError


def _secured(plain: socket.socket, target: Target, reach: Reach, deadline: _Deadline) -> socket.socket:
    plain.settimeout(deadline.left())
    if target.scheme == "http":
        return plain
    return reach.tls().wrap_socket(plain, server_hostname=target.host)


# --- the request and its answer -----------------------------------------------------------------


class _Stream(io.RawIOBase):
    """Reads from a socket, each time for no longer than is left."""

    def __init__(self, wire: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._wire = wire
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wire.settimeout(self._deadline.left())
        return self._wire.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)


def _exchange(target: Target, wire: socket.socket, deadline: _Deadline) -> _Answer:
    with wire:
        wire.sendall(_request(target))
        response = http.client.HTTPResponse(cast("socket.socket", _Stream(wire, deadline)), method="GET")
        response.begin()
        body = _body(response) if response.status == 200 else b""
        return _Answer(response.status, response.getheader("Location", ""), body)


def _request(target: Target) -> bytes:
    """No cookies, no credentials, no referrer; and nothing packed, which might grow when it is unpacked."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != DEFAULT_PORTS[target.scheme]:
        host = f"{host}:{target.port}"
    lines = [
        f"GET {target.path} HTTP/1.1",
        f"Host: {host}",
        "Accept: text/calendar, */*;q=0.1",
        "Accept-Encoding: identity",
        "User-Agent: calendar-reader/1",
        "Connection: close",
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def _body(response: http.client.HTTPResponse) -> bytes:
    if response.getheader("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise FeedTrouble("The calendar's server packs its answer, which was not asked for and is not read.")
    received = bytearray()
    while chunk := response.read(65_536):
        received += chunk
        if len(received) > LARGEST:
            raise FeedTrouble(TOO_LARGE)
    if response.length:
        raise FeedTrouble("The calendar's server stopped in the middle of its answer.")
    return bytes(received)


def _sent_on(target: Target, location: str, reach: Reach) -> Target:
    """Where a redirect leads, judged like an address that a coach has typed."""
    try:
        following = parse(urljoin(target.address, location), ports=reach.ports)
    except (AddressRefused, ValueError):
        raise FeedTrouble("The calendar's server sends us on to an address that is not read.") from None
    if target.scheme == "https" and following.scheme == "http":
        raise FeedTrouble("The calendar's server sends us on to an address that anyone on the way could read.")
    return following


def _refusal_in_words(status: int) -> str:
    if status in {401, 403}:
        return "The calendar's server does not let us read it. Is the address the private one, for subscribing?"
    if status in {404, 410}:
        return "There is no calendar at this address any more."
    if status == 429:
        return "The calendar's server says that it is asked too often."
    return f"The calendar's server answers with an error ({status})."
