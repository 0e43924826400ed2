"""Checkout: what the session becomes by what the customer does."""

from typing import Any

import pytest

from .conftest import Refused, Sandbox, checkout, refused


def test_a_session_is_open_and_has_no_intent_yet(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, client_reference_id="b-7", metadata={"booking": "7"})
    assert (session.status, session.payment_status, session.payment_intent, session.mode) == (
        "open",
        "unpaid",
        None,
        "payment",
    )
    assert (session.amount_total, session.currency, session.client_reference_id) == (10000, "usd", "b-7")
    assert session.url == f"{sandbox.url}/c/pay/{session.id}"
    assert session.expires_at == session.created + 24 * 3600
    assert len(session.id) == 66
    assert sandbox.event_types() == []


def test_paying_a_held_session_completes_it_unpaid(api: Any, sandbox: Sandbox) -> None:
    session = checkout(
        api, payment_intent_data={"capture_method": "manual", "metadata": {"booking": "7"}, "transfer_group": "b7"}
    )
    sandbox.post(f"checkout/{session.id}/pay", payment_method="pm_card_visa")
    done = api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    assert (done.status, done.payment_status, done.url) == ("complete", "unpaid", None)
    intent = done.payment_intent
    assert (intent.status, intent.metadata["booking"], intent.transfer_group, intent.amount) == (
        "requires_capture",
        "7",
        "b7",
        10000,
    )
    assert sandbox.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
    ]
    api.payment_intents.capture(intent.id)
    assert api.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert sandbox.event_types()[4:] == ["charge.captured", "payment_intent.succeeded"]


def test_paying_an_automatic_session_completes_it_paid(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    paid = sandbox.post(f"checkout/{session.id}/pay")
    assert (paid["status"], paid["payment_status"], paid["customer"]) == ("complete", "paid", None)
    assert sandbox.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]


def test_a_customer_is_made_when_asked_for(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, customer_creation="always", customer_email="s@example.com")
    paid = sandbox.post(f"checkout/{session.id}/pay")
    assert api.customers.retrieve(paid["customer"]).email == "s@example.com"
    assert sandbox.event_types()[0] == "customer.created"


def test_the_card_is_kept_for_later_when_asked_for(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({"email": "s@example.com"}).id
    session = checkout(
        api, customer=customer, payment_intent_data={"capture_method": "manual", "setup_future_usage": "off_session"}
    )
    sandbox.post(f"checkout/{session.id}/pay")
    assert len(api.customers.payment_methods.list(customer).data) == 1


def test_a_decline_leaves_the_session_open(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"checkout/{session.id}/pay", payment_method="pm_card_chargeDeclined")
    assert (caught.value.status, caught.value.body["error"]["code"]) == (402, "card_declined")
    still = api.checkout.sessions.retrieve(session.id)
    assert still.status == "open"
    paid = sandbox.post(f"checkout/{session.id}/pay")
    assert (paid["status"], paid["payment_intent"]) == ("complete", still.payment_intent)
    assert len(api.payment_intents.list().data) == 1


@pytest.mark.parametrize(
    ("answer", "status", "intent_status"),
    [(True, "complete", "succeeded"), (False, "open", "requires_payment_method"), (None, "open", "requires_action")],
)
def test_the_bank_may_ask_in_checkout(
    api: Any, sandbox: Sandbox, answer: bool | None, status: str, intent_status: str
) -> None:
    session = checkout(api)
    shown = sandbox.post(
        f"checkout/{session.id}/pay", payment_method="pm_card_authenticationRequired", authenticate=answer
    )
    assert (shown["status"], api.payment_intents.retrieve(shown["payment_intent"]).status) == (status, intent_status)


def test_a_session_expires_by_itself(api: Any, sandbox: Sandbox) -> None:
    now = sandbox.get("clock")["now"]
    session = checkout(api, expires_at=now + 1800 + 30)
    sandbox.post(f"checkout/{session.id}/abandon")
    sandbox.advance(1800)
    assert api.checkout.sessions.retrieve(session.id).status == "open"
    sandbox.advance(60)
    gone = api.checkout.sessions.retrieve(session.id)
    assert (gone.status, gone.url) == ("expired", None)
    assert sandbox.event_types() == ["checkout.session.expired"]
    with pytest.raises(Refused):
        sandbox.post(f"checkout/{session.id}/pay")
    assert api.payment_intents.list().data == []


def test_expiring_ends_an_unconfirmed_intent(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    intent = sandbox.post(
        f"checkout/{session.id}/pay", payment_method="pm_card_authenticationRequired", authenticate=None
    )["payment_intent"]
    error = refused(lambda: api.payment_intents.cancel(intent))
    assert error.code == "payment_intent_unexpected_state"
    assert api.checkout.sessions.expire(session.id).status == "expired"
    assert api.payment_intents.retrieve(intent).status == "canceled"
    assert sandbox.event_types()[-2:] == ["payment_intent.canceled", "checkout.session.expired"]


def test_only_an_open_session_can_be_expired(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    sandbox.post(f"checkout/{session.id}/pay")
    error = refused(lambda: api.checkout.sessions.expire(session.id))
    assert error.user_message == (
        'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of `complete`.'
    )


def test_setup_mode_saves_a_card_and_charges_nothing(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    session = api.checkout.sessions.create(
        {
            "mode": "setup",
            "currency": "usd",
            "customer": customer,
            "success_url": "http://shop.test/ok",
            "setup_intent_data": {"metadata": {"booking": "9"}},
        }
    )
    assert session.payment_status == "no_payment_required"
    assert api.setup_intents.retrieve(session.setup_intent).metadata["booking"] == "9"
    sandbox.post(f"checkout/{session.id}/pay")
    setup = api.setup_intents.retrieve(session.setup_intent)
    assert (setup.status, setup.customer) == ("succeeded", customer)
    assert api.payment_methods.retrieve(setup.payment_method).customer == customer
    assert sandbox.event_types() == [
        "customer.created",
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
        "checkout.session.completed",
    ]
    assert api.charges.list().data == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"success_url": None}, "success_url"),
        ({"mode": None}, "mode"),
        ({"line_items": None}, "line_items"),
        ({"ui_mode": "hosted"}, "ui_mode"),
        ({"mode": "paymnt"}, "mode"),
        ({"customer": "cus_x"}, "customer"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": 4102444800}, "expires_at"),
        ({"payment_intent_data": {"capture_metod": "manual"}}, "payment_intent_data[capture_metod]"),
        (
            {
                "line_items": [
                    {
                        "price_data": {"currency": "usd", "unit_amount": "x", "product_data": {"name": "L"}},
                        "quantity": 1,
                    }
                ]
            },
            "line_items[0][price_data][unit_amount]",
        ),
        ({"payment_intent_data": {"transfer_data": {"destination": "acct_x"}}}, "transfer_data[destination]"),
    ],
)
def test_a_wrong_session_is_not_made(api: Any, fields: Any, param: str) -> None:
    error = refused(lambda: checkout(api, **fields))
    assert (error.http_status, error.param) == (400, param)
    assert api.checkout.sessions.list().data == []


def test_line_items_can_be_listed_and_expanded(api: Any) -> None:
    session = checkout(api)
    assert "line_items" not in session.to_dict()
    assert api.checkout.sessions.line_items.list(session.id).data[0].description == "Lesson"
    assert (
        api.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]}).line_items.data[0].amount_total == 10000
    )


def test_sessions_are_found_by_intent_customer_and_status(api: Any, sandbox: Sandbox) -> None:
    open_one, paid_one = checkout(api), checkout(api)
    intent = sandbox.post(f"checkout/{paid_one.id}/pay")["payment_intent"]
    assert [each.id for each in api.checkout.sessions.list({"payment_intent": intent}).data] == [paid_one.id]
    assert [each.id for each in api.checkout.sessions.list({"status": "open"}).data] == [open_one.id]
