"""Getting a calendar from real servers that do all they can: slow, endless, lying, and pointing inwards."""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from coaches.feeds import fetching
from coaches.feeds.addresses import AddressRefused, FeedTrouble
from coaches.feeds.fetching import LARGEST, fetch
from coaches.tests.calendars import (
    HOST,
    SECRET,
    CalendarServer,
    answered,
    calendar,
    calendar_server,
    on_this_machine,
    sent_on,
)

pytestmark = pytest.mark.thorough

PATH = f"/{SECRET}.ics"
A_MOMENT = 0.05  # between two bytes of a server that takes its time
PATIENCE_SECONDS = 30  # with what would never end, on a machine that does much else


@pytest.fixture
def server() -> Iterator[CalendarServer]:
    with calendar_server() as running:
        yield running


def trouble_with(server: CalendarServer, address: str = "", **changes: object) -> str:
    """The words of the refusal, which never hold the secret."""
    with pytest.raises(FeedTrouble) as caught:
        fetch(address or server.address(), reach=on_this_machine(server, **changes))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


# --- the request --------------------------------------------------------------------------------


def test_it_reads_what_is_there(server: CalendarServer) -> None:
    server.answers[PATH] = answered(calendar())
    assert fetch(server.address(), reach=on_this_machine(server)) == calendar()


def test_it_sends_nothing_that_tells_who_asks(server: CalendarServer) -> None:
    server.answers[f"{PATH}?key=%20a&b"] = answered(calendar(), "Set-Cookie: seen=1")
    fetch(server.address(f"{PATH}?key=%20a&b#part"), reach=on_this_machine(server))
    (request,) = server.requests
    first, *headers = request.strip().split("\r\n")
    assert first == f"GET {PATH}?key=%20a&b HTTP/1.1"
    assert f"Host: {HOST}:{server.port}" in headers
    assert {line.split(":")[0] for line in headers} == {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
    assert "Accept-Encoding: identity" in headers


def test_it_reads_an_answer_in_chunks_and_one_without_a_length(server: CalendarServer) -> None:
    body = calendar()
    server.answers["/chunks"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    server.answers["/until-the-end"] = b"HTTP/1.0 200 OK\r\n\r\n" + body
    for path in ("/chunks", "/until-the-end"):
        assert fetch(server.address(path), reach=on_this_machine(server)) == body


# --- too much, too slow, too little -------------------------------------------------------------


def endless(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        wire.sendall(b"X" * 65_536)


def endless_chunks(wire: socket.socket) -> None:
    wire.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        wire.sendall(b"10000\r\n" + b"X" * 65_536 + b"\r\n")


@pytest.mark.parametrize("answer", [answered(b"X" * (LARGEST + 1)), endless, endless_chunks])
def test_it_refuses_what_is_too_large(server: CalendarServer, answer: bytes | Callable[[socket.socket], None]) -> None:
    server.answers[PATH] = answer
    assert trouble_with(server) == fetching.TOO_LARGE


def test_the_largest_calendar_is_read(server: CalendarServer) -> None:
    server.answers[PATH] = answered(b"X" * LARGEST)
    assert len(fetch(server.address(), reach=on_this_machine(server))) == LARGEST


def drip(first: bytes, again: bytes) -> Callable[[socket.socket], None]:
    def answer(wire: socket.socket) -> None:
        wire.sendall(first)
        while True:
            time.sleep(A_MOMENT)
            wire.sendall(again)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"X"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"X"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
        drip(b"HTTP/1.1 200 OK\r\n", b"X"),
        drip(b"", b"H"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"", b""),
    ],
    ids=["body", "body of a length", "chunks", "headers", "first line", "continue", "nothing"],
)
def test_a_slow_drip_holds_nobody_up(server: CalendarServer, answer: Callable[[socket.socket], None]) -> None:
    server.answers[PATH] = answer
    begun = time.monotonic()
    assert trouble_with(server, seconds=0.5) == fetching.TOO_SLOW
    assert time.monotonic() - begun < PATIENCE_SECONDS


def test_a_name_that_takes_long_to_look_up_holds_nobody_up(server: CalendarServer) -> None:
    never = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        never.wait(30)
        return ["127.0.0.1"]

    assert trouble_with(server, seconds=0.2, resolve=resolve) == fetching.TOO_SLOW
    never.set()
    assert server.requests == []


def test_the_time_is_one_for_all_redirects_together(server: CalendarServer) -> None:
    def late(wire: socket.socket) -> None:
        time.sleep(0.4)
        wire.sendall(sent_on(PATH))

    server.answers[PATH] = late
    assert trouble_with(server, seconds=1.0) == fetching.TOO_SLOW
    assert len(server.requests) <= 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nBEGIN:VCALENDAR",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nBEGIN:VCALENDAR",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nBEGIN",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"1" * 100_000 + b"\r\n\r\n",
        b"",
        answered(calendar(), "Content-Encoding: gzip"),
    ],
    ids=[
        "cut off",
        "cut off in a chunk",
        "a wrong chunk",
        "no web",
        "many headers",
        "a long header",
        "nothing",
        "gzip",
    ],
)
def test_half_an_answer_and_a_false_one_are_none(server: CalendarServer, answer: bytes) -> None:
    server.answers[PATH] = answer
    assert trouble_with(server).startswith("The calendar's server")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("401 Unauthorized", "does not let us read it"),
        ("403 Forbidden", "does not let us read it"),
        ("404 Not Found", "no calendar at this address"),
        ("410 Gone", "no calendar at this address"),
        ("429 Too Many Requests", "asked too often"),
        ("500 Internal Server Error", "(500)"),
        ("204 No Content", "(204)"),
    ],
)
def test_a_refusal_is_told_in_words(server: CalendarServer, status: str, words: str) -> None:
    server.answers[PATH] = answered(f"{SECRET}".encode(), status=status)
    assert words in trouble_with(server)


def test_a_server_that_is_not_there_is_told_in_words(server: CalendarServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    words = trouble_with(server, f"http://{HOST}:{port}{PATH}", ports=frozenset({port}))
    assert words == fetching.NOT_REACHED


# --- inwards ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    "127.0.0.1 [::1] [::ffff:127.0.0.1] 10.0.0.1 169.254.169.254 0.0.0.0 localhost 2130706433 0x7f.1 127.1 0".split(),
)
def test_no_spelling_of_a_private_address_is_connected_to(host: str) -> None:
    with pytest.raises(AddressRefused):
        fetch(f"http://{host}{PATH}")


def test_one_private_address_among_public_ones_is_enough_to_refuse(server: CalendarServer) -> None:
    words = trouble_with(server, resolve=lambda *_: ["127.0.0.1", "192.168.0.1"])
    assert words == "Only calendars on the public internet are read."
    assert server.requests == []


def test_a_name_that_leads_elsewhere_the_next_time_gains_nothing(server: CalendarServer) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    server.answers[PATH] = answered(calendar())
    assert fetch(server.address(), reach=on_this_machine(server, resolve=lambda *_: next(answers))) == calendar()
    assert next(answers) == ["10.0.0.1"]  # it was asked for once


def test_a_name_that_leads_nowhere_is_told_in_words(server: CalendarServer) -> None:
    def unknown(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, f"Name or service not known: {SECRET}")

    assert "leads nowhere" in trouble_with(server, resolve=unknown)


def test_of_several_addresses_one_that_answers_is_enough(server: CalendarServer) -> None:
    server.answers[PATH] = answered(calendar())
    reach = on_this_machine(
        server,
        resolve=lambda *_: ["127.0.0.2", "127.0.0.1"],
        may_connect=lambda address: address in ipaddress.ip_network("127.0.0.0/30"),
    )
    assert fetch(server.address(), reach=reach) == calendar()


# --- redirects ----------------------------------------------------------------------------------


def test_it_follows_three_redirects_and_no_more(server: CalendarServer) -> None:
    hops = {"/1": "/2", "/2": "3", "/3": f"http://{HOST}:{server.port}/4"}
    server.answers["/4"] = answered(calendar())
    for path, to in hops.items():
        server.answers[path] = sent_on(to)
    assert fetch(server.address("/1"), reach=on_this_machine(server)) == calendar()
    server.answers["/0"] = sent_on("/1", "308 Permanent Redirect")
    assert "without an end" in trouble_with(server, server.address("/0"))
    assert server.paths == ["/1", "/2", "/3", "/4", "/0", "/1", "/2", "/3"]


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://calendar.example/a.ics",
        "http://calendar.example:6379/",
        "http://person:password@calendar.example/",
        "http://[::1/",
        "http://calendar.example/a b",
    ],
)
def test_it_follows_no_redirect_to_what_nobody_may_type(server: CalendarServer, location: str) -> None:
    server.answers[PATH] = sent_on(location)
    assert "sends us on to an address that is not read" in trouble_with(server)
    assert server.paths == [PATH]


def test_a_redirect_inwards_is_checked_anew(server: CalendarServer) -> None:
    server.answers[PATH] = sent_on(f"http://inside.example:{server.port}/admin")
    inside = {HOST: ["127.0.0.1"], "inside.example": ["10.0.0.1"]}
    words = trouble_with(server, resolve=lambda host, _: inside[host])
    assert words == "Only calendars on the public internet are read."
    assert server.paths == [PATH]


def test_a_redirect_without_a_place_ends(server: CalendarServer) -> None:
    server.answers[PATH] = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"
    assert "without an end" in trouble_with(server)
