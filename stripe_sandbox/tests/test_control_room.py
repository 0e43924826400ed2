"""The control room's buttons: each is there while it can do something, does it, and leads to what it made."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Sandbox, checkout, hold, pay
from .test_pages import visit


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def shown(sandbox: Sandbox, id: str) -> str:
    status, text, _ = visit(f"{sandbox.url}/room/object/{id}")
    assert status == 200
    return text


def buttons(sandbox: Sandbox, id: str) -> list[str]:
    return re.findall(r'name="do" value="(\w+)"', shown(sandbox, id))


def press(sandbox: Sandbox, kind: str, id: str, do: str, **fields: str) -> str:
    """Where it leads."""
    status, text, place = visit(f"{sandbox.url}/room/{kind}/{id}", do=do, **fields)
    assert status == 303, text
    return place


@pytest.mark.parametrize(
    ("wish", "decision", "status"),
    [
        ("dispute", "won", "won"),
        ("dispute", "lost", "lost"),
        ("inquiry", "won", "warning_closed"),
        ("inquiry", "lost", "warning_closed"),
        ("inquiry", "escalate", "needs_response"),
    ],
)
def test_a_dispute_is_opened_and_decided(api: Any, sandbox: Sandbox, *, wish: str, decision: str, status: str) -> None:
    intent = pay(api).id
    assert buttons(sandbox, intent) == ["dispute", "inquiry", "warn"]
    dispute = press(sandbox, "payment_intents", intent, wish).rpartition("/")[2]
    assert decision in buttons(sandbox, dispute)
    assert press(sandbox, "disputes", dispute, decision) == f"/room/object/{dispute}"
    assert api.disputes.retrieve(dispute).status == status
    assert (decision in buttons(sandbox, dispute)) is False
    assert f'<span class="tag {"good" if status == "won" else ""}' in shown(sandbox, dispute)


def test_a_payment_that_was_charged_back_cannot_be_again(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api).id
    press(sandbox, "payment_intents", intent, "dispute")
    assert buttons(sandbox, intent) == ["warn"]
    status, text, _ = visit(f"{sandbox.url}/room/payment_intents/{intent}", do="dispute")
    assert (status, "That is not possible" in text) == (400, True)
    assert len(api.disputes.list().data) == 1
    assert buttons(sandbox, hold(api).id) == []


def test_a_bank_warns_of_a_payment(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api).id
    place = press(sandbox, "payment_intents", intent, "warn")
    [warning] = api.radar.early_fraud_warnings.list({"payment_intent": intent}).data
    assert place == f"/room/object/{warning.id}"


def test_refunds_and_payouts_fail_once(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=20000)
    refund = api.refunds.create({"payment_intent": pay(api).id, "amount": 4000}).id
    payout = api.payouts.create({"amount": 1000, "currency": "usd"}).id
    for kind, id, resource in (("refunds", refund, api.refunds), ("payouts", payout, api.payouts)):
        assert buttons(sandbox, id) == ["fail"]
        press(sandbox, kind, id, "fail")
        assert (resource.retrieve(id).status, buttons(sandbox, id)) == ("failed", [])
        press(sandbox, kind, id, "fail")
    assert sandbox.event_types().count("refund.failed") == 1


def test_an_account_is_moved_from_its_own_page_and_stays_on_it(api: Any, sandbox: Sandbox, coach: str) -> None:
    assert press(sandbox, "accounts", coach, "restrict", on="object") == f"/room/object/{coach}"
    assert press(sandbox, "accounts", coach, "deauthorize") == "/"
    assert buttons(sandbox, coach) == []
    assert buttons(sandbox, sandbox.get("health")["platform"]) == []


def test_ids_lead_to_their_objects(api: Any, sandbox: Sandbox, coach: str) -> None:
    session, intent = checkout(api).id, pay(api, transfer_data={"destination": coach})
    text = shown(sandbox, intent.id)
    for id in (intent.latest_charge, coach):
        assert f'<a href="/room/object/{id}">{id}</a>' in text
    assert f'<a href="/room/object/{intent.id}">' not in text
    assert "No such object" not in shown(sandbox, session)
    request = sandbox.get("requests")["data"][-1]["id"]
    assert f'<a href="/room/object/{intent.id}">' in visit(f"{sandbox.url}/room/request/{request}")[1]


def test_what_looks_like_an_id_or_markup_is_only_text(api: Any, sandbox: Sandbox) -> None:
    nasty = '"><script>alert(1)</script>'
    customer = api.customers.create({"name": nasty, "description": "ch_nothing", "metadata": {nasty[:9]: "pi_<b>"}}).id
    text = shown(sandbox, customer)
    assert "<script>" not in text
    assert "<b>" not in text
    assert "/room/object/ch_nothing" not in text
