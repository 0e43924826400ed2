"""Where payouts go: bank accounts and debit cards, made of Stripe's test tokens and numbers."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from stripe_sandbox import money, shapes
from stripe_sandbox.errors import Json, StripeError, missing_param, validation
from stripe_sandbox.routing import metadata
from stripe_sandbox.world import Resource, World

ROUTING_DIGITS, MONTHS = 9, 12
# Test bank account numbers in the United States; what a payout to each does is in `payout_failures.BY_NUMBER`.
US_NUMBERS = {
    "btok_us": "000123456789",
    "btok_us_verified": "000123456789",
    "btok_us_verified_noAccount": "000111111116",
    "btok_us_verified_accountClosed": "000111111113",
    "btok_us_verified_insufficientFunds": "000222222227",
    "btok_us_verified_debitNotAuthorized": "000333333335",
    "btok_us_verified_invalidCurrency": "000444444440",
}
# The same without `_verified`, as they are often written.
US_NUMBERS |= {name.replace("_verified_", "_"): number for name, number in US_NUMBERS.items()}
# Stripe's two numbers whose ownership is checked: confirmed by itself, and only by a document.
CONFIRMED_OWNERSHIP, DOUBTED_OWNERSHIP = OWNERSHIP_NUMBERS = ("000999999991", "000999999992")
OWNERSHIP_DELAY = 60  # seconds; Stripe says "a short delay"
NOT_A_TEST_NUMBER = (
    "You must use a test bank account number in test mode. Try 000123456789 or see more options at "
    "https://stripe.com/docs/connect/testing#account-numbers."
)
NOT_FOR_PAYOUTS = (
    "The card you provided as an external account is not supported for payouts. "
    "Provide a non-prepaid debit card instead."
)
CARD_FIELDS = ("address_city", "address_country", "address_line1", "address_line2", "address_state", "address_zip")


class DebitCard(NamedTuple):
    """A test card that payouts can go to."""

    number: str
    brand: str
    instant: bool = True


DEBIT_CARDS = {
    "tok_visa_debit": DebitCard("4000056655665556", "Visa"),
    "tok_visa_debit_us_transferSuccess": DebitCard("4000056655665556", "Visa"),
    "tok_visa_debit_us_transferFail": DebitCard("4000056655665572", "Visa"),
    "tok_visa_debit_us_instantPayoutUnsupported": DebitCard("4000056755665555", "Visa", instant=False),
    "tok_mastercard_debit_us_transferSuccess": DebitCard("5200828282828210", "MasterCard"),
    "tok_discover_debit_us_transferSuccess": DebitCard("6011981111111113", "Discover"),
}
DEBIT_BY_NUMBER = {card.number: card for card in DEBIT_CARDS.values()}


class Draft(NamedTuple):
    """A bank account or card that belongs to nobody yet: its type, what is shown of it, and its number."""

    kind: str
    fields: Json
    number: str


def from_hash(world: World, given: Json, param: str) -> Draft:
    """Reads a bank account's or a card's details. Raises StripeError in Stripe's words when they cannot be real."""
    if given.get("object") == "card":
        return _card(world, given, param)
    return _bank_account(world, given, param)


def from_magic(world: World, token: str) -> Draft | None:
    """What one of Stripe's test tokens stands for."""
    if token in US_NUMBERS:
        number = US_NUMBERS[token]
        bank: Json = {"account_number": number, "country": "US", "currency": "usd", "routing_number": "110000000"}
        return _bank_account(world, bank, "external_account")
    if token in DEBIT_CARDS:
        card: Json = {"number": DEBIT_CARDS[token].number, "exp_month": 12, "exp_year": 2099, "currency": "usd"}
        return _card(world, card, "external_account")
    return None


def _bank_account(world: World, given: Json, param: str) -> Draft:
    for name in ("account_number", "country"):
        if name not in given:
            raise missing_param(f"{param}[{name}]")
    country, number, routing = given["country"].upper(), given["account_number"], given.get("routing_number")
    if country == "US":
        _check_us(number, routing, param)
    currency = money.check_currency(given.get("currency") or money.currency_of_country(country))
    fields = {
        "account_holder_name": given.get("account_holder_name"),
        "account_holder_type": given.get("account_holder_type"),
        "account_type": given.get("account_type"),
        "available_payout_methods": ["standard"],
        "bank_name": "STRIPE TEST BANK",
        "country": country,
        "currency": currency,
        "fingerprint": world.token(16),
        "last4": number[-4:],
        "routing_number": routing,
        "status": "new",
    }
    return Draft("bank_account", fields, number)


def _check_us(number: str, routing: str | None, param: str) -> None:
    if routing is None:
        raise missing_param(f"{param}[routing_number]")
    if len(routing) != ROUTING_DIGITS or not routing.isdecimal():
        message = "Invalid routing number for US: must be a valid routing number with exactly 9 digits."
        raise validation(message, f"{param}[routing_number]", "routing_number_invalid")
    if number not in US_NUMBERS.values() and number not in OWNERSHIP_NUMBERS:
        raise validation(NOT_A_TEST_NUMBER, f"{param}[account_number]", "account_number_invalid")


def _card(world: World, given: Json, param: str) -> Draft:
    for name in ("number", "exp_month", "exp_year"):
        if name not in given:
            raise missing_param(f"{param}[{name}]")
    number = str(given["number"]).replace(" ", "")
    debit = DEBIT_BY_NUMBER.get(number)
    if debit is None:
        raise StripeError(NOT_FOR_PAYOUTS, code="invalid_card_type", param=param)
    currency = money.check_currency(given.get("currency") or "usd")
    fields = {
        **{name: given.get(name) for name in (*CARD_FIELDS, "name")},
        "available_payout_methods": ["standard", "instant"] if debit.instant else ["standard"],
        "brand": debit.brand,
        "country": "US",
        "currency": currency,
        "cvc_check": "pass" if given.get("cvc") else None,
        **expiry(world, given),
        "fingerprint": world.token(16),
        "funding": "debit",
        "last4": number[-4:],
        "regulated_status": "unregulated",
        "status": "new",
    }
    return Draft("card", fields, number)


def expiry(world: World, given: Json) -> Json:
    """A card's expiry as numbers, or the 402 of a month or year that cannot be; years of two digits are of this century."""
    month, year = str(given.get("exp_month", "")), str(given.get("exp_year", ""))
    if not (month.isascii() and month.isdecimal() and 1 <= int(month) <= MONTHS):
        raise _bad_expiry("month")
    if not (year.isascii() and year.isdecimal() and len(year) in (2, 4)):
        raise _bad_expiry("year")
    full = int(year) + (2000 if len(year) == len("yy") else 0)
    now = datetime.fromtimestamp(world.now(), UTC)
    if (full, int(month)) < (now.year, now.month):
        raise _bad_expiry("year" if full < now.year else "month")
    return {"exp_month": int(month), "exp_year": full}


def _bad_expiry(part: str) -> StripeError:
    return StripeError(
        f"Your card's expiration {part} is invalid.",
        status=402,
        type="card_error",
        code=f"invalid_expiry_{part}",
        param=f"exp_{part}",
    )


def shown(world: World, draft: Draft) -> Json:
    """The object inside a token, which keeps its id when it is put to use."""
    return {**shapes.skeleton(draft.kind), "id": world.new_id(draft.kind), "object": draft.kind, **draft.fields}


def add(world: World, account: Resource, draft: Draft, *, default: bool = False, **more: Any) -> Resource:
    """Gives the account somewhere to be paid; the first of a currency is its default, later ones when asked."""
    data = account["external_accounts"]["data"]
    peers = [each for each in data if each["currency"] == draft.fields["currency"]]
    if default:
        for each in peers:
            each["default_for_currency"] = False
    fields = {
        **draft.fields,
        "account": account.id,
        "default_for_currency": default or not peers,
        "metadata": metadata({}, more.get("metadata")),
    }
    if draft.kind == "bank_account":
        nothing: Json = {name: [] for name in ("currently_due", "errors", "past_due", "pending_verification")}
        fields |= {"requirements": nothing, "future_requirements": nothing}
    made = world.create(draft.kind, account.id, fields, hidden={"number": draft.number})
    keep(account, [*data, made])
    if draft.number in OWNERSHIP_NUMBERS:
        world.schedule(world.now() + OWNERSHIP_DELAY, "bank_ownership_checked", bank=made.id)
    return made


def keep(account: Resource, data: list[Resource]) -> None:
    """Writes the account's list of external accounts anew."""
    account["external_accounts"] = {**account["external_accounts"], "data": data, "total_count": len(data)}
