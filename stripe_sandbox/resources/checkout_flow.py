"""What happens on the hosted Checkout page: paying, authenticating, leaving, and time running out."""

from stripe_sandbox import events
from stripe_sandbox.errors import Json, StripeError
from stripe_sandbox.world import Resource, World, job

from . import customers, payment_flow, payment_intents, payment_methods, setup_intents


def pay(
    world: World, session: Resource, payment_method: str, *, authenticate: bool | None = None, email: str | None = None
) -> None:
    """The customer confirms with a card. The session completes, or stays open when the card is declined or must be authenticated.

    `authenticate` answers the bank's question at once; None leaves it open for the page of the bank.
    Raises StripeError: 402 for a decline, 400 when the session is not open.
    """
    _require_open(session)
    _take_email(world, session, email)
    if session["mode"] == "setup":
        intent = world.get(session["setup_intent"])
        _make_customer(world, session)
        intent["customer"] = session["customer"]
        method = payment_methods.resolve(world, session.account, payment_method)
        _name_holder(method, session)
        setup_intents.confirm(world, intent, method, return_url=f"{world.base_url}/c/pay/{session.id}")
    else:
        intent = _payment_intent(world, session)
        method = payment_methods.resolve(world, session.account, payment_method)
        _name_holder(method, session)
        payment_flow.confirm(world, intent, method, return_url=f"{world.base_url}/c/pay/{session.id}")
    if intent["status"] == "requires_action" and authenticate is not None:
        answer_bank(world, intent, succeeded=authenticate)
    finish(world, intent)


def answer_bank(world: World, intent: Resource, *, succeeded: bool) -> None:
    """The customer's answer on the bank's page, for either kind of intent. Raises StripeError 402 when declined all the same."""
    if intent["object"] == "payment_intent":
        payment_flow.authenticate(world, intent, succeeded=succeeded)
    else:
        setup_intents.authenticate(world, intent, succeeded=succeeded)
    finish(world, intent)


def finish(world: World, intent: Resource) -> None:
    """Completes the session of an intent that has gone through."""
    session = world.state.objects.get(intent.hidden.get("checkout", ""))
    if session is None or session["status"] != "open" or intent["status"] not in ("succeeded", "requires_capture"):
        return
    if session["mode"] == "payment":
        # Believed, not documented: a held payment leaves the session "unpaid" until it is captured.
        session["payment_status"] = "paid" if intent["status"] == "succeeded" else "unpaid"
    session.update(status="complete", url=None)
    events.emit(world, session.account, "checkout.session.completed", session)


def expire(world: World, session: Resource) -> None:
    """Closes an open session; an intent that was never confirmed ends with it."""
    session.update(status="expired", url=None)
    if session["payment_intent"]:
        intent = world.get(session["payment_intent"])
        if intent["status"] in payment_flow.CONFIRMABLE:
            payment_flow.cancel(world, intent, None)
    if session["setup_intent"]:
        setup = world.get(session["setup_intent"])
        if setup["status"] in setup_intents.OPEN:
            setup_intents.end(world, setup, None)
    events.emit(world, session.account, "checkout.session.expired", session)


@job
def checkout_lapses(world: World, *, session: str) -> None:
    found = world.get(session)
    if found["status"] == "open":
        expire(world, found)


def _require_open(session: Resource) -> None:
    if session["status"] != "open":
        raise StripeError(f"This Checkout Session is {session['status']} and can no longer be paid.")


def _take_email(world: World, session: Resource, email: str | None) -> None:
    known = session["customer_details"] or {}
    fixed = session["customer_email"] or (known.get("email") if session["customer"] else None)
    address = fixed or email or known.get("email") or "customer@example.com"
    session["customer_details"] = {
        "address": {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": "42424", "state": None},
        "business_name": None,
        "email": address,
        "individual_name": None,
        "name": known.get("name") or "Jenny Rosen",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _make_customer(world: World, session: Resource) -> None:
    """A customer of its own, where the session asks for one or the card is to be kept."""
    keeps = session["mode"] == "setup" or session.hidden["payment_intent_data"].get("setup_future_usage")
    if session["customer"] is None and (session["customer_creation"] == "always" or keeps):
        details = session["customer_details"]
        session["customer"] = customers.new_customer(
            world, session.account, {"email": details["email"], "name": details["name"]}
        ).id


def _name_holder(method: Resource, session: Resource) -> None:
    if method["customer"] is None:
        details: Json = session["customer_details"]
        method["billing_details"] = {
            **method["billing_details"],
            "email": details["email"],
            "name": details["name"],
            "address": details["address"],
        }


def _payment_intent(world: World, session: Resource) -> Resource:
    """The session's PaymentIntent; it comes into being when the customer first confirms."""
    if session["payment_intent"]:
        return world.get(session["payment_intent"])
    _make_customer(world, session)
    data = session.hidden["payment_intent_data"]
    intent = payment_intents.new_intent(
        world,
        session.account,
        {
            **data,
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            "payment_method_types": session["payment_method_types"],
        },
    )
    intent.hidden["checkout"] = session.id
    session["payment_intent"] = intent.id
    return intent
