"""Checkout, fact by fact: what a session takes, what each kind of card makes of it, how it ends."""

import functools
from typing import Any

import pytest
import stripe

from .conftest import Refused, Sandbox, checkout, refused

pytestmark = pytest.mark.thorough

DAY, HOUR = 86400, 3600
PRICE: dict[str, Any] = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Lesson"}}
ITEM = {"price_data": PRICE, "quantity": 1}


def setup_session(api: Any, **fields: Any) -> Any:
    return api.checkout.sessions.create(
        {"mode": "setup", "currency": "usd", "success_url": "http://shop.test/done", **fields}
    )


def tried(sandbox: Sandbox, session: str, card: str, answer: bool | None) -> int:
    """The status of the answer to an attempt to pay."""
    try:
        sandbox.post(f"checkout/{session}/pay", payment_method=card, authenticate=answer)
    except Refused as refusal:
        return refusal.status
    return 200


# What each card makes of it: the session, its payment, its events


PAID = ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
HELD = ["charge.succeeded", "payment_intent.amount_capturable_updated", "checkout.session.completed"]
DECLINED = ["charge.failed", "payment_intent.payment_failed"]
ASKED = "payment_intent.requires_action"
SECURE, POOR = (
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
)
ENDINGS: list[tuple[str, bool | None, tuple[str, str, str], list[str]]] = [
    ("pm_card_visa", None, ("complete", "paid", "succeeded"), PAID),
    ("pm_card_mastercard", None, ("complete", "paid", "succeeded"), PAID),
    (SECURE, True, ("complete", "paid", "succeeded"), [ASKED, *PAID]),
    (SECURE, False, ("open", "unpaid", "requires_payment_method"), [ASKED, "payment_intent.payment_failed"]),
    (SECURE, None, ("open", "unpaid", "requires_action"), [ASKED]),
    (POOR, True, ("open", "unpaid", "requires_payment_method"), [ASKED, *DECLINED]),
    ("pm_card_chargeDeclined", None, ("open", "unpaid", "requires_payment_method"), DECLINED),
    ("pm_card_chargeDeclinedExpiredCard", None, ("open", "unpaid", "requires_payment_method"), DECLINED),
    ("pm_card_chargeCustomerFail", None, ("open", "unpaid", "requires_payment_method"), DECLINED),
    ("pm_card_radarBlock", None, ("open", "unpaid", "requires_payment_method"), DECLINED),
]


@pytest.mark.parametrize("manual", [False, True])
def test_each_card_ends_as_it_should(api: Any, sandbox: Sandbox, manual: bool) -> None:
    """All endings with one sandbox; each session has its own customer, so that no card knows another."""
    data = {"capture_method": "manual"} if manual else {}
    found, expected = {}, {}
    for card, answer, state, told in ENDINGS:
        before = len(sandbox.event_types())
        session = checkout(api, payment_intent_data=data)
        status = tried(sandbox, session.id, card, answer)
        after = api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
        found[card, answer] = (
            (after.status, after.payment_status, after.payment_intent.status),
            sandbox.event_types()[before:],
            (status, after.url is None),
        )
        held = manual and state[0] == "complete"
        expected[card, answer] = (
            # Believed, not documented: a held payment leaves its session complete and unpaid.
            ("complete", "unpaid", "requires_capture") if held else state,
            ["payment_intent.created", *([*told[: -len(PAID)], *HELD] if held else told)],
            (402 if told[-2:] == DECLINED else 200, state[0] == "complete"),
        )
    assert found == expected


SETUP_ENDINGS = [
    ("pm_card_visa", None, "complete", ["payment_method.attached", "setup_intent.succeeded"]),
    (
        SECURE,
        True,
        "complete",
        ["setup_intent.requires_action", "payment_method.attached", "setup_intent.succeeded"],
    ),
    (SECURE, False, "open", ["setup_intent.requires_action", "setup_intent.setup_failed"]),
    (SECURE, None, "open", ["setup_intent.requires_action"]),
    ("pm_card_chargeDeclined", None, "open", ["setup_intent.setup_failed"]),
    ("pm_card_chargeCustomerFail", None, "complete", ["payment_method.attached", "setup_intent.succeeded"]),
]


def test_each_card_is_saved_or_not(api: Any, sandbox: Sandbox) -> None:
    found, expected = {}, {}
    for card, answer, status, told in SETUP_ENDINGS:
        session = setup_session(api)
        before = len(sandbox.event_types())
        tried(sandbox, session.id, card, answer)
        after = api.checkout.sessions.retrieve(session.id)
        found[card, answer] = (after.status, after.payment_status, sandbox.event_types()[before:])
        done = ["checkout.session.completed"] if status == "complete" else []
        expected[card, answer] = (status, "no_payment_required", ["customer.created", *told, *done])
    assert found == expected
    assert api.charges.list().data == []


def test_a_setup_session_has_its_intent_from_the_start_and_makes_a_customer(api: Any, sandbox: Sandbox) -> None:
    data = {"metadata": {"booking": "1"}, "description": "Card for lessons"}
    session = setup_session(api, setup_intent_data=data, customer_email="s@example.com")
    intent = api.setup_intents.retrieve(session.setup_intent)
    assert (intent.status, intent.usage, intent.description) == (
        "requires_payment_method",
        "off_session",
        "Card for lessons",
    )
    assert (session.amount_total, session.payment_intent, session.payment_status) == (None, None, "no_payment_required")
    done = sandbox.post(f"checkout/{session.id}/pay")
    assert api.customers.retrieve(done["customer"]).email == "s@example.com"
    saved = api.customers.payment_methods.list(done["customer"]).data
    assert [each.id for each in saved] == [api.setup_intents.retrieve(session.setup_intent).payment_method]


# What a session takes


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"ui_mode": "hosted"}, "ui_mode"),
        ({"ui_mode": "embedded"}, "ui_mode"),
        ({"ui_mode": "custom"}, "ui_mode"),
        ({"ui_mode": "embedded_page", "success_url": None, "return_url": "http://a.test"}, "cancel_url"),
        ({"ui_mode": "elements", "success_url": None, "return_url": "http://a.test"}, "cancel_url"),
        ({"ui_mode": "embedded_page", "success_url": None, "cancel_url": None}, "return_url"),
        ({"ui_mode": "embedded_page", "cancel_url": None, "return_url": "http://a.test"}, "success_url"),
        ({"ui_mode": "elements", "cancel_url": None}, "success_url"),
        ({"line_items": [ITEM] * 101}, "line_items"),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "line_items[0][price]"),
        ({"line_items": [{"quantity": 1}]}, "line_items[0][price_data]"),
        ({"line_items": [{**ITEM, "quantity": 0}]}, "line_items[0][quantity]"),
        ({"line_items": [{**ITEM, "price_data": {**PRICE, "currency": "zzz"}}]}, "line_items[0][price_data][currency]"),
        ({"line_items": [ITEM, {**ITEM, "price_data": {**PRICE, "currency": "eur"}}]}, "line_items"),
        ({"setup_intent_data": {"description": "x"}}, "setup_intent_data"),
        ({"customer_creation": "sometimes"}, "customer_creation"),
        ({"mode": "setup", "line_items": None}, "currency"),
        ({"mode": "setup", "currency": "usd"}, "line_items"),
        ({"payment_intent_data": {"application_fee_amount": 5}}, "application_fee_amount"),
        ({"client_reference_id": "x" * 201}, "client_reference_id"),
    ],
)
def test_what_a_session_does_not_take(api: Any, sandbox: Sandbox, fields: dict[str, Any], param: str) -> None:
    error = refused(lambda: checkout(api, **fields))
    assert (error.http_status, error.param) == (400, param)
    assert api.checkout.sessions.list().data == []
    assert sandbox.event_types() == []


@pytest.mark.parametrize("other", [{"customer_email": "s@example.com"}, {"customer_creation": "always"}])
def test_a_customer_excludes_making_one(api: Any, other: dict[str, Any]) -> None:
    customer = api.customers.create({}).id
    error = refused(lambda: checkout(api, customer=customer, **other))
    assert error.user_message == f"You may only specify one of these parameters: customer, {next(iter(other))}."


def test_a_session_has_as_many_items_as_a_hundred(api: Any) -> None:
    session = checkout(api, line_items=[{**ITEM, "quantity": 2}] * 100)
    assert (session.amount_subtotal, session.amount_total) == (100_000, 100_000)


@pytest.mark.parametrize("ui_mode", ["embedded_page", "elements"])
def test_a_page_of_ones_own_gets_a_secret_instead_of_a_url(api: Any, sandbox: Sandbox, ui_mode: str) -> None:
    session = checkout(
        api, ui_mode=ui_mode, success_url=None, cancel_url=None, return_url="http://shop.test/{CHECKOUT_SESSION_ID}"
    )
    assert (session.url, session.ui_mode) == (None, ui_mode)
    assert session.client_secret.startswith(f"{session.id}_secret_")
    assert sandbox.post(f"checkout/{session.id}/pay")["status"] == "complete"


def test_a_page_of_ones_own_needs_no_way_back_when_it_never_leaves(api: Any) -> None:
    stays: dict[str, Any] = {
        "ui_mode": "embedded_page",
        "redirect_on_completion": "never",
        "success_url": None,
        "cancel_url": None,
    }
    assert checkout(api, **stays).redirect_on_completion == "never"


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0.5 * HOUR - 60, "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."),
        (24 * HOUR + 60, "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."),
        (0.5 * HOUR + 60, None),
        (24 * HOUR - 60, None),
    ],
)
def test_a_session_lives_between_half_an_hour_and_a_day(
    api: Any, sandbox: Sandbox, seconds: float, message: str | None
) -> None:
    wanted = sandbox.get("clock")["now"] + int(seconds)
    if message is None:
        assert checkout(api, expires_at=wanted).expires_at == wanted
        return
    error = refused(lambda: checkout(api, expires_at=wanted))
    assert (error.code, error.param, error.user_message) == (None, "expires_at", message)


def test_a_repeated_key_gives_the_session_back_without_looking_at_its_end_again(api: Any, sandbox: Sandbox) -> None:
    params: Any = {
        "mode": "payment",
        "line_items": [ITEM],
        "success_url": "http://a.test",
        "expires_at": sandbox.get("clock")["now"] + HOUR,
    }
    first = api.checkout.sessions.create(params, {"idempotency_key": "k"})
    sandbox.advance(HOUR + 1)
    again = api.checkout.sessions.create(params, {"idempotency_key": "k"})
    assert (again.id, again.status) == (first.id, "open")  # as it was answered then
    assert api.checkout.sessions.retrieve(first.id).status == "expired"


def test_the_metadata_of_a_session_is_not_its_payments(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, metadata={"a": "1"}, payment_intent_data={"metadata": {"b": "2"}, "description": "D"})
    assert api.checkout.sessions.update(session.id, {"metadata": {"c": "3"}}).metadata.to_dict() == {"a": "1", "c": "3"}
    paid = sandbox.post(f"checkout/{session.id}/pay")
    intent = api.payment_intents.retrieve(paid["payment_intent"], {"expand": ["latest_charge"]})
    assert (intent.metadata.to_dict(), intent.latest_charge.metadata.to_dict()) == ({"b": "2"}, {"b": "2"})
    assert intent.description == "D"


def test_what_the_payment_shall_be_reaches_it(api: Any, sandbox: Sandbox, coach: str) -> None:
    data: dict[str, Any] = {
        "application_fee_amount": 700,
        "transfer_data": {"destination": coach},
        "transfer_group": "g",
        "receipt_email": "r@example.com",
        "statement_descriptor_suffix": "LESSON",
        "setup_future_usage": "off_session",
        "capture_method": "manual",
    }
    session = checkout(api, payment_intent_data=data, customer_email="s@example.com")
    intent = api.payment_intents.retrieve(sandbox.post(f"checkout/{session.id}/pay")["payment_intent"]).to_dict()
    destination = intent.pop("transfer_data")["destination"]
    assert {name: intent.get(name) for name in data if name != "transfer_data"} == {
        name: value for name, value in data.items() if name != "transfer_data"
    }
    assert destination == coach
    assert len(api.customers.payment_methods.list(intent["customer"]).data) == 1


# How a session ends


EXPIRED = 'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of `{}`.'


@pytest.mark.parametrize("status", ["complete", "expired"])
def test_only_an_open_session_expires(api: Any, sandbox: Sandbox, status: str) -> None:
    session = checkout(api).id
    if status == "complete":
        sandbox.post(f"checkout/{session}/pay")
    else:
        api.checkout.sessions.expire(session)
    told = sandbox.event_types()
    error = refused(lambda: api.checkout.sessions.expire(session))
    assert (error.http_status, error.code, error.user_message) == (400, None, EXPIRED.format(status))
    with pytest.raises(Refused) as caught:
        sandbox.post(f"checkout/{session}/pay")
    assert caught.value.status == 400
    sandbox.advance(DAY + 1)
    assert api.checkout.sessions.retrieve(session).status == status
    assert sandbox.event_types() == told


@pytest.mark.parametrize("by_hand", [True, False])
@pytest.mark.parametrize(("card", "left"), [(None, None), ("pm_card_chargeDeclined", "canceled"), (SECURE, "canceled")])
def test_an_expired_session_takes_its_unfinished_payment_with_it(
    api: Any, sandbox: Sandbox, by_hand: bool, card: str | None, left: str | None
) -> None:
    session = checkout(api).id
    if card == SECURE:
        sandbox.post(f"checkout/{session}/pay", payment_method=card, authenticate=None)
    elif card:
        with pytest.raises(Refused):
            sandbox.post(f"checkout/{session}/pay", payment_method=card)
    if by_hand:
        api.checkout.sessions.expire(session)
    else:
        sandbox.advance(DAY + 1)
    after = api.checkout.sessions.retrieve(session, {"expand": ["payment_intent"]})
    assert (after.status, after.url, after.payment_status) == ("expired", None, "unpaid")
    assert (after.payment_intent and after.payment_intent.status) == left
    ended = ["payment_intent.canceled"] if left else []
    assert sandbox.event_types()[-len(ended) - 1 :] == [*ended, "checkout.session.expired"]
    if left:
        confirm = functools.partial(
            api.payment_intents.confirm, after.payment_intent.id, {"payment_method": "pm_card_visa"}
        )
        assert "status of canceled" in refused(confirm).user_message


def test_a_held_payment_outlives_its_sessions_day(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, payment_intent_data={"capture_method": "manual"}).id
    intent = sandbox.post(f"checkout/{session}/pay")["payment_intent"]
    sandbox.advance(DAY + 1)
    assert api.payment_intents.retrieve(intent).status == "requires_capture"
    told = sandbox.event_types()
    api.payment_intents.capture(intent)
    assert api.checkout.sessions.retrieve(session).payment_status == "paid"
    assert [each for each in sandbox.event_types()[len(told) :] if each.startswith("checkout")] == []


def test_an_answer_after_the_end_of_the_session_pays_nothing(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api).id
    intent = sandbox.post(f"checkout/{session}/pay", payment_method=SECURE, authenticate=None)["payment_intent"]
    api.checkout.sessions.expire(session)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"payment_intents/{intent}/authenticate")
    assert caught.value.status == 400
    assert api.charges.list().data == []


def test_a_session_is_read_back_whole(api: Any) -> None:
    session = checkout(api)
    assert isinstance(session, stripe.checkout.Session)
    assert api.checkout.sessions.retrieve(session.id).to_dict() == session.to_dict()


@pytest.mark.parametrize("url", ["javascript:alert(1)", "shop.test/done", "http://[", "ftp://shop.test"])
@pytest.mark.parametrize("name", ["success_url", "cancel_url"])
def test_an_address_that_is_none_is_refused(api: Any, name: str, url: str) -> None:
    given: dict[str, Any] = {name: url}
    error = refused(lambda: checkout(api, **given))
    assert (error.http_status, error.code, error.param) == (400, "url_invalid", name)
    assert api.checkout.sessions.list().data == []
