"""External accounts, the tokens they come from, and what a payout to each does."""

from typing import Any

import pytest

from .conftest import Sandbox, onboarded, refused

pytestmark = pytest.mark.thorough

BANK = {
    "object": "bank_account",
    "country": "US",
    "currency": "usd",
    "account_number": "000123456789",
    "routing_number": "110000000",
    "account_holder_name": "Amy Coach",
}
CARD = {"object": "card", "number": "4000056655665556", "exp_month": 5, "exp_year": 2030, "currency": "usd"}


@pytest.fixture
def custom(api: Any, sandbox: Sandbox) -> str:
    """A custom account that Stripe's pages have set up, with Stripe's test bank account."""
    return onboarded(api, sandbox, type="custom")


def types(sandbox: Sandbox, account: str) -> list[str]:
    """The events of external accounts since the one that came with the onboarding."""
    return [each for each in sandbox.event_types(account) if "external_account" in each][1:]


def test_a_bank_account_of_a_hash_is_shown_without_its_number(api: Any, sandbox: Sandbox, custom: str) -> None:
    made = api.accounts.external_accounts.create(custom, {"external_account": BANK, "metadata": {"a": "b"}})
    assert (made.object, made.account, made.last4, made.status) == ("bank_account", custom, "6789", "new")
    assert (made.account_holder_name, made.metadata.to_dict()) == ("Amy Coach", {"a": "b"})
    assert (made.default_for_currency, "account_number" in made) == (False, False)
    assert api.accounts.external_accounts.retrieve(custom, made.id).id == made.id
    assert types(sandbox, custom) == ["account.external_account.created"]
    assert sandbox.event_types() == []


def test_a_debit_card_can_be_paid_out_to(api: Any, custom: str) -> None:
    made = api.accounts.external_accounts.create(custom, {"external_account": CARD})
    assert (made.object, made.brand, made.last4, made.funding) == ("card", "Visa", "5556", "debit")
    assert made.available_payout_methods == ["standard", "instant"]
    slow = api.accounts.external_accounts.create(
        custom, {"external_account": "tok_visa_debit_us_instantPayoutUnsupported"}
    )
    assert slow.available_payout_methods == ["standard"]


def test_they_are_listed_newest_first_and_by_their_kind(api: Any, custom: str) -> None:
    external = api.accounts.external_accounts
    card = external.create(custom, {"external_account": CARD}).id
    bank = external.create(custom, {"external_account": "btok_us_verified"}).id
    assert [each.id for each in external.list(custom).data][:2] == [bank, card]
    assert [each.id for each in external.list(custom, {"object": "card"}).data] == [card]
    assert [each.id for each in external.list(custom, {"limit": 1, "starting_after": bank}).data] == [card]
    assert api.accounts.retrieve(custom).external_accounts.total_count == 3


def test_the_default_can_move_and_only_then_the_old_one_can_go(api: Any, sandbox: Sandbox, custom: str) -> None:
    external = api.accounts.external_accounts
    first = external.list(custom).data[0].id
    error = refused(lambda: external.delete(custom, first))
    assert error.user_message == (
        "You cannot delete the default external account for your default currency. Please make another external account the default "
        "using the `default_for_currency` param, and then delete this one."
    )
    second = external.create(custom, {"external_account": BANK}).id
    assert external.update(custom, second, {"default_for_currency": True}).default_for_currency is True
    assert external.retrieve(custom, first).default_for_currency is False
    assert external.delete(custom, first).deleted is True
    assert refused(lambda: external.retrieve(custom, first)).http_status == 404
    assert types(sandbox, custom) == [
        "account.external_account.created",
        "account.external_account.updated",
        "account.external_account.updated",
        "account.external_account.deleted",
    ]


def test_a_new_one_can_be_the_default_at_once(api: Any, custom: str) -> None:
    external = api.accounts.external_accounts
    made = external.create(custom, {"external_account": BANK, "default_for_currency": True})
    assert [each.id for each in external.list(custom).data if each.default_for_currency] == [made.id]


def test_an_account_update_puts_a_new_one_in_the_place_of_the_default(api: Any, sandbox: Sandbox, custom: str) -> None:
    first = api.accounts.external_accounts.list(custom).data[0].id
    api.accounts.update(custom, {"external_account": BANK})
    [left] = api.accounts.external_accounts.list(custom).data
    assert (left.id != first, left.default_for_currency) == (True, True)
    assert types(sandbox, custom) == ["account.external_account.created", "account.external_account.deleted"]


def test_another_currency_has_a_default_of_its_own(api: Any, custom: str) -> None:
    german = {"object": "bank_account", "country": "DE", "currency": "eur", "account_number": "DE89370400440532013000"}
    made = api.accounts.external_accounts.create(custom, {"external_account": german})
    assert (made.currency, made.default_for_currency, made.routing_number) == ("eur", True, None)
    assert api.accounts.external_accounts.delete(custom, made.id).deleted is True


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ("btok_nope", "resource_missing", "external_account"),
        ("tok_visa", "invalid_card_type", "external_account"),
        ({**BANK, "account_number": "12345"}, "account_number_invalid", "external_account[account_number]"),
        ({**BANK, "routing_number": "1"}, "routing_number_invalid", "external_account[routing_number]"),
        ({"object": "bank_account", "country": "US"}, "parameter_missing", "external_account[account_number]"),
        ({**CARD, "number": "4242424242424242"}, "invalid_card_type", "external_account"),
        ({"object": "card", "number": "4000056655665556"}, "parameter_missing", "external_account[exp_month]"),
    ],
)
def test_what_cannot_be_paid_out_to_is_refused(api: Any, custom: str, given: Any, code: str, param: str) -> None:
    error = refused(lambda: api.accounts.external_accounts.create(custom, {"external_account": given}))
    assert (error.http_status, error.code, error.param) == (400, code, param)
    assert len(api.accounts.external_accounts.list(custom).data) == 1


@pytest.mark.parametrize(
    ("token", "failure"),
    [
        ("btok_us_verified", None),
        ("btok_us_verified_noAccount", "no_account"),
        ("btok_us_verified_accountClosed", "account_closed"),
        ("btok_us_verified_insufficientFunds", "insufficient_funds"),
        ("btok_us_verified_debitNotAuthorized", "debit_not_authorized"),
        ("btok_us_verified_invalidCurrency", "invalid_currency"),
        ("btok_us_accountClosed", "account_closed"),
        ("tok_visa_debit_us_transferSuccess", None),
        ("tok_mastercard_debit_us_transferSuccess", None),
        ("tok_discover_debit_us_transferSuccess", None),
        ("tok_visa_debit_us_transferFail", "could_not_process"),
    ],
)
def test_the_number_decides_how_a_payout_ends(
    api: Any, sandbox: Sandbox, custom: str, token: str, failure: str | None
) -> None:
    bank = api.accounts.external_accounts.create(custom, {"external_account": token, "default_for_currency": True})
    api.accounts.update(custom, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}})
    sandbox.post("balance", account=custom, amount=5000)
    there = {"stripe_account": custom}
    payout = api.payouts.create({"amount": 5000, "currency": "usd"}, there)
    assert (payout.destination, payout.type) == (bank.id, bank.object)
    sandbox.advance(2 * 86400)
    ended = api.payouts.retrieve(payout.id, {}, there)
    assert (ended.status, ended.failure_code) == ("failed" if failure else "paid", failure)
    assert api.balance.retrieve({}, there).available[0].amount == (5000 if failure else 0)
    if failure and bank.object == "bank_account":
        assert api.accounts.external_accounts.retrieve(custom, bank.id).status == "errored"


def test_a_number_never_changes(api: Any, custom: str) -> None:
    external = api.accounts.external_accounts
    bank = external.list(custom).data[0].id
    error = refused(lambda: external.update(custom, bank, {"account_number": "000111111116"}))
    assert (error.code, error.param) == ("parameter_unknown", "account_number")


def test_a_cards_expiry_and_address_can_be_changed(api: Any, sandbox: Sandbox, custom: str) -> None:
    external = api.accounts.external_accounts
    card = external.create(custom, {"external_account": CARD})
    assert card.status == "new"
    changed = external.update(custom, card.id, {"exp_month": "11", "exp_year": "2031", "address_city": "Boston"})
    assert (changed.exp_month, changed.exp_year, changed.address_city) == (11, 2031, "Boston")
    assert types(sandbox, custom)[-1] == "account.external_account.updated"
    assert refused(lambda: external.update(custom, card.id, {"exp_month": "13"})).code == "invalid_expiry_month"


def test_new_details_make_a_refused_bank_account_usable(api: Any, sandbox: Sandbox, custom: str) -> None:
    bank = api.accounts.external_accounts.list(custom).data[0].id
    sandbox.post("balance", account=custom, amount=5000)
    there = {"stripe_account": custom}
    payout = api.payouts.create({"amount": 5000, "currency": "usd"}, there).id
    sandbox.post(f"payouts/{payout}/fail", failure_code="account_closed")
    assert refused(lambda: api.payouts.create({"amount": 5000, "currency": "usd"}, there)).http_status == 400
    assert "external_account" in api.accounts.retrieve(custom).requirements.currently_due
    assert api.accounts.external_accounts.update(custom, bank, {"account_holder_name": "A"}).status == "new"
    assert api.accounts.retrieve(custom).requirements.currently_due == []
    assert api.payouts.create({"amount": 5000, "currency": "usd"}, there).status == "pending"


def test_the_bank_of_an_express_account_is_its_persons_own(api: Any, coach: str) -> None:
    external = api.accounts.external_accounts
    assert refused(lambda: external.create(coach, {"external_account": BANK})).http_status == 403
    assert refused(lambda: external.delete(coach, external.list(coach).data[0].id)).http_status == 403
    assert len(external.list(coach).data) == 1


def test_a_bank_token_keeps_its_id_and_works_once(api: Any, custom: str) -> None:
    details = {name: value for name, value in BANK.items() if name != "object"}
    token = api.tokens.create({"bank_account": details})
    assert (token.object, token.type, token.used, token.bank_account.last4) == ("token", "bank_account", False, "6789")
    made = api.accounts.external_accounts.create(custom, {"external_account": token.id})
    assert made.id == token.bank_account.id
    assert api.tokens.retrieve(token.id).used is True
    error = refused(lambda: api.accounts.external_accounts.create(custom, {"external_account": token.id}))
    assert (error.code, error.user_message) == (
        "token_already_used",
        f"You cannot use a Stripe token more than once: {token.id}.",
    )


def test_a_card_token_makes_a_payment_method(api: Any) -> None:
    token = api.tokens.create({"card": {"number": "4242424242424242", "exp_month": "5", "exp_year": "2030"}})
    assert (token.type, token.card.brand, token.card.last4) == ("card", "Visa", "4242")
    method = api.payment_methods.create({"type": "card", "card": {"token": token.id}})
    assert method.card.last4 == "4242"
    again = refused(lambda: api.payment_methods.create({"type": "card", "card": {"token": token.id}}))
    assert again.code == "token_already_used"
    assert refused(lambda: api.payment_methods.create({"type": "card", "card": {"token": "tok_x"}})).param == (
        "card[token]"
    )


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, "parameter_missing"),
        ({"card": {"number": "4111", "exp_month": "5", "exp_year": "2030"}}, 402, "incorrect_number"),
        ({"card": {"number": "4242424242424242", "exp_month": "13", "exp_year": "2030"}}, 402, "invalid_expiry_month"),
        ({"card": {"number": "4242424242424242", "exp_month": "x", "exp_year": "2030"}}, 402, "invalid_expiry_month"),
        ({"card": {"number": "4000056655665556", "exp_month": "1", "exp_year": "2020"}}, 402, "invalid_expiry_year"),
        ({"person": {"first_name": "A"}, "pii": {"id_number": "1"}}, 400, None),
    ],
)
def test_a_token_of_nothing_or_of_two_things_is_refused(api: Any, params: Any, status: int, code: str | None) -> None:
    error = refused(lambda: api.tokens.create(params))
    assert (error.http_status, error.code) == (status, code)
