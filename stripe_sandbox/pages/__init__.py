"""The pages that a person sees: Checkout, the bank, onboarding, the Express dashboard and the control room."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from stripe_sandbox import forms
from stripe_sandbox.api import Incoming
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.webhooks import Courier
from stripe_sandbox.world import World

from . import bank, checkout, control_room, onboarding
from .html import Page, h, page

Handler = Callable[[World, list[str], Json], Page]
# Hosted Checkout waits this long (seconds) for the webhooks before it sends the customer back.
PATIENCE = 10
_STYLE = (Path(__file__).parent / "style.css").read_text()
# The first part of a path -> who answers GET and POST below it.
_READERS: dict[str, Handler] = {
    "c": checkout.show,
    "authenticate": bank.show,
    "setup": onboarding.show,
    "express": onboarding.dashboard,
    "receipts": checkout.receipt,
}
_WRITERS: dict[str, Callable[[World, list[str], Json], Page]] = {
    "c": checkout.act,
    "authenticate": bank.act,
    "setup": onboarding.act,
}


async def handle(world: World, courier: Courier, incoming: Incoming) -> Page | None:
    """The page for a path, or None when there is none."""
    if incoming.path == "/sandbox.css":
        return Page(_STYLE, content_type="text/css; charset=utf-8")
    parts = incoming.path.strip("/").split("/")
    if incoming.path == "/" or parts[0] == "room":
        return await _room(world, courier, incoming, parts)
    given = forms.decode(incoming.body if incoming.method == "POST" else incoming.query)
    handler = (_WRITERS if incoming.method == "POST" else _READERS).get(parts[0])
    if handler is None:
        return None
    found = handler(world, parts[1:], given)
    if found.status == 303 and parts[0] in ("c", "authenticate"):
        await courier.settle(PATIENCE)
    return found


async def _room(world: World, courier: Courier, incoming: Incoming, parts: list[str]) -> Page | None:
    if incoming.method == "POST":
        act: Callable[..., Awaitable[Page]] = control_room.act
        return await act(world, courier, parts[1:], forms.decode(incoming.body))
    return control_room.show(world, parts[1:], forms.decode(incoming.query))


def error_page(error: StripeError) -> Page:
    return page(
        "Not possible",
        h('<h1>That is not possible</h1><p>{text}</p><p><a href="/">Control room</a></p>', text=str(error)),
        status=error.status,
    )
