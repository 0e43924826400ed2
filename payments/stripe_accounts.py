"""What we need of a connected account and of where it is paid out to, as frozen facts."""

from dataclasses import dataclass
from typing import Any, Literal

from payments.stripe_objects import Json


@dataclass(frozen=True, slots=True)
class BankFacts:
    """A bank account or debit card that is paid out to: what a person knows it by, and nothing else, ever.

    `bank_name` is the brand of a card. `status`: "new", "validated" and "verified" can be paid to; "errored" and
    "verification_failed" can't until it is replaced; empty where Stripe tells none.
    """

    id: str
    kind: Literal["bank_account", "card"]
    bank_name: str
    last4: str
    currency: str
    country: str
    default_for_currency: bool
    status: str


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """When Stripe pays out by itself: `interval` is "manual" (never), "daily", "weekly", "monthly", or empty where
    Stripe does not tell. Anchors come only with their interval: a day of the month (1 to 31, the last day where the
    month is shorter), "monday" and so on.
    """

    interval: str
    monthly_anchor: int | None
    weekly_anchor: str


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A connected account. `requirements` is Stripe's object as it came.

    `type`: "express", "custom", "standard", or empty for one made by other means.
    """

    id: str
    type: str
    country: str
    default_currency: str
    details_submitted: bool
    charges_enabled: bool
    payouts_enabled: bool
    transfers_active: bool
    disabled_reason: str
    requirements: dict[str, Any]
    metadata: dict[str, str]
    schedule: ScheduleFacts
    banks: tuple[BankFacts, ...]


def read_account(data: Json) -> AccountFacts:
    requirements = dict(data.get("requirements") or {})
    return AccountFacts(
        id=data["id"],
        type=_type_of(data),
        country=data.get("country") or "",
        default_currency=data.get("default_currency") or "",
        details_submitted=bool(data.get("details_submitted")),
        charges_enabled=bool(data.get("charges_enabled")),
        payouts_enabled=bool(data.get("payouts_enabled")),
        transfers_active=(data.get("capabilities") or {}).get("transfers") == "active",
        disabled_reason=requirements.get("disabled_reason") or "",
        requirements=requirements,
        metadata=dict(data.get("metadata") or {}),
        schedule=_read_schedule(data),
        banks=tuple(read_bank(each) for each in (data.get("external_accounts") or {}).get("data") or ()),
    )


def read_bank(data: Json) -> BankFacts:
    kind = data["object"]
    if kind not in ("bank_account", "card"):
        raise ValueError("Neither a bank account nor a card.")
    return BankFacts(
        id=data["id"],
        kind=kind,
        bank_name=(data["brand"] if kind == "card" else data.get("bank_name")) or "",
        last4=data["last4"],
        currency=data.get("currency") or "",
        country=data.get("country") or "",
        default_for_currency=bool(data.get("default_for_currency")),
        status=data.get("status") or "",
    )


def _type_of(data: Json) -> str:
    """One that was made by its controller's properties is of the type "none"."""
    found = data.get("type")
    return "" if found in (None, "none") else str(found)


def _read_schedule(data: Json) -> ScheduleFacts:
    schedule = ((data.get("settings") or {}).get("payouts") or {}).get("schedule") or {}
    return ScheduleFacts(
        interval=schedule.get("interval") or "",
        monthly_anchor=schedule.get("monthly_anchor"),
        weekly_anchor=schedule.get("weekly_anchor") or "",
    )
