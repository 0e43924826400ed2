"""The hosted Checkout page: a test card is chosen by what it does."""

from stripe_sandbox import money
from stripe_sandbox.errors import Json, StripeError, no_such
from stripe_sandbox.resources import cards, checkout_flow
from stripe_sandbox.world import Resource, World

from .html import Html, Page, h, join, notice, page, redirect

GROUPS = (
    (
        "It works",
        (
            ("pm_card_visa", "Visa, succeeds"),
            ("pm_card_mastercard", "Mastercard, succeeds"),
            ("pm_card_amex", "American Express, succeeds"),
            ("pm_card_bypassPending", "Visa, funds available at once"),
        ),
    ),
    (
        "The bank asks",
        (
            ("pm_card_authenticationRequired", "3-D Secure, every time"),
            ("pm_card_authenticationRequiredOnSetup", "3-D Secure, until it is saved"),
            ("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "3-D Secure, then insufficient funds"),
        ),
    ),
    (
        "It is declined",
        (
            ("pm_card_visa_chargeDeclined", "Declined, no reason given"),
            ("pm_card_visa_chargeDeclinedInsufficientFunds", "Insufficient funds"),
            ("pm_card_chargeDeclinedExpiredCard", "Expired card"),
            ("pm_card_chargeDeclinedIncorrectCvc", "Wrong security code"),
            ("pm_card_chargeDeclinedProcessingError", "Processing error"),
            ("pm_card_chargeCustomerFail", "Can be saved, then declines every charge"),
        ),
    ),
    (
        "Trouble later",
        (
            ("pm_card_createDispute", "Disputed as fraudulent"),
            ("pm_card_createDisputeProductNotReceived", "Disputed as not received"),
            ("pm_card_createDisputeInquiry", "The bank asks about it first"),
            ("pm_card_createMultipleDisputes", "Disputed twice"),
            ("pm_card_createIssuerFraudRecord", "The bank warns of fraud"),
            ("pm_card_pendingRefund", "Refund takes its time"),
            ("pm_card_refundFail", "Refund fails later"),
        ),
    ),
)


def _session(world: World, parts: list[str]) -> Resource:
    found = world.state.objects.get(parts[1]) if len(parts) == 2 and parts[0] == "pay" else None
    if found is None or found["object"] != "checkout.session":
        raise no_such("checkout session", parts[-1] if parts else "", param="session", status=404)
    return found


def show(world: World, parts: list[str], given: Json) -> Page:
    session = _session(world, parts)
    return _open(world, session) if session["status"] == "open" else _closed(session)


def _open(world: World, session: Resource, problem: str = "", status: int = 200) -> Page:
    email = (session["customer_details"] or {}).get("email") or ""
    paying = session["mode"] == "payment"
    content = h(
        '{problem}{summary}<form method="post" action="/c/pay/{id}" class="card"><label for="email">E-mail</label>'
        '<input id="email" name="email" type="email" value="{email}" placeholder="customer@example.com" autocomplete="off" {fixed}>'
        '<p class="quiet small">Choose a test card by what it does. A click {verb} at once.</p>{groups}</form>{leave}',
        problem=notice(problem or _last_problem(world, session)),
        id=session.id,
        summary=_summary(session),
        email=email,
        fixed=Html("readonly") if session["customer"] or session["customer_email"] else "",
        verb="pays" if paying else "saves it",
        groups=join(_group(*each) for each in GROUPS),
        leave=_leave(session),
    )
    return page("Checkout", content, status=status)


def _last_problem(world: World, session: Resource) -> str:
    """Why the last attempt did not go through; a reload shows it again instead of trying again."""
    id = session["payment_intent"] or session["setup_intent"]
    intent = world.get(id) if id else {}
    error = intent.get("last_payment_error") or intent.get("last_setup_error") or {}
    if str(error.get("code")).endswith("_authentication_failure"):
        return "The bank could not confirm that it is you. Try again or choose another card."
    return str(error.get("message", ""))


def _summary(session: Resource) -> Html:
    if session["mode"] == "setup":
        return h('<h1>Save a card</h1><p class="quiet">Nothing is charged now.</p>')
    items = join(
        h(
            "<li><span>{name} × {quantity}</span><span>{amount}</span></li>",
            name=item["description"],
            quantity=item["quantity"],
            amount=money.formatted(item["amount_total"], item["currency"]),
        )
        for item in session.hidden["line_items"]
    )
    held = session.hidden["payment_intent_data"].get("capture_method") == "manual"
    note = "The amount is held on the card and taken later." if held else "The amount is taken at once."
    return h(
        '<p class="quiet">Pay</p><h1 class="amount">{amount}</h1><p class="quiet">{note}</p><ul class="rows card">{items}</ul>',
        amount=money.formatted(session["amount_total"], session["currency"]),
        note=note,
        items=items,
    )


def _group(title: str, choices: tuple[tuple[str, str], ...]) -> Html:
    buttons = join(
        h(
            '<button name="card" value="{id}" id="{id}"><span>{text}</span><code>•••• {last4}</code></button>',
            id=id,
            text=text,
            last4=cards.CARDS[id].number[-4:],
        )
        for id, text in choices
    )
    return h(
        '<fieldset><legend>{title}</legend><div class="choices">{buttons}</div></fieldset>',
        title=title,
        buttons=buttons,
    )


def _leave(session: Resource) -> Html:
    if session["cancel_url"]:
        return h(
            '<p><a id="leave" href="{url}">← Leave without {deed}</a></p>',
            url=fill(session["cancel_url"], session),
            deed="paying" if session["mode"] == "payment" else "saving a card",
        )
    return h('<p class="quiet">Close the page to leave.</p>')


def _closed(session: Resource) -> Page:
    if session["status"] == "complete":
        text, note = "You're all done here", "This Checkout is complete."
        url = session["success_url"] or session["return_url"]
    else:
        text, note = "This Checkout has expired", "Nothing was charged. The shop can open a new one."
        url = session["cancel_url"]
    link = h('<p><a class="button" href="{url}">Back to the shop</a></p>', url=fill(url, session)) if url else Html("")
    return page("Checkout", h("<h1>{text}</h1><p>{note}</p>{link}", text=text, note=note, link=link))


def fill(url: str, session: Resource) -> str:
    """The return address with the session's id where its template variable stands."""
    return url.replace("{CHECKOUT_SESSION_ID}", session.id)


def act(world: World, parts: list[str], given: Json) -> Page:
    """Tries the card, and answers with where to look next, so that a reload tries nothing."""
    session = _session(world, parts)
    if session["status"] != "open":
        return redirect(f"/c/pay/{session.id}")
    if cards.name_of(str(given.get("card", ""))) is None:
        return _open(world, session, "Choose one of the cards.", status=400)
    try:
        checkout_flow.pay(world, session, str(given["card"]), email=str(given.get("email") or "") or None)
    except StripeError as error:
        if error.status != 402:
            return _open(world, session, str(error), status=400)
    return after(world, session)


def after(world: World, session: Resource) -> Page:
    """Where the customer goes next: to the bank, or back to the shop."""
    intent = world.get(session["payment_intent"] or session["setup_intent"])
    if intent["status"] == "requires_action":
        return redirect(f"/authenticate/{intent.id}/{intent.hidden['authentication']}")
    if session["status"] == "complete":
        return redirect(fill(session["success_url"] or session["return_url"] or "/", session))
    return redirect(f"/c/pay/{session.id}")


def receipt(world: World, parts: list[str], given: Json) -> Page:
    found = world.state.objects.get(parts[0] if parts else "")
    if found is None or found["object"] != "payment_intent":
        raise no_such("receipt", parts[0] if parts else "", param="receipt", status=404)
    return page(
        "Receipt",
        h(
            '<h1>Receipt</h1><p class="amount">{amount}</p><p class="quiet">{status} · {id}</p>',
            id=found.id,
            amount=money.formatted(found["amount_received"], found["currency"]),
            status=found["status"],
        ),
    )
