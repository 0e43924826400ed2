"""A day on which an object of every type comes to be, and as many of their fields as can be get a value."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .conftest import Sandbox, checkout, hold, onboarded, pay, refused, start, stop

DAY = 86400
VERSION = "2026-08-26.dahlia"
ITEM: Any = {
    "price_data": {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "Lesson"}},
    "quantity": 1,
}
TRANSFERS: Any = {"capabilities": {"transfers": {"requested": True}}}


def live(api: Any, sandbox: Sandbox) -> str:
    """Lives the day; returns the id of the coach whose account it is about."""
    both = {**TRANSFERS["capabilities"], "card_payments": {"requested": True}}
    coach = onboarded(api, sandbox, capabilities=both, email="coach@example.com", business_type="individual")
    sandbox.post("balance", amount=500_000)
    student = _student(api)
    _accounts(api, sandbox, coach)
    _checkouts(api, sandbox, coach, student)
    _payments(api, sandbox, coach, student)
    _declines(api)
    _setups(api, sandbox, coach, student)
    _refunds_and_disputes(api, sandbox, coach)
    _transfers(api, sandbox, coach)
    sandbox.advance(3 * DAY)
    _payouts(api, sandbox, coach)
    api.webhook_endpoints.create(
        {
            "url": "http://127.0.0.1:9/x",
            "enabled_events": ["charge.refunded"],
            "api_version": VERSION,
            "description": "x",
        }
    )
    theirs = {"url": "http://127.0.0.1:9/y", "enabled_events": ["charge.refunded"]}
    api.webhook_endpoints.create(theirs, {"stripe_account": coach})
    _read_all(api, coach)
    return coach


@dataclass(frozen=True)
class Day:
    """What is left of the day: all that the API said, refusals included, and the sandbox's state when it ended."""

    coach: str
    answers: list[Any]
    events: list[dict[str, Any]]
    balance_errors: list[str]
    readable: list[Any]
    state: bytes


@cache
def lived() -> Day:
    """The day, lived once for all tests that look back at it."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "state"
        sandbox = start("--state", str(file))
        try:
            coach = live(sandbox.client().v1, sandbox)
            answers = [entry["response"] for entry in sandbox.get("requests")["data"]]
            events, errors = sandbox.get("events")["data"], sandbox.get("health")["balance_errors"]
            before = readable(sandbox, coach)
        finally:
            code = stop(sandbox)
        assert code == 0
        return Day(coach, answers, events, errors, before, file.read_bytes())


def readable(sandbox: Sandbox, coach: str) -> list[Any]:
    """All that can be listed, of the platform and of one connected account."""
    kinds = (
        "accounts application_fees balance balance_settings balance_transactions charges checkout/sessions customers disputes events "
        "payment_intents payouts refunds setup_intents transfers webhook_endpoints"
    ).split()
    of_accounts = [f"accounts/{coach}/{name}" for name in ("capabilities", "external_accounts")]
    paths = [f"{kind}?limit=100" if not kind.startswith("balance_s") and kind != "balance" else kind for kind in kinds]
    own = [sandbox.raw("GET", f"/v1/{path}")[:2] for path in (*paths, *of_accounts)]
    theirs = [sandbox.raw("GET", f"/v1/{path}", Stripe_Account=coach)[:2] for path in paths]
    assert {status for status, _ in own} == {200}
    return own + theirs


def _student(api: Any) -> str:
    address = {"line1": "1 Main St", "city": "Springfield", "country": "US", "postal_code": "12345"}
    return str(
        api.customers.create(
            {
                "email": "student@example.com",
                "name": "Sam Student",
                "phone": "+15555550100",
                "description": "A student",
                "address": address,
                "shipping": {"name": "Sam", "address": address},
                "preferred_locales": ["en"],
                "business_name": "Sam's Songs",
                "individual_name": "Samuel Student",
                "metadata": {"id": "7"},
            }
        ).id
    )


def _accounts(api: Any, sandbox: Sandbox, coach: str) -> None:
    links = {"refresh_url": "http://a.test", "return_url": "http://b.test"}
    api.account_links.create({"account": coach, "type": "account_onboarding", **links})
    api.accounts.login_links.create(coach)
    api.accounts.retrieve(coach)
    api.accounts.capabilities.list(coach)
    custom = api.accounts.create(
        {"type": "custom", "country": "US", "business_type": "company", "company": {"name": "Piano Ltd"}, **TRANSFERS}
    ).id
    _details(api, custom)
    waiting = api.accounts.create({"type": "express", "country": "US", **TRANSFERS})
    sandbox.post(f"accounts/{waiting.id}/onboard", outcome="restricted")


def _details(api: Any, custom: str) -> None:
    """What only an account of one's own making lets one see and do."""
    born = {"day": 1, "month": 2, "year": 1980}
    address = {"line1": "1 Main St", "city": "Springfield", "state": "IL", "postal_code": "62701", "country": "US"}
    api.accounts.persons.create(
        custom,
        {
            "first_name": "Pia",
            "last_name": "Nist",
            "email": "pia@example.com",
            "phone": "+12175550100",
            "dob": born,
            "address": address,
            "relationship": {"owner": True, "title": "Owner"},
            "metadata": {"id": "1"},
        },
    )
    bank = {"object": "bank_account", "country": "US", "currency": "usd", "account_number": "000123456789"}
    bank |= {"routing_number": "110000000", "account_holder_name": "Piano Ltd", "account_holder_type": "company"}
    api.accounts.external_accounts.create(custom, {"external_account": bank})
    api.accounts.external_accounts.create(custom, {"external_account": "tok_visa_debit"})
    api.account_sessions.create({"account": custom, "components": {"account_onboarding": {"enabled": True}}})


def _checkouts(api: Any, sandbox: Sandbox, coach: str, student: str) -> None:
    later = {"capture_method": "manual", "setup_future_usage": "off_session", "transfer_data": {"destination": coach}}
    session = checkout(
        api, customer=student, client_reference_id="b-7", payment_intent_data={**later, "application_fee_amount": 500}
    )
    paid = sandbox.post(f"checkout/{session.id}/pay")
    api.payment_intents.capture(paid["payment_intent"])
    api.checkout.sessions.line_items.list(session.id)
    api.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    page: Any = {
        "locale": "en",
        "submit_type": "book",
        "allow_promotion_codes": True,
        "billing_address_collection": "auto",
    }
    page |= {"customer_creation": "always", "integration_identifier": "shop-1"}
    guest = checkout(api, customer_email="guest@example.com", **page, **_page_extras())
    sandbox.post(f"checkout/{guest.id}/pay")
    embedded = {"ui_mode": "embedded_page", "return_url": "http://shop.test/done", "redirect_on_completion": "always"}
    lines = {"line_items": [ITEM], "mode": "payment"}
    api.checkout.sessions.create({**embedded, **lines})
    setup = api.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "customer": student, "success_url": "http://shop.test/done"}
    )
    sandbox.post(f"checkout/{setup.id}/pay")


def _page_extras() -> Any:
    """What a page can be asked for and here only repeats."""
    return {
        "after_expiration": {"recovery": {"enabled": True}},
        "branding_settings": {"button_color": "#112233"},
        "consent_collection": {"promotions": "auto"},
        "excluded_payment_method_types": ["klarna"],
        "managed_payments": {"enabled": False},
        "name_collection": {"business": {"enabled": True}},
        "origin_context": "web",
        "permissions": {"update_shipping_details": "server_only"},
        "shipping_address_collection": {"allowed_countries": ["US"]},
        "tax_id_collection": {"enabled": True},
        "wallet_options": {"link": {"display": "never"}},
    }


def _payments(api: Any, sandbox: Sandbox, coach: str, student: str) -> None:
    address = {"line1": "1 Main St", "country": "US"}
    saved = api.payment_methods.attach("pm_card_visa", {"customer": student}).id
    api.ephemeral_keys.create({"customer": student}, {"stripe_version": VERSION})
    api.customer_sessions.create({"customer": student, "components": {"payment_element": {"enabled": True}}})
    intent = pay(
        api,
        card=saved,
        customer=student,
        description="One lesson",
        receipt_email="student@example.com",
        statement_descriptor_suffix="LESSON",
        shipping={"name": "Sam", "address": address},
        on_behalf_of=coach,
        application_fee_amount=2000,
        transfer_data={"destination": coach},
        transfer_group="week-1",
        setup_future_usage="off_session",
    )
    api.charges.retrieve(intent.latest_charge, {"expand": ["refunds"]})
    api.payment_intents.cancel(hold(api).id, {"cancellation_reason": "abandoned"})
    pay(api, card="pm_card_authenticationRequired")
    kept = {"payment_details": {"order_reference": "b-7"}, "hooks": {"inputs": {"tax": {"calculation": "taxcalc_1"}}}}
    kept |= {"excluded_payment_method_types": ["klarna"], "allowed_payment_method_types": ["card"]}
    api.payment_intents.create({"amount": 500, "currency": "usd", "statement_descriptor": "LESSON", **kept})
    api.payment_intents.create(
        {
            "amount": 9000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "payment_method_types": ["card"],
            "application_fee_amount": 300,
        },
        {"stripe_account": coach},
    )


def _declines(api: Any) -> None:
    refused(lambda: pay(api, card="pm_card_chargeDeclinedInsufficientFunds"))
    refused(
        lambda: api.setup_intents.create(
            {"payment_method": "pm_card_chargeDeclined", "confirm": True, "payment_method_types": ["card"]}
        )
    )


def _setups(api: Any, sandbox: Sandbox, coach: str, student: str) -> None:
    card = {"payment_method_types": ["card"], "customer": student, "on_behalf_of": coach, "description": "x"}
    api.setup_intents.create({**card, "payment_method": "pm_card_visa", "confirm": True})
    asked = api.setup_intents.create({**card, "payment_method": "pm_card_authenticationRequired", "confirm": True})
    sandbox.post(f"setup_intents/{asked.id}/authenticate", succeeded=True)
    refused(lambda: api.setup_intents.create({**card, "payment_method": "pm_card_chargeDeclined", "confirm": True}))
    declined = api.setup_intents.list({"limit": 1}).data[0].id
    for intent in (asked.id, declined):
        api.setup_attempts.list({"setup_intent": intent})
    kept = {"excluded_payment_method_types": ["klarna"], "allowed_payment_method_types": ["card"]}
    kept |= {"flow_directions": ["inbound"]}
    unused = api.setup_intents.create({"automatic_payment_methods": {"enabled": True}, **kept}).id
    own = {"payment_method_types": ["card"], "payment_method": "pm_card_visa", "confirm": True}
    direct = api.setup_intents.create(own, {"stripe_account": coach}).id
    api.setup_attempts.list({"setup_intent": direct}, {"stripe_account": coach})
    api.setup_intents.cancel(unused, {"cancellation_reason": "abandoned"})


def _refunds_and_disputes(api: Any, sandbox: Sandbox, coach: str) -> None:
    intent = pay(api, application_fee_amount=2000, transfer_data={"destination": coach}).id
    api.refunds.create(
        {
            "payment_intent": intent,
            "amount": 2500,
            "reverse_transfer": True,
            "refund_application_fee": True,
            "reason": "requested_by_customer",
        }
    )
    for card in ("pm_card_pendingRefund", "pm_card_refundFail"):
        api.refunds.create({"payment_intent": pay(api, card=card).id, "instructions_email": "student@example.com"})
    paid = pay(api).id
    waiting = api.refunds.create({"payment_intent": paid, "amount": 100, "instructions_email": "s@example.com"}).id
    sandbox.post(f"refunds/{waiting}/require_action")
    sandbox.post("early_fraud_warnings", payment_intent=paid)
    api.radar.early_fraud_warnings.list()
    api.files.create({"purpose": "dispute_evidence", "file": io.BytesIO(b"%PDF-1.4 proof")})
    for inquiry in (True, False):
        sandbox.post("disputes", payment_intent=pay(api).id, inquiry=inquiry)


def _transfers(api: Any, sandbox: Sandbox, coach: str) -> None:
    source = pay(api).latest_charge
    to_coach = {"currency": "usd", "destination": coach}
    api.transfers.create({**to_coach, "amount": 4000, "source_transaction": source, "transfer_group": "week-1"})
    transfer = api.transfers.create({**to_coach, "amount": 8000, "description": "Lessons"}).id
    api.transfers.reversals.create(transfer, {"amount": 1000, "metadata": {"why": "too much"}})


def _payouts(api: Any, sandbox: Sandbox, coach: str) -> None:
    fields = {"currency": "usd", "description": "Wages", "statement_descriptor": "WAGES", "metadata": {"week": "1"}}
    paid = api.payouts.create({"amount": 700, **fields}).id
    sandbox.advance(4 * DAY)
    api.payouts.reverse(paid)
    failing = api.payouts.create({"amount": 600, **fields}).id
    sandbox.post(f"payouts/{failing}/fail", failure_code="account_closed")
    api.payouts.list({}, {"stripe_account": coach})


def _read_all(api: Any, coach: str) -> None:
    for of in ({}, {"stripe_account": coach}):
        api.balance.retrieve({}, of)
        api.balance_settings.retrieve({}, of)
        for resource in (
            api.accounts,
            api.application_fees,
            api.balance_transactions,
            api.charges,
            api.checkout.sessions,
            api.customers,
            api.disputes,
            api.events,
            api.payment_intents,
            api.payouts,
            api.refunds,
            api.setup_intents,
            api.transfers,
        ):
            resource.list({"limit": 100}, of)


def objects(answers: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """Every object in these answers, by type, wherever in an answer it stood."""
    found: dict[str, list[dict[str, Any]]] = {}
    for answer in answers:
        for each in _within(answer):
            found.setdefault(each["object"], []).append(each)
    return found


def _within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _within(item)
    elif isinstance(value, dict):
        if isinstance(value.get("object"), str) and not value.get("deleted"):
            yield value
        for item in value.values():
            yield from _within(item)
