"""The desk for transfers that were reversed in Stripe's dashboard."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.models import StaffDecision
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role
from payments.models import Earning, PayoutLine, PayoutRun, Reversal, Transfer
from payments.services.reversed_at_stripe import record_reversal_at_stripe
from payments.stripe_objects import BalanceTransactionFacts, ReversalFacts
from payments.tests.factories_books import NOW, earn

pytestmark = pytest.mark.django_db


@pytest.fixture
def reversal() -> Reversal:
    """30.00 of a transfer of 80.00 were taken back in the dashboard."""
    earning = earn(CoachFactory.create())
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW)
    line = PayoutLine.objects.create(
        run=run, coach=earning.coach, amount=8_000, currency="usd", status="paid", paid_at=NOW
    )
    Earning.objects.update(line=line)
    transfer = Transfer.objects.create(
        stripe_transfer_id="tr_1",
        coach=earning.coach,
        destination="acct_1",
        amount=8_000,
        currency="usd",
        line=line,
        created_at=NOW,
    )
    booked = BalanceTransactionFacts("txn_r", 3_000, 0, 3_000, "usd", created=datetime(2026, 11, 2, tzinfo=UTC))
    facts = ReversalFacts("trr_1", "tr_1", 3_000, "usd", {}, booked)
    record_reversal_at_stripe(transfer=transfer, facts=facts, now=NOW)
    return Reversal.objects.get()


def desk(reversal: Reversal) -> str:
    return reverse("admin:payments_reversal_decide", args=[reversal.pk])


def test_the_list_leads_to_the_desk(reversal: Reversal) -> None:
    page = as_role("finance").get(reverse("admin:payments_reversal_changelist"), {"status__exact": "at_stripe"})
    assert desk(reversal) in page.content.decode()


def test_the_desk_says_what_happened(reversal: Reversal) -> None:
    page = as_role("finance").get(desk(reversal)).content.decode()
    told = ("$30.00", "trr_1", "Pay it to the coach again", "The platform keeps it", "no run pays")
    assert [words for words in told if words not in page] == []


def test_finance_has_it_paid_again(reversal: Reversal) -> None:
    answer = as_role("finance").post(desk(reversal), {"reason": "A slip.", "pay_again": "yes"}, follow=True)
    assert "The next run pays it to the coach." in answer.content.decode()
    reversal.refresh_from_db()
    assert (reversal.status, Earning.objects.get(kind="reversed").reversal) == ("done", None)
    assert StaffDecision.objects.get().reason == "A slip."


def test_without_a_reason_nothing_is_decided(reversal: Reversal) -> None:
    answer = as_role("finance").post(desk(reversal), {"reason": " ", "keep": "yes"})
    assert "This field is required" in answer.content.decode()
    reversal.refresh_from_db()
    assert (reversal.status, StaffDecision.objects.count()) == ("at_stripe", 0)


def test_the_second_of_two_is_told_that_it_is_decided(reversal: Reversal) -> None:
    client = as_role("finance")
    client.post(desk(reversal), {"reason": "Theirs.", "pay_again": "yes"})
    answer = client.post(desk(reversal), {"reason": "Ours.", "keep": "yes"})
    assert answer.status_code == 409
    assert "Somebody has decided this already." in answer.content.decode()
    assert answer.context["choices"] == []
    assert StaffDecision.objects.count() == 1


def test_an_unknown_decision_is_not_found(reversal: Reversal) -> None:
    assert as_role("finance").post(desk(reversal), {"reason": "?", "burn": "yes"}).status_code == 404


@pytest.mark.parametrize("role", ["support"])
def test_who_may_not_see_the_books_is_refused(reversal: Reversal, role: str) -> None:
    client = as_role(role)
    assert client.get(desk(reversal)).status_code == 403
    assert client.post(desk(reversal), {"reason": "Mine.", "keep": "yes"}).status_code == 403
    assert Reversal.objects.get().status == "at_stripe"


def test_nobody_else_finds_it(reversal: Reversal) -> None:
    assert Client().get(desk(reversal)).status_code in (302, 404)
