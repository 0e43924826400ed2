"""What a new Checkout Session looks like: line items, echoes of its parameters, and the defaults of everything else."""

from typing import Any

from stripe_sandbox import money
from stripe_sandbox.errors import Json, StripeError, missing_param, no_such, validation
from stripe_sandbox.routing import Call, metadata
from stripe_sandbox.shapes import kept
from stripe_sandbox.world import World

ECHOED = (
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
# The hosted page has none of these choices; what was asked for can be read.
KEPT = (
    "after_expiration",
    "consent_collection",
    "custom_fields",
    "excluded_payment_method_types",
    "managed_payments",
    "name_collection",
    "origin_context",
    "payment_method_collection",
    "permissions",
    "phone_number_collection",
    "shipping_address_collection",
    "wallet_options",
)
BRANDING: Json = {
    "background_color": "#ffffff",
    "border_style": "rounded",
    "button_color": "#0074d4",
    "display_name": "Sandbox platform",
    "font_family": "default",
}
CUSTOM_TEXT = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
INVOICE_DATA = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
NULL_PRICE_FIELDS = ("custom_unit_amount", "lookup_key", "nickname", "recurring", "tiers_mode", "transform_quantity")


def line_item(world: World, given: Json, where: str) -> Json:
    """A line item with its one-off price. `where` is its place in the request, for errors."""
    if "price" in given:
        raise no_such("price", str(given["price"]), param=f"{where}[price]")
    data = given.get("price_data")
    if data is None:
        raise missing_param(f"{where}[price_data]")
    for name in ("unit_amount", "product_data"):
        if name not in data:
            raise missing_param(f"{where}[price_data][{name}]")
    quantity, currency, amount = given.get("quantity", 1), _currency(data["currency"], where), data["unit_amount"]
    if quantity < 1:
        raise validation("This value must be greater than or equal to 1.", f"{where}[quantity]")
    if amount < 0:
        raise validation("Invalid non-negative integer", f"{where}[price_data][unit_amount]")
    return {
        "id": world.new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount * quantity,
        "amount_tax": 0,
        "amount_total": amount * quantity,
        "currency": currency,
        "description": data["product_data"]["name"],
        "metadata": {},
        "price": _price(world, amount, currency),
        "quantity": quantity,
    }


def _currency(given: str, where: str) -> str:
    try:
        return money.check_currency(given)
    except StripeError as error:
        raise validation(str(error), f"{where}[price_data][currency]") from None


def _price(world: World, amount: int, currency: str) -> Json:
    return {
        **dict.fromkeys(NULL_PRICE_FIELDS),
        "id": world.new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": world.now(),
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "product": world.new_id("product"),
        "tax_behavior": "unspecified",
        "type": "one_time",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def session_fields(call: Call, mode: str) -> Json:
    """What the session echoes of its parameters, and the defaults of what it does not."""
    params, paying = call.params, mode == "payment"
    ui_mode = params.get("ui_mode", "hosted_page")
    adaptive = (params.get("adaptive_pricing") or {}).get("enabled", paying)
    return {
        **{name: params.get(name) for name in ECHOED},
        **_customer_fields(call, paying=paying),
        "adaptive_pricing": {"enabled": bool(adaptive)},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "collected_information": {"business_name": None, "individual_name": None, "shipping_details": None},
        "custom_fields": [],
        "custom_text": {**dict.fromkeys(CUSTOM_TEXT), **(params.get("custom_text") or {})},
        "discounts": [] if paying else None,
        "invoice_creation": _invoice_creation(params) if paying else None,
        "metadata": metadata({}, params.get("metadata")),
        "mode": mode,
        "payment_method_collection": "if_required" if paying else "always",
        "payment_method_options": {"card": _card_options(params)},
        "payment_method_types": params.get("payment_method_types") or ["card"],
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "ui_mode": ui_mode,
        **kept("checkout.session", params, KEPT),
        **_over_defaults(params),
        "redirect_on_completion": None if ui_mode == "hosted_page" else params.get("redirect_on_completion", "always"),
    }


def _customer_fields(call: Call, *, paying: bool) -> Json:
    """With a customer the session offers what is saved; without one it may make one."""
    params = call.params
    customer = params.get("customer")
    email = params.get("customer_email") or (call.world.get(customer)["email"] if customer else None)
    fields: dict[str, Any] = {"customer_details": customer_details(email) if email else None}
    if not customer:
        return {**fields, "customer_creation": params.get("customer_creation", "if_required" if paying else "always")}
    saved = {"allow_redisplay_filters": ["always"], "payment_method_remove": "disabled", "payment_method_save": None}
    saved |= params.get("saved_payment_method_options") or {}
    return {**fields, "saved_payment_method_options": saved}


def _over_defaults(params: Json) -> Json:
    """What has defaults of its own once it is asked for at all."""
    given = kept("checkout.session", params, ["branding_settings", "tax_id_collection"])
    defaults = {"branding_settings": BRANDING, "tax_id_collection": {"required": "never"}}
    return {name: value and {**defaults[name], **value} for name, value in given.items()}


def _card_options(params: Json) -> Json:
    given = kept("checkout.session", params, ["payment_method_options"]).get("payment_method_options") or {}
    return {"request_three_d_secure": "automatic", **(given.get("card") or {})}


def _invoice_creation(params: Json) -> Json:
    """As it was asked for; no invoice is made."""
    given = kept("checkout.session", params, ["invoice_creation"]).get("invoice_creation") or {"enabled": False}
    data = {**dict.fromkeys(INVOICE_DATA), "metadata": {}, **(given.get("invoice_data") or {})}
    return {**given, "invoice_data": data}


def customer_details(email: str) -> Json:
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
