"""What we need of Stripe's objects, as frozen facts: amounts in minor units, times in UTC.

Each is read from the JSON object that Stripe sends. A missing field raises KeyError or TypeError, which the
gateway takes for an unreadable answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BalanceTransactionFacts:
    """`amount == fee + net`, signed: what goes out of the balance is negative.

    `type` ("charge", "transfer", "payout_failure", ...) is finer than `reporting_category`, by which Stripe's reports
    add up. `source` is the id of what caused it. Stripe always sends both times.
    """

    id: str
    amount: int
    fee: int
    net: int
    currency: str
    type: str = ""
    source: str = ""
    created: datetime | None = None
    available_on: datetime | None = None
    description: str = ""
    reporting_category: str = ""


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """`source_transaction` is the charge that it was tied to, where it was."""

    id: str
    amount: int
    amount_reversed: int
    currency: str
    destination: str
    transfer_group: str
    source_transaction: str
    livemode: bool
    metadata: dict[str, str]
    created: datetime
    balance_transaction: BalanceTransactionFacts | None


@dataclass(frozen=True, slots=True)
class ReversalFacts:
    """Money fetched back from a transfer. It has no state: it is made at once, or refused."""

    id: str
    transfer: str
    amount: int
    currency: str
    metadata: dict[str, str]
    balance_transaction: BalanceTransactionFacts | None


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """`status`: "pending", "requires_action", "succeeded", "failed" or "canceled"; one that succeeded may fail later.

    `balance_transaction` is missing while Stripe waits for our funds; `failure_balance_transaction` is the money's
    way back to us where it did not reach the student.
    """

    id: str
    amount: int
    currency: str
    status: str
    payment_intent: str
    failure_reason: str
    metadata: dict[str, str]
    created: datetime
    balance_transaction: BalanceTransactionFacts | None
    failure_balance_transaction: BalanceTransactionFacts | None


@dataclass(frozen=True, slots=True)
class ApplicationFeeFacts:
    """What we keep of a destination charge of ours, `originating_transaction`. `account` is the one that paid it."""

    id: str
    amount: int
    amount_refunded: int
    currency: str
    account: str
    originating_transaction: str
    created: datetime
    balance_transaction: BalanceTransactionFacts | None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card as its PaymentMethod names it: what a person knows it by, and no more."""

    payment_method: str
    brand: str
    last4: str
    exp_month: int
    exp_year: int


@dataclass(frozen=True, slots=True)
class PaymentMethodFacts:
    """`customer` is empty once it is detached: then it can't be charged any more, ever."""

    id: str
    customer: str


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """`capture_before` is when the card's bank drops the hold; None once captured, or for want of an answer.

    `transfer` and `application_fee` come with the capture of a destination charge, and only there.
    """

    id: str
    amount: int
    amount_captured: int
    captured: bool
    capture_before: datetime | None
    card: CardFacts | None
    balance_transaction: BalanceTransactionFacts | None
    transfer: TransferFacts | None
    application_fee: ApplicationFeeFacts | None


@dataclass(frozen=True, slots=True)
class IntentFacts:
    """A PaymentIntent with its latest charge. `status` alone says whether a hold is there (`requires_capture`).

    `saves_card`: its card may be charged later without the student.
    """

    id: str
    status: str
    amount: int
    amount_received: int
    currency: str
    customer: str
    livemode: bool
    metadata: dict[str, str]
    created: datetime
    cancellation_reason: str
    last_refusal: str
    refusal_code: str
    saves_card: bool
    charge: ChargeFacts | None


@dataclass(frozen=True, slots=True)
class SetupFacts:
    """A SetupIntent: "succeeded" alone says that the card is saved. `card` is the one it saved, or tries to."""

    id: str
    status: str
    customer: str
    livemode: bool
    metadata: dict[str, str]
    last_refusal: str
    card: CardFacts | None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A Checkout session: "open", "complete" or "expired". `url` is there while it is open.

    `payment_intent` is empty until the student has confirmed a payment; `setup_intent` is there from the start,
    and only where a card is to be saved.
    """

    id: str
    status: str
    url: str
    payment_intent: str
    setup_intent: str
    livemode: bool
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    id: str
    livemode: bool
    metadata: dict[str, str]


def read_balance_transaction(data: Json) -> BalanceTransactionFacts:
    return BalanceTransactionFacts(
        id=data["id"],
        amount=data["amount"],
        fee=data["fee"],
        net=data["net"],
        currency=data["currency"],
        type=data["type"],
        source=id_of(data.get("source")),
        created=read_time(data["created"]),
        available_on=read_time(data["available_on"]),
        description=data.get("description") or "",
        reporting_category=data.get("reporting_category") or "",
    )


def read_transfer(data: Json) -> TransferFacts:
    return TransferFacts(
        id=data["id"],
        amount=data["amount"],
        amount_reversed=data["amount_reversed"],
        currency=data["currency"],
        destination=id_of(data["destination"]),
        transfer_group=data.get("transfer_group") or "",
        source_transaction=id_of(data.get("source_transaction")),
        livemode=data["livemode"],
        metadata=dict(data["metadata"]),
        created=read_time(data["created"]),
        balance_transaction=expanded_balance_transaction(data),
    )


def read_reversal(data: Json) -> ReversalFacts:
    return ReversalFacts(
        id=data["id"],
        transfer=id_of(data["transfer"]),
        amount=data["amount"],
        currency=data["currency"],
        metadata=dict(data.get("metadata") or {}),
        balance_transaction=expanded_balance_transaction(data),
    )


def read_refund(data: Json) -> RefundFacts:
    return RefundFacts(
        id=data["id"],
        amount=data["amount"],
        currency=data["currency"],
        status=data["status"],
        payment_intent=id_of(data.get("payment_intent")),
        failure_reason=data.get("failure_reason") or "",
        metadata=dict(data.get("metadata") or {}),
        created=read_time(data["created"]),
        balance_transaction=expanded_balance_transaction(data),
        failure_balance_transaction=expanded_balance_transaction(data, "failure_balance_transaction"),
    )


def read_application_fee(data: Json) -> ApplicationFeeFacts:
    return ApplicationFeeFacts(
        id=data["id"],
        amount=data["amount"],
        amount_refunded=data["amount_refunded"],
        currency=data["currency"],
        account=id_of(data["account"]),
        originating_transaction=id_of(data.get("originating_transaction")),
        created=read_time(data["created"]),
        balance_transaction=expanded_balance_transaction(data),
    )


def read_card(payment_method: str, card: Json) -> CardFacts:
    return CardFacts(
        payment_method=payment_method,
        brand=card["brand"],
        last4=card["last4"],
        exp_month=card["exp_month"],
        exp_year=card["exp_year"],
    )


def read_payment_method(data: Json) -> PaymentMethodFacts:
    return PaymentMethodFacts(id=data["id"], customer=id_of(data.get("customer")))


def read_charge(data: Json) -> ChargeFacts:
    card = (data.get("payment_method_details") or {}).get("card") or {}
    transfer, fee = data.get("transfer"), data.get("application_fee")
    return ChargeFacts(
        id=data["id"],
        amount=data["amount"],
        amount_captured=data["amount_captured"],
        captured=data["captured"],
        capture_before=read_time(card["capture_before"]) if card.get("capture_before") else None,
        card=read_card(id_of(data.get("payment_method")), card) if data.get("payment_method") and card else None,
        balance_transaction=expanded_balance_transaction(data),
        transfer=read_transfer(transfer) if isinstance(transfer, Mapping) else None,
        application_fee=read_application_fee(fee) if isinstance(fee, Mapping) else None,
    )


def read_intent(data: Json) -> IntentFacts:
    charge = data["latest_charge"]
    refusal = data.get("last_payment_error") or {}
    return IntentFacts(
        id=data["id"],
        status=data["status"],
        amount=data["amount"],
        amount_received=data["amount_received"],
        currency=data["currency"],
        customer=id_of(data.get("customer")),
        livemode=data["livemode"],
        metadata=dict(data["metadata"]),
        created=read_time(data["created"]),
        cancellation_reason=data.get("cancellation_reason") or "",
        last_refusal=refusal.get("message") or "",
        refusal_code=refusal.get("code") or "",
        saves_card=data.get("setup_future_usage") == "off_session",
        charge=read_charge(charge) if isinstance(charge, Mapping) else None,
    )


def read_setup(data: Json) -> SetupFacts:
    method = data.get("payment_method")
    return SetupFacts(
        id=data["id"],
        status=data["status"],
        customer=id_of(data.get("customer")),
        livemode=data["livemode"],
        metadata=dict(data["metadata"]),
        last_refusal=(data.get("last_setup_error") or {}).get("message") or "",
        card=read_card(method["id"], method["card"]) if isinstance(method, Mapping) else None,
    )


def read_session(data: Json) -> SessionFacts:
    return SessionFacts(
        id=data["id"],
        status=data["status"],
        url=data.get("url") or "",
        payment_intent=id_of(data.get("payment_intent")),
        setup_intent=id_of(data.get("setup_intent")),
        livemode=data["livemode"],
        metadata=dict(data.get("metadata") or {}),
    )


def read_customer(data: Json) -> CustomerFacts:
    return CustomerFacts(id=data["id"], livemode=data["livemode"], metadata=dict(data.get("metadata") or {}))


def read_time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def id_of(value: str | Json | None) -> str:
    """Stripe sends a reference as an id, or as the whole object where it was asked to expand it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value["id"])


def expanded_balance_transaction(data: Json, field: str = "balance_transaction") -> BalanceTransactionFacts | None:
    found = data.get(field)
    return read_balance_transaction(found) if isinstance(found, Mapping) else None
