"""However money lived, and whatever of it we did not hear of: one comparison with Stripe, and both books are the same.

With FULL_SWEEP=true a thousand lives are lived. What failed is lived again by its seed: `-k "[17]"`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, ledger, lookout
from payments.models import Difference, LedgerEntry, LedgerTransaction, Payment, Reconciliation, Refund
from payments.reconcile import open_differences, reconcile
from payments.tests import stage
from payments.tests.random_life import Life
from payments.tests.random_lives import live, settle
from payments.tests.stated import assert_whole, close_all

EVERYDAY, IN_CI, FULL = 2, 50, 1000
LIVES = FULL if os.environ.get("FULL_SWEEP") == "true" else IN_CI


@contextmanager
def told(life: Life) -> Iterator[None]:
    """What fails is told with all that happened before."""
    try:
        yield
    except BaseException as error:
        error.add_note(str(life))
        raise


@pytest.mark.django_db
@pytest.mark.usefixtures("heard")
@pytest.mark.everyday(EVERYDAY)
@pytest.mark.parametrize("seed", range(LIVES))
def test_one_comparison_brings_both_books_together(sandbox: Sandbox, student: User, seed: int) -> None:
    life = live(seed, sandbox, student)
    with told(life):
        assert lookout.look(clock.now())
        assert lookout.lost_changes(gateway.list_calls()) == []
        compare()
        # What we heard of only now may ask for something, such as a share of a disputed payment.
        settle(life)
        compare()
        assert balances() == balances_at_stripe(sandbox)
        before = everything()
        sandbox.advance(600)
        compare()
        assert everything() == before
        # Whenever months were closed in between, each entry is in one line of one statement.
        close_all(sandbox)
        assert_whole()


def compare() -> None:
    row = reconcile(scope=Reconciliation.Scope.FULL, now=clock.now())
    assert row.failure == ""
    assert list(open_differences().values_list("code", "object_type", "object_id", "ours", "stripes")) == []
    assert ledger.check() == []


def balances() -> dict[str, int]:
    """By currency, what is not zero."""
    currencies = LedgerEntry.objects.values_list("account__currency", flat=True).distinct()
    found = {currency: ledger.balance(ledger.STRIPE_BALANCE, currency).amount for currency in currencies}
    return {currency: amount for currency, amount in found.items() if amount}


def balances_at_stripe(sandbox: Sandbox) -> dict[str, int]:
    found: dict[str, int] = {}
    shown = stage.at_stripe(sandbox, "/v1/balance")
    for row in (*shown["available"], *shown["pending"]):
        found[row["currency"]] = found.get(row["currency"], 0) + row["amount"]
    return {currency: amount for currency, amount in found.items() if amount}


def everything() -> list[Any]:
    """What a second comparison could have changed."""
    return [
        list(Payment.objects.order_by("pk").values_list("pk", "status", "captured_amount", "refunded_amount")),
        list(Refund.objects.order_by("pk").values_list("pk", "status", "amount")),
        list(LedgerTransaction.objects.order_by("pk").values_list("pk", "kind", "reference", "occurred_at")),
        list(Difference.objects.order_by("pk").values_list("pk", "state")),
    ]
