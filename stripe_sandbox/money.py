"""Money: currencies, Stripe's fee, balance transactions, and the balances that follow from them alone."""

from typing import Any

from . import events
from .errors import Json, StripeError, validation
from .world import Resource, World, job

DAY = 86400
ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
CURRENCIES = tuple(
    """
    usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad
    cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl
    htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd
    mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd
    rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd
    vuv wst xaf xcd xof xpf yer zar zmw
    """.split()
)
MINIMUM_CHARGE = {
    "usd": 50,
    "cad": 50,
    "aud": 50,
    "nzd": 50,
    "sgd": 50,
    "brl": 50,
    "chf": 50,
    "eur": 50,
    "inr": 50,
    "gbp": 30,
    "dkk": 250,
    "sek": 300,
    "nok": 300,
    "hkd": 400,
    "jpy": 50,
    "mxn": 1000,
    "czk": 1500,
    "huf": 17500,
    "pln": 200,
    "ron": 200,
    "bgn": 100,
    "aed": 200,
    "myr": 200,
    "thb": 1000,
}
MAXIMUM = 99_999_999
LARGER_MAXIMUM = frozenset(["idr", "inr", "jpy", "huf", "cop", "lbp"])
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
COUNTRY_CURRENCY = {
    "US": "usd",
    "GB": "gbp",
    "JP": "jpy",
    "CA": "cad",
    "AU": "aud",
    "NZ": "nzd",
    "CH": "chf",
    "SE": "sek",
    "NO": "nok",
    "DK": "dkk",
    "PL": "pln",
    "CZ": "czk",
    "HU": "huf",
    "SG": "sgd",
    "HK": "hkd",
    "MX": "mxn",
    "BR": "brl",
    "IN": "inr",
    "TH": "thb",
    "RO": "ron",
}


def currency_of_country(country: str) -> str:
    return COUNTRY_CURRENCY.get(country.upper(), "eur")


def check_currency(currency: str) -> str:
    """The currency in lower case, or Stripe's refusal."""
    lower = currency.lower()
    if lower not in CURRENCIES:
        raise validation(
            f"Invalid currency: {lower}. Stripe currently supports these currencies: {', '.join(CURRENCIES)}",
            "currency",
        )
    return lower


def check_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Refuses what Stripe cannot charge: not positive, below the minimum, above eight digits, off the currency's step."""
    if amount < 1:
        raise validation("Invalid positive integer", param, "parameter_invalid_integer")
    if currency in THREE_DECIMAL and amount % 10:
        raise StripeError(f"Invalid amount: amounts in {currency} must be a multiple of 10.", param=param)
    if currency in ("isk", "ugx") and amount % 100:
        raise StripeError(f"Invalid amount: amounts in {currency} must be a multiple of 100.", param=param)
    if amount < MINIMUM_CHARGE.get(currency, 1):
        raise StripeError(
            f"Amount must be at least {formatted(MINIMUM_CHARGE[currency], currency)} {currency}",
            code="amount_too_small",
            param=param,
        )
    if amount > MAXIMUM and currency not in LARGER_MAXIMUM:
        raise StripeError(
            f"Amount must be no more than {formatted(MAXIMUM, currency)}", code="amount_too_large", param=param
        )


def formatted(amount: int, currency: str) -> str:
    """`$1,234.50`, `¥500`, `10.000 KWD`-like text for messages and pages."""
    digits = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    sign, whole = ("-" if amount < 0 else ""), abs(amount)
    text = f"{whole // 10**digits:,}" + (f".{whole % 10**digits:0{digits}d}" if digits else "")
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {currency.upper()}"


def processing_fee(amount: int, currency: str) -> int:
    """2.9 % + 30, rounded half up; 3.6 % in zero-decimal currencies; to the ten in three-decimal ones. In minor units."""
    if currency in ZERO_DECIMAL:
        return (amount * 36 + 500) // 1000
    if currency in THREE_DECIMAL:
        return (amount * 29 + 5000) // 10000 * 10 + 300
    return (amount * 29 + 500) // 1000 + 30


def stripe_fee(amount: int, currency: str, description: str = "Stripe processing fees") -> Json:
    return {
        "amount": amount,
        "application": None,
        "currency": currency,
        "description": description,
        "type": "stripe_fee",
    }


def funds_available_on(world: World, account: str) -> int:
    """Midnight UTC of the day on which a charge made now becomes available to the account."""
    owner = world.get(account)
    return (world.now() + int(owner["settings"]["payouts"]["schedule"]["delay_days"]) * DAY) // DAY * DAY


def post(
    world: World,
    account: str,
    *,
    type: str,
    category: str,
    amount: int,
    currency: str,
    source: str | None,
    description: str | None = None,
    fees: list[Json] | None = None,
    available_on: int | None = None,
) -> Resource:
    """Moves money on the account's balance: one balance transaction, pending until `available_on` (at once when not given).

    `amount` and the fees are minor units of `currency`; the balance changes by amount minus fees.
    """
    now = world.now()
    fee = sum(each["amount"] for each in fees or [])
    due = available_on if available_on is not None and available_on > now else None
    transaction = world.create(
        "balance_transaction",
        account,
        {
            "amount": amount,
            "available_on": due or now,
            "balance_type": "payments",
            "currency": currency,
            "description": description,
            "fee": fee,
            "fee_details": fees or [],
            "net": amount - fee,
            "reporting_category": category,
            "source": source,
            "status": "pending" if due else "available",
            "type": type,
        },
    )
    move(world, account, currency, amount - fee, pending=due is not None)
    if due:
        if (account, due) not in world.state.settling:
            world.state.settling[(account, due)] = []
            world.schedule(due, "make_available", account=account, due=due)
        world.state.settling[(account, due)].append(transaction.id)
    if not due and amount - fee > 0:
        _settle_waiting(world, account)
    return transaction


def move(world: World, account: str, currency: str, amount: int, *, pending: bool) -> None:
    """Changes the account's balance. What a connected one is below zero, the platform's reserve stands in for.

    https://support.stripe.com/questions/reserves-for-connect-platforms-and-connected-accounts
    """
    balance = world.state.balances.setdefault((account, currency), [0, 0])
    before = min(sum(balance), 0)
    balance[1 if pending else 0] += amount
    released = min(sum(balance), 0) - before
    if released and not world.is_platform(account):
        post(
            world,
            world.settings.platform,
            type="reserve_transaction",
            category="connect_reserved_funds",
            amount=released,
            currency=currency,
            source=None,
            description="Connect reserve",
        )


@job
def make_available(world: World, *, account: str, due: int) -> None:
    """Turns the account's pending transactions whose time has come into available funds."""
    for id in world.state.settling.pop((account, due)):
        transaction = world.get(id)
        transaction["status"] = "available"
        balance = world.state.balances[(account, transaction["currency"])]
        balance[0] += transaction["net"]
        balance[1] -= transaction["net"]
    events.emit(world, account, "balance.available", balance_object(world, account))
    _settle_waiting(world, account)


def _settle_waiting(world: World, account: str) -> None:
    """Has refunds that wait for funds tried again, right after what is being done now."""
    if any(refund["status"] == "pending" for refund in world.all("refund", account)[-200:]):
        world.schedule(world.now(), "fund_pending_refunds", account=account)


def available(world: World, account: str, currency: str) -> int:
    return world.state.balances.get((account, currency), [0, 0])[0]


def total(world: World, account: str, currency: str) -> int:
    """Available and pending together."""
    return sum(world.state.balances.get((account, currency), [0, 0]))


def balance_object(world: World, account: str) -> Json:
    """The account's balance as `GET /v1/balance` shows it; at least the default currency is listed."""
    owner = world.get(account)
    rows = {currency: amounts for (holder, currency), amounts in world.state.balances.items() if holder == account}
    rows.setdefault(owner["default_currency"], [0, 0])

    def bucket(index: int) -> list[Any]:
        return [
            {"amount": rows[currency][index], "currency": currency, "source_types": {"card": rows[currency][index]}}
            for currency in sorted(rows)
        ]

    body: Json = {
        "object": "balance",
        "available": bucket(0),
        "instant_available": bucket(0),
        "issuing": None,
        "livemode": False,
        "pending": bucket(1),
        "refund_and_dispute_prefunding": None,
    }
    if world.is_platform(account):
        body["connect_reserved"] = _reserved(world, sorted(rows))
    return dict(sorted(body.items()))


def _reserved(world: World, currencies: list[str]) -> list[Json]:
    """What the platform stands in for: the negative balances of its connected accounts."""
    owed = dict.fromkeys(currencies, 0)
    for (holder, currency), amounts in world.state.balances.items():
        if not world.is_platform(holder) and sum(amounts) < 0:
            owed[currency] = owed.get(currency, 0) - sum(amounts)
    return [{"amount": amount, "currency": currency} for currency, amount in owed.items()]
