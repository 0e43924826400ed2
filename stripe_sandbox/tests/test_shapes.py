"""What the package's classes name is there, at every depth; and what holds answers against them sees what is wrong."""

from typing import Any

import pytest

from stripe_sandbox import shapes

from . import contract
from .conftest import Refused, Sandbox, checkout, hold, pay


def test_an_object_within_an_object_has_its_fields_as_null(api: Any) -> None:
    charge = api.charges.retrieve(pay(api).latest_charge).to_dict()
    card = charge["payment_method_details"]["card"]
    assert {name: card[name] for name in ("description", "iin", "issuer", "moto", "three_d_secure", "wallet")} == (
        dict.fromkeys(("description", "iin", "issuer", "moto", "three_d_secure", "wallet"))
    )
    assert charge["outcome"]["rule"] is None


def test_only_the_key_of_its_own_type_is_sent(api: Any) -> None:
    intent = pay(api)
    charge = api.charges.retrieve(intent.latest_charge).to_dict()
    assert set(charge["payment_method_details"]) == {"card", "type"}
    assert set(intent.to_dict()["payment_method_options"]) == {"card"}


def test_what_is_within_an_event_or_a_refusal_is_complete_too(api: Any, sandbox: Sandbox) -> None:
    status, body, _ = sandbox.raw(
        "POST",
        "/v1/payment_intents",
        b"amount=500&currency=usd&confirm=true&payment_method=pm_card_chargeDeclined&payment_method_types[]=card",
    )
    assert status == 402
    assert body["error"]["payment_intent"]["payment_method_options"]["card"]["setup_future_usage"] is None
    failed = api.events.list({"type": "charge.failed"}).data[0].to_dict()
    assert failed["data"]["object"]["payment_method_details"]["card"]["issuer"] is None
    assert "previous_attributes" not in failed["data"]


def test_what_the_control_plane_shows_is_complete_too(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api)
    with pytest.raises(Refused) as declined:
        sandbox.post(f"checkout/{session.id}/pay", payment_method="pm_card_chargeDeclined")
    paid = sandbox.post(f"checkout/{session.id}/pay")
    dispute = sandbox.post("disputes", payment_intent=paid["payment_intent"])
    assert dispute["payment_method_details"]["card"]["network"] == "visa"
    assert list(contract.faults([paid, dispute, declined.value.body])) == []


def test_what_only_a_hold_has_goes_with_it(api: Any) -> None:
    held, taken = hold(api).latest_charge, pay(api).latest_charge
    assert api.charges.retrieve(held).to_dict()["payment_method_details"]["card"]["capture_before"]
    assert "capture_before" not in api.charges.retrieve(taken).to_dict()["payment_method_details"]["card"]


def test_what_is_stored_stays_as_it_is() -> None:
    stored = {"object": "charge", "outcome": {"type": "authorized"}}
    shapes.complete(stored)
    assert stored == {"object": "charge", "outcome": {"type": "authorized"}}


def test_a_deleted_object_is_left_alone() -> None:
    gone = {"id": "cus_1", "object": "customer", "deleted": True}
    assert shapes.complete({"data": [gone], "object": "list"}) == {"data": [gone], "object": "list"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"colour": "red"}, "payout.colour is not of the class"),
        ({"amount": "700"}, "payout.amount is '700'"),
        ({"amount": None}, "payout.amount is None"),
        ({"automatic": 1}, "payout.automatic is 1"),
        ({"reconciliation_status": "slow"}, "payout.reconciliation_status is 'slow'"),
        ({"metadata": {"week": 1}}, "payout.metadata.week is 1"),
        ({"trace_id": {"status": "pending"}}, "payout.trace_id.value is missing"),
        ({"trace_id": []}, "payout.trace_id is a list"),
        ({"description": {}}, "payout.description is a hash"),
        (
            {"destination": {"id": "ba_1", "object": "bank_account", "deleted": True, "last4": "6789"}},
            "bank_account is",
        ),
    ],
)
def test_the_contract_is_broken_by(api: Any, sandbox: Sandbox, change: dict[str, Any], fault: str) -> None:
    sandbox.post("balance", amount=5000)
    payout = api.payouts.create({"amount": 700, "currency": "usd"}).to_dict()
    assert list(contract.faults({"data": [payout], "object": "list"})) == []
    assert [each[: len(fault)] for each in contract.faults(payout | change)] == [fault]


def test_the_contract_is_broken_by_a_field_that_is_not_there(api: Any) -> None:
    intent = pay(api).to_dict()
    del intent["application"], intent["payment_method_options"]["card"]["network"]
    assert sorted(contract.faults(intent)) == [
        "payment_intent.application is missing",
        "payment_intent.payment_method_options.card.network is missing",
    ]


def test_what_is_made_for_an_account_names_the_application(api: Any, sandbox: Sandbox) -> None:
    coach = api.accounts.create(
        {"type": "custom", "country": "US", "capabilities": {"transfers": {"requested": True}}}
    ).id
    own = api.setup_intents.create({}).application
    theirs = api.setup_intents.create({}, {"stripe_account": coach})
    of_intent = api.payment_intents.create({"amount": 500, "currency": "usd"}, {"stripe_account": coach}).application
    assert own is None
    assert theirs.application == of_intent
    assert of_intent.startswith("ca_")
