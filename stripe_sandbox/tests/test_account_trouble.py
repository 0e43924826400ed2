"""Test values that trouble an account which was in order: trigger cards, and bank accounts whose owner is asked for."""

from typing import Any

import pytest

from .conftest import Sandbox, onboarded, pay, refused
from .test_custom_accounts import AMY, REST, custom
from .test_pages import visit

pytestmark = pytest.mark.thorough

BOTH = {"transfers": {"requested": True}, "card_payments": {"requested": True}}
DOCUMENT = "individual.verification.document"
OWNERSHIP = "documents.bank_account_ownership_verification.files"
DAY = 86400


@pytest.fixture
def seller(api: Any, sandbox: Sandbox) -> str:
    """A verified custom account of an individual, with both capabilities."""
    account = custom(api, individual={**AMY, "id_number": "222222222"}, capabilities=BOTH, **REST)
    assert account.payouts_enabled
    return str(account.id)


def use(api: Any, sandbox: Sandbox, seller: str, trigger: str, *, direct: bool) -> Any:
    """Pays with the card, and returns the account as it is a moment later."""
    card = f"pm_card_visa_trigger{trigger}"
    if direct:
        given = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": card}
        api.payment_intents.create({**given, "payment_method_types": ["card"]}, {"stripe_account": seller})
    else:
        pay(api, 5000, card=card, on_behalf_of=seller)
    sandbox.advance(2)
    return api.accounts.retrieve(seller)


@pytest.mark.parametrize("direct", [True, False])
def test_the_next_requirements_fall_due_while_the_account_goes_on(
    api: Any, sandbox: Sandbox, seller: str, direct: bool
) -> None:
    before = len(sandbox.event_types(seller))
    shown = use(api, sandbox, seller, "NextRequirements", direct=direct)
    assert (shown.requirements.currently_due, shown.requirements.past_due) == ([DOCUMENT], [])
    assert (shown.charges_enabled, shown.payouts_enabled, shown.capabilities.transfers) == (True, True, "active")
    assert "account.updated" in sandbox.event_types(seller)[before:]
    sandbox.post("clock", set=shown.requirements.current_deadline)
    late = api.accounts.retrieve(seller)
    assert (late.requirements.past_due, late.charges_enabled, late.payouts_enabled) == ([DOCUMENT], False, False)


@pytest.mark.parametrize(
    ("trigger", "state"),
    [("ChargeBlock", (False, True, "inactive")), ("PayoutBlock", (True, False, "active"))],
)
def test_a_block_stops_charges_or_payouts_until_the_document_comes(
    api: Any, sandbox: Sandbox, seller: str, trigger: str, state: tuple[bool, bool, str]
) -> None:
    charges, payouts, capability = state
    shown = use(api, sandbox, seller, trigger, direct=False)
    assert (shown.charges_enabled, shown.payouts_enabled) == (charges, payouts)
    assert shown.capabilities.to_dict() == {"card_payments": capability, "transfers": capability}
    assert (shown.requirements.past_due, shown.requirements.disabled_reason) == ([DOCUMENT], "requirements.past_due")
    document = {"verification": {"document": {"front": "file_identity_document_success"}}}
    again = api.accounts.update(seller, {"individual": document})
    assert (again.charges_enabled, again.payouts_enabled, again.requirements.past_due) == (True, True, [])
    assert use(api, sandbox, seller, trigger, direct=False).payouts_enabled is True


def test_trigger_cards_do_nothing_to_others(api: Any, sandbox: Sandbox, seller: str, coach: str) -> None:
    fresh = custom(api)
    pay(api, 5000, card="pm_card_visa_triggerNextRequirements", on_behalf_of=fresh.id)
    pay(api, 5000, card="pm_card_visa_triggerChargeBlock", transfer_data={"destination": coach})
    pay(api, 5000, card="pm_card_visa_triggerPayoutBlock")
    sandbox.advance(2)
    assert [api.accounts.retrieve(each).charges_enabled for each in (seller, coach)] == [True, True]
    assert api.accounts.retrieve_current().payouts_enabled is True
    assert api.accounts.retrieve(fresh.id).requirements == fresh.requirements


def bank(api: Any, sandbox: Sandbox, account: str, number: str) -> str:
    """Makes the account's default bank account one whose owner is asked for, and waits until it is."""
    given = {"object": "bank_account", "country": "US", "currency": "usd", "routing_number": "110000000"}
    api.accounts.update(account, {"external_account": {**given, "account_number": number}})
    sandbox.advance(60)
    return str(api.accounts.external_accounts.list(account).data[0].id)


def test_ownership_can_be_confirmed_by_itself(api: Any, sandbox: Sandbox, seller: str) -> None:
    before = len(sandbox.event_types(seller))
    bank(api, sandbox, seller, "000999999991")
    shown = api.accounts.retrieve(seller)
    assert (shown.requirements.pending_verification, shown.payouts_enabled) == ([OWNERSHIP], True)
    sandbox.advance(60)
    assert api.accounts.retrieve(seller).requirements.pending_verification == []
    assert sandbox.event_types(seller)[before:] == [
        "account.external_account.created",
        "account.external_account.deleted",
        "account.updated",
        "account.updated",
    ]


def test_ownership_can_need_a_document(api: Any, sandbox: Sandbox, seller: str) -> None:
    id = bank(api, sandbox, seller, "000999999992")
    asked = api.accounts.retrieve(seller)
    assert (asked.requirements.currently_due, asked.payouts_enabled) == ([OWNERSHIP], True)
    assert api.accounts.external_accounts.retrieve(seller, id).requirements.currently_due == [OWNERSHIP]
    for file, due, pending in (
        ("file_identity_document_failure", [OWNERSHIP], []),
        ("file_identity_document_success", [], [OWNERSHIP]),
    ):
        given = {"documents": {"bank_account_ownership_verification": {"files": [file]}}}
        now = api.accounts.update(seller, given).requirements
        assert (now.currently_due, now.pending_verification) == (due, pending)
        assert [each.requirement for each in now.errors] == due
    sandbox.advance(60)
    done = api.accounts.retrieve(seller)
    assert (done.requirements.pending_verification, done.requirements.currently_due) == ([], [])
    assert done.requirements.current_deadline is None
    assert api.accounts.external_accounts.retrieve(seller, id).requirements.currently_due == []


def test_ownership_that_is_never_proven_stops_payouts(api: Any, sandbox: Sandbox, seller: str) -> None:
    id = bank(api, sandbox, seller, "000999999992")
    sandbox.advance(14 * DAY)
    late = api.accounts.retrieve(seller)
    assert (late.requirements.past_due, late.payouts_enabled, late.charges_enabled) == ([OWNERSHIP], False, True)
    assert late.requirements.disabled_reason == "requirements.past_due"
    assert api.accounts.external_accounts.retrieve(seller, id).status == "verification_failed"
    sandbox.post("balance", account=seller, amount=1000)
    wish = {"amount": 1000, "currency": "usd"}
    assert refused(lambda: api.payouts.create(wish, {"stripe_account": seller})).code == "payouts_not_allowed"
    given = {"documents": {"bank_account_ownership_verification": {"files": ["file_identity_document_success"]}}}
    api.accounts.update(seller, given)
    sandbox.advance(60)
    done = api.accounts.retrieve(seller)
    assert (done.payouts_enabled, done.requirements.past_due, done.requirements.disabled_reason) == (True, [], None)
    assert api.payouts.create(wish, {"stripe_account": seller}).status == "pending"


def test_another_bank_account_ends_the_question(api: Any, sandbox: Sandbox, seller: str) -> None:
    bank(api, sandbox, seller, "000999999992")
    sandbox.advance(14 * DAY)
    shown = api.accounts.update(seller, {"external_account": "btok_us_verified"})
    assert (shown.requirements.currently_due, shown.payouts_enabled) == ([], True)


def test_a_visit_to_onboarding_answers_it_too(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox, type="custom")
    id = bank(api, sandbox, account, "000999999992")
    assert api.accounts.retrieve(account).requirements.currently_due == [OWNERSHIP]
    sandbox.advance(14 * DAY)
    assert api.accounts.retrieve(account).payouts_enabled is False
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    shown = api.accounts.retrieve(account)
    assert (shown.requirements.currently_due, shown.payouts_enabled) == ([], True)
    assert [(each.id, each.status) for each in shown.external_accounts.data] == [(id, "new")]


def test_a_document_that_nobody_uploaded_is_refused(api: Any, seller: str) -> None:
    given = {"documents": {"bank_account_ownership_verification": {"files": ["file_nope"]}}}
    assert refused(lambda: api.accounts.update(seller, given)).code == "resource_missing"


def test_a_deadline_that_passes_is_told_like_this(api: Any, sandbox: Sandbox, seller: str) -> None:
    before = len(sandbox.event_types(seller))
    deadline = sandbox.get("clock")["now"] + 100
    sandbox.post(f"accounts/{seller}/restrict", deadline=deadline)
    assert sandbox.event_types(seller)[before:] == ["account.updated"]
    sandbox.advance(100)
    assert sandbox.event_types(seller)[before + 1 :] == [
        "capability.updated",
        "capability.updated",
        "account.updated",
        "person.updated",
    ]
    told = sandbox.get("events")["data"][-2]["data"]
    assert told["object"]["requirements"]["current_deadline"] is None
    assert told["previous_attributes"]["requirements"]["current_deadline"] == deadline
    assert (told["previous_attributes"]["payouts_enabled"], told["previous_attributes"]["charges_enabled"]) == (
        True,
        True,
    )


def test_a_document_in_time_ends_the_deadline(api: Any, sandbox: Sandbox, seller: str) -> None:
    sandbox.post(f"accounts/{seller}/restrict", deadline=sandbox.get("clock")["now"] + 100)
    document = {"verification": {"document": {"front": "file_identity_document_success"}}}
    shown = api.accounts.update(seller, {"individual": document})
    assert (shown.requirements.currently_due, shown.requirements.current_deadline) == ([], None)
    sandbox.advance(200)
    assert api.accounts.retrieve(seller).payouts_enabled is True


def test_the_control_room_does_not_revive_a_rejected_account(api: Any, sandbox: Sandbox, seller: str) -> None:
    api.accounts.reject(seller, {"reason": "fraud"})
    for wish in ("complete", "restrict"):
        status, text, _ = visit(f"{sandbox.url}/room/accounts/{seller}", do=wish)
        assert (status, "That is for good" in text) == (400, True)
    assert api.accounts.retrieve(seller).requirements.disabled_reason == "rejected.fraud"
