"""Checkout Sessions: the endpoints. What the customer does on the page is in `checkout_flow`."""

from typing import Any

from stripe_sandbox import money
from stripe_sandbox.errors import Json, StripeError, exclusive, missing_param, no_such, validation
from stripe_sandbox.rendering import by, included, list_of, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World

from . import checkout_flow, payment_intents, setup_intents

SHORTEST, LONGEST = 30 * 60, 24 * 3600
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
        _line_item(world, each, f"line_items[{index}]") for index, each in enumerate(params.get("line_items") or [])
    ]
    total = sum(item["amount_total"] for item in items)
    currency = items[0]["currency"] if items else params.get("currency")
    if mode == "payment":
        _check_payment(call, items, total)
    fields = _fields(call, mode)
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
        given = params.get("setup_intent_data") or {}
        intent = setup_intents.new_intent(
            world,
            call.account,
            {**given, "customer": params.get("customer"), "payment_method_types": ["card"], "usage": "off_session"},
        )
        intent.hidden["checkout"] = session.id
        session["setup_intent"] = intent.id
    world.schedule(expires_at, "checkout_lapses", session=session.id)
    return session


NOT_WITH = {
    "setup": ("line_items", "payment_intent_data"),
    "payment": ("setup_intent_data",),
}


def _check(call: Call, mode: str) -> None:
    """The rules between parameters."""
    params = call.params
    ui_mode = params.get("ui_mode", "hosted_page")
    if ui_mode == "hosted_page" and "success_url" not in params:
        raise missing_param("success_url")
    if ui_mode != "hosted_page" and "cancel_url" in params:
        raise validation(f"`cancel_url` is not allowed when `ui_mode` is `{ui_mode}`.", "cancel_url")
    for name in NOT_WITH[mode]:
        if params.get(name):
            raise validation(f"You can not pass `{name}` in `{mode}` mode.", name)
    if mode == "payment" and not params.get("line_items"):
        raise missing_param("line_items")
    if mode == "setup" and not (params.get("currency") or params.get("payment_method_types")):
        raise missing_param("currency")
    if len(params.get("client_reference_id") or "") > 200:
        raise validation("Invalid string: client_reference_id; must be at most 200 characters", "client_reference_id")
    _check_customer(call)


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


def _line_item(world: World, given: Json, where: str) -> Json:
    if "price" in given:
        raise no_such("price", str(given["price"]), param=f"{where}[price]")
    data = given.get("price_data")
    if data is None:
        raise missing_param(f"{where}[price_data]")
    if "unit_amount" not in data:
        raise missing_param(f"{where}[price_data][unit_amount]")
    product = data.get("product_data")
    if product is None:
        raise missing_param(f"{where}[price_data][product_data]")
    quantity, currency, amount = given.get("quantity", 1), money.check_currency(data["currency"]), data["unit_amount"]
    if quantity < 1 or amount < 0:
        raise validation(
            "This value must be greater than or equal to 1." if quantity < 1 else "Invalid non-negative integer", where
        )
    price: Json = {
        "id": world.new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": world.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": world.new_id("product"),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }
    return {
        "id": world.new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount * quantity,
        "amount_tax": 0,
        "amount_total": amount * quantity,
        "currency": currency,
        "description": product["name"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }


def _fields(call: Call, mode: str) -> Json:
    """What the session echoes of its parameters, and the defaults of what it does not."""
    params = call.params
    ui_mode = params.get("ui_mode", "hosted_page")
    customer = params.get("customer")
    email = params.get("customer_email") or (call.world.get(customer)["email"] if customer else None)
    creation = None if customer else params.get("customer_creation", "if_required" if mode == "payment" else "always")
    plain: dict[str, Any] = {
        name: params.get(name)
        for name in (
            "allow_promotion_codes",
            "billing_address_collection",
            "cancel_url",
            "client_reference_id",
            "customer",
            "customer_email",
            "locale",
            "integration_identifier",
            "return_url",
            "submit_type",
            "success_url",
        )
    }
    return {
        **plain,
        "adaptive_pricing": {"enabled": bool((params.get("adaptive_pricing") or {}).get("enabled", mode == "payment"))},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
            **(params.get("custom_text") or {}),
        },
        "customer_creation": creation,
        "discounts": [] if mode == "payment" else None,
        "customer_details": _customer_details(email) if email else None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        }
        if mode == "payment"
        else None,
        "metadata": metadata({}, params.get("metadata")),
        "mode": mode,
        "payment_method_collection": "if_required" if mode == "payment" else "always",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types") or ["card"],
        "phone_number_collection": {"enabled": False},
        "saved_payment_method_options": {
            "allow_redisplay_filters": ["always"],
            "payment_method_remove": "disabled",
            "payment_method_save": None,
        }
        if customer
        else None,
        "shipping_options": [],
        "ui_mode": ui_mode,
        "redirect_on_completion": None if ui_mode == "hosted_page" else "always",
    }


def _customer_details(email: str) -> Json:
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }


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
    return _line_items(call.world, _named(call))


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
