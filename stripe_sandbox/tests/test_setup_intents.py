"""Saving cards: every way that a SetupIntent and a Checkout Session in setup mode can go."""

from typing import Any

import pytest

from .conftest import Refused, Sandbox, checkout, pay, refused
from .test_pages import visit

pytestmark = pytest.mark.thorough

DAY = 86400


@pytest.fixture
def customer(api: Any) -> str:
    return str(api.customers.create({"email": "s@example.com"}).id)


def setup(api: Any, customer: str | None = None, card: str = "pm_card_visa", **fields: Any) -> Any:
    given: dict[str, Any] = {"payment_method": card, "payment_method_types": ["card"], "confirm": True, **fields}
    return api.setup_intents.create({**given, "customer": customer} if customer else given)


def told(sandbox: Sandbox) -> list[str]:
    return [each for each in sandbox.event_types() if not each.startswith("customer.")]


def attempts(api: Any, intent: str) -> list[str]:
    return [each.status for each in api.setup_attempts.list({"setup_intent": intent}).data]


def test_a_card_is_saved_on_its_customer(api: Any, sandbox: Sandbox, customer: str) -> None:
    done = setup(api, customer, expand=["latest_attempt"])
    assert (done.status, done.usage, done.latest_attempt.status) == ("succeeded", "off_session", "succeeded")
    assert done.latest_attempt.payment_method_details.card.last4 == "4242"
    assert api.payment_methods.retrieve(done.payment_method).customer == customer
    assert told(sandbox) == ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]


def test_it_is_built_step_by_step(api: Any, sandbox: Sandbox, customer: str) -> None:
    intent = api.setup_intents.create({"payment_method_types": ["card"]})
    assert intent.status == "requires_payment_method"
    missing = refused(lambda: api.setup_intents.confirm(intent.id))
    assert missing.code == "setup_intent_unexpected_state"
    ready = api.setup_intents.update(intent.id, {"customer": customer, "payment_method": "pm_card_visa"})
    assert (ready.status, ready.customer) == ("requires_confirmation", customer)
    assert api.setup_intents.confirm(intent.id).status == "succeeded"
    for call in (
        lambda: api.setup_intents.confirm(intent.id),
        lambda: api.setup_intents.cancel(intent.id),
        lambda: api.setup_intents.update(intent.id, {"payment_method": "pm_card_visa"}),
    ):
        assert refused(call).code == "setup_intent_unexpected_state"
    assert api.setup_intents.update(intent.id, {"metadata": {"a": "1"}}).metadata.a == "1"


def test_a_decline_is_kept_and_another_card_may_follow(api: Any, sandbox: Sandbox, customer: str) -> None:
    error = refused(lambda: setup(api, customer, "pm_card_chargeDeclined"))
    assert (error.http_status, error.code) == (402, "card_declined")
    intent = api.setup_intents.list({"customer": customer}).data[0]
    assert (intent.status, intent.last_setup_error.code) == ("requires_payment_method", "card_declined")
    assert intent.payment_method is None
    assert told(sandbox) == ["setup_intent.created", "setup_intent.setup_failed"]
    assert api.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}).status == "succeeded"
    assert attempts(api, intent.id) == ["succeeded", "failed"]


@pytest.mark.parametrize("succeeded", [True, False])
def test_the_bank_asks(api: Any, sandbox: Sandbox, customer: str, succeeded: bool) -> None:
    asked = setup(api, customer, "pm_card_authenticationRequired", return_url="http://shop.test/back")
    assert (asked.status, asked.next_action.type) == ("requires_action", "redirect_to_url")
    assert attempts(api, asked.id) == ["requires_action"]
    sandbox.post(f"setup_intents/{asked.id}/authenticate", succeeded=succeeded)
    done = api.setup_intents.retrieve(asked.id)
    assert done.status == ("succeeded" if succeeded else "requires_payment_method")
    assert attempts(api, asked.id) == ["succeeded" if succeeded else "failed"]
    if not succeeded:
        assert done.last_setup_error.code == "setup_intent_authentication_failure"
        assert "payment_method.attached" not in told(sandbox)


def test_a_cancelled_one_abandons_its_attempt(api: Any, sandbox: Sandbox, customer: str) -> None:
    asked = setup(api, customer, "pm_card_authenticationRequired")
    done = api.setup_intents.cancel(asked.id, {"cancellation_reason": "abandoned"})
    assert (done.status, done.cancellation_reason, done.next_action) == ("canceled", "abandoned", None)
    assert attempts(api, asked.id) == ["abandoned"]
    assert told(sandbox)[-1] == "setup_intent.canceled"


def test_a_card_for_on_session_use_is_not_set_up_for_later(api: Any, sandbox: Sandbox, customer: str) -> None:
    asked = setup(api, customer, "pm_card_authenticationRequiredOnSetup", usage="on_session")
    sandbox.post(f"setup_intents/{asked.id}/authenticate")
    error = refused(lambda: pay(api, card=asked.payment_method, customer=customer, off_session=True))
    assert error.code == "authentication_required"


def test_a_card_of_somebody_else_is_refused(api: Any, customer: str) -> None:
    theirs = setup(api, customer).payment_method
    other = api.customers.create({}).id
    assert refused(lambda: setup(api, other, theirs)).param == "payment_method"
    assert api.payment_methods.retrieve(theirs).customer == customer


def test_microdeposits_are_for_bank_debits(api: Any, customer: str) -> None:
    intent = setup(api, customer).id
    assert refused(lambda: api.setup_intents.verify_microdeposits(intent)).http_status == 400


def session(api: Any, **fields: Any) -> Any:
    return api.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "success_url": "http://shop.test/done?id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://shop.test/left",
            **fields,
        }
    )


def test_checkout_expires_with_its_setup_intent(api: Any, sandbox: Sandbox, customer: str) -> None:
    by_hand, by_time = session(api, customer=customer), session(api, customer=customer)
    refusal = refused(lambda: api.setup_intents.cancel(by_hand.setup_intent))
    assert "Expire the Checkout Session" in refusal.user_message
    api.checkout.sessions.expire(by_hand.id)
    sandbox.advance(DAY + 1)
    for each in (by_hand, by_time):
        assert api.setup_intents.retrieve(each.setup_intent).status == "canceled"
        assert api.checkout.sessions.retrieve(each.id).status == "expired"
    assert told(sandbox)[-2:] == ["setup_intent.canceled", "checkout.session.expired"]


def test_checkout_stays_open_after_a_decline_or_a_failed_authentication(api: Any, sandbox: Sandbox) -> None:
    opened = session(api)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"checkout/{opened.id}/pay", payment_method="pm_card_chargeDeclined", email="x@y.test")
    assert caught.value.status == 402
    sandbox.post(f"checkout/{opened.id}/pay", payment_method="pm_card_authenticationRequired", authenticate=False)
    assert api.checkout.sessions.retrieve(opened.id).status == "open"
    done = sandbox.post(f"checkout/{opened.id}/pay", payment_method="pm_card_authenticationRequired")
    assert (done["status"], done["payment_status"]) == ("complete", "no_payment_required")
    saved = api.setup_intents.retrieve(done["setup_intent"], {"expand": ["payment_method"]}).payment_method
    assert (saved.customer, saved.billing_details.email) == (done["customer"], "x@y.test")
    assert attempts(api, done["setup_intent"]) == ["succeeded", "failed", "failed"]


def test_the_hosted_page_saves_a_card_with_3d_secure(api: Any, sandbox: Sandbox, customer: str) -> None:
    opened = session(api, customer=customer)
    assert "Save a card" in visit(opened.url)[1]
    status, _, bank = visit(opened.url, card="pm_card_authenticationRequired")
    assert (status, bank.startswith("/authenticate/seti_")) == (303, True)
    assert 'id="authenticate"' in visit(sandbox.url + bank)[1]
    assert visit(sandbox.url + bank, answer="fail")[::2] == (303, f"/c/pay/{opened.id}")
    assert "could not confirm" in visit(opened.url)[1]
    _, _, bank = visit(opened.url, card="pm_card_authenticationRequired")
    back = f"http://shop.test/done?id={opened.id}"
    assert visit(sandbox.url + bank, answer="complete")[::2] == (303, back)
    done = api.checkout.sessions.retrieve(opened.id)
    assert (done.status, api.setup_intents.retrieve(done.setup_intent).status) == ("complete", "succeeded")


def test_line_items_come_in_pages(api: Any) -> None:
    items = [
        {"price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": f"Lesson {n}"}}, "quantity": 1}
        for n in range(5)
    ]
    opened = checkout(api, line_items=items)
    first = api.checkout.sessions.line_items.list(opened.id, {"limit": 2})
    assert first.has_more is True
    assert [each.description for each in first.auto_paging_iter()] == [f"Lesson {n}" for n in range(5)]
    third = [each.id for each in api.checkout.sessions.line_items.list(opened.id).data][2]
    before = api.checkout.sessions.line_items.list(opened.id, {"ending_before": third})
    assert [each.description for each in before.data] == ["Lesson 0", "Lesson 1"]
    error = refused(lambda: api.checkout.sessions.line_items.list(opened.id, {"starting_after": "li_none"}))
    assert (error.code, error.param) == ("resource_missing", "starting_after")


def test_sessions_are_found_by_what_they_belong_to(api: Any, sandbox: Sandbox, customer: str) -> None:
    paid, other = checkout(api, customer=customer), checkout(api)
    intent = sandbox.post(f"checkout/{paid.id}/pay")["payment_intent"]
    sandbox.post(f"checkout/{other.id}/pay", email="x@y.test")
    listed = api.checkout.sessions.list
    for given, found in (
        ({"customer": customer}, [paid.id]),
        ({"payment_intent": intent}, [paid.id]),
        ({"customer_details": {"email": "x@y.test"}}, [other.id]),
        ({"status": "complete"}, [other.id, paid.id]),
        ({"status": "open"}, []),
    ):
        assert [each.id for each in listed(given).data] == found
