"""dj-stripe, unchanged, works against the sandbox as against Stripe."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from marketplace.tests.sandbox import Sandbox

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def coach(sandbox: Sandbox) -> str:
    """The id of a connected account that can be paid to and can charge."""
    wanted: Any = {"transfers": {"requested": True}, "card_payments": {"requested": True}}
    account = api(sandbox).accounts.create({"type": "express", "country": "US", "capabilities": wanted})
    sandbox.post(f"/_sandbox/accounts/{account.id}/onboard", {"outcome": "complete"})
    return str(account.id)


def api(sandbox: Sandbox) -> Any:
    return stripe.StripeClient("sk_test_" + "a" * 30, base_addresses={"api": sandbox.url}).v1


def pay(sandbox: Sandbox, options: Any = None, **fields: Any) -> Any:
    card = {"payment_method": "pm_card_visa", "payment_method_types": ["card"]}
    return api(sandbox).payment_intents.create(
        {"amount": 10000, "currency": "usd", "confirm": True, **card, **fields}, options or {}
    )


def synced(sandbox: Sandbox) -> Any:
    """What dj-stripe stored."""
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "payments.tests.djstripe_alone", sandbox.url]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def a_busy_day(sandbox: Sandbox, coach: str) -> None:
    """At least one object of every kind that dj-stripe keeps and the product makes."""
    asked = api(sandbox)
    sandbox.post("/_sandbox/balance", {"amount": 50000})
    customer = asked.customers.create({"email": "student@example.com"}).id
    items = [
        {"price_data": {"currency": "usd", "unit_amount": 5000, "product_data": {"name": "Lesson"}}, "quantity": 1}
    ]
    page = {"mode": "payment", "line_items": items, "customer": customer, "success_url": "http://shop.test/done"}
    session = asked.checkout.sessions.create(page)
    sandbox.post(f"/_sandbox/checkout/{session.id}/pay")
    asked.setup_intents.create(
        {"customer": customer, "confirm": True, "payment_method": "pm_card_visa", "payment_method_types": ["card"]}
    )
    intent = pay(sandbox, application_fee_amount=2000, transfer_data={"destination": coach})
    asked.refunds.create(
        {"payment_intent": intent.id, "amount": 500, "reverse_transfer": True, "refund_application_fee": True}
    )
    sandbox.post("/_sandbox/disputes", {"payment_intent": pay(sandbox).id})
    asked.payouts.create({"amount": 700, "currency": "usd"})


def test_it_stores_every_kind_of_object(sandbox: Sandbox, coach: str) -> None:
    a_busy_day(sandbox, coach)
    stored = synced(sandbox)["stored"]
    assert {name for name, count in stored.items() if count == 0} == set()
    assert (stored["ApplicationFeeRefund"], stored["TransferReversal"], stored["Dispute"]) == (1, 1, 1)


def test_a_fee_is_stored_with_the_connected_accounts_charge(sandbox: Sandbox, coach: str) -> None:
    to_coach = pay(
        sandbox, application_fee_amount=2000, transfer_data={"destination": coach}, expand=["latest_charge.transfer"]
    )
    by_coach = pay(sandbox, {"stripe_account": coach}, application_fee_amount=300)
    charges = {to_coach.latest_charge.transfer.destination_payment, by_coach.latest_charge}
    fees = synced(sandbox)["fees"]
    assert {charge for _, charge, _ in fees} == charges
    assert {account for _, _, account in fees} == {coach}
