"""A payment's whole story: everything that happened to it is on one page, in order, and agrees with the books."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, UserFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of
from payments import ledger
from payments.admin.story import at_stripe, story_address
from payments.models import LedgerTransaction, Payment, PayoutAccount, Refund, Reversal, Transfer
from payments.models import Payout as BankPayout
from payments.story import AtStripe, story_of
from payments.tests import bank, money_back, reports
from payments.tests.factories_books import NOW, PaymentFactory, earn

pytestmark = pytest.mark.django_db


def titles(payment: Payment) -> list[str]:
    return [step.title for step in story_of(payment).steps]


def booked(payment: Payment) -> set[int]:
    return {step.fact.pk for step in story_of(payment).steps if step.fact}


def shown(client: Client, payment: Payment) -> str:
    answer = client.get(story_address(payment))
    assert answer.status_code == 200
    return answer.content.decode()


# --- what happened is told ----------------------------------------------------------------------


@pytest.mark.embedded
def test_a_paid_out_and_refunded_payment_is_told_from_the_booking_to_the_bank(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    money_back.pay_month(sandbox)
    transfer = Transfer.objects.get()
    account = PayoutAccount.objects.get(coach=payable_coach)
    BankPayout.objects.create(
        account=account, stripe_payout_id="po_1", amount=8_000, currency="usd", status="paid", recorded_at=clock.now(),
        created_at=transfer.created_at + timedelta(hours=1),
    )  # fmt: skip
    sandbox.advance(7_200)
    refund = money_back.given_back(payment, 5_000)
    reports.deliver_and_work(reports.events(sandbox))

    assert titles(payment) == [
        "Opened",
        "Held",
        "Taken",
        "The coach's: share of the price",
        "Transferred to the coach's account",
        "To the coach's bank: at the bank",
        "Refund asked for",
        "The coach's: taken back for a refund",
        "Refund: with the student",
        "From the coach's account: fetched back",
        "The coach's: fetched back from the coach's account",
    ]
    # Each fact about it in the books is on one step, and none is missing.
    about = LedgerTransaction.objects.filter(payment=payment) | LedgerTransaction.objects.filter(kind="transfer")
    assert booked(payment) == set(about.values_list("pk", flat=True))
    page = shown(as_role("finance"), payment)
    reversal = Reversal.objects.get()
    for name in (
        payment.checkout_session_id, payment.payment_intent_id, payment.charge_id, transfer.stripe_transfer_id, "po_1",
        transfer.destination, refund.stripe_refund_id, reversal.stripe_reversal_id, "booking:1",
    ):  # fmt: skip
        assert name
        assert name in page
    for fact in about.prefetch_related("entries"):
        for entry in fact.entries.all():
            assert entry.balance_transaction_id in page
    for operation in payment.operations.all():
        assert reverse("admin:payments_operation_change", args=[operation.pk]) in page
    assert "charge.captured of" in page
    assert "This is not in our books." not in page


def test_a_payment_per_session_tells_of_its_transfer_and_our_fee(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach, mode="per_session")
    assert set(titles(payment)) == {
        "Opened",
        "Held",
        "Taken",
        "Transferred to the coach's account",
        "Our fee came back from the coach's account",
    }
    assert booked(payment) == set(LedgerTransaction.objects.filter(payment=payment).values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("outcome", "end"), [("won", "The student's bank gave the money back"), ("lost", "Dispute: lost")]
)
def test_a_dispute_is_told_to_its_end(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any, outcome: str, end: str
) -> None:
    payment = money_back.captured(sandbox, student, payable_coach)
    dispute = bank.disputed(sandbox, payment)
    bank.decide(sandbox, dispute, outcome)
    told = titles(payment)
    assert {"Dispute opened", "The student's bank took the money", f"Dispute: {outcome}", end} <= set(told)
    assert told.index("Dispute opened") < told.index(end)
    assert booked(payment) == set(LedgerTransaction.objects.filter(payment=payment).values_list("pk", flat=True))


def test_what_is_missing_from_the_books_is_said(db: None) -> None:
    payment = earn(CoachFactory.create(), booked=False).paid_for
    assert [step.title for step in story_of(payment).steps if step.unbooked] == ["Taken"]
    assert "This is not in our books." in shown(as_role("finance"), payment)


def test_a_fact_of_an_unknown_kind_is_told_all_the_same(db: None) -> None:
    payment = earn(CoachFactory.create()).paid_for
    assert "Correction by hand" not in titles(payment)
    add_fact(payment, "correction_by_hand")
    assert "Correction by hand" in titles(payment)


def add_fact(payment: Payment, kind: str) -> None:
    lines = [ledger.Line("suspense", Money(5, "usd")), ledger.Line("platform_losses", Money(-5, "usd"))]
    with transaction.atomic():
        ledger.post(kind=kind, reference=f"{kind}:{payment.pk}", lines=lines, payment=payment, now=NOW)


def test_other_attempts_to_pay_for_the_same_are_named(db: None) -> None:
    first = PaymentFactory.create(reference="booking:7", status=Payment.Status.LAPSED)
    second = PaymentFactory.create(reference="booking:7")
    assert story_of(second).attempts == [first]
    assert story_address(first) in shown(as_role("finance"), second)


# --- who sees what ------------------------------------------------------------------------------


def test_support_sees_what_happened_and_nothing_of_the_books(db: None) -> None:
    earning = earn(CoachFactory.create())
    page = shown(as_role("support"), earning.paid_for)
    assert "Taken" in page
    for hidden in ("In our books", "platform_revenue", "share of the price", "What we asked of Stripe"):
        assert hidden not in page


def test_who_may_not_see_payments_does_not_see_their_story(db: None) -> None:
    payment = PaymentFactory.create()
    nobody = UserFactory.create(is_staff=True)
    nobody.user_permissions.add(Permission.objects.get(codename="view_booking"))
    assert browser_of(nobody).get(story_address(payment)).status_code == 403


def test_a_payment_that_is_not_there_has_no_story(db: None) -> None:
    client, real = as_role("finance"), reverse("admin:payments_payment_story", args=[1])
    for number in ("0", "999", "9" * 30):
        assert client.get(real.replace("/1/", f"/{number}/")).status_code == 404


# --- at Stripe ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "shown_object", "address"),
    [
        (True, AtStripe("pi_1"), "https://dashboard.stripe.com/payments/pi_1"),
        (False, AtStripe("pi_1"), "https://dashboard.stripe.com/test/payments/pi_1"),
        (False, AtStripe("tr_1"), "https://dashboard.stripe.com/test/connect/transfers/tr_1"),
        (True, AtStripe("po_1", "acct_1"), "https://dashboard.stripe.com/acct_1/payouts/po_1"),
        (True, AtStripe("txn_1"), "https://dashboard.stripe.com/search?query=txn_1"),
        (True, AtStripe('x"><script>'), "https://dashboard.stripe.com/search?query=x%22%3E%3Cscript%3E"),
    ],
)
def test_an_id_leads_to_stripes_dashboard(settings: Any, live: bool, shown_object: AtStripe, address: str) -> None:
    settings.STRIPE_SANDBOX_URL, settings.STRIPE_LIVE_MODE = "", live
    assert f'href="{address}"' in at_stripe(shown_object)
    assert "<script>" not in at_stripe(shown_object)


def test_the_sandbox_has_no_dashboard(settings: Any) -> None:
    settings.STRIPE_SANDBOX_URL = "http://127.0.0.1:1"
    assert at_stripe(AtStripe("pi_1")) == "pi_1"


# --- at a constant price ------------------------------------------------------------------------


@pytest.mark.embedded
def test_a_long_story_costs_no_more_queries(db: None) -> None:
    payment = earn(CoachFactory.create()).paid_for
    more_of_it(payment)
    client = as_role("finance")
    client.get(story_address(payment))
    short = queries(lambda: client.get(story_address(payment)))
    for _ in range(4):
        more_of_it(payment)
    assert len(titles(payment)) > 12
    assert queries(lambda: client.get(story_address(payment))) == short


def more_of_it(payment: Payment) -> None:
    number = payment.refunds.count()
    Refund.objects.create(
        payment=payment, amount=10, currency="usd", coach_part=10, fee_part=0, loss_part=0, bearer="coach",
        reason="goodwill", status="succeeded", stripe_refund_id=f"re_{number}", created_at=NOW, settled_at=NOW,
    )  # fmt: skip
    add_fact(payment, f"extra_{number}")


def queries(act: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as caught:
        act()
    return len(caught)
