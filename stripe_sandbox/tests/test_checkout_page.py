"""The Checkout page as a person meets it: declined, asked by the bank, gone back, come too late."""

from typing import Any

import pytest

from .conftest import Sandbox, checkout, pay
from .test_pages import visit

SECURE = "pm_card_authenticationRequired"
POOR = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"


@pytest.fixture
def session(api: Any) -> Any:
    return checkout(api)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("pm_card_visa_chargeDeclined", "Your card was declined."),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("pm_card_chargeDeclinedExpiredCard", "Your card has expired."),
        ("pm_card_chargeDeclinedIncorrectCvc", "Your card&#x27;s security code is incorrect."),
        ("pm_card_chargeDeclinedProcessingError", "An error occurred while processing your card."),
    ],
)
def test_a_decline_is_said_until_another_attempt(api: Any, session: Any, card: str, words: str) -> None:
    assert 'role="alert"' not in visit(session.url)[1]
    assert visit(session.url, card=card, email="kim@example.com")[::2] == (303, f"/c/pay/{session.id}")
    shown = visit(session.url)[1]
    assert words in shown
    assert 'value="kim@example.com"' in shown  # what was typed is kept
    assert visit(session.url, card="pm_card_visa")[2] == f"http://shop.test/done?id={session.id}"
    assert [each.status for each in api.charges.list().data] == ["succeeded", "failed"]


def test_the_bank_says_what_it_asks_for(sandbox: Sandbox, session: Any) -> None:
    bank = sandbox.url + visit(session.url, card=SECURE)[2]
    shown = visit(bank)[1]
    assert "•••• 3184 shall be charged $100.00" in shown


def test_a_card_without_funds_passes_the_bank_and_is_declined(sandbox: Sandbox, session: Any) -> None:
    bank = sandbox.url + visit(session.url, card=POOR)[2]
    assert visit(bank, answer="complete")[::2] == (303, f"/c/pay/{session.id}")
    assert "Your card has insufficient funds." in visit(session.url)[1]


def test_the_way_back_leads_to_checkout_however_it_stands(api: Any, sandbox: Sandbox, session: Any) -> None:
    first = sandbox.url + visit(session.url, card=SECURE)[2]
    visit(first, answer="fail")
    second = sandbox.url + visit(session.url, card=SECURE)[2]
    assert visit(first)[0] == 404  # that question is over, another one is open
    visit(second, answer="complete")
    assert visit(second)[::2] == (303, f"/c/pay/{session.id}")
    assert "You&#x27;re all done here" in visit(session.url)[1]
    assert visit(session.url, card="pm_card_visa")[::2] == (303, f"/c/pay/{session.id}")
    assert len(api.charges.list().data) == 1


def test_who_comes_too_late_is_told_and_led_back(api: Any, sandbox: Sandbox, session: Any) -> None:
    bank = sandbox.url + visit(session.url, card=SECURE)[2]
    api.checkout.sessions.expire(session.id)
    assert visit(session.url, card="pm_card_visa")[::2] == (303, f"/c/pay/{session.id}")
    assert visit(bank)[::2] == (303, f"/c/pay/{session.id}")
    assert visit(bank, answer="complete")[0] == 404
    shown = visit(session.url)[1]
    assert "This Checkout has expired" in shown
    assert 'href="http://shop.test/left"' in shown
    assert api.charges.list().data == []


@pytest.mark.parametrize(("answer", "words"), [("complete", "went through"), ("fail", "failed")])
def test_without_a_way_back_the_bank_ends_on_its_own_page(api: Any, answer: str, words: str) -> None:
    url = pay(api, card=SECURE).next_action.use_stripe_sdk.stripe_js
    status, shown, _ = visit(url, answer=answer)
    assert (status, f"Authentication {words}" in shown) == (200, True)


def test_a_setup_is_left_without_saving(api: Any) -> None:
    opened = api.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "success_url": "http://shop.test/ok",
            "cancel_url": "http://shop.test/left",
        }
    )
    shown = visit(opened.url)[1]
    assert "Nothing is charged now." in shown
    assert "Leave without saving a card" in shown
    visit(opened.url, card="pm_card_visa_chargeDeclined")
    assert "Your card was declined." in visit(opened.url)[1]
    assert api.checkout.sessions.retrieve(opened.id).status == "open"


def test_the_way_back_may_have_any_letters_and_no_line_breaks(api: Any) -> None:
    session = checkout(api, success_url="http://shop.test/fertig/ü学?a=%20&b=1\r\nX-Evil: 1")
    assert visit(session.url, card="pm_card_visa")[2] == ("http://shop.test/fertig/%C3%BC%E5%AD%A6?a=%20&b=1X-Evil:1")
