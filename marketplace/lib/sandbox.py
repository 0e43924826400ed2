"""The Stripe sandbox's control plane, for the demo and for development. There is none in production."""

import json
from typing import Any
from urllib.request import Request, urlopen

from django.conf import settings

from marketplace import clock


def post(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """`path` is below `/_sandbox`. Raises URLError where the sandbox does not answer or refuses."""
    request = Request(  # noqa: S310 (settings allow only an http:// address on this machine)
        f"{settings.STRIPE_SANDBOX_URL}/_sandbox{path}",
        data=json.dumps(body or {}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        result: dict[str, Any] = json.load(answer)
    return result


def advance_clock(seconds: int) -> None:
    """Move the one clock of product and sandbox; answers when all that fell due at the sandbox has happened."""
    post("/clock", {"advance": seconds})
    clock.forget_offset()


def set_clock(unix_time: int) -> None:
    post("/clock", {"set": unix_time})
    clock.forget_offset()
