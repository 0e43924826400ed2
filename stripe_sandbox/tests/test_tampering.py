"""The control calls that falsify the world: what they change, what stays true all the same, and what is refused."""

from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Refused, Sandbox, hold, onboarded, pay, refused


def tamper(sandbox: Sandbox, id: str, /, **fields: Any) -> Any:
    return sandbox.post(f"objects/{id}/tamper", set=fields)


def balances_add_up(sandbox: Sandbox) -> bool:
    return bool(sandbox.get("health")["balance_errors"] == [])


def told(sandbox: Sandbox) -> int:
    return len(sandbox.get("events")["data"])


def test_a_falsified_field_is_what_everybody_reads_and_nobody_is_told(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, metadata={"order": "7", "kept": "yes"})
    before = told(sandbox)
    tamper(sandbox, intent.id, amount=5, currency="eur", status="canceled", created=1)
    tamper(sandbox, intent.id, **{"metadata.order": None, "metadata.new": "there"})
    read = api.payment_intents.retrieve(intent.id)
    assert (read.amount, read.currency, read.status, read.created) == (5, "eur", "canceled", 1)
    assert dict(read.metadata) == {"kept": "yes", "new": "there"}
    assert told(sandbox) == before


def test_a_falsified_time_counts_in_filters(api: Any, sandbox: Sandbox) -> None:
    old, new = pay(api), pay(api)
    tamper(sandbox, old.id, created=old.created - 86400)
    listed = api.payment_intents.list({"created": {"gte": new.created}}).data
    assert [each.id for each in listed] == [new.id]


def test_a_transfer_can_have_gone_to_somebody_else(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=50000)
    transfer = api.transfers.create({"amount": 100, "currency": "usd", "destination": coach})
    other = onboarded(api, sandbox)
    tamper(sandbox, transfer.id, destination=other)
    assert api.transfers.retrieve(transfer.id).destination == other


@pytest.mark.parametrize("available", [True, False])
def test_a_falsified_balance_transaction_moves_the_balance(api: Any, sandbox: Sandbox, available: bool) -> None:
    made = sandbox.post("balance_transactions", amount=1000, fee=30, available=available)
    tamper(sandbox, made["id"], amount=-1000)
    tamper(sandbox, made["id"], currency="eur")
    read = api.balance_transactions.retrieve(made["id"])
    assert (read.amount, read.fee, read.net, read.currency) == (-1000, 30, -1030, "eur")
    assert balance(api) == (0, 0)
    assert balance(api, currency="eur") == ((-1030, 0) if available else (0, -1030))
    sandbox.advance(3 * 86400)
    assert balance(api, currency="eur") == (-1030, 0)
    assert balances_add_up(sandbox)


def test_what_is_erased_was_never_there(api: Any, sandbox: Sandbox) -> None:
    kept, gone = pay(api), pay(api)
    assert sandbox.post(f"objects/{gone.id}/erase") == {"id": gone.id, "erased": True}
    assert [each.id for each in api.payment_intents.list().data] == [kept.id]
    assert refused(lambda: api.payment_intents.retrieve(gone.id)).code == "resource_missing"
    with pytest.raises(Refused) as caught:
        sandbox.post(f"objects/{gone.id}/erase")
    assert caught.value.status == 404


def test_an_erased_balance_transaction_leaves_the_balance(api: Any, sandbox: Sandbox) -> None:
    pending = api.charges.retrieve(pay(api).latest_charge).balance_transaction
    at_once = sandbox.post("balance_transactions", amount=1000)["id"]
    for id in (pending, at_once):
        sandbox.post(f"objects/{id}/erase")
    assert balance(api) == (0, 0)
    sandbox.advance(3 * 86400)
    assert (balance(api), rows(api)) == ((0, 0), [])
    assert balances_add_up(sandbox)


def test_a_copy_takes_along_what_moved_its_money(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, 10000)
    before = told(sandbox)
    (names,) = sandbox.post(f"objects/{intent.id}/copy")["data"]
    copied = api.payment_intents.retrieve(names[intent.id])
    charge = api.charges.retrieve(copied.latest_charge)
    booked = api.balance_transactions.retrieve(charge.balance_transaction)
    assert {copied.id, charge.id, booked.id} == set(names.values())
    assert (charge.payment_intent, booked.source, booked.net) == (copied.id, charge.id, 9680)
    assert copied.client_secret.startswith(copied.id)
    assert balance(api) == (0, 2 * 9680)
    sandbox.advance(3 * 86400)
    assert balance(api) == (2 * 9680, 0)
    assert balances_add_up(sandbox)
    assert told(sandbox) == before + 1  # the balance has become available


def test_a_copied_transfer_is_money_moved_twice(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post("balance", amount=50000)
    transfer = api.transfers.create({"amount": 100, "currency": "usd", "destination": coach})
    sandbox.post(f"objects/{transfer.id}/copy")
    assert [each.amount for each in api.transfers.list().data] == [100, 100]
    assert (balance(api), balance(api, coach)) == ((49800, 0), (200, 0))
    assert balances_add_up(sandbox)


def test_thousands_of_copies_are_made_at_once(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api)
    made = sandbox.post(f"objects/{intent.id}/copy", count=2000)["data"]
    ids = {names[intent.id] for names in made} | {intent.id}
    assert len(ids) == 2001
    read = [each.id for each in api.payment_intents.list({"limit": 100}).auto_paging_iter()]
    assert (len(read), set(read)) == (2001, ids)
    assert balances_add_up(sandbox)


def test_a_copied_payment_takes_along_its_refund_and_what_went_to_the_destination(
    api: Any, sandbox: Sandbox, coach: str
) -> None:
    sandbox.post("balance", amount=50000)
    intent = destination_charge(api, coach)
    api.refunds.create({"payment_intent": intent.id, "amount": 1000})
    before = rows(api)
    (names,) = sandbox.post(f"objects/{intent.id}/copy")["data"]
    copied = api.payment_intents.retrieve(names[intent.id], {"expand": ["latest_charge.refunds"]})
    (refund,) = copied.latest_charge.refunds.data
    assert (refund.payment_intent, refund.charge, refund.amount) == (copied.id, copied.latest_charge.id, 1000)
    assert api.transfers.retrieve(copied.latest_charge.transfer).source_transaction == copied.latest_charge.id
    assert api.application_fees.retrieve(names[api.application_fees.list().data[1].id]).amount == 2000
    assert sorted(rows(api)) == sorted([*before, *before[1:]])  # the first one is the money of the beginning
    assert balances_add_up(sandbox)


def test_copies_can_be_told_apart_by_a_number(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, metadata={"order": "1", "kept": "yes"})
    made = sandbox.post(f"objects/{intent.id}/copy", count=3, numbered={"metadata.order": 7})["data"]
    copies = [api.payment_intents.retrieve(names[intent.id], {"expand": ["latest_charge"]}) for names in made]
    assert [dict(each.metadata) for each in copies] == [{"order": str(n), "kept": "yes"} for n in (7, 8, 9)]
    assert [each.latest_charge.metadata["order"] for each in copies] == ["7", "8", "9"]


def test_a_copied_hold_never_lapses(api: Any, sandbox: Sandbox) -> None:
    intent = hold(api)
    (names,) = sandbox.post(f"objects/{intent.id}/copy")["data"]
    sandbox.advance(30 * 86400)
    assert api.payment_intents.retrieve(intent.id).status == "canceled"
    assert api.payment_intents.retrieve(names[intent.id]).status == "requires_capture"


def test_money_moves_for_any_reason(api: Any, sandbox: Sandbox, coach: str) -> None:
    """Of a type that the library knows here, or else its answers could not be held against it."""
    made = sandbox.post(
        "balance_transactions", type="stripe_fee", amount=-250, source="ch_never_seen", created=1_700_000_000
    )
    assert (made["type"], made["net"], made["source"], made["created"]) == (
        "stripe_fee",
        -250,
        "ch_never_seen",
        1_700_000_000,
    )
    sandbox.post("balance_transactions", account=coach, type="reserve_transaction", amount=5, currency="eur")
    assert rows(api) == [("stripe_fee", -250, 0, "stripe_fee")]
    assert balance(api, coach, "eur") == (5, 0)
    assert balances_add_up(sandbox)


def test_a_type_that_nobody_knows_is_booked_too(sandbox: Sandbox) -> None:
    sandbox.post("balance_transactions", type="climate_levy", amount=-1)
    status, read, _ = sandbox.raw("GET", "/v1/balance_transactions")
    assert (status, [each["type"] for each in read["data"]]) == (200, ["climate_levy"])
    # What the library's classes don't name is told here alone.
    sandbox.post("reset")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "set must map the paths of fields to their values."),
        ({"id": "pi_1"}, "id of a payment_intent can't be changed."),
        ({"colour": "red"}, "There is no field colour in this payment_intent."),
        ({"amount.deep": 1}, "There is no field amount.deep in this payment_intent."),
        ({"amount": "5"}, "amount must be of the type that it was: int."),
        ({"amount": True}, "amount must be of the type that it was: int."),
        ({"amount": 5, "currency": "xxx"}, "Invalid currency: xxx."),
        ({"amount": 5, "metadata": {}}, "metadata can't be changed as a whole"),
        ({"payment_method_types": None}, "payment_method_types can't be changed as a whole"),
    ],
)
def test_what_no_object_could_be_is_refused(api: Any, sandbox: Sandbox, fields: dict[str, Any], words: str) -> None:
    intent = pay(api)
    before = api.payment_intents.retrieve(intent.id).to_dict()
    with pytest.raises(Refused) as caught:
        tamper(sandbox, intent.id, **fields)
    error = caught.value.body["error"]
    assert caught.value.status == 400
    assert (error if isinstance(error, str) else error["message"]).startswith(words)
    assert api.payment_intents.retrieve(intent.id).to_dict() == before


@pytest.mark.parametrize("field", ["net", "status", "available_on"])
def test_what_follows_from_other_fields_can_not_be_set(sandbox: Sandbox, field: str) -> None:
    made = sandbox.post("balance_transactions", amount=100)
    with pytest.raises(Refused) as caught:
        tamper(sandbox, made["id"], **{field: made[field]})
    assert caught.value.body["error"] == f"{field} of a balance_transaction can't be changed."


def test_the_platform_can_not_be_erased(sandbox: Sandbox) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.post(f"objects/{sandbox.get('health')['platform']}/erase")
    assert caught.value.status == 400


@pytest.mark.parametrize("count", [0, 10_001, "2"])
def test_no_number_of_copies_beyond_reason(api: Any, sandbox: Sandbox, count: Any) -> None:
    intent = pay(api)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"objects/{intent.id}/copy", count=count)
    assert caught.value.status == 400
    assert len(api.payment_intents.list().data) == 1
