"""Comparing with Stripe: what agrees is passed over, what we missed is recorded, and the rest is listed."""

from datetime import timedelta

import pytest

from marketplace import clock
from payments.models import Difference, LedgerEntry, Reconciliation
from payments.reconcile import open_differences, reconcile
from payments.tests import money_back

pytestmark = [pytest.mark.django_db]

Scope = Reconciliation.Scope
State = Difference.State
HOUR = timedelta(hours=1)


def compare(scope=Scope.FULL, *, later=HOUR, **more):
    done = reconcile(scope=scope, now=clock.now() + later, **more)
    assert done.failure == ""
    return done


def found():
    return sorted(open_differences().values_list("code", "object_type"))


def repaired():
    return sorted(Difference.objects.filter(state=State.REPAIRED).values_list("code", "object_type"))


@pytest.mark.parametrize("mode", ["monthly", "per_session"])
def test_what_agrees_is_passed_over(mode, sandbox, student, payable_coach, heard):
    payment = money_back.captured(sandbox, student, payable_coach, mode=mode)
    money_back.given_back(payment, 2_000)
    done = compare()
    assert list(Difference.objects.values_list("code", "object_type", "ours", "stripes")) == []
    assert done.compared["payment_intent"] == 1
    assert done.compared["refund"] == 1
    assert done.compared["balance_transaction"] >= 3
    assert LedgerEntry.objects.filter(account__code="suspense").count() == 0
