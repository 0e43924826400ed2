"""What a dispute costs, takes as evidence and refuses; how an inquiry grows; and what a bank warns of beforehand."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from .books import balance, rows
from .conftest import Refused, Sandbox, hold, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


def opened(api: Any, sandbox: Sandbox, **fields: Any) -> Any:
    return sandbox.post("disputes", payment_intent=pay(api).id, **fields)["id"]


def told(sandbox: Sandbox, word: str) -> list[str]:
    return [each for each in sandbox.event_types() if word in each]


def upload(api: Any, purpose: str = "dispute_evidence") -> str:
    return str(api.files.create({"purpose": purpose, "file": io.BytesIO(b"%PDF-1.4 proof")}).id)


def test_countering_costs_a_fee_that_a_win_returns(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox)
    api.disputes.update(dispute, {"evidence": {"uncategorized_text": "winning_evidence"}})
    assert rows(api)[1:] == [
        ("adjustment", -10000, 1500, "dispute"),
        ("stripe_fee", -1500, 0, "fee"),
        ("adjustment", 10000, 0, "dispute_reversal"),
        ("stripe_fee", 1500, 0, "fee"),
    ]
    assert sum(balance(api)) == 10000 - 320 - 1500
    assert len(api.disputes.retrieve(dispute).balance_transactions) == 2


def test_a_loss_keeps_both_fees_and_silence_costs_one(api: Any, sandbox: Sandbox) -> None:
    countered = opened(api, sandbox)
    api.disputes.update(countered, {"evidence": {"uncategorized_text": "losing_evidence"}})
    assert rows(api)[-1] == ("stripe_fee", -1500, 0, "fee")
    api.disputes.close(opened(api, sandbox))
    assert [row[0] for row in rows(api)] == ["charge", "adjustment", "stripe_fee", "charge", "adjustment"]


def test_answering_an_inquiry_costs_nothing(api: Any, sandbox: Sandbox) -> None:
    inquiry = opened(api, sandbox, inquiry=True)
    answered = api.disputes.update(inquiry, {"evidence": {"customer_name": "Jo"}})
    assert answered.status == "warning_under_review"
    assert [row[0] for row in rows(api)] == ["charge"]


def test_staged_evidence_is_submitted_later_and_once(api: Any, sandbox: Sandbox) -> None:
    dispute, receipt = opened(api, sandbox), upload(api)
    api.disputes.update(dispute, {"evidence": {"receipt": receipt, "service_date": "1 May"}, "submit": False})
    staged = api.disputes.update(dispute, {"evidence": {"service_date": "2 May"}, "submit": False})
    assert (staged.status, staged.evidence.receipt, staged.evidence.service_date) == (
        "needs_response",
        receipt,
        "2 May",
    )
    sent = api.disputes.update(dispute, {"submit": True})
    assert (sent.status, sent.evidence_details.submission_count, sent.evidence_details.has_evidence) == (
        "under_review",
        1,
        True,
    )
    assert refused(lambda: api.disputes.update(dispute, {"submit": True})).param == "evidence"
    assert told(sandbox, "dispute.updated") == ["charge.dispute.updated"] * 3


def test_metadata_alone_submits_nothing(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox)
    changed = api.disputes.update(dispute, {"metadata": {"case": "7"}})
    assert (changed.status, changed.metadata.case) == ("needs_response", "7")
    assert changed.evidence_details.submission_count == 0
    assert told(sandbox, "dispute.updated") == ["charge.dispute.updated"]


def test_evidence_names_the_accounts_own_evidence_files(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox)
    error = refused(lambda: api.disputes.update(dispute, {"evidence": {"receipt": "file_unknown"}}))
    assert (error.code, error.param) == ("resource_missing", "evidence[receipt]")
    document = upload(api, "identity_document")
    assert refused(lambda: api.disputes.update(dispute, {"evidence": {"receipt": document}})).http_status == 400
    assert api.disputes.retrieve(dispute).status == "needs_response"


def test_evidence_has_a_longest_text_and_a_longest_whole(api: Any, sandbox: Sandbox) -> None:
    dispute = opened(api, sandbox)
    long = refused(lambda: api.disputes.update(dispute, {"evidence": {"uncategorized_text": "x" * 20001}}))
    assert long.param == "evidence[uncategorized_text]"
    names = ["access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal", "customer_name"]
    names += ["duplicate_charge_explanation", "product_description", "refund_policy_disclosure", "billing_address"]
    whole = refused(lambda: api.disputes.update(dispute, {"evidence": dict.fromkeys(names, "x" * 20000)}))
    assert whole.param == "evidence"
    assert api.disputes.retrieve(dispute).evidence_details.has_evidence is False


def test_an_inquiry_escalates_with_a_new_deadline(api: Any, sandbox: Sandbox) -> None:
    inquiry = opened(api, sandbox, inquiry=True)
    first = api.disputes.retrieve(inquiry).evidence_details.due_by
    sandbox.advance(30 * DAY)
    sandbox.post(f"disputes/{inquiry}/escalate")
    grown = api.disputes.retrieve(inquiry)
    assert (grown.status, grown.is_charge_refundable, grown.evidence_details.due_by > first + 25 * DAY) == (
        "needs_response",
        False,
        True,
    )
    assert grown.payment_method_details.card.case_type == "chargeback"
    assert told(sandbox, "dispute") == [
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.funds_withdrawn",
    ]
    assert refused(lambda: api.refunds.create({"charge": grown.charge})).code == "charge_disputed"
    with pytest.raises(Refused):
        sandbox.post(f"disputes/{inquiry}/escalate")
    sandbox.advance(22 * DAY)
    assert api.disputes.retrieve(inquiry).status == "lost"


def test_an_inquiry_nobody_answers_ends_after_120_days(api: Any, sandbox: Sandbox) -> None:
    inquiry = opened(api, sandbox, inquiry=True)
    sandbox.advance(119 * DAY)
    assert api.disputes.retrieve(inquiry).status == "warning_needs_response"
    sandbox.advance(2 * DAY)
    assert api.disputes.retrieve(inquiry).status == "warning_closed"
    assert told(sandbox, "dispute") == ["charge.dispute.created", "charge.dispute.closed"]


def test_several_disputes_of_one_charge_are_decided_each_for_itself(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_createMultipleDisputes")
    sandbox.advance(2)
    second, first = api.disputes.list({"payment_intent": intent.id}).data
    assert first.amount + second.amount == 10000
    sandbox.post(f"disputes/{first.id}/resolve", outcome="won")
    assert [each.status for each in api.disputes.list({"charge": intent.latest_charge}).data] == [
        "needs_response",
        "won",
    ]


def test_a_direct_charges_dispute_is_the_accounts(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.update(coach, {"capabilities": {"card_payments": {"requested": True}}})
    fields = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    intent = api.payment_intents.create({**fields, "payment_method_types": ["card"]}, {"stripe_account": coach})
    sandbox.post("disputes", payment_intent=intent.id)
    assert [each for each in sandbox.event_types(coach) if "dispute" in each] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
    ]
    assert told(sandbox, "dispute") == []
    # The fee and the dispute's fee: what the account is below zero, the platform stands in for.
    assert rows(api) == [("reserve_transaction", -(175 + 1500), 0, "connect_reserved_funds")]


def test_the_card_for_warnings_warns_and_a_dispute_settles_it(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_createIssuerFraudRecord")
    sandbox.advance(2)
    [warning] = api.radar.early_fraud_warnings.list({"payment_intent": intent.id}).data
    assert (warning.object, warning.charge, warning.actionable, warning.fraud_type) == (
        "radar.early_fraud_warning",
        intent.latest_charge,
        True,
        "made_with_stolen_card",
    )
    assert warning.id.startswith("issfr_")
    assert rows(api) == [("charge", 10000, 320, "charge")]
    sandbox.post("disputes", payment_intent=intent.id)
    assert api.radar.early_fraud_warnings.retrieve(warning.id).actionable is False
    assert told(sandbox, "radar") == ["radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"]


def test_a_full_refund_answers_a_warning(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("balance", amount=10000)
    intent = pay(api)
    warning = sandbox.post("early_fraud_warnings", payment_intent=intent.id, fraud_type="misc")
    api.refunds.create({"payment_intent": intent.id, "amount": 4000})
    assert api.radar.early_fraud_warnings.retrieve(warning["id"]).actionable is True
    api.refunds.create({"payment_intent": intent.id})
    assert api.radar.early_fraud_warnings.retrieve(warning["id"]).actionable is False


@pytest.mark.parametrize("fraud_type", ["boredom", 7])
def test_nonsense_warnings_are_refused(api: Any, sandbox: Sandbox, fraud_type: Any) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.post("early_fraud_warnings", payment_intent=pay(api).id, fraud_type=fraud_type)
    assert caught.value.status == 400
    with pytest.raises(Refused):
        sandbox.post("early_fraud_warnings", payment_intent=hold(api).id)
    assert api.radar.early_fraud_warnings.list().data == []
