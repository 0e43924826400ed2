"""Refunds at the sandbox: what the student gets, what the coach and the platform bear, and what the books say of it."""

import pytest

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.tests.sandbox import Sandbox
from payments import ledger, operations, services
from payments.models import Earning, Payment, Refund
from payments.tests import stage

pytestmark = pytest.mark.django_db


def test_a_refund_reaches_the_student_and_takes_the_coachs_part_back(sandbox: Sandbox, held: Payment) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    held.refresh_from_db()

    refund = services.request_refund(
        payment=held, amount=Money(2_500, "usd"), reason=Refund.Reason.PROBLEM, actor=None, now=clock.now()
    )
    operations.sweep(now=clock.now())

    assert refund is not None
    refund.refresh_from_db()
    assert (refund.status, refund.coach_part, refund.fee_part, refund.loss_part) == ("succeeded", 2_000, 500, 0)
    assert list(Earning.objects.values_list("kind", "amount")) == [("share", 8_000), ("taken_back", -2_000)]
    assert ledger.check() == []
