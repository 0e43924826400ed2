"""Outside calendars for tests: how one is written, and a real server that may do anything with it."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from coaches.feeds.fetching import Reach

# In the path of each address: where this turns up in words or logs, an address has leaked.
SECRET = "s3cr3t-t0k3n"
HOST = "calendar.example"

Answer = bytes | Callable[[socket.socket], None]


def calendar(*events: str, extra: str = "") -> bytes:
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\n"
    return f"{head}{extra}{''.join(events)}END:VCALENDAR\r\n".encode()


def event(*lines: str, uid: str = "one@elsewhere") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", ""])


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Content-Type: text/calendar", "", ""]
    return "\r\n".join(lines).encode() + body


def sent_on(location: str, status: str = "302 Found") -> bytes:
    return f"HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@dataclass
class CalendarServer:
    """Listens on this machine. What it answers is bytes, or a function that does with the connection what it likes."""

    listener: socket.socket
    tls: ssl.SSLContext | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def paths(self) -> list[str]:
        return [request.split(" ")[1] for request in self.requests]

    def address(self, path: str = f"/{SECRET}.ics", *, host: str = HOST) -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as wire:
                request = b""
                while b"\r\n\r\n" not in request and (more := wire.recv(65_536)):
                    request += more
                if b"\r\n\r\n" in request:
                    self.requests.append(request.decode("ascii"))
                    self._send(wire, self.answers[request.decode("ascii").split(" ")[1]])
        except OSError:
            connection.close()  # the other end has had enough

    @staticmethod
    def _send(wire: socket.socket, answer: Answer) -> None:
        if callable(answer):
            answer(wire)
        else:
            wire.sendall(answer)


@contextmanager
def calendar_server(tls: ssl.SSLContext | None = None) -> Iterator[CalendarServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = CalendarServer(listener, tls)
        accepting = threading.Thread(target=server.serve, daemon=True)
        accepting.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the next one
        accepting.join()


def on_this_machine(server: CalendarServer, **changes: object) -> Reach:
    """As the product reaches out, but to this one server alone; its name leads to this machine."""
    facts: dict[str, object] = {
        "ports": frozenset({server.port}),
        "may_connect": lambda address: address == ipaddress.ip_address("127.0.0.1"),
        "resolve": lambda _host, _port: ["127.0.0.1"],
        "seconds": 20.0,
    }
    return Reach(**{**facts, **changes})  # type: ignore[arg-type]  # each test knows what it changes
