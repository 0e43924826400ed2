"""The contract of what comes out: each type has its class's fields, and each field a value at some time, or a reason."""

from pathlib import Path
from typing import Any

import pytest

from stripe_sandbox import shapes

from . import contract, long_day
from .conftest import start, stop

TYPES = frozenset(
    "account account_link account_session application_fee balance balance_settings balance_transaction bank_account capability charge "
    "checkout.session customer customer_session dispute ephemeral_key event fee_refund file login_link payment_intent payment_method "
    "payout person radar.early_fraud_warning refund setup_attempt setup_intent transfer transfer_reversal webhook_endpoint".split()
)
# Why a field never has a value here -> `type.field` of all those that it holds for.
NEVER: dict[str, str] = {
    "a product that the sandbox has not: Billing, Invoicing, Tax, Issuing, Radar's reviews, cash balances, test clocks": """
        balance.issuing balance.refund_and_dispute_prefunding charge.level3 charge.radar_options charge.review
        checkout.session.invoice checkout.session.subscription checkout.session.shipping_cost
        checkout.session.payment_link customer.cash_balance customer.currency customer.discount
        customer.invoice_credit_balance customer.subscriptions customer.tax customer.tax_ids customer.test_clock
        payment_intent.review payment_method.radar_options payout.application_fee payout.application_fee_amount
        person.us_cfpb_data""",
    "Accounts v2 and its contexts": """
        account.groups checkout.session.customer_account customer.customer_account customer_session.customer_account
        event.context payment_intent.customer_account payment_method.customer_account refund.customer_account
        setup_attempt.customer_account setup_intent.customer_account""",
    "cards alone are built: other methods, wallets and presenting in another currency are not": """
        charge.authorization_code charge.presentment_details checkout.session.currency_conversion
        checkout.session.payment_method_configuration_details payment_method.link payment_method.us_bank_account
        checkout.session.presentment_details payment_intent.payment_method_configuration_details
        payment_intent.presentment_details payment_intent.processing refund.presentment_details
        setup_attempt.attach_to_self setup_attempt.flow_directions setup_intent.attach_to_self setup_intent.mandate
        setup_intent.payment_method_configuration_details setup_intent.single_use_mandate""",
    "nothing is converted between currencies": "balance_transaction.exchange_rate",
    "the hosted page has no such choice: promotions, upsells of prices and recovered carts are not built": """
        checkout.session.consent checkout.session.optional_items checkout.session.recovered_from""",
    "older than PaymentIntents, or of other methods than cards": """
        bank_account.account_type bank_account.customer charge.source charge.statement_descriptor
        customer.default_source customer.sources payment_intent.source""",
    "only Checkout can ask for managed payments": "payment_intent.managed_payments setup_intent.managed_payments",
    "files keep for ever here and have no title, which Stripe's own reports have": "file.expires_at file.title",
    "receipts have no number before Stripe has sent one by e-mail": "charge.receipt_number refund.receipt_number",
    "a refund is taken from the balance, never from a customer's; these follow its charge": """
        refund.customer refund.description refund.payment_method""",
    "a refund that fails gives its money back under `refund.failure_balance_transaction`": "charge.failure_balance_transaction",
    "payouts go to accounts, not to payout methods": "payout.payout_method",
    "Stripe shows no person's details of an Express account": "account.individual",
    "asked of persons outside the United States": """
        person.address_kana person.address_kanji person.first_name_kana person.first_name_kanji person.gender
        person.last_name_kana person.last_name_kanji person.maiden_name person.nationality person.registered_address""",
}
Found = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def answers() -> list[Any]:
    """What the API said on a long day, refusals included."""
    return long_day.lived().answers


@pytest.fixture(scope="module")
def found(answers: list[Any]) -> Found:
    """Every object in these answers, by type."""
    return long_day.objects(answers)


def fields(kind: str) -> set[str]:
    """A payment method has one field for its own type; of the fifty others only the two that a platform may meet count."""
    if kind == "payment_method":
        return set(shapes.skeleton(kind)) | {"link", "us_bank_account"}
    return set(shapes.annotations(kind))


def test_every_type_comes_out(found: Found) -> None:
    assert TYPES - set(found) == set()


def test_every_answer_has_what_the_classes_name_and_nothing_else(answers: list[Any]) -> None:
    assert len(answers) > 80
    assert sorted(set(contract.faults(answers))) == []


def test_every_field_has_a_value_at_some_time_or_a_reason(found: Found) -> None:
    never = {
        f"{kind}.{name}"
        for kind in TYPES
        for name in fields(kind)
        if all(each.get(name) is None for each in found[kind])
    }
    listed = {name for names in NEVER.values() for name in names.split()}
    assert never == listed


def test_everything_that_happened_can_be_read_as_what_it_is(found: Found) -> None:
    happened = {event["type"] for event in found["event"]}
    assert len(happened) >= 30
    assert {event["data"]["object"]["object"] for event in found["event"]} <= TYPES | {"application", "card"}


def test_every_type_survives_a_restart(tmp_path: Path) -> None:
    day, file = long_day.lived(), tmp_path / "state"
    file.write_bytes(day.state)
    again = start("--state", str(file))
    try:
        assert long_day.readable(again, day.coach) == day.readable
        assert again.get("health")["balance_errors"] == day.balance_errors == []
        assert len(again.get("requests")["data"]) == len(day.answers) + 2 * len(day.readable)
    finally:
        stop(again)
