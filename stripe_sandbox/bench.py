"""How fast the sandbox answers: `python -m stripe_sandbox.bench`. Starts one of its own and prints requests a second.

A plain keep-alive client on 16 connections shares the machine with the server; no endpoint is registered.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

CONNECTIONS = 16
SECONDS = 4.0


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


async def measure(host: str, port: int) -> None:
    clients = [Client(*await asyncio.open_connection(host, port)) for _ in range(CONNECTIONS)]
    first = json.loads(await clients[0].call("POST", "/v1/payment_intents", "amount=10000&currency=usd"))
    await cycle(clients[0], first["id"])
    for name, work in (("simple reads", read), ("create + confirm + capture cycles", cycle)):
        started = time.perf_counter()
        done = sum(await asyncio.gather(*(repeat(client, work, first["id"], started + SECONDS) for client in clients)))
        print(f"{name}: {done / (time.perf_counter() - started):,.0f}/s")


def main() -> None:
    started = time.perf_counter()
    command = [sys.executable, "-m", "stripe_sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own program
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        print(f"started in {time.perf_counter() - started:.2f} s")
        address = urlsplit(found.group())
        try:
            asyncio.run(measure(str(address.hostname), int(address.port or 0)))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
