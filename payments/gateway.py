"""Every call to Stripe, and the one place that knows its library.

A change needs an idempotency key and is sent once: repeating is the business of `payments.operations`, which
knows what a lost answer means. Nothing here touches our database, and nothing may hold a transaction open
while Stripe is asked.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

import stripe
import structlog
from django.conf import settings
from django.db import connections

from payments import pacing, stripe_disputes
from payments.stripe_disputes import DisputeFacts, FileFacts, FraudWarningFacts
from payments.stripe_failures import GatewayError as GatewayError  # noqa: PLC0414  # mypy asks for it, to let others have it from here
from payments.stripe_failures import raise_as_ours
from payments.stripe_objects import (
    AccountFacts,
    CustomerFacts,
    IntentFacts,
    Json,
    PaymentMethodFacts,
    RefundFacts,
    ReversalFacts,
    SessionFacts,
    SetupFacts,
    TransferFacts,
    read_account,
    read_customer,
    read_intent,
    read_payment_method,
    read_refund,
    read_reversal,
    read_session,
    read_setup,
    read_transfer,
)

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10
PAGE_SIZE = 100
# A charge's money, in one answer: what it brought us, and for a destination charge what went on from there.
EXPAND_INTENT = (
    "latest_charge.balance_transaction",
    "latest_charge.transfer.balance_transaction",
    "latest_charge.application_fee.balance_transaction",
)
EXPAND_TRANSFER = ("balance_transaction",)
EXPAND_REVERSAL = ("balance_transaction",)
EXPAND_REFUND = ("balance_transaction", "failure_balance_transaction")
_IN_LIST_REVERSAL = tuple(f"data.{field}" for field in EXPAND_REVERSAL)
_IN_LIST_REFUND = tuple(f"data.{field}" for field in EXPAND_REFUND)
EXPAND_SETUP = ("payment_method",)

_Facts = TypeVar("_Facts")


class NetworkInTransactionError(RuntimeError):
    """Stripe was about to be asked while a database transaction is open: a bug, whatever Stripe would say."""


# --- customers and connected accounts -----------------------------------------------------------


def create_customer(*, params: Json, key: str) -> CustomerFacts:
    return _change("/v1/customers", params, key, read_customer)


def find_customer(*, operation_id: str, email: str) -> CustomerFacts | None:
    """The customer that this operation made, or None where it made none."""
    return _first_of(_list("/v1/customers", {"email": email}, read_customer), operation_id)


def create_express_account(*, params: Json, key: str) -> AccountFacts:
    """`params` without the type. Since August 2026 Stripe refuses new platforms the v1 call that this makes, unless
    "Accounts v1 support" is switched on in its dashboard; the v2 call would replace it here and nowhere else.
    """
    return _change("/v1/accounts", {"type": "express", **params}, key, read_account)


def find_account(*, operation_id: str, created_after: datetime) -> AccountFacts | None:
    """The account that this operation made, or None where it made none."""
    window = {"created": {"gte": int(created_after.timestamp())}}
    return _first_of(_list("/v1/accounts", window, read_account), operation_id)


def retrieve_account(account_id: str) -> AccountFacts:
    return _read(f"/v1/accounts/{account_id}", {}, read_account)


def create_account_link(*, account_id: str, return_url: str, refresh_url: str, key: str) -> str:
    """The address of Stripe's onboarding page: works once, and for some minutes."""
    params = {
        "account": account_id,
        "type": "account_onboarding",
        "return_url": return_url,
        "refresh_url": refresh_url,
        "collection_options": {"fields": "eventually_due"},
    }
    return _change("/v1/account_links", params, key, lambda data: str(data["url"]))


# --- checkout and intents -----------------------------------------------------------------------


def create_checkout_session(*, params: Json, key: str) -> SessionFacts:
    return _change("/v1/checkout/sessions", params, key, read_session)


def retrieve_checkout_session(session_id: str) -> SessionFacts:
    return _read(f"/v1/checkout/sessions/{session_id}", {}, read_session)


def find_checkout_session(*, operation_id: str, customer: str) -> SessionFacts | None:
    """The session that this operation opened, or None where it opened none."""
    return _first_of(_list("/v1/checkout/sessions", {"customer": customer}, read_session), operation_id)


def expire_checkout_session(session_id: str, *, key: str) -> SessionFacts:
    return _change(f"/v1/checkout/sessions/{session_id}/expire", {}, key, read_session)


def create_payment_intent(*, params: Json, key: str) -> IntentFacts:
    return _change("/v1/payment_intents", params, key, read_intent)


def find_payment_intent(*, operation_id: str, customer: str, created_after: datetime) -> IntentFacts | None:
    """The intent that this operation made, refused or not, or None where it made none."""
    params = {"customer": customer, "created": {"gte": int(created_after.timestamp())}}
    found = _first_of(_list("/v1/payment_intents", params, read_intent), operation_id)
    return retrieve_payment_intent(found.id) if found else None


def retrieve_payment_intent(intent_id: str) -> IntentFacts:
    return _read(f"/v1/payment_intents/{intent_id}", {"expand": EXPAND_INTENT}, read_intent)


def capture_payment_intent(intent_id: str, *, params: Json, key: str) -> IntentFacts:
    return _change(f"/v1/payment_intents/{intent_id}/capture", params, key, read_intent)


def cancel_payment_intent(intent_id: str, *, params: Json, key: str) -> IntentFacts:
    return _change(f"/v1/payment_intents/{intent_id}/cancel", params, key, read_intent)


# --- saved cards --------------------------------------------------------------------------------


def retrieve_setup_intent(setup_id: str) -> SetupFacts:
    return _read(f"/v1/setup_intents/{setup_id}", {"expand": EXPAND_SETUP}, read_setup)


def retrieve_payment_method(method_id: str) -> PaymentMethodFacts:
    return _read(f"/v1/payment_methods/{method_id}", {}, read_payment_method)


def detach_payment_method(method_id: str, *, key: str) -> PaymentMethodFacts:
    return _change(f"/v1/payment_methods/{method_id}/detach", {}, key, read_payment_method)


# --- transfers ----------------------------------------------------------------------------------


def create_transfer(*, params: Json, key: str) -> TransferFacts:
    return _change("/v1/transfers", params, key, read_transfer)


def retrieve_transfer(transfer_id: str) -> TransferFacts:
    return _read(f"/v1/transfers/{transfer_id}", {"expand": EXPAND_TRANSFER}, read_transfer)


def find_transfer(*, operation_id: str, transfer_group: str, destination: str) -> TransferFacts | None:
    """The transfer that this operation made, or None where it made none."""
    params = {"transfer_group": transfer_group, "destination": destination}
    found = _first_of(_list("/v1/transfers", params, read_transfer), operation_id)
    return retrieve_transfer(found.id) if found else None


def create_reversal(transfer_id: str, *, params: Json, key: str) -> ReversalFacts:
    return _change(f"/v1/transfers/{transfer_id}/reversals", params, key, read_reversal)


def list_reversals(transfer_id: str) -> list[ReversalFacts]:
    """All of a transfer's, newest first."""
    return list(_list(f"/v1/transfers/{transfer_id}/reversals", {"expand": _IN_LIST_REVERSAL}, read_reversal))


def find_reversal(*, operation_id: str, transfer_id: str) -> ReversalFacts | None:
    """The reversal that this operation made, or None where it made none."""
    return _first_of(iter(list_reversals(transfer_id)), operation_id)


# --- refunds ------------------------------------------------------------------------------------


def create_refund(*, params: Json, key: str) -> RefundFacts:
    return _change("/v1/refunds", params, key, read_refund)


def retrieve_refund(refund_id: str) -> RefundFacts:
    return _read(f"/v1/refunds/{refund_id}", {"expand": EXPAND_REFUND}, read_refund)


def list_refunds(**of: Any) -> list[RefundFacts]:
    """Newest first: those of a `charge` or a `payment_intent`, or `created` since a time."""
    return list(_list("/v1/refunds", {**of, "expand": _IN_LIST_REFUND}, read_refund))


def find_refund(*, operation_id: str, payment_intent: str) -> RefundFacts | None:
    """The refund that this operation made, or None where it made none."""
    return _first_of(iter(list_refunds(payment_intent=payment_intent)), operation_id)


# --- disputes -----------------------------------------------------------------------------------


def retrieve_dispute(dispute_id: str) -> DisputeFacts:
    """With all that it did to our balance: the fee for answering it is a transaction beside the dispute's own."""
    dispute = _read(f"/v1/disputes/{dispute_id}", {}, stripe_disputes.read_dispute)
    beside = _list("/v1/balance_transactions", {"source": dispute_id}, stripe_disputes.read_dispute_entry)
    return stripe_disputes.with_entries(dispute, beside)


def list_disputes(**of: Any) -> Iterator[DisputeFacts]:
    """Newest first: those `created` since a time. Each with the dispute's own balance transactions only."""
    return _list("/v1/disputes", of, stripe_disputes.read_dispute)


def update_dispute(dispute_id: str, *, params: Json, key: str) -> DisputeFacts:
    return _change(f"/v1/disputes/{dispute_id}", params, key, stripe_disputes.read_dispute)


def close_dispute(dispute_id: str, *, key: str) -> DisputeFacts:
    """Accept it: lost, for good."""
    return _change(f"/v1/disputes/{dispute_id}/close", {}, key, stripe_disputes.read_dispute)


def retrieve_fraud_warning(warning_id: str) -> FraudWarningFacts:
    return _read(f"/v1/radar/early_fraud_warnings/{warning_id}", {}, stripe_disputes.read_fraud_warning)


def list_fraud_warnings(**of: Any) -> Iterator[FraudWarningFacts]:
    return _list("/v1/radar/early_fraud_warnings", of, stripe_disputes.read_fraud_warning)


def upload_evidence(*, name: str, content: bytes, key: str) -> FileFacts:
    params = {"purpose": "dispute_evidence", "file": stripe_disputes.Upload(name, content), "base": "files"}
    options = {"idempotency_key": key, "content_type": "multipart/form-data"}
    return _call("post", "/v1/files", params, options, stripe_disputes.read_file)


def find_evidence_file(*, name: str, created_after: datetime) -> FileFacts | None:
    """The file of this name, which its operation alone has given, or None where there is none."""
    params = {"purpose": "dispute_evidence", "created": {"gte": int(created_after.timestamp())}}
    return next((file for file in _list("/v1/files", params, stripe_disputes.read_file) if file.name == name), None)


# --- for the mirror, and for setting up ---------------------------------------------------------

_PATHS = {
    "account": "accounts",
    "balance_transaction": "balance_transactions",
    "application_fee": "application_fees",
    "charge": "charges",
    "checkout.session": "checkout/sessions",
    "customer": "customers",
    "payment_intent": "payment_intents",
    "payment_method": "payment_methods",
    "payout": "payouts",
    "setup_intent": "setup_intents",
    "transfer": "transfers",
}


def retrieve_raw(object_type: str, object_id: str) -> dict[str, Any]:
    """One object as Stripe sends it, by the mirror's key. KeyError: an unknown type."""
    return _read(f"/v1/{_PATHS[object_type]}/{object_id}", {}, dict, api_key=settings.STRIPE_MIRROR_KEY)


def retrieve_platform() -> dict[str, Any]:
    """The platform's own account, as Stripe sends it."""
    return _read("/v1/account", {}, dict)


def retrieve_balance() -> dict[str, Any]:
    return _read("/v1/balance", {}, dict)


def retrieve_balance_settings() -> dict[str, Any]:
    return _read("/v1/balance_settings", {}, dict)


def update_balance_settings(*, params: Json, key: str) -> dict[str, Any]:
    return _change("/v1/balance_settings", params, key, dict)


def list_webhook_endpoints() -> list[dict[str, Any]]:
    return list(_list("/v1/webhook_endpoints", {}, dict))


def create_webhook_endpoint(*, params: Json, key: str) -> dict[str, Any]:
    """The answer is the only one that holds the endpoint's `secret`."""
    return _change("/v1/webhook_endpoints", params, key, dict)


def update_webhook_endpoint(endpoint_id: str, *, params: Json, key: str) -> dict[str, Any]:
    return _change(f"/v1/webhook_endpoints/{endpoint_id}", params, key, dict)


# --- how a call is made -------------------------------------------------------------------------


@functools.cache
def _client() -> stripe.StripeClient:
    """One for each process; its connections are kept per thread."""
    sandbox = settings.STRIPE_SANDBOX_URL
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": sandbox, "connect": sandbox, "files": sandbox} if sandbox else None,
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)),
    )


def _change(path: str, params: Json, key: str, parse: Callable[[Json], _Facts]) -> _Facts:
    return _call("post", path, params, {"idempotency_key": key}, parse)


def _read(path: str, params: Json, parse: Callable[[Json], _Facts], **options: str) -> _Facts:
    """A read changes nothing, so a lost answer is asked for once more at once."""
    try:
        return _call("get", path, params, options, parse)
    except GatewayError as error:
        if error.outcome != "lost":
            raise
        return _call("get", path, params, options, parse)


def _list(path: str, params: Json, parse: Callable[[Json], _Facts]) -> Iterator[_Facts]:
    """Every object of a v1 list, newest first, page by page: these lists show what was made a moment ago."""
    cursor: dict[str, str] = {}
    while True:
        page = _read(path, {**params, **cursor, "limit": PAGE_SIZE}, _read_page)
        yield from (parse(data) for data in page.objects)
        if not page.has_more:
            return
        cursor = {"starting_after": page.objects[-1]["id"]}


@dataclass(frozen=True, slots=True)
class _Page:
    objects: list[Json]
    has_more: bool


def _read_page(data: Json) -> _Page:
    return _Page(objects=list(data["data"]), has_more=data["has_more"])


_Tagged = TypeVar(
    "_Tagged", CustomerFacts, AccountFacts, SessionFacts, IntentFacts, TransferFacts, RefundFacts, ReversalFacts
)


def _first_of(found: Iterator[_Tagged], operation_id: str) -> _Tagged | None:
    return next((facts for facts in found if facts.metadata.get("operation_id") == operation_id), None)


def _call(
    method: Literal["get", "post"], path: str, params: Json, options: Json, parse: Callable[[Json], _Facts]
) -> _Facts:
    _refuse_open_transaction()
    if not pacing.take_turn(f"{method}:{'/'.join(path.split('/')[:3])}"):
        raise GatewayError("busy", "paced", "All that Stripe lets us ask in a second is asked for.")
    try:
        answer = _client().raw_request(method, path, **params, **options)
    except stripe.StripeError as error:
        raise_as_ours(error, path)
    try:
        return parse(answer.data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("stripe_answer_unreadable", path=path, error=type(error).__name__)
        raise GatewayError("lost", "unreadable_answer", "The answer was not what Stripe sends.") from error


def _refuse_open_transaction() -> None:
    """A call inside a transaction holds its locks for as long as Stripe likes. A test case's own one is no matter."""
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise NetworkInTransactionError("A database transaction is open: commit before Stripe is asked.")
