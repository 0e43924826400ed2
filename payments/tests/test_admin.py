"""What staff see of money: everything, changeable by nobody, at a constant price."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import mirror, operations, payouts, statements
from payments.models import LedgerAccount, LedgerTransaction, Payment, PayoutLine, PayoutRun, StripeEvent
from payments.tests import reports, stage
from payments.tests.factories_books import NOW, earn

pytestmark = pytest.mark.django_db

# Where the main path leaves no row; their desks have tests of their own.
OFF_THE_PATH = (
    "Refund", "Reversal", "Dispute", "EvidenceFile", "FraudWarning", "Difference", "Reconciliation", "Standstill",
    "Payout", "BankAccount", "Correction", "Problem",
)  # fmt: skip
OURS = [
    model
    for model in admin.site._registry
    if model._meta.app_label in ("payments", "djstripe") and model.__name__ not in OFF_THE_PATH
]
NEVER_SHOWN = ("APIKey", "WebhookEndpoint", "WebhookEventTrigger", "IdempotencyKey", "Event")


@pytest.fixture
def desk(client: Client, staff: User, settings: Any) -> Client:
    """Signed in as the demo's member of staff, who needs no second factor."""
    settings.DEMO_STAFF_EMAIL = staff.email
    settings.SECURE_SSL_REDIRECT = False
    client.force_login(staff)
    return client


@pytest.fixture
def main_path(sandbox: Sandbox, held: Payment, payable_coach: Coach, heard: Any) -> Payment:
    """One session paid by the student and paid out to the coach, reported, mirrored and stated."""
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    sandbox.advance(45 * 86_400)
    payouts.run_due(clock.now())
    reports.deliver_and_work(reports.events(sandbox))
    mirror.mirror_events(now=clock.now())
    statements.close_due_months(clock.now())
    return held


def list_page(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def test_every_list_and_every_row_opens_and_none_can_be_changed(desk: Client, main_path: Payment) -> None:
    for model in OURS:
        model_admin = admin.site._registry[model]
        rows = list(model._default_manager.all())
        assert rows != [], model
        assert desk.get(list_page(model)).status_code == 200, model
        for row in rows[:3]:
            answer = desk.get(page(row))
            assert answer.status_code == 200, model
            assert 'name="_save"' not in answer.content.decode(), model
        assert desk.get(f"{list_page(model)}add/").status_code == 403, model
        assert desk.post(f"{page(rows[0])}", {}).status_code == 403, model
        assert desk.post(f"{page(rows[0])[:-7]}delete/", {"post": "yes"}).status_code == 403, model
        assert model_admin.list_editable == ()


def test_every_search_answers(desk: Client, main_path: Payment) -> None:
    for model in OURS:
        for query in ("carla", "1", "pi_x", "3dda6ddd-6da8-42d2-8737-8d8cb1bb9b8d", "\x00"):
            if admin.site._registry[model].search_fields:
                assert desk.get(list_page(model), {"q": query}).status_code == 200, (model, query)


def test_keys_and_endpoints_of_djstripe_are_not_shown() -> None:
    shown = {model.__name__ for model in OURS if model._meta.app_label == "djstripe"}
    assert shown.isdisjoint(NEVER_SHOWN)
    assert shown == {
        "Account", "Customer", "PaymentMethod", "Session", "PaymentIntent", "Charge", "BalanceTransaction", "Transfer",
    }  # fmt: skip


def test_from_a_payment_to_its_transactions_operations_and_events(desk: Client, main_path: Payment) -> None:
    shown = desk.get(page(main_path)).content.decode()
    fact = LedgerTransaction.objects.get(kind="capture")
    for address in (page(fact), page(main_path.operations.get(kind="capture"))):
        assert address in shown
    for event in StripeEvent.objects.filter(object_id=main_path.payment_intent_id):
        assert page(event) in shown
    transaction_page = desk.get(page(fact)).content.decode()
    assert page(main_path) in transaction_page
    for words in ("stripe_balance usd", "$96.80", "-$80.00", "platform_revenue usd"):
        assert words in transaction_page
    accounts = desk.get(list_page(LedgerAccount)).content.decode()
    assert "-$20.00" in accounts


def more_of_everything() -> None:
    for number in range(6):
        coach = CoachFactory.create()
        earning = earn(coach)
        run = PayoutRun.objects.create(month=f"2025-0{number + 1}", opened_at=NOW)
        line = PayoutLine.objects.create(run=run, coach=coach, amount=earning.amount, currency="usd")
        earning.line = line
        earning.save(update_fields=["line"])


@pytest.mark.parametrize(
    "name", ["payment", "earning", "payoutrun", "payoutline", "ledgertransaction", "ledgerentry", "ledgeraccount"]
)
def test_a_longer_list_costs_no_more_queries(desk: Client, name: str) -> None:
    address = reverse(f"admin:payments_{name}_changelist")
    more_of_everything_once = count_queries(desk, address, more_of_everything)
    assert more_of_everything_once[0] == more_of_everything_once[1]


def count_queries(desk: Client, address: str, grow: Callable[[], None]) -> tuple[int, int]:
    earn(CoachFactory.create())
    PayoutRun.objects.create(month="2024-01", opened_at=NOW).lines.create(
        coach=CoachFactory.create(), amount=1, currency="usd"
    )
    desk.get(address)
    counts = []
    for act in (lambda: None, grow):
        act()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert desk.get(address).status_code == 200
        counts.append(len(queries))
    return counts[0], counts[1]


def test_a_parked_event_is_worked_again_by_staff(desk: Client, main_path: Payment) -> None:
    parked, done = StripeEvent.objects.filter(type__startswith="charge.").order_by("pk")[:2]
    StripeEvent.objects.filter(pk=parked.pk).update(state="parked", reason="KeyError: 'id'")
    answer = desk.post(
        list_page(StripeEvent), {"action": "work_again", "_selected_action": [parked.pk, done.pk]}, follow=True
    )
    shown = answer.content.decode()
    assert "1 event(s) will be worked again." in shown
    assert "1 event(s) were left" in shown
    parked.refresh_from_db()
    done.refresh_from_db()
    assert (parked.state, done.state) == ("new", "done")


def test_staff_without_the_right_can_not_work_an_event_again(desk: Client, staff: User, main_path: Payment) -> None:
    parked = StripeEvent.objects.order_by("pk").first()
    assert parked is not None
    StripeEvent.objects.filter(pk=parked.pk).update(state="parked")
    staff.is_superuser = False
    staff.save(update_fields=["is_superuser"])
    staff.user_permissions.add(Permission.objects.get(codename="view_stripeevent"))
    desk.post(list_page(StripeEvent), {"action": "work_again", "_selected_action": [parked.pk]})
    parked.refresh_from_db()
    assert parked.state == "parked"


def test_a_students_login_does_not_open_it(client: Client, student: User, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = False
    client.force_login(student)
    assert client.get(list_page(Payment)).status_code in (302, 403)
