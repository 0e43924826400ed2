"""Disputes: opened, answered, won, lost, with the money and the events of each."""

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Refused, Sandbox, hold, pay, refused

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def opened(api: Any, sandbox: Sandbox, **fields: Any) -> Any:
    intent = pay(api)
    return api.disputes.retrieve(sandbox.post("disputes", payment_intent=intent.id, **fields)["id"])


def told(sandbox: Sandbox) -> list[str]:
    return [each for each in sandbox.event_types() if "dispute" in each]


def test_a_chargeback_takes_the_money_and_a_fee(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox, reason="product_not_received")
    assert (dispute.status, dispute.amount, dispute.reason, dispute.is_charge_refundable) == (
        "needs_response",
        10000,
        "product_not_received",
        False,
    )
    [row] = dispute.balance_transactions
    assert (row.type, row.amount, row.fee, row.net, row.reporting_category) == (
        "adjustment",
        -10000,
        1500,
        -11500,
        "dispute",
    )
    assert row.description == f"Chargeback withdrawal for {dispute.charge}"
    assert dispute.evidence_details.due_by % DAY == DAY - 1
    assert api.charges.retrieve(dispute.charge).disputed is True
    assert told(sandbox) == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    error = refused(lambda: api.refunds.create({"charge": dispute.charge}))
    assert (error.code, error.user_message) == (
        "charge_disputed",
        f"Charge {dispute.charge} has been charged back; cannot issue a refund.",
    )


@pytest.mark.parametrize(
    ("text", "status", "events"),
    [
        (
            "winning_evidence",
            "won",
            ["charge.dispute.updated", "charge.dispute.funds_reinstated", "charge.dispute.closed"],
        ),
        ("losing_evidence", "lost", ["charge.dispute.updated", "charge.dispute.closed"]),
        ("we did teach", "under_review", ["charge.dispute.updated"]),
    ],
)
def test_evidence_decides(api: Any, sandbox: Sandbox, text: str, status: str, events: list[str]) -> None:
    dispute = opened(api, sandbox)
    api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})
    done = api.disputes.retrieve(dispute.id)
    assert (done.status, done.evidence_details.submission_count) == (status, 1)
    assert told(sandbox)[2:] == events
    assert refused(lambda: api.disputes.update(dispute.id, {"evidence": {"service_date": "x"}})).http_status == 400


def test_evidence_can_be_staged(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox)
    staged = api.disputes.update(dispute.id, {"evidence": {"customer_name": "Jo"}, "submit": False})
    assert (staged.status, staged.evidence.customer_name, staged.evidence_details.has_evidence) == (
        "needs_response",
        "Jo",
        True,
    )
    assert staged.evidence_details.submission_count == 0


@pytest.mark.parametrize(
    ("outcome", "status", "amounts"), [("won", "won", [-10000, 10000]), ("lost", "lost", [-10000])]
)
def test_the_bank_decides(api: Any, sandbox: Sandbox, outcome: str, status: str, amounts: list[int]) -> None:
    dispute = opened(api, sandbox)
    sandbox.post(f"disputes/{dispute.id}/resolve", outcome=outcome)
    done = api.disputes.retrieve(dispute.id)
    assert (done.status, [row.amount for row in done.balance_transactions]) == (status, amounts)
    with pytest.raises(Refused):
        sandbox.post(f"disputes/{dispute.id}/resolve", outcome=outcome)


def test_closing_accepts_it_and_silence_loses_it(api: Any, sandbox: Sandbox) -> None:
    assert api.disputes.close(opened(api, sandbox).id).status == "lost"
    silent = opened(api, sandbox)
    sandbox.post("clock", set=silent.evidence_details.due_by - 2)
    assert api.disputes.retrieve(silent.id).status == "needs_response"
    sandbox.advance(3)
    assert api.disputes.retrieve(silent.id).status == "lost"


def test_an_inquiry_moves_nothing_and_ends_with_a_refund(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=10000)
    inquiry = opened(api, sandbox, inquiry=True)
    assert (inquiry.status, inquiry.balance_transactions, inquiry.is_charge_refundable) == (
        "warning_needs_response",
        [],
        True,
    )
    assert told(sandbox) == ["charge.dispute.created"]
    api.refunds.create({"charge": inquiry.charge})
    assert api.disputes.retrieve(inquiry.id).status == "warning_closed"


def test_an_inquiry_can_become_a_chargeback(api: Any, sandbox: Sandbox) -> None:
    inquiry = opened(api, sandbox, inquiry=True)
    api.disputes.update(inquiry.id, {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}})
    assert (api.disputes.retrieve(inquiry.id).status, told(sandbox)[-1]) == (
        "needs_response",
        "charge.dispute.funds_withdrawn",
    )


@pytest.mark.parametrize(
    ("card", "statuses"),
    [
        ("pm_card_createDispute", ["needs_response"]),
        ("pm_card_createDisputeInquiry", ["warning_needs_response"]),
        ("pm_card_createMultipleDisputes", ["needs_response", "needs_response"]),
    ],
)
def test_test_cards_dispute_soon(api: Any, sandbox: Sandbox, card: str, statuses: list[str]) -> None:
    intent = pay(api, card=card)
    sandbox.advance(2)
    assert [each.status for each in api.disputes.list({"payment_intent": intent.id}).data] == statuses


def test_what_was_not_taken_cannot_be_disputed(api: Any, sandbox: Sandbox) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.post("disputes", payment_intent=hold(api).id)
    assert caught.value.status == 400
    assert api.disputes.list().data == []


def test_a_part_of_a_charge_can_be_disputed(api: Any, sandbox: Sandbox) -> None:
    assert opened(api, sandbox, amount=2500).amount == 2500
    assert opened(api, sandbox).amount == 10000


@pytest.mark.parametrize("amount", [0, 10001, "2500"])
def test_a_dispute_is_about_something_and_at_most_all_of_it(api: Any, sandbox: Sandbox, amount: Any) -> None:
    with pytest.raises(Refused):
        opened(api, sandbox, amount=amount)
    assert told(sandbox) == []
