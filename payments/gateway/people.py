"""Customers, and the accounts of those who are paid, with the banks that these are paid out to."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from payments.gateway.calls import call, change, first_of, list_all, read
from payments.stripe_accounts import AccountFacts, BankFacts, read_account, read_bank
from payments.stripe_objects import CustomerFacts, Json, read_customer


def create_customer(*, params: Json, key: str) -> CustomerFacts:
    return change("/v1/customers", params, key, read_customer)


def find_customer(*, operation_id: str, email: str) -> CustomerFacts | None:
    """The customer that this operation made, or None where it made none."""
    return first_of(list_all("/v1/customers", {"email": email}, read_customer), operation_id)


def create_account(*, params: Json, key: str) -> AccountFacts:
    """`params` with the type. Since August 2026 Stripe refuses new platforms the v1 call that this makes, unless
    "Accounts v1 support" is switched on in its dashboard; the v2 call would replace it here and nowhere else.
    """
    return change("/v1/accounts", params, key, read_account)


def find_account(*, operation_id: str, created_after: datetime) -> AccountFacts | None:
    """The account that this operation made, or None where it made none."""
    return first_of(list_accounts(created={"gte": int(created_after.timestamp())}), operation_id)


def list_accounts(**of: Any) -> Iterator[AccountFacts]:
    """Newest first: all, or those `created` since a time."""
    return list_all("/v1/accounts", of, read_account)


def retrieve_account(account_id: str) -> AccountFacts:
    return read(f"/v1/accounts/{account_id}", {}, read_account)


def update_account(account_id: str, *, params: Json, key: str) -> AccountFacts:
    return change(f"/v1/accounts/{account_id}", params, key, read_account)


def create_account_link(
    *,
    account_id: str,
    return_url: str,
    refresh_url: str,
    key: str,
    link_type: Literal["account_onboarding", "account_update"] = "account_onboarding",
) -> str:
    """The address of Stripe's page for the account's details: works once, and for some minutes.

    Stripe refuses "account_update" for an account with a dashboard at Stripe, as Express ones have.
    """
    params = {
        "account": account_id,
        "type": link_type,
        "return_url": return_url,
        "refresh_url": refresh_url,
        "collection_options": {"fields": "eventually_due"},
    }
    return change("/v1/account_links", params, key, lambda data: str(data["url"]))


def create_login_link(account_id: str, *, key: str) -> str:
    """The address that lets its holder into the Express dashboard, once. Refused until the account is onboarded."""
    return change(f"/v1/accounts/{account_id}/login_links", {}, key, lambda data: str(data["url"]))


def list_external_accounts(account_id: str) -> list[BankFacts]:
    """Where the account is paid out to."""
    return list(list_all(_banks_of(account_id), {}, read_bank))


def create_external_account(account_id: str, *, token: str, default: bool, operation_id: str, key: str) -> BankFacts:
    """`token` stands for details that the bank's owner gave to Stripe; Stripe takes it once.

    `default`: payouts in its currency go there from now on; the first of a currency gets them anyway.
    """
    params = {
        "external_account": token,
        "default_for_currency": default,
        "metadata": {"operation_id": operation_id},
    }
    return change(_banks_of(account_id), params, key, read_bank)


def find_external_account(account_id: str, *, operation_id: str) -> BankFacts | None:
    """The bank account or card that this operation added, or None where it added none, or it was deleted since."""
    marked = list_all(_banks_of(account_id), {}, _read_marked_bank)
    return next((bank for mark, bank in marked if mark == operation_id), None)


def update_external_account(account_id: str, bank_id: str, *, params: Json, key: str) -> BankFacts:
    """`default_for_currency` makes it the one that is paid out to. The number itself can't be changed."""
    return change(f"{_banks_of(account_id)}/{bank_id}", params, key, read_bank)


def delete_external_account(account_id: str, bank_id: str) -> None:
    """Takes no key, since Stripe heeds none here: asked again after a lost answer it is refused as missing.

    The default one of the account's default currency can't be deleted.
    """
    call("delete", f"{_banks_of(account_id)}/{bank_id}", {}, {}, lambda data: data["deleted"])


def _banks_of(account_id: str) -> str:
    return f"/v1/accounts/{account_id}/external_accounts"


def _read_marked_bank(data: Json) -> tuple[str, BankFacts]:
    return (data.get("metadata") or {}).get("operation_id", ""), read_bank(data)
