"""A small load generator: requests made beforehand, one connection each, over a number of threads."""

import socket
import statistics
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Result:
    """Latencies in milliseconds."""

    requests: int
    failures: int
    per_second: float
    p50: float
    p99: float


def post(port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST of JSON as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: close",
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def fire(port: int, requests: Sequence[bytes], *, connections: int) -> Result:
    """Send them all, `connections` at a time; anything but a 200 is a failure."""
    left, times, failures = deque(requests), list[float](), list[int]()

    def sender() -> None:
        while True:
            try:
                request = left.popleft()
            except IndexError:
                return
            start = time.perf_counter()
            good = _send(port, request)
            times.append((time.perf_counter() - start) * 1000)
            if not good:
                failures.append(1)

    threads = [threading.Thread(target=sender) for _ in range(connections)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    cuts = statistics.quantiles(times, n=100)
    return Result(len(times), len(failures), len(times) / took, cuts[49], cuts[98])


def _send(port: int, request: bytes) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        answer = connection.recv(4096)
        while connection.recv(4096):
            pass
    return answer.startswith(b"HTTP/1.1 200 ")
