"""Money at random: whatever is done, in whatever order, every balance is the sum of its transactions and nothing is given back twice."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stripe

from .conftest import Refused, Sandbox, hold, onboarded, pay

DAY = 86400
STEPS = 40
SPENT = ("needs_response", "under_review", "lost")  # disputes that hold their amount


class Walk:
    """A platform and two accounts, to which things happen that the seed decides."""

    def __init__(self, api: Any, sandbox: Sandbox, seed: int) -> None:
        self.api, self.sandbox, self.random = api, sandbox, random.Random(seed)
        self.coaches = [onboarded(api, sandbox) for _ in range(2)]
        for coach in self.coaches:
            api.accounts.capabilities.update(coach, "card_payments", {"requested": True})
        self.deeds: list[Callable[[], Any]] = [
            self.charge,
            self.charge,
            self.charge_for_coach,
            self.charge_for_coach,
            self.charge_by_coach,
            self.capture_part,
            self.refund,
            self.refund,
            self.refund_of_coach,
            self.fail_refund,
            self.transfer,
            self.transfer_of_charge,
            self.reverse,
            self.return_fee,
            self.dispute,
            self.decide,
            self.answer,
            self.pay_out,
            self.top_up,
            self.wait,
        ]

    def step(self) -> str:
        """Does one thing at random; the API may refuse it, but only in its own words."""
        deed = self.random.choice(self.deeds)
        try:
            deed()
        except stripe.StripeError as error:
            if error.http_status not in (400, 402):
                raise
            return f"{deed.__name__}: {error.user_message}"
        except Refused as error:
            if error.status != 400:
                raise
            return f"{deed.__name__}: {error}"
        return deed.__name__

    def some(self, resource: Any, **options: Any) -> Any:
        """One of the last objects; IndexError would mean none, so then nothing is done."""
        found = resource.list({"limit": 20}, *([options] if options else [])).data
        return self.random.choice(found) if found else None

    def up_to(self, most: int) -> int:
        """Mostly possible, now and then a little too much."""
        return self.random.randint(1, max(1, most + most // 8))

    def terms(self) -> dict[str, Any]:
        currency = self.random.choice(["usd", "usd", "jpy"])
        return {"amount": self.random.randint(500, 20001), "currency": currency}

    def card(self) -> str:
        return self.random.choice(
            ["pm_card_visa", "pm_card_bypassPending", "pm_card_pendingRefund", "pm_card_refundFail"]
        )

    def charge(self) -> None:
        pay(self.api, card=self.card(), **self.terms())

    def charge_for_coach(self) -> None:
        terms, share = self.terms(), self.random.random()
        destination: dict[str, Any] = {"destination": self.random.choice(self.coaches)}
        if share < 0.3:
            pay(self.api, card=self.card(), transfer_data={**destination, "amount": terms["amount"] // 2}, **terms)
        else:
            fee = int(terms["amount"] * self.random.random())
            pay(self.api, card=self.card(), transfer_data=destination, application_fee_amount=fee, **terms)

    def charge_by_coach(self) -> None:
        terms = {**self.terms(), "confirm": True, "payment_method": self.card(), "payment_method_types": ["card"]}
        terms["application_fee_amount"] = terms["amount"] // 7
        self.api.payment_intents.create(terms, {"stripe_account": self.random.choice(self.coaches)})

    def capture_part(self) -> None:
        terms = self.terms()
        fields: dict[str, Any] = {"transfer_data": {"destination": self.random.choice(self.coaches)}}
        fields["application_fee_amount"] = 300
        intent = hold(self.api, **terms, **(fields if self.random.random() < 0.5 else {}))
        self.api.payment_intents.capture(intent.id, {"amount_to_capture": self.up_to(terms["amount"])})

    def refund(self) -> None:
        charge = self.some(self.api.charges)
        if charge:
            flags = [("reverse_transfer", charge.transfer), ("refund_application_fee", charge.application_fee)]
            wishes: dict[str, Any] = {flag: True for flag, field in flags if field and self.random.random() < 0.7}
            if self.random.random() < 0.7:
                wishes["amount"] = self.up_to(charge.amount_captured - charge.amount_refunded)
            self.api.refunds.create({"charge": charge.id, **wishes})

    def refund_of_coach(self) -> None:
        of = {"stripe_account": self.random.choice(self.coaches)}
        charge = self.some(self.api.charges, **of)
        if charge:
            self.api.refunds.create({"charge": charge.id, "amount": self.up_to(charge.amount)}, of)

    def fail_refund(self) -> None:
        refund = self.some(self.api.refunds)
        if refund:
            self.sandbox.post(f"refunds/{refund.id}/fail")

    def transfer(self) -> None:
        terms = {**self.terms(), "destination": self.random.choice(self.coaches)}
        self.api.transfers.create(terms)

    def transfer_of_charge(self) -> None:
        charge = self.some(self.api.charges)
        if charge:
            destination = self.random.choice(self.coaches)
            terms = {"amount": self.up_to(charge.amount_captured // 2), "currency": charge.currency}
            self.api.transfers.create({**terms, "destination": destination, "source_transaction": charge.id})

    def reverse(self) -> None:
        transfer = self.some(self.api.transfers)
        if transfer:
            amount = self.up_to(transfer.amount - transfer.amount_reversed)
            self.api.transfers.reversals.create(transfer.id, {"amount": amount})

    def return_fee(self) -> None:
        fee = self.some(self.api.application_fees)
        if fee:
            self.api.application_fees.refunds.create(fee.id, {"amount": self.up_to(fee.amount - fee.amount_refunded)})

    def dispute(self) -> None:
        intent = self.some(self.api.payment_intents)
        if intent:
            inquiry = self.random.random() < 0.4
            self.sandbox.post("disputes", payment_intent=intent.id, inquiry=inquiry)

    def decide(self) -> None:
        dispute = self.some(self.api.disputes)
        if dispute:
            deed = self.random.choice(["resolve", "resolve", "escalate"])
            body = {"outcome": self.random.choice(["won", "lost"])} if deed == "resolve" else {}
            self.sandbox.post(f"disputes/{dispute.id}/{deed}", **body)

    def answer(self) -> None:
        dispute = self.some(self.api.disputes)
        if dispute:
            text = self.random.choice(["we did teach", "winning_evidence", "losing_evidence"])
            self.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})

    def pay_out(self) -> None:
        account = self.random.choice([{}, *({"stripe_account": coach} for coach in self.coaches)])
        self.api.payouts.create({"amount": self.random.randint(1, 9000), "currency": "usd"}, account)

    def top_up(self) -> None:
        self.sandbox.post("balance", amount=self.random.randint(1, 9000), currency=self.random.choice(["usd", "jpy"]))

    def wait(self) -> None:
        self.sandbox.advance(self.random.choice([61, DAY, 3 * DAY]))

    def books(self) -> dict[str, list[Any]]:
        return {
            account: list(self.api.balance_transactions.list({"limit": 100}, options).auto_paging_iter())
            for account, options in [("platform", {}), *((coach, {"stripe_account": coach}) for coach in self.coaches)]
        }


def check(walk: Walk) -> None:
    assert walk.sandbox.get("health")["balance_errors"] == []
    books = walk.books()
    for account, transactions in books.items():
        _check_balance(walk.api, account, transactions)
    _check_between(books)
    _check_charges(walk.api)


def _check_balance(api: Any, account: str, transactions: list[Any]) -> None:
    shown = api.balance.retrieve({}, {} if account == "platform" else {"stripe_account": account})
    for status in ("available", "pending"):
        sums: Counter[str] = Counter()
        for each in transactions:
            assert each.net == each.amount - each.fee
            assert each.fee == sum(detail.amount for detail in each.fee_details)
            if each.status == status:
                sums[each.currency] += each.net
        kept = {row.currency: row.amount for row in shown[status]}
        assert {currency: amount for currency, amount in kept.items() if amount} == {
            currency: amount for currency, amount in sums.items() if amount
        }, (account, status)


def _check_between(books: dict[str, list[Any]]) -> None:
    """What leaves one side arrives on the other: transfers with their reversals, and application fees with their refunds."""
    moved: Counter[str] = Counter()
    fees: Counter[str] = Counter()
    for each in (each for transactions in books.values() for each in transactions):
        if each.type in ("transfer", "transfer_refund", "payment", "payment_refund"):
            moved[each.currency] += each.amount
        if each.type in ("application_fee", "application_fee_refund"):
            fees[each.currency] += each.amount
        fees[each.currency] -= sum(detail.amount for detail in each.fee_details if detail.type == "application_fee")
    assert set(moved.values()) <= {0}
    assert set(fees.values()) <= {0}


def _check_charges(api: Any) -> None:
    """Nothing is refunded, reversed, transferred or withdrawn beyond what it comes from."""
    refunded, withdrawn, transferred = Counter[str](), Counter[str](), Counter[str]()
    for refund in _all(api.refunds):
        if refund.status in ("succeeded", "pending"):
            refunded[refund.charge] += refund.amount
    for dispute in _all(api.disputes):
        if dispute.status in SPENT:
            withdrawn[dispute.charge] += dispute.amount
    for transfer in _all(api.transfers):
        transferred[transfer.source_transaction or ""] += transfer.amount
        assert sum(each.amount for each in transfer.reversals.data) == transfer.amount_reversed <= transfer.amount
        assert transfer.reversed == (transfer.amount_reversed == transfer.amount)
    for fee in _all(api.application_fees):
        assert sum(each.amount for each in fee.refunds.data) == fee.amount_refunded <= fee.amount
    for charge in _all(api.charges):
        assert refunded[charge.id] == charge.amount_refunded
        assert refunded[charge.id] + withdrawn[charge.id] <= charge.amount_captured
        assert transferred[charge.id] <= charge.amount_captured
        assert charge.refunded == (0 < charge.amount_refunded == charge.amount_captured)


def _all(resource: Any) -> Iterator[Any]:
    return iter(resource.list({"limit": 100}).auto_paging_iter())


@pytest.mark.parametrize("seed", range(2))
def test_the_books_hold_whatever_happens(api: Any, sandbox: Sandbox, seed: int) -> None:
    walk = Walk(api, sandbox, seed)
    trail = []
    for _ in range(STEPS):
        trail.append(walk.step())
        try:
            check(walk)
        except AssertionError as error:
            raise AssertionError("\n".join([*trail, str(error)])) from error
    done = [each for each in trail if ":" not in each]
    assert len(done) > STEPS // 3, trail
