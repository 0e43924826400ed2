"""Disputes line by line: every way from one status to another with its events and its money, and every way that is closed."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .books import balance, destination_charge, rows
from .conftest import Refused, Sandbox, hold, pay, refused

pytestmark = pytest.mark.thorough

DAY = 86400
CREATED, UPDATED, CLOSED, WITHDRAWN, REINSTATED = (
    f"charge.dispute.{each}" for each in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
)
TAKEN = ("adjustment", -10000, 1500, "dispute")
FEE = ("stripe_fee", -1500, 0, "fee")
GIVEN_BACK = ("adjustment", 10000, 0, "dispute_reversal")
FEE_BACK = ("stripe_fee", 1500, 0, "fee")


@pytest.fixture(autouse=True)
def _books_balance(sandbox: Sandbox) -> Iterator[None]:
    yield
    assert sandbox.get("health")["balance_errors"] == []


class Case:
    """One charge of 100.00 with a dispute, and what can be done to it."""

    def __init__(self, api: Any, sandbox: Sandbox, *, inquiry: bool = False) -> None:
        self.api, self.sandbox = api, sandbox
        self.charge = pay(api).latest_charge
        self.told_before = len(sandbox.event_types())
        intent = api.charges.retrieve(self.charge).payment_intent
        self.id = sandbox.post("disputes", payment_intent=intent, inquiry=inquiry)["id"]

    def shown(self) -> Any:
        return self.api.disputes.retrieve(self.id)

    def said(self, text: str, **fields: Any) -> None:
        self.api.disputes.update(self.id, {"evidence": {"uncategorized_text": text}, **fields})

    def do(self, deed: str) -> None:
        deeds: dict[str, Callable[[], Any]] = {
            "stage": lambda: self.said("we did teach", submit=False),
            "submit": lambda: self.said("we did teach"),
            "submit a win": lambda: self.said("winning_evidence"),
            "submit a loss": lambda: self.said("losing_evidence"),
            "submit an escalation": lambda: self.said("escalate_inquiry_evidence"),
            "bank: won": lambda: self.sandbox.post(f"disputes/{self.id}/resolve", outcome="won"),
            "bank: lost": lambda: self.sandbox.post(f"disputes/{self.id}/resolve", outcome="lost"),
            "bank: escalates": lambda: self.sandbox.post(f"disputes/{self.id}/escalate"),
            "close": lambda: self.api.disputes.close(self.id),
            "wait 21 days": lambda: self.sandbox.advance(21 * DAY),
            "wait 121 days": lambda: self.sandbox.advance(121 * DAY),
        }
        deeds[deed]()

    def told(self) -> list[str]:
        return [each for each in self.sandbox.event_types()[self.told_before :] if each.startswith("charge.")]


# What is done after a chargeback; the status it ends in; what is told and booked after the opening.
@pytest.mark.parametrize(
    ("deeds", "status", "events", "booked"),
    [
        ([], "needs_response", [], []),
        (["stage"], "needs_response", [UPDATED], []),
        (["submit"], "under_review", [UPDATED], [FEE]),
        (["stage", "submit"], "under_review", [UPDATED, UPDATED], [FEE]),
        (["submit a win"], "won", [UPDATED, REINSTATED, CLOSED], [FEE, GIVEN_BACK, FEE_BACK]),
        (["submit a loss"], "lost", [UPDATED, CLOSED], [FEE]),
        (["submit", "bank: won"], "won", [UPDATED, REINSTATED, CLOSED], [FEE, GIVEN_BACK, FEE_BACK]),
        (["submit", "bank: lost"], "lost", [UPDATED, CLOSED], [FEE]),
        (["bank: won"], "won", [REINSTATED, CLOSED], [GIVEN_BACK]),
        (["bank: lost"], "lost", [CLOSED], []),
        (["close"], "lost", [CLOSED], []),
        (["wait 21 days"], "lost", [CLOSED], []),
        (["stage", "wait 21 days"], "lost", [UPDATED, CLOSED], []),
        (["submit", "wait 21 days"], "under_review", [UPDATED], [FEE]),
        (["submit an escalation"], "under_review", [UPDATED], [FEE]),
    ],
)
def test_a_chargeback(
    api: Any, sandbox: Sandbox, deeds: list[str], status: str, *, events: list[str], booked: list[Any]
) -> None:
    case = Case(api, sandbox)
    for deed in deeds:
        case.do(deed)
    assert case.shown().status == status
    assert case.told() == ["charge.updated", CREATED, WITHDRAWN, *events]
    assert rows(api)[1:] == [TAKEN, *booked]


@pytest.mark.parametrize(
    ("deeds", "status", "events", "booked"),
    [
        ([], "warning_needs_response", [], []),
        (["stage"], "warning_needs_response", [UPDATED], []),
        (["submit"], "warning_under_review", [UPDATED], []),
        (["submit", "wait 121 days"], "warning_closed", [UPDATED, CLOSED], []),
        (["wait 21 days"], "warning_needs_response", [], []),
        (["wait 121 days"], "warning_closed", [CLOSED], []),
        (["close"], "warning_closed", [CLOSED], []),
        (["submit", "close"], "warning_closed", [UPDATED, CLOSED], []),
        (["submit a win"], "warning_closed", [UPDATED, CLOSED], []),
        (["submit a loss"], "warning_closed", [UPDATED, CLOSED], []),
        (["bank: won"], "warning_closed", [CLOSED], []),
        (["bank: escalates"], "needs_response", [UPDATED, WITHDRAWN], [TAKEN]),
        (["submit", "bank: escalates"], "needs_response", [UPDATED, UPDATED, WITHDRAWN], [TAKEN]),
        (["submit an escalation"], "needs_response", [UPDATED, UPDATED, WITHDRAWN], [TAKEN]),
        (
            ["bank: escalates", "submit a win"],
            "won",
            [UPDATED, WITHDRAWN, UPDATED, REINSTATED, CLOSED],
            [TAKEN, FEE, GIVEN_BACK, FEE_BACK],
        ),
        (["bank: escalates", "wait 21 days"], "lost", [UPDATED, WITHDRAWN, CLOSED], [TAKEN]),
        (["bank: escalates", "submit", "wait 121 days"], "under_review", [UPDATED, WITHDRAWN, UPDATED], [TAKEN, FEE]),
    ],
)
def test_an_inquiry(
    api: Any, sandbox: Sandbox, deeds: list[str], status: str, *, events: list[str], booked: list[Any]
) -> None:
    case = Case(api, sandbox, inquiry=True)
    for deed in deeds:
        case.do(deed)
    assert case.shown().status == status
    assert case.told() == [CREATED, *events]
    assert rows(api)[1:] == booked


@pytest.mark.parametrize("inquiry", [False, True])
@pytest.mark.parametrize("end", ["bank: won", "bank: lost", "close"])
@pytest.mark.parametrize("deed", ["stage", "submit", "bank: won", "bank: lost", "bank: escalates", "close"])
def test_what_has_ended_changes_no_more(api: Any, sandbox: Sandbox, *, inquiry: bool, end: str, deed: str) -> None:
    case = Case(api, sandbox, inquiry=inquiry)
    case.do(end)
    before = case.shown().to_dict(), case.told(), rows(api)
    if deed.startswith("bank"):
        with pytest.raises(Refused):
            case.do(deed)
    else:
        assert refused(lambda: case.do(deed)).http_status == 400
    assert (case.shown().to_dict(), case.told(), rows(api)) == before


@pytest.mark.parametrize("deed", ["stage", "submit", "close", "bank: escalates"])
def test_what_the_bank_is_looking_at_is_out_of_the_platforms_hands(api: Any, sandbox: Sandbox, deed: str) -> None:
    case = Case(api, sandbox)
    case.do("submit")
    told = case.told()
    if deed.startswith("bank"):
        with pytest.raises(Refused):
            case.do(deed)
    else:
        assert refused(lambda: case.do(deed)).http_status == 400
    shown = case.shown()
    assert (shown.status, shown.evidence_details.submission_count, case.told()) == ("under_review", 1, told)


def test_evidence_details_say_how_far_it_is(api: Any, sandbox: Sandbox) -> None:
    def details(case: Case) -> tuple[bool, int, bool]:
        shown = case.shown().evidence_details
        return shown.has_evidence, shown.submission_count, shown.past_due

    case, late = Case(api, sandbox), Case(api, sandbox)
    assert details(case) == (False, 0, False)
    case.do("stage")
    assert details(case) == (True, 0, False)
    case.do("submit")
    assert details(case) == (True, 1, False)
    due = late.shown().evidence_details.due_by
    assert (due + 1) % DAY == 0
    assert 20 * DAY <= due - late.shown().created < 21 * DAY
    sandbox.post("clock", set=due + 1)
    assert details(late) == (False, 0, True)
    assert details(case) == (True, 1, False)


def test_the_events_of_the_money_carry_its_transactions(api: Any, sandbox: Sandbox) -> None:
    case = Case(api, sandbox)
    case.do("submit a win")
    by_type = {event["type"]: event["data"] for event in sandbox.get("events")["data"]}
    for type, amounts in ((CREATED, [-10000]), (WITHDRAWN, [-10000]), (REINSTATED, [-10000, 10000])):
        booked = by_type[type]["object"]["balance_transactions"]
        assert [each["amount"] for each in booked] == amounts
    assert by_type["charge.updated"]["previous_attributes"] == {"disputed": False}
    assert by_type[UPDATED]["previous_attributes"]["status"] == "needs_response"
    assert [
        (each.amount, each.type, each.description) for each in case.shown().balance_transactions[0].fee_details
    ] == [(1500, "stripe_fee", "Dispute fee")]
    assert case.shown().balance_transactions[1].description == f"Chargeback reversal for {case.charge}"


@pytest.mark.parametrize(
    "field",
    [
        "cancellation_policy",
        "customer_communication",
        "customer_signature",
        "duplicate_charge_documentation",
        "receipt",
        "refund_policy",
        "service_documentation",
        "shipping_documentation",
        "uncategorized_file",
    ],
)
def test_files_of_evidence_are_files(api: Any, sandbox: Sandbox, field: str) -> None:
    case = Case(api, sandbox)
    assert (
        refused(lambda: api.disputes.update(case.id, {"evidence": {field: "our policy"}})).param == f"evidence[{field}]"
    )
    file = api.files.create({"purpose": "dispute_evidence", "file": io.BytesIO(b"%PDF-1.4 proof")}).id
    staged = api.disputes.update(case.id, {"evidence": {field: file}, "submit": False})
    assert staged.evidence[field] == file


def test_texts_of_evidence_have_exact_limits(api: Any, sandbox: Sandbox) -> None:
    case = Case(api, sandbox)
    texts = ["access_activity_log", "cancellation_policy_disclosure", "cancellation_rebuttal", "product_description"]
    texts += ["duplicate_charge_explanation", "refund_policy_disclosure", "refund_refusal_explanation"]
    for name in texts:
        api.disputes.update(case.id, {"evidence": {name: "x" * 20000}, "submit": False})
    last = {"submit": False, "evidence": {"uncategorized_text": "x" * 10001}}
    assert refused(lambda: api.disputes.update(case.id, last)).param == "evidence"
    api.disputes.update(case.id, {"submit": False, "evidence": {"uncategorized_text": "x" * 10000}})
    assert refused(lambda: api.disputes.update(case.id, {"evidence": {"witness": "me"}})).code == "parameter_unknown"
    assert case.shown().status == "needs_response"


def test_a_destination_charges_dispute_is_the_platforms_and_reverses_nothing(
    api: Any, sandbox: Sandbox, coach: str
) -> None:
    intent = destination_charge(api, coach, on_behalf_of=coach)
    account = balance(api, coach), rows(api, coach)
    sandbox.post("disputes", payment_intent=intent.id)
    assert rows(api)[-1] == TAKEN
    assert (balance(api, coach), rows(api, coach)) == account
    transfer = api.charges.retrieve(intent.latest_charge).transfer
    assert api.transfers.retrieve(transfer).amount_reversed == 0
    assert [each for each in sandbox.event_types(coach) if "dispute" in each] == []
    api.transfers.reversals.create(transfer, {"amount": 8000})
    assert sum(balance(api, coach)) == 0
    [dispute] = api.disputes.list({"payment_intent": intent.id}).data
    sandbox.post(f"disputes/{dispute.id}/resolve", outcome="won")
    terms = {"amount": 8000, "currency": "usd", "destination": coach}
    assert refused(lambda: api.transfers.create(terms)).code == "balance_insufficient"
    sandbox.post("balance", amount=20000)
    assert api.transfers.create(terms).amount == 8000


def test_the_platform_stands_in_for_an_account_that_cannot_pay_its_dispute(
    api: Any, sandbox: Sandbox, coach: str
) -> None:
    api.accounts.capabilities.update(coach, "card_payments", {"requested": True})
    terms = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    intent = api.payment_intents.create({**terms, "payment_method_types": ["card"]}, {"stripe_account": coach})
    sandbox.post("balance", account=coach, amount=-sum(balance(api, coach)))
    sandbox.post("disputes", payment_intent=intent.id)
    assert sum(balance(api, coach)) == -6500
    assert [each.amount for each in api.balance.retrieve().connect_reserved] == [6500]


# What is done to the charge's dispute, and whether a refund is possible afterwards.
@pytest.mark.parametrize(
    ("inquiry", "deeds", "possible"),
    [
        (False, [], False),
        (False, ["submit"], False),
        (False, ["bank: lost"], False),
        (False, ["close"], False),
        (False, ["bank: won"], True),
        (True, [], True),
        (True, ["submit"], True),
        (True, ["close"], True),
        (True, ["bank: escalates"], False),
    ],
)
def test_a_refund_while_disputed(
    api: Any, sandbox: Sandbox, *, inquiry: bool, deeds: list[str], possible: bool
) -> None:
    sandbox.post("balance", amount=20000)
    case = Case(api, sandbox, inquiry=inquiry)
    for deed in deeds:
        case.do(deed)
    if possible:
        assert api.refunds.create({"charge": case.charge}).status == "succeeded"
        assert case.shown().status in ("warning_closed", "won")
    else:
        error = refused(lambda: api.refunds.create({"charge": case.charge}))
        assert (error.http_status, error.code) == (400, "charge_disputed")
        assert api.refunds.list().data == []


def test_part_of_a_refund_leaves_an_inquiry_open_and_what_grows_of_it_smaller(api: Any, sandbox: Sandbox) -> None:
    case = Case(api, sandbox, inquiry=True)
    api.refunds.create({"charge": case.charge, "amount": 4000})
    assert case.shown().status == "warning_needs_response"
    case.do("bank: escalates")
    assert case.shown().amount == 6000
    assert rows(api)[-1] == ("adjustment", -6000, 1500, "dispute")


def test_part_of_a_charge_is_disputed_and_the_platform_may_owe_it(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api, card="pm_card_bypassPending")
    sandbox.post("balance", amount=-balance(api)[0])
    for amount in (2500, 7000):
        assert sandbox.post("disputes", payment_intent=intent.id, amount=amount)["amount"] == amount
    assert balance(api) == (-2500 - 7000 - 2 * 1500, 0)
    for nonsense in (0, 501, "all", True):
        with pytest.raises(Refused) as caught:
            sandbox.post("disputes", payment_intent=intent.id, amount=nonsense)
        assert caught.value.status == 400
    first = api.disputes.list({"charge": intent.latest_charge}).data[1]
    sandbox.post(f"disputes/{first.id}/resolve", outcome="won")
    assert [row.amount for row in api.disputes.retrieve(first.id).balance_transactions] == [-2500, 2500]
    assert sandbox.post("disputes", payment_intent=intent.id)["amount"] == 3000


def test_one_won_dispute_does_not_free_a_charge_with_another(api: Any, sandbox: Sandbox) -> None:
    charge = pay(api, card="pm_card_createMultipleDisputes").latest_charge
    sandbox.advance(2)
    first, second = api.disputes.list({"charge": charge}).data
    sandbox.post(f"disputes/{first.id}/resolve", outcome="won")
    assert refused(lambda: api.refunds.create({"charge": charge})).code == "charge_disputed"
    sandbox.post(f"disputes/{second.id}/resolve", outcome="won")
    assert api.refunds.create({"charge": charge}).amount == 10000


def test_a_charge_is_disputed_only_as_far_as_it_reaches(api: Any, sandbox: Sandbox) -> None:
    intent = pay(api)
    api.refunds.create({"payment_intent": intent.id, "amount": 3000})
    assert sandbox.post("disputes", payment_intent=intent.id)["amount"] == 7000
    with pytest.raises(Refused) as caught:
        sandbox.post("disputes", payment_intent=intent.id)
    assert caught.value.status == 400
    refunded = pay(api)
    sandbox.post("balance", amount=20000)
    api.refunds.create({"payment_intent": refunded.id})
    for untouchable in (refunded, hold(api)):
        with pytest.raises(Refused):
            sandbox.post("disputes", payment_intent=untouchable.id)
    assert len(api.disputes.list().data) == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("fraudulent", "10.4"),
        ("product_not_received", "13.1"),
        ("duplicate", "12.6.1"),
        ("credit_not_processed", "13.6"),
        ("general", "10.4"),
    ],
)
def test_a_dispute_names_its_reason_twice(api: Any, sandbox: Sandbox, reason: str, code: str) -> None:
    shown = api.disputes.retrieve(sandbox.post("disputes", payment_intent=pay(api).id, reason=reason)["id"])
    card = shown.payment_method_details.card
    assert (shown.reason, shown.network_reason_code, card.network_reason_code) == (reason, code, code)
    assert (card.brand, card.network, card.case_type) == ("visa", "visa", "chargeback")


def test_an_unknown_reason_is_refused(api: Any, sandbox: Sandbox) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.post("disputes", payment_intent=pay(api).id, reason="prevented")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("before", "actionable"), [(None, True), ("part", True), ("refund", False), ("chargeback", False)]
)
def test_a_warning_is_actionable_while_there_is_something_to_do(
    api: Any, sandbox: Sandbox, before: str | None, *, actionable: bool
) -> None:
    sandbox.post("balance", amount=20000)
    intent = pay(api)
    if before == "chargeback":
        sandbox.post("disputes", payment_intent=intent.id)
    elif before:
        api.refunds.create({"payment_intent": intent.id, "amount": 10000 if before == "refund" else 100})
    id = sandbox.post("early_fraud_warnings", payment_intent=intent.id, fraud_type="misc")["id"]
    warning = api.radar.early_fraud_warnings.retrieve(id)
    assert (warning.actionable, warning.fraud_type) == (actionable, "misc")
    assert [each.id for each in api.radar.early_fraud_warnings.list({"charge": intent.latest_charge}).data] == [id]
    assert sandbox.event_types()[-1] == "radar.early_fraud_warning.created"
    assert refused(lambda: api.radar.early_fraud_warnings.retrieve("issfr_none")).http_status == 404
