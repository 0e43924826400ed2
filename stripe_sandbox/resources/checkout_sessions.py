"""Checkout Sessions: the endpoints. What the customer does on the page is in `checkout_flow`."""

from stripe_sandbox import addresses, money
from stripe_sandbox.errors import Json, StripeError, exclusive, missing_param, no_such, validation
from stripe_sandbox.rendering import by, included, list_of, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import checkout_flow, checkout_shapes, payment_intents, setup_intents

SHORTEST, LONGEST = 30 * 60, 24 * 3600
MOST_ITEMS = 100
CREATE = "checkout.SessionCreateParams"


def _line_items(world: World, session: Resource) -> Json:
    return list_of(session.hidden["line_items"], f"/v1/checkout/sessions/{session.id}/line_items")


included[("checkout.session", "line_items")] = _line_items


@route("POST", "/v1/checkout/sessions", CREATE)
def create(call: Call) -> Json:
    world, params = call.world, call.params
    mode = params.get("mode")
    if mode is None:
        raise missing_param("mode")
    if mode == "subscription":
        raise validation("The sandbox offers Checkout in payment and setup mode.", "mode")
    _check(call, mode)
    expires_at = _expiry(call)
    items = [
        checkout_shapes.line_item(world, each, f"line_items[{index}]")
        for index, each in enumerate(params.get("line_items") or [])
    ]
    total = sum(item["amount_total"] for item in items)
    currency = items[0]["currency"] if items else params.get("currency")
    if mode == "payment":
        _check_payment(call, items, total)
    fields = checkout_shapes.session_fields(call, mode)
    session = world.create(
        "checkout.session",
        call.account,
        {
            **fields,
            "amount_subtotal": total if items else None,
            "amount_total": total if items else None,
            "currency": money.check_currency(currency) if currency else None,
            "expires_at": expires_at,
            "payment_status": "unpaid" if mode == "payment" else "no_payment_required",
            "status": "open",
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0} if items else None,
        },
        hidden={"line_items": items, "payment_intent_data": params.get("payment_intent_data") or {}},
    )
    if session["ui_mode"] == "hosted_page":
        session["url"] = f"{world.base_url}/c/pay/{session.id}"
    else:
        session["client_secret"] = f"{session.id}_secret_{world.token(40)}"
    if mode == "setup":
        _begin_setup(call, session)
    world.schedule(expires_at, "checkout_lapses", session=session.id)
    return session


def _begin_setup(call: Call, session: Resource) -> None:
    """In setup mode the SetupIntent is there from the start."""
    fields = {
        **(call.params.get("setup_intent_data") or {}),
        "customer": call.params.get("customer"),
        "payment_method_types": session["payment_method_types"],
        "usage": "off_session",
    }
    intent = setup_intents.new_intent(call.world, call.account, fields)
    intent.hidden["checkout"] = session.id
    session["setup_intent"] = intent.id


NOT_WITH = {
    "setup": ("line_items", "payment_intent_data"),
    "payment": ("setup_intent_data",),
}


def _check(call: Call, mode: str) -> None:
    """The rules between parameters."""
    params = call.params
    _check_urls(params)
    for name in NOT_WITH[mode]:
        if params.get(name):
            raise validation(f"You can not pass `{name}` in `{mode}` mode.", name)
    if mode == "payment" and not params.get("line_items"):
        raise missing_param("line_items")
    if len(params.get("line_items") or []) > MOST_ITEMS:
        raise validation(f"A Checkout Session can have at most {MOST_ITEMS} line items.", "line_items")
    if mode == "setup" and not (params.get("currency") or params.get("payment_method_types")):
        raise missing_param("currency")
    _check_customer(call)


def _check_urls(params: Json) -> None:
    """Where the customer goes afterwards. Stripe's words for what a page of one's own does not take are not documented."""
    addresses.check(params, "success_url", "cancel_url", "return_url")
    ui_mode = params.get("ui_mode", "hosted_page")
    if ui_mode == "hosted_page":
        if "success_url" not in params:
            raise missing_param("success_url")
        return
    for name in ("cancel_url", "success_url") if ui_mode in ("embedded_page", "elements") else ():
        if name in params:
            raise validation(f"`{name}` is not allowed when `ui_mode` is `{ui_mode}`.", name)
    if ui_mode == "embedded_page" and params.get("redirect_on_completion") != "never" and "return_url" not in params:
        raise missing_param("return_url")


def _check_customer(call: Call) -> None:
    customer = call.params.get("customer")
    for name in ("customer_email", "customer_creation"):
        if customer and call.params.get(name):
            raise exclusive("customer", name)
    if customer:
        call.world.require("customer", customer, call.account, param="customer")


def _expiry(call: Call) -> int:
    now = call.now()
    wanted = int(call.params.get("expires_at", now + LONGEST))
    if wanted < now + SHORTEST:
        raise validation(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", "expires_at"
        )
    if wanted > now + LONGEST:
        raise validation(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", "expires_at"
        )
    return wanted


def _check_payment(call: Call, items: list[Json], total: int) -> None:
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise validation("All line items must be in the same currency.", "line_items")
    currency = currencies.pop()
    if total < money.MINIMUM_CHARGE.get(currency, 1):
        raise StripeError(
            f"The Checkout Session's total amount due must add up to at least "
            f"{money.formatted(money.MINIMUM_CHARGE.get(currency, 1), currency)} {currency}",
            code="amount_too_small",
        )
    money.check_amount(total, currency, "line_items")
    data = call.params.get("payment_intent_data") or {}
    payment_intents.check_connect(call.world, call.account, data, total)


@route("GET", "/v1/checkout/sessions/{id}", "checkout.SessionRetrieveParams")
def retrieve(call: Call) -> Json:
    return _named(call)


@route("GET", "/v1/checkout/sessions", "checkout.SessionListParams")
def list_sessions(call: Call) -> Json:
    email = (call.params.get("customer_details") or {}).get("email")
    return page(
        call,
        "checkout.session",
        "/v1/checkout/sessions",
        {name: by(name) for name in ("customer", "payment_intent", "payment_link", "status", "subscription")},
        only=(lambda each: bool((each["customer_details"] or {}).get("email") == email)) if email else None,
    )


@route("GET", "/v1/checkout/sessions/{id}/line_items", "checkout.SessionListLineItemsParams")
def list_line_items(call: Call) -> Json:
    session, params = _named(call), call.params
    items, limit = session.hidden["line_items"], min(max(params.get("limit", 10), 1), 100)
    ids = [item["id"] for item in items]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in ids:
            raise no_such("item", params[name], param=name)
    if "starting_after" in params:
        items = items[ids.index(params["starting_after"]) + 1 :]
    if "ending_before" in params:
        earlier = items[: ids.index(params["ending_before"])]
        items = earlier[-limit:]
        more = len(earlier) > limit
    else:
        items, more = items[:limit], len(items) > limit
    return list_of(items, f"/v1/checkout/sessions/{session.id}/line_items", has_more=more)


@route("POST", "/v1/checkout/sessions/{id}", "checkout.SessionUpdateParams")
def update(call: Call) -> Json:
    session = _named(call)
    session["metadata"] = metadata(session["metadata"], call.params.get("metadata"))
    return session


@route("POST", "/v1/checkout/sessions/{id}/expire", "checkout.SessionExpireParams")
def expire(call: Call) -> Json:
    session = _named(call)
    if session["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"`{session['status']}`."
        )
    checkout_flow.expire(call.world, session)
    return session


def _named(call: Call) -> Resource:
    return call.require("checkout.session", "id", param="session", label="checkout session")
