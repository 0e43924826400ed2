"""A small world in which our books and Stripe's agree, and how a test makes them differ on either side."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests
from django.conf import settings
from django.db import connection

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import payouts
from payments.models import (
    Difference,
    Dispute,
    LedgerTransaction,
    Payment,
    PayoutAccount,
    Reconciliation,
    Refund,
    Transfer,
)
from payments.reconcile import reconcile
from payments.reconcile.kinds import KINDS, Family, Kind
from payments.tests import bank, money_back, payday, stage

State = Difference.State
# Code, type and id of an object -> what became of the difference.
Found = dict[tuple[str, str, str], str]
DAY = 86_400
FUNDS = 500_000


@dataclass
class Scene:
    """Each object at Stripe has its row and its place in the books; all that is under way is at rest."""

    sandbox: Sandbox
    student: User
    monthly: Coach
    direct: Coach
    paid: Payment  # monthly, refunded in part, and then transferred by the run
    sent: Payment  # its share went to the other coach with the capture
    disputed: Payment
    held: Payment
    refund: Refund
    transfer: Transfer
    dispute: Dispute
    payout: str  # of the monthly coach
    own_payout: str  # of the platform
    fee: str  # a balance transaction
    made: dict[str, Any] = field(default_factory=dict)

    def entry(self, stripe_id: str) -> str:
        """The balance transaction that moved an object's money."""
        for row in self.entries():
            if row["source"] == stripe_id:
                return str(row["id"])
        raise LookupError(stripe_id)

    def entries(self) -> list[dict[str, Any]]:
        return list(stage.at_stripe(self.sandbox, "/v1/balance_transactions?limit=100")["data"])

    def booked(self, balance_transaction: str) -> LedgerTransaction:
        return LedgerTransaction.objects.get(entries__balance_transaction_id=balance_transaction)

    # At Stripe, behind everybody's back.

    def falsify(self, stripe_id: str, fields: dict[str, Any]) -> None:
        self.sandbox.post(f"/_sandbox/objects/{stripe_id}/tamper", {"set": fields})

    def erase(self, stripe_id: str) -> None:
        self.sandbox.post(f"/_sandbox/objects/{stripe_id}/erase")

    def copy(self, stripe_id: str) -> dict[str, str]:
        """The new id for each old one."""
        return dict(self.sandbox.post(f"/_sandbox/objects/{stripe_id}/copy")["data"][0])

    def move(self, **facts: Any) -> str:
        """The id of a balance transaction out of the blue."""
        return str(self.sandbox.post("/_sandbox/balance_transactions", facts)["id"])

    def at_rest(self) -> None:
        """Nothing is so young that a comparison leaves it to the next one."""
        self.sandbox.advance(3600)

    def compare(self) -> Found:
        """Everything that one comparison has found, but for the sums that follow from it."""
        self.at_rest()
        row = reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
        assert row.failure == ""
        rows = Difference.objects.exclude(code__in=[code for code, kind in KINDS.items() if kind.family == Family.SUMS])
        return {(each.code, each.object_type, each.object_id): each.state for each in rows}


def found(kind: Kind, object_type: str, stripe_id: str, state: str = State.OPEN) -> Found:
    return {(kind.code, object_type, stripe_id): state}


def repaired(kind: Kind, object_type: str, stripe_id: str) -> Found:
    return found(kind, object_type, stripe_id, State.REPAIRED)


@contextmanager
def guards_off() -> Iterator[None]:
    """The database lets everything pass: no trigger, no foreign key. What was done before is checked first."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def build(sandbox: Sandbox, student: User) -> Scene:
    payday.fund(sandbox, FUNDS)
    monthly, direct = _coach(sandbox, "monthly"), _coach(sandbox, "per_session")
    take: Callable[..., Payment] = _taker(sandbox, student)
    paid, sent, disputed = take(monthly, "lesson:1"), take(direct, "lesson:2"), take(monthly, "lesson:3")
    refund = money_back.given_back(paid, 2_500)
    dispute = bank.disputed(sandbox, disputed)
    _pay_month(sandbox)
    payouts_made = _pay_out(sandbox, monthly), _pay_out(sandbox, None)
    # By then they are at their banks, whatever hour it is.
    sandbox.advance(10 * DAY)
    held = stage.hold(sandbox, student, monthly, reference="lesson:4")
    scene = Scene(
        sandbox=sandbox,
        student=student,
        monthly=monthly,
        direct=direct,
        paid=paid,
        sent=sent,
        disputed=disputed,
        held=held,
        refund=refund,
        transfer=Transfer.objects.get(line__isnull=False),
        dispute=dispute,
        payout=payouts_made[0],
        own_payout=payouts_made[1],
        fee=str(sandbox.post("/_sandbox/balance_transactions", {"type": "stripe_fee", "amount": -200})["id"]),
    )
    scene.compare()
    Difference.objects.all().delete()
    return scene


def _coach(sandbox: Sandbox, mode: str) -> Coach:
    coach = CoachFactory.create()
    stage.onboard(sandbox, coach)
    PayoutAccount.objects.filter(coach=coach).update(settlement_mode=mode)
    return coach


def _taker(sandbox: Sandbox, student: User) -> Callable[..., Payment]:
    def take(coach: Coach, reference: str) -> Payment:
        payment = stage.hold(sandbox, student, coach, reference=reference, card="pm_card_bypassPending")
        stage.request_capture(payment, clock.now())
        money_back.sweep()
        payment.refresh_from_db()
        return payment

    return take


def _pay_month(sandbox: Sandbox) -> None:
    """Two months on, whatever the day is: all is released."""
    sandbox.advance(62 * DAY)
    payouts.run_due(clock.now())
    money_back.sweep()


def _pay_out(sandbox: Sandbox, coach: Coach | None) -> str:
    """Somebody asks for it at Stripe: the coach, or for the platform whoever has its dashboard."""
    account = {"Stripe-Account": PayoutAccount.objects.get(coach=coach).stripe_account_id} if coach else {}
    answer = requests.post(
        f"{sandbox.url}/v1/payouts",
        data={"amount": 1_000, "currency": "usd"},
        headers=account,
        auth=(settings.STRIPE_SECRET_KEY, ""),
        timeout=30,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])
