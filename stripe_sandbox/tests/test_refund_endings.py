"""How refunds end other than at once: failing, waiting for their customer, cancelled, expired; and charges that are edited."""

from collections.abc import Iterator
from typing import Any

import pytest

from .books import rows
from .conftest import Refused, Sandbox, pay, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


@pytest.fixture
def refund(api: Any, sandbox: Sandbox) -> Any:
    sandbox.post("balance", amount=20000)
    return api.refunds.create({"payment_intent": pay(api).id, "amount": 4000})


def test_a_waiting_refund_can_be_cancelled(api: Any, sandbox: Sandbox, refund: Any) -> None:
    waiting = sandbox.post(f"refunds/{refund.id}/require_action")
    assert (waiting["status"], waiting["next_action"]["type"]) == ("requires_action", "display_details")
    done = api.refunds.cancel(refund.id)
    assert (done.status, api.charges.retrieve(refund.charge).amount_refunded) == ("canceled", 0)
    assert rows(api)[-2:] == [("refund", -4000, 0, "refund"), ("refund_failure", 4000, 0, "refund_failure")]
    assert sandbox.event_types()[-2:] == ["charge.refund.updated", "refund.updated"]
    assert api.refunds.create({"charge": refund.charge}).amount == 10000


def test_a_waiting_refund_can_be_expired_or_expires(api: Any, sandbox: Sandbox, refund: Any) -> None:
    other = api.refunds.create({"charge": refund.charge, "amount": 1000})
    for each in (refund, other):
        sandbox.post(f"refunds/{each.id}/require_action")
    assert api.test_helpers.refunds.expire(refund.id).status == "failed"
    assert sandbox.event_types()[-1] == "refund.failed"
    sandbox.advance(45 * DAY + 1)
    assert api.refunds.retrieve(other.id).status == "failed"


def test_only_a_waiting_refund_is_cancelled_or_expired(api: Any, refund: Any) -> None:
    assert "has a status of succeeded" in refused(lambda: api.refunds.cancel(refund.id)).user_message
    assert refused(lambda: api.test_helpers.refunds.expire(refund.id)).http_status == 400
    assert refused(lambda: api.refunds.cancel("re_none")).http_status == 404
    assert api.refunds.retrieve(refund.id).status == "succeeded"


def test_a_refund_can_fail_long_after(api: Any, sandbox: Sandbox, refund: Any) -> None:
    sandbox.advance(5 * DAY)
    sandbox.post(f"refunds/{refund.id}/fail", failure_reason="lost_or_stolen_card")
    failed = api.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "lost_or_stolen_card")
    assert failed.failure_balance_transaction.startswith("txn_")
    assert sandbox.event_types()[-3:] == ["charge.refund.updated", "refund.updated", "refund.failed"]
    with pytest.raises(Refused):
        sandbox.post(f"refunds/{refund.id}/fail")
    assert rows(api)[-1] == ("refund_failure", 4000, 0, "refund_failure")


def test_a_refund_is_found_under_its_charge_only(api: Any, refund: Any) -> None:
    other = pay(api).latest_charge
    assert api.charges.retrieve(refund.charge, {"expand": ["refunds"]}).refunds.data[0].id == refund.id
    assert [each.id for each in api.refunds.list({"charge": refund.charge}).data] == [refund.id]
    assert api.refunds.list({"charge": other}).data == []


def test_nested_refunds_belong_to_their_charge(api: Any, sandbox: Sandbox, refund: Any) -> None:
    assert sandbox.raw("GET", f"/v1/charges/{refund.charge}/refunds/{refund.id}")[1]["amount"] == 4000
    assert sandbox.raw("GET", f"/v1/charges/{pay(api).latest_charge}/refunds/{refund.id}")[0] == 404


def test_a_charge_can_be_annotated(api: Any, sandbox: Sandbox) -> None:
    charge, customer = pay(api).latest_charge, api.customers.create({}).id
    changed = api.charges.update(
        charge,
        {
            "customer": customer,
            "description": "Lesson",
            "fraud_details": {"user_report": "safe"},
            "metadata": {"a": "1"},
            "transfer_group": "g",
        },
    )
    assert (changed.description, changed.fraud_details.user_report, changed.metadata.a) == ("Lesson", "safe", "1")
    assert sandbox.event_types()[-1] == "charge.updated"
    assert refused(lambda: api.charges.update(charge, {"transfer_group": "h"})).param == "transfer_group"
    assert refused(lambda: api.charges.update(charge, {"customer": api.customers.create({}).id})).param == "customer"
    assert api.charges.retrieve(charge).transfer_group == "g"


def test_a_charge_of_an_intent_is_not_captured_by_itself(api: Any) -> None:
    intent = pay(api, capture_method="manual")
    assert "capture that instead" in refused(lambda: api.charges.capture(intent.latest_charge)).user_message
    assert api.payment_intents.retrieve(intent.id).status == "requires_capture"
