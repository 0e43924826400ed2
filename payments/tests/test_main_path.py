"""From the page to the money, as far as payments know of it."""

import pytest

from marketplace import clock
from payments import ledger, operations, pollers
from payments.facts import Fact
from payments.models import Earning, Payment
from payments.tests import stage

pytestmark = pytest.mark.django_db

S = Payment.Status


def test_a_hold_is_captured_and_booked(sandbox, held, heard):
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == S.CAPTURED
    assert held.captured_amount == 10_000
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.CAPTURED, held.pk)]
    assert ledger.balance("stripe_balance", "usd").amount == 9_680
    assert ledger.balance("stripe_fees", "usd").amount == 320
    assert ledger.balance(ledger.coach_payable(held.coach_id), "usd").amount == -8_000
    assert ledger.balance("platform_revenue", "usd").amount == -2_000
    assert Earning.objects.get(payment=held).amount == 8_000
    assert ledger.check() == []
