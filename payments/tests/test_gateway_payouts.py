"""What the gateway asks of balances, payouts, banks and accounts, and what it reads of the answers."""

from dataclasses import fields, replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from marketplace import clock
from marketplace.tests.sandbox import Sandbox
from payments import gateway
from payments.gateway import GatewayError, calls
from payments.models import Payment
from payments.stripe_accounts import AccountFacts, BankFacts, ScheduleFacts
from payments.stripe_balance import BalanceFacts
from payments.stripe_payouts import PayoutFacts
from payments.tests import payday, stage

PAYOUTS = "/v1/payouts"
FAILING = "btok_us_verified_accountClosed"
# Everything that Stripe asks of a person, with a birthday that is verified at once in test mode.
CUSTOM = {
    "type": "custom",
    "country": "US",
    "email": "amy@example.com",
    "business_type": "individual",
    "capabilities": {"transfers": {"requested": True}},
    "individual": {
        "first_name": "Amy",
        "last_name": "Coach",
        "email": "amy@example.com",
        "phone": "0000000000",
        "dob": {"day": 1, "month": 1, "year": 1902},
        "address": {"line1": "address_full_match", "city": "Boston", "state": "MA", "postal_code": "02101"},
        "ssn_last_4": "0000",
    },
    "business_profile": {"mcc": "8299", "url": "https://accessible.stripe.com"},
    "tos_acceptance": {"date": 1_700_000_000, "ip": "203.0.113.7"},
    "settings": {"payouts": {"schedule": {"interval": "manual"}}},
}


@pytest.fixture
def account(sandbox: Sandbox) -> AccountFacts:
    """A coach's, with a bank account and 500.00 USD."""
    params = {**CUSTOM, "external_account": "btok_us_verified", "metadata": {"operation_id": "made"}}
    made = gateway.create_account(params=params, key="account")
    payday.fund(sandbox, 100_000)
    send(made.id, 50_000)
    return made


def send(account_id: str, amount: int, key: str = "transfer") -> str:
    params = {"amount": amount, "currency": "usd", "destination": account_id, "transfer_group": "october"}
    return gateway.create_transfer(params=params, key=key).id


def pay_out(account_id: str, amount: int = 20_000, key: str = "payout", **more: Any) -> PayoutFacts:
    params = {"amount": amount, "currency": "usd", "expand": list(gateway.EXPAND_PAYOUT), **more}
    return gateway.create_payout(account_id=account_id, params=params, key=key)


def add_bank(account_id: str, token: str = "btok_us_verified", *, default: bool = False, by: str = "op") -> BankFacts:
    return gateway.create_external_account(account_id, token=token, default=default, operation_id=by, key=by)


# --- balances -----------------------------------------------------------------------------------


def test_a_balance_is_each_accounts_own(account: AccountFacts) -> None:
    ours, theirs = gateway.read_balance(""), gateway.read_balance(account.id)
    assert ours.available == {"usd": 50_000}
    assert ours.connect_reserved == {"usd": 0}
    assert theirs == BalanceFacts(
        available={"usd": 50_000}, pending={"usd": 0}, connect_reserved={}, instant_available={"usd": 50_000}
    )


def test_balance_transactions_tell_what_moved_the_balance_newest_first(sandbox: Sandbox, account: AccountFacts) -> None:
    newest, oldest = gateway.list_balance_transactions()
    transfer = next(gateway.list_transfers())
    assert newest == transfer.balance_transaction
    assert (newest.type, newest.reporting_category, newest.source) == ("transfer", "transfer", transfer.id)
    assert (newest.amount, newest.fee, newest.net, newest.currency) == (-50_000, 0, -50_000, "usd")
    assert newest.created == transfer.created
    assert newest.created is not None
    assert abs(newest.created - sandbox.now()) < timedelta(minutes=1)
    assert newest.available_on is not None
    assert newest.available_on.tzinfo == UTC
    assert oldest.net == 100_000
    assert gateway.retrieve_balance_transaction(newest.id) == newest


def test_balance_transactions_can_be_narrowed_down(account: AccountFacts) -> None:
    newest, oldest = gateway.list_balance_transactions()
    assert list(gateway.list_balance_transactions(type="transfer")) == [newest]
    assert list(gateway.list_balance_transactions(source=newest.source)) == [newest]
    tomorrow = int((clock.now() + timedelta(days=1)).timestamp())
    assert list(gateway.list_balance_transactions(created={"gte": tomorrow})) == []
    (theirs,) = gateway.list_balance_transactions(account_id=account.id)
    assert (theirs.type, theirs.net) == ("payment", 50_000)
    assert gateway.retrieve_balance_transaction(theirs.id, account_id=account.id) == theirs
    with pytest.raises(GatewayError, match="refused"):
        gateway.retrieve_balance_transaction(theirs.id)
    assert oldest not in list(gateway.list_balance_transactions(type="transfer"))


# --- lists of what payments made ----------------------------------------------------------------


@pytest.mark.django_db
def test_a_listed_intent_is_as_complete_as_one_read_by_itself(sandbox: Sandbox, held: Payment) -> None:
    alone = gateway.retrieve_payment_intent(str(held.payment_intent_id))
    assert list(gateway.list_payment_intents(customer=alone.customer)) == [alone]
    captured = gateway.capture_payment_intent(alone.id, params={}, key="capture")
    (listed,) = gateway.list_payment_intents(created={"gte": int(captured.created.timestamp())})
    assert listed == gateway.retrieve_payment_intent(alone.id)
    assert listed.charge is not None
    assert listed.charge.balance_transaction is not None
    assert listed.charge.balance_transaction.type == "charge"


def test_listed_transfers_have_their_transactions(account: AccountFacts) -> None:
    (listed,) = gateway.list_transfers(destination=account.id)
    assert listed == gateway.retrieve_transfer(listed.id)
    assert (listed.transfer_group, listed.source_transaction) == ("october", "")
    assert list(gateway.list_transfers(transfer_group="november")) == []


def destination_charge(account_id: str) -> str:
    params = {
        "amount": 10_000,
        "currency": "usd",
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        "confirm": True,
        "application_fee_amount": 2_000,
        "transfer_data": {"destination": account_id},
    }
    return gateway.create_payment_intent(params=params, key="destination").id


def test_what_went_on_from_a_destination_charge_fits_into_a_list(account: AccountFacts) -> None:
    intent_id = destination_charge(account.id)
    (listed,) = gateway.list_payment_intents()
    assert listed == gateway.retrieve_payment_intent(intent_id)
    assert listed.charge is not None
    assert listed.charge.transfer is not None
    assert listed.charge.transfer.source_transaction == listed.charge.id
    assert listed.charge.transfer.balance_transaction is not None
    (fee,) = gateway.list_application_fees()
    assert fee == listed.charge.application_fee
    assert (fee.amount, fee.amount_refunded, fee.account) == (2_000, 0, account.id)
    assert fee.originating_transaction == listed.charge.id
    assert fee.balance_transaction is not None
    assert fee.balance_transaction.type == "application_fee"


def test_a_list_that_can_not_be_read_is_a_lost_answer(sandbox: Sandbox) -> None:
    body = {"object": "list", "data": [{"id": "po_1"}], "has_more": False}
    stage.break_next(sandbox, "respond", PAYOUTS, method="GET", status=200, body=body, times=0)
    with pytest.raises(GatewayError) as failure:
        list(gateway.list_payouts(account_id=""))
    assert (failure.value.outcome, failure.value.code) == ("lost", "unreadable_answer")


# --- payouts ------------------------------------------------------------------------------------


def test_a_payout_takes_the_money_from_the_account_that_is_named(sandbox: Sandbox, account: AccountFacts) -> None:
    payout = pay_out(account.id, metadata={"operation_id": "sent"})
    assert (payout.amount, payout.currency, payout.status) == (20_000, "usd", "pending")
    assert (payout.method, payout.type, payout.automatic) == ("standard", "bank_account", False)
    assert (payout.failure_code, payout.failure_message, payout.failure_balance_transaction) == ("", "", None)
    assert payout.bank == account.banks[0]
    assert payout.destination == account.banks[0].id
    assert payout.created < payout.arrival_date
    assert payout.metadata == {"operation_id": "sent"}
    assert payout.balance_transaction is not None
    assert (payout.balance_transaction.net, payout.balance_transaction.source) == (-20_000, payout.id)
    assert gateway.read_balance(account.id).available == {"usd": 30_000}
    assert gateway.read_balance("").available == {"usd": 50_000}
    (call,) = stage.calls(sandbox, PAYOUTS)
    assert (call["account"], call["idempotency_key"]) == (account.id, "payout")


def test_a_payout_is_read_and_listed_for_its_account_alone(account: AccountFacts) -> None:
    payout = pay_out(account.id)
    assert gateway.retrieve_payout(payout.id, account_id=account.id) == payout
    assert list(gateway.list_payouts(account_id=account.id)) == [payout]
    assert list(gateway.list_payouts(account_id=account.id, status="paid")) == []
    assert list(gateway.list_payouts(account_id="")) == []
    with pytest.raises(GatewayError, match="refused"):
        gateway.retrieve_payout(payout.id, account_id="")


def test_a_payout_is_found_by_its_operation(account: AccountFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAGE_SIZE", 1)
    since = clock.now() - timedelta(minutes=10)
    wanted = pay_out(account.id, 1_000, metadata={"operation_id": "wanted"})
    pay_out(account.id, 1_000, "other", metadata={"operation_id": "other"})
    find = gateway.find_payout
    assert find(operation_id="wanted", account_id=account.id, created_after=since) == wanted
    assert find(operation_id="absent", account_id=account.id, created_after=since) is None
    assert find(operation_id="wanted", account_id="", created_after=since) is None
    assert find(operation_id="wanted", account_id=account.id, created_after=since + timedelta(days=1)) is None


def test_a_payout_that_fails_tells_why_and_brings_the_money_back(sandbox: Sandbox, account: AccountFacts) -> None:
    bank = add_bank(account.id, FAILING, default=True)
    payout = pay_out(account.id)
    assert payout.destination == bank.id
    sandbox.advance(2 * 86_400)
    failed = gateway.retrieve_payout(payout.id, account_id=account.id)
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert failed.failure_message != ""
    assert failed.failure_balance_transaction is not None
    assert failed.failure_balance_transaction.net == 20_000
    assert failed.bank == replace(bank, status="errored")
    assert gateway.read_balance(account.id).available == {"usd": 50_000}


def test_a_payout_to_a_card_is_instant(account: AccountFacts) -> None:
    card = add_bank(account.id, "tok_visa_debit")
    payout = pay_out(account.id, destination=card.id, method="instant")
    assert (payout.method, payout.type, payout.bank) == ("instant", "card", card)
    assert payout.arrival_date - payout.created < timedelta(hours=1)


def test_more_than_there_is_is_refused(account: AccountFacts) -> None:
    with pytest.raises(GatewayError) as failure:
        pay_out(account.id, 50_001)
    assert (failure.value.outcome, failure.value.code) == ("refused", "balance_insufficient")
    assert gateway.read_balance(account.id).available == {"usd": 50_000}


# --- banks --------------------------------------------------------------------------------------


def test_of_a_bank_account_we_keep_what_a_person_knows_it_by(account: AccountFacts) -> None:
    bank = add_bank(account.id)
    assert bank == BankFacts(
        id=bank.id,
        kind="bank_account",
        bank_name="STRIPE TEST BANK",
        last4="6789",
        currency="usd",
        country="US",
        default_for_currency=False,
        status="new",
    )
    card = add_bank(account.id, "tok_visa_debit", by="card")
    assert (card.kind, card.bank_name, card.last4) == ("card", "Visa", "5556")
    assert {field.name for field in fields(BankFacts)}.isdisjoint(
        {"fingerprint", "routing_number", "account_holder_name", "account_number", "metadata"}
    )


def test_banks_are_listed_found_and_changed(account: AccountFacts) -> None:
    (first,) = account.banks
    second = add_bank(account.id, by="second")
    assert {bank.id for bank in gateway.list_external_accounts(account.id)} == {first.id, second.id}
    assert gateway.find_external_account(account.id, operation_id="second") == second
    assert gateway.find_external_account(account.id, operation_id="absent") is None
    made_default = gateway.update_external_account(
        account.id, second.id, params={"default_for_currency": True}, key="default"
    )
    assert made_default == replace(second, default_for_currency=True)
    listed = {bank.id: bank.default_for_currency for bank in gateway.list_external_accounts(account.id)}
    assert listed == {first.id: False, second.id: True}


def test_a_bank_is_deleted_unless_it_is_the_default(account: AccountFacts) -> None:
    second = add_bank(account.id, default=True)
    gateway.delete_external_account(account.id, account.banks[0].id)
    assert gateway.list_external_accounts(account.id) == [second]
    with pytest.raises(GatewayError) as again:
        gateway.delete_external_account(account.id, account.banks[0].id)
    assert (again.value.outcome, again.value.code) == ("refused", "resource_missing")
    with pytest.raises(GatewayError, match="refused"):
        gateway.delete_external_account(account.id, second.id)
    assert gateway.list_external_accounts(account.id) == [second]


def test_a_payout_to_a_bank_that_is_gone_can_still_be_read(account: AccountFacts) -> None:
    payout = pay_out(account.id)
    add_bank(account.id, default=True)
    gateway.delete_external_account(account.id, account.banks[0].id)
    found = gateway.retrieve_payout(payout.id, account_id=account.id)
    assert found.destination == account.banks[0].id


# --- accounts -----------------------------------------------------------------------------------


def test_an_account_tells_its_type_its_schedule_and_its_banks(account: AccountFacts) -> None:
    assert account.type == "custom"
    assert account.schedule == ScheduleFacts(interval="manual", monthly_anchor=None, weekly_anchor="")
    assert account.banks == tuple(gateway.list_external_accounts(account.id))
    assert gateway.retrieve_account(account.id) == account
    assert list(gateway.list_accounts()) == [account]
    assert list(gateway.list_accounts(created={"gte": int(clock.now().timestamp()) + 86_400})) == []


@pytest.mark.parametrize(
    ("schedule", "monthly", "weekly"),
    [
        ({"interval": "monthly", "monthly_anchor": 31}, 31, ""),
        ({"interval": "weekly", "weekly_anchor": "friday"}, None, "friday"),
        ({"interval": "daily"}, None, ""),
    ],
    ids=["monthly", "weekly", "daily"],
)
def test_a_schedule_is_changed(
    schedule: dict[str, Any], monthly: int | None, weekly: str, account: AccountFacts
) -> None:
    params = {"settings": {"payouts": {"schedule": schedule}}}
    changed = gateway.update_account(account.id, params=params, key="schedule")
    expected = ScheduleFacts(schedule["interval"], monthly_anchor=monthly, weekly_anchor=weekly)
    assert changed == replace(account, schedule=expected)


def express(sandbox: Sandbox) -> AccountFacts:
    params = {"type": "express", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    return gateway.create_account(params=params, key="express")


def link_to_update(account_id: str) -> str:
    return gateway.create_account_link(
        account_id=account_id,
        return_url="http://127.0.0.1/back/",
        refresh_url="http://127.0.0.1/again/",
        link_type="account_update",
        key=f"link-{account_id}",
    )


def test_the_express_dashboard_opens_once_the_coach_is_onboarded(sandbox: Sandbox) -> None:
    made = express(sandbox)
    assert made.type == "express"
    with pytest.raises(GatewayError, match="refused"):
        gateway.create_login_link(made.id, key="too-early")
    sandbox.post(f"/_sandbox/accounts/{made.id}/onboard", {"outcome": "complete"})
    assert made.id in gateway.create_login_link(made.id, key="login")


def test_an_update_page_is_for_accounts_without_a_dashboard(sandbox: Sandbox, account: AccountFacts) -> None:
    assert f"/{account.id}/" in link_to_update(account.id)
    made = express(sandbox)
    with pytest.raises(GatewayError, match="refused"):
        link_to_update(made.id)
