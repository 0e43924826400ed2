"""How fast the sandbox is, and how much it needs: `python -m stripe_sandbox.bench`. Starts one of its own.

A plain keep-alive client on 16 connections shares the machine with the server; no endpoint is registered.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 16
SECONDS = 4.0
SLICE = 10_000  # customers between two looks at the memory
# What must be reached on two cores: a second's reads, a second's cycles, seconds to start.
READS, CYCLES, START = 800, 120, 1.0


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def call(self, method: str, path: str, body: str = "") -> bytes:
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer sk_test_bench\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await self.reader.readexactly(length)
        assert b" 200 " in head[:20], answer
        return answer


Work = Callable[[Client, str], Awaitable[None]]


async def read(client: Client, id: str) -> None:
    await client.call("GET", f"/v1/payment_intents/{id}")


async def cycle(client: Client, id: str) -> None:
    """A PaymentIntent from creation over its confirmation to its capture."""
    created = await client.call(
        "POST", "/v1/payment_intents", "amount=10000&currency=usd&capture_method=manual&payment_method_types[0]=card"
    )
    made = json.loads(created)["id"]
    await client.call("POST", f"/v1/payment_intents/{made}/confirm", "payment_method=pm_card_visa")
    await client.call("POST", f"/v1/payment_intents/{made}/capture")


async def repeat(client: Client, work: Work, id: str, end: float) -> int:
    """Works until the time is up; returns how often."""
    count = 0
    while time.perf_counter() < end:
        await work(client, id)
        count += 1
    return count


async def store(client: Client, count: int) -> None:
    for _ in range(count):
        await client.call("POST", "/v1/customers", "name=Sam Student&email=sam@example.com&metadata[id]=7")


def resident(process: int) -> int:
    """Bytes of memory that the process holds (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


async def grow(clients: list[Client], process: int) -> None:
    """Two slices one after the other: where memory is flat, an object of the second costs what one of the first did."""
    sizes = [resident(process)]
    for _ in range(2):
        await asyncio.gather(*(store(client, SLICE // CONNECTIONS) for client in clients))
        sizes.append(resident(process))
    each = [(after - before) / SLICE / 1024 for before, after in pairwise(sizes)]
    print(
        f"memory per customer with its event: {each[0]:.1f} KB, then {each[1]:.1f} KB; in all {sizes[-1] / 2**20:.0f} MB"
    )


async def measure(host: str, port: int, process: int) -> None:
    clients = [Client(*await asyncio.open_connection(host, port)) for _ in range(CONNECTIONS)]
    first = json.loads(await clients[0].call("POST", "/v1/payment_intents", "amount=10000&currency=usd"))
    await cycle(clients[0], first["id"])
    for name, work, target in (("simple reads", read, READS), ("create + confirm + capture cycles", cycle, CYCLES)):
        started = time.perf_counter()
        done = sum(await asyncio.gather(*(repeat(client, work, first["id"], started + SECONDS) for client in clients)))
        print(f"{name}: {done / (time.perf_counter() - started):,.0f}/s (at least {target})")
    if sys.platform == "linux":  # the log of requests is full by now, and grows no more
        await grow(clients, process)


def main() -> None:
    started = time.perf_counter()
    command = [sys.executable, "-m", "stripe_sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        urllib.request.urlopen(found.group() + "/_sandbox/health").close()  # noqa: S310 - our own address
        print(f"started and answered in {time.perf_counter() - started:.2f} s (at most {START})")
        address = urlsplit(found.group())
        try:
            asyncio.run(measure(str(address.hostname), int(address.port or 0), server.pid))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
