"""What "Money at risk" says is in words, and each time is called what it is."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from coaches.models import Coach
from marketplace.tests.staff import as_role
from payments import at_risk
from payments.models import PayoutAccount, PayoutLine, PayoutRun, Refund
from payments.tests.factories_books import NOW, earn
from payments.tests.month_books import post, session

pytestmark = pytest.mark.django_db
PAUSED = "Stripe has paused payouts to them"


def restrict(coach: Coach, **facts: Any) -> None:
    facts = {"stripe_account_id": "acct_restricted", "country": "US", "details_submitted": True, **facts}
    PayoutAccount.objects.update_or_create(coach=coach, defaults=facts)
    Coach.objects.filter(pk=coach.pk).update(payable=False)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"disabled_reason": "requirements.past_due", "requirements": {"past_due": ["external_account"]}}, PAUSED),
        ({"disabled_reason": "requirements.pending_verification"}, "Stripe is checking their details"),
        ({"disabled_reason": "rejected.fraud"}, "Stripe has closed the account"),
        ({"disabled_reason": "listed"}, PAUSED),
        ({"deauthorised_at": datetime(2026, 11, 1, tzinfo=UTC)}, "their Stripe account is not connected with us"),
        ({"details_submitted": False}, "setup is not complete"),
        ({"transfers_active": True, "payouts_enabled": True}, PAUSED),
    ],
)
def test_why_a_coach_cant_be_paid_is_said_in_words(coach: Coach, facts: dict[str, Any], words: str) -> None:
    earn(coach)
    restrict(coach, **facts)
    [row] = at_risk.restricted_coaches(NOW, 100)
    assert row.what == f"{coach.display_name} can't be paid: {words}"


def test_the_age_of_a_restricted_coachs_money_is_not_called_their_waiting(coach: Coach) -> None:
    earn(coach, release_at=datetime(2026, 12, 1, 0, 6, tzinfo=UTC))
    restrict(coach, disabled_reason="requirements.past_due")
    page = as_role("finance").get(reverse("admin:bookings_at_risk")).content.decode()
    assert "release of the oldest share: Tue 1 Dec 2026, 00:06 UTC" in page
    assert "waits since" not in page


def test_why_a_refund_failed_is_said_in_words(coach: Coach) -> None:
    payment = session(coach)
    post("refund_failed", {f"refunds_owed:{payment.payer_id}": -100, "platform_losses": 100}, NOW, payment)
    facts: dict[str, Any] = {"amount": 100, "currency": "usd", "coach_part": 0, "fee_part": 0, "loss_part": 100}
    Refund.objects.create(
        payment=payment, status="failed", failure="expired_or_canceled_card", reason="goodwill", bearer="platform",
        created_at=NOW, **facts,
    )  # fmt: skip
    [row] = at_risk.failed_refunds(NOW, 100)
    assert row.what == f"the refund for {payment.payer.name} failed: expired or canceled card"


def test_the_month_of_a_payout_that_waits_is_said_in_words(coach: Coach) -> None:
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW)
    line: dict[str, Any] = {"coach": coach, "amount": 1, "currency": "usd", "status": "waiting"}
    PayoutLine.objects.create(run=run, waiting_for="No payout method is chosen.", **line)
    [row] = at_risk.waiting_lines(NOW, 100)
    assert row.what == f"{coach.display_name}, October 2026: No payout method is chosen."
