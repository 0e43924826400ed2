"""The bank's page: 3-D Secure, passed or failed."""

from contextlib import suppress

from stripe_sandbox import money
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.resources import checkout_flow
from stripe_sandbox.world import Resource, World

from . import checkout
from .html import Page, h, page, redirect

DONE = ("succeeded", "requires_capture")


def _named(world: World, parts: list[str]) -> Resource | None:
    """The intent in the address, whether or not its bank still asks."""
    found = world.state.objects.get(parts[0]) if len(parts) == 2 else None
    return found if found is not None and found["object"] in ("payment_intent", "setup_intent") else None


def _waiting(world: World, parts: list[str]) -> Resource:
    found = _named(world, parts)
    if found is None or found["status"] != "requires_action" or found.hidden.get("authentication") != parts[1]:
        raise no_such("authentication", parts[0] if parts else "", param="intent", status=404)
    return found


def show(world: World, parts: list[str], given: Json) -> Page:
    found = _named(world, parts)
    if found is not None and found["status"] != "requires_action" and "checkout" in found.hidden:
        return redirect(f"/c/pay/{found.hidden['checkout']}")  # back from the shop, or from an old page
    intent = _waiting(world, parts)
    card = world.get(intent["payment_method"])["card"]
    deed = "saved"
    if intent["object"] == "payment_intent":
        deed = f"charged {money.formatted(intent['amount'], intent['currency'])}"
    return page(
        "3-D Secure",
        h(
            "<h1>Is it you?</h1><p>The card •••• {last4} shall be {deed}. The bank of this test card wants to know that it is you who asks.</p>"
            '<form method="post" class="card choices">'
            '<button class="main middle" id="authenticate" name="answer" value="complete">Complete authentication</button>'
            '<button class="middle" id="fail" name="answer" value="fail">Fail authentication</button></form>',
            last4=card["last4"],
            deed=deed,
        ),
    )


def act(world: World, parts: list[str], given: Json) -> Page:
    """Takes the answer and sends the customer on: to the shop, or back to Checkout, which says what went wrong."""
    intent = _waiting(world, parts)
    session = world.state.objects.get(intent.hidden.get("checkout", ""))
    with suppress(StripeError):  # the card was declined even so: the intent knows why
        checkout_flow.answer_bank(world, intent, succeeded=given.get("answer") == "complete")
    if session is not None:
        return checkout.after(world, session)
    if intent.hidden.get("return_url"):
        return redirect(_return_url(intent))
    ended = "went through" if intent["status"] in DONE else "failed"
    return page("3-D Secure", h("<h1>Authentication {ended}</h1><p>You can close this page.</p>", ended=ended))


def _return_url(intent: Resource) -> str:
    """Where an intent outside Checkout sends its customer afterwards."""
    base = intent.hidden["return_url"]
    name = intent["object"]
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}{name}={intent.id}&{name}_client_secret={intent['client_secret']}&redirect_status=" + (
        "succeeded" if intent["status"] in DONE else "failed"
    )
