"""The bank's page: 3-D Secure, passed or failed."""

from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.resources import checkout_flow
from stripe_sandbox.world import Resource, World

from . import checkout
from .html import Page, h, page, redirect


def _intent(world: World, parts: list[str]) -> Resource:
    found = world.state.objects.get(parts[0]) if len(parts) == 2 else None
    if found is None or found.hidden.get("authentication") != parts[1]:
        raise no_such("authentication", parts[0] if parts else "", param="intent", status=404)
    return found


def show(world: World, parts: list[str], given: Json) -> Page:
    _intent(world, parts)
    return page(
        "3-D Secure",
        h(
            '<h1>Is it you?</h1><p>The bank of this test card wants to know that the payment is yours.</p><form method="post" class="card choices">'
            '<button class="main" id="authenticate" name="answer" value="complete">Complete authentication</button>'
            '<button id="fail" name="answer" value="fail">Fail authentication</button></form>'
        ),
    )


def act(world: World, parts: list[str], given: Json) -> Page:
    intent = _intent(world, parts)
    session = world.state.objects.get(intent.hidden.get("checkout", ""))
    problem = None
    try:
        checkout_flow.answer_bank(world, intent, succeeded=given.get("answer") == "complete")
    except StripeError as error:
        problem = error
    if session is not None and problem is None and intent["status"] != "requires_payment_method":
        return checkout.after(world, session)
    if session is not None:
        return checkout.render(
            session,
            str(problem) if problem else "The bank could not confirm that it is you. Try again or choose another card.",
        )
    return redirect(_return_url(intent))


def _return_url(intent: Resource) -> str:
    """Where an intent outside Checkout sends its customer afterwards."""
    base = intent.hidden.get("return_url") or "/"
    name = intent["object"]
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}{name}={intent.id}&{name}_client_secret={intent['client_secret']}&redirect_status=" + (
        "succeeded" if intent["status"] in ("succeeded", "requires_capture") else "failed"
    )
