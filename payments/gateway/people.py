"""Customers, and the accounts of those who are paid."""

from datetime import datetime

from payments.gateway.calls import change, first_of, list_all, read
from payments.stripe_objects import AccountFacts, CustomerFacts, Json, read_account, read_customer


def create_customer(*, params: Json, key: str) -> CustomerFacts:
    return change("/v1/customers", params, key, read_customer)


def find_customer(*, operation_id: str, email: str) -> CustomerFacts | None:
    """The customer that this operation made, or None where it made none."""
    return first_of(list_all("/v1/customers", {"email": email}, read_customer), operation_id)


def create_express_account(*, params: Json, key: str) -> AccountFacts:
    """`params` without the type. Since August 2026 Stripe refuses new platforms the v1 call that this makes, unless
    "Accounts v1 support" is switched on in its dashboard; the v2 call would replace it here and nowhere else.
    """
    return change("/v1/accounts", {"type": "express", **params}, key, read_account)


def find_account(*, operation_id: str, created_after: datetime) -> AccountFacts | None:
    """The account that this operation made, or None where it made none."""
    window = {"created": {"gte": int(created_after.timestamp())}}
    return first_of(list_all("/v1/accounts", window, read_account), operation_id)


def retrieve_account(account_id: str) -> AccountFacts:
    return read(f"/v1/accounts/{account_id}", {}, read_account)


def create_account_link(*, account_id: str, return_url: str, refresh_url: str, key: str) -> str:
    """The address of Stripe's onboarding page: works once, and for some minutes."""
    params = {
        "account": account_id,
        "type": "account_onboarding",
        "return_url": return_url,
        "refresh_url": refresh_url,
        "collection_options": {"fields": "eventually_due"},
    }
    return change("/v1/account_links", params, key, lambda data: str(data["url"]))
