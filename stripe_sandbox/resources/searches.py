"""Search endpoints of PaymentIntents, charges and customers, newest first."""

from stripe_sandbox import search
from stripe_sandbox.errors import Json, validation
from stripe_sandbox.routing import Call, route

COMMON = frozenset({"amount", "created", "currency", "customer", "metadata", "status"})
CARD = frozenset(
    f"payment_method_details.card.{name}" for name in ("brand", "exp_month", "exp_year", "fingerprint", "last4")
)
CHARGE = COMMON | CARD | {"billing_details.address.postal_code", "disputed", "refunded"}
CUSTOMER = frozenset({"created", "email", "metadata", "name", "phone"})


@route("GET", "/v1/payment_intents/search", "PaymentIntentSearchParams")
def payment_intents(call: Call) -> Json:
    return _found(call, "payment_intent", "/v1/payment_intents/search", COMMON)


@route("GET", "/v1/charges/search", "ChargeSearchParams")
def charges(call: Call) -> Json:
    return _found(call, "charge", "/v1/charges/search", CHARGE)


@route("GET", "/v1/customers/search", "CustomerSearchParams")
def customers(call: Call) -> Json:
    return _found(call, "customer", "/v1/customers/search", CUSTOMER)


def _found(call: Call, kind: str, url: str, fields: frozenset[str]) -> Json:
    """One page; `next_page` is where the next one begins."""
    test = search.compiled(call.params["query"], fields)
    before = _position(call.params.get("page"))
    limit = min(max(call.params.get("limit", 10), 1), 100)
    hits = []
    for each in reversed(call.world.all(kind, call.account)):
        if (before is None or each.sequence < before) and test(each):
            hits.append(each)
            if len(hits) > limit:
                break
    more = len(hits) > limit
    return {
        "object": "search_result",
        "data": hits[:limit],
        "has_more": more,
        "next_page": f"{hits[limit - 1].sequence:x}" if more else None,
        "url": url,
    }


def _position(page: str | None) -> int | None:
    try:
        return None if page is None else int(page, 16)
    except ValueError:
        raise validation(f"Invalid page: {page[:40] if page else page}", "page") from None
