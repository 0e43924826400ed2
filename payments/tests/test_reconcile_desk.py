"""What finance sees of differences with Stripe, and how they explain one."""

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from payments.models import Difference, Payment, Reconciliation
from payments.reconcile import KINDS
from payments.tests.factories_books import PaymentFactory

pytestmark = pytest.mark.django_db

LIST = reverse("admin:payments_difference_changelist")


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = False


def as_role(role: str, settings: Any) -> Client:
    user: User = UserFactory.create(email=f"{role}@example.com", name=role.title(), is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    settings.DEMO_STAFF_EMAIL = user.email
    client = Client()
    client.force_login(user)
    return client


def different(payment: Payment, **facts: Any) -> Difference:
    now = clock.now()
    about = {"code": "amount_differs", "object_type": "payment_intent", "object_id": "pi_1", "payment": payment}
    sides = {"ours": {"payment": payment.pk, "amount": 10_000}, "stripes": {"amount": 10_001}}
    return Difference.objects.create(
        **{**about, **sides, "coach": payment.coach, "found_at": now, "seen_at": now, **facts}
    )


@pytest.fixture
def difference(db: None) -> Difference:
    return different(PaymentFactory.create())


def page_of(client: Client, difference: Difference) -> str:
    return str(client.get(reverse("admin:payments_difference_explain", args=[difference.pk])).content.decode())


def test_it_says_what_it_means_what_to_do_and_both_sides(difference: Difference, settings: Any) -> None:
    client = as_role("finance", settings)
    kind = KINDS["amount_differs"]
    for page in (
        page_of(client, difference),
        client.get(reverse("admin:payments_difference_change", args=[difference.pk])).content.decode(),
    ):
        for words in (kind.meaning, kind.what_to_do, "pi_1", "Amount: 10000", "Amount: 10001", str(difference.payment)):
            assert words in unescape(page)
    listed = client.get(LIST + "?state__exact=open").content.decode()
    assert kind.title in listed
    assert reverse("admin:payments_difference_explain", args=[difference.pk]) in listed


def test_finance_explains_it_with_a_reason_that_is_kept(difference: Difference, settings: Any) -> None:
    client = as_role("finance", settings)
    address = reverse("admin:payments_difference_explain", args=[difference.pk])
    assert client.post(address, {"explain": "yes", "reason": ""}).status_code == 200
    difference.refresh_from_db()
    assert difference.state == Difference.State.OPEN

    assert client.post(address, {"explain": "yes", "reason": "A test of the bank's."}).status_code == 302
    difference.refresh_from_db()
    assert (difference.state, difference.settlement) == ("explained", "A test of the bank's.")
    assert difference.settled_by is not None
    decision = StaffDecision.objects.get()
    assert (decision.decision, decision.reason) == ("difference_explained", "A test of the bank's.")

    again = client.post(address, {"explain": "yes", "reason": "Once more."})
    assert again.status_code == 409
    assert "not open any more" in again.content.decode()
    assert again.context["choices"] == []
    assert StaffDecision.objects.count() == 1


def test_support_neither_sees_nor_explains_it(difference: Difference, settings: Any) -> None:
    client = as_role("support", settings)
    address = reverse("admin:payments_difference_explain", args=[difference.pk])
    assert client.get(LIST).status_code == 403
    assert client.get(address).status_code == 403
    assert client.post(address, {"explain": "yes", "reason": "No."}).status_code == 403
    assert "Differences with Stripe" not in client.get(reverse("admin:index")).content.decode()


def test_the_front_page_says_how_many_are_open(difference: Difference, settings: Any) -> None:
    client = as_role("finance", settings)
    different(PaymentFactory.create(), object_id="pi_2", state="gone")
    desks = client.get(reverse("admin:index")).context["sidebar_navigation"][0]["items"]
    assert [item["badge"] for item in desks if item["title"] == "Differences with Stripe"] == [1]
    assert [item["badge"] for item in desks if item["title"] == "Monthly run"] == [0]


@pytest.mark.thorough
def test_every_kind_and_every_comparison_can_be_shown(settings: Any) -> None:
    payment, now = PaymentFactory.create(), clock.now()
    client = as_role("finance", settings)
    for number, code in enumerate(KINDS):
        shown = different(payment, code=code, object_id=f"txn_{number}", object_type="balance_transaction")
        assert KINDS[code].title in unescape(page_of(client, shown))
        assert client.get(LIST, {"code": code}).status_code == 200
    done = Reconciliation.objects.create(scope="full", began_at=now, compared={"refund": 3, "payment_intent": 4})
    assert ">7<" in client.get(reverse("admin:payments_reconciliation_changelist")).content.decode()
    page = client.get(reverse("admin:payments_reconciliation_change", args=[done.pk])).content.decode()
    assert "Payment intent: 4" in page


def test_a_longer_list_costs_no_more_queries(difference: Difference, settings: Any) -> None:
    client = as_role("finance", settings)
    client.get(LIST)
    with CaptureQueriesContext(connection) as short:
        client.get(LIST)
    for number in range(5):
        different(PaymentFactory.create(), object_id=f"pi_more_{number}")
    with CaptureQueriesContext(connection) as long:
        client.get(LIST)
    assert len(long) == len(short)


# --- what a comparison came to ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"ended_at": clock.wall()}, ["Complete"]),
        ({}, ["Under way, or cut off"]),
        (
            {
                "ended_at": clock.wall(),
                "failure": "Not complete. Not compared: refunds",
                "not_compared": {"refunds": "Stripe did not answer: Timeout"},
            },
            ["Not complete. Not compared: refunds", "Refunds: Stripe did not answer: Timeout"],
        ),
    ],
)
def test_finance_sees_whether_a_comparison_was_complete(facts: Any, words: list[str], db: None, settings: Any) -> None:
    row = Reconciliation.objects.create(scope=Reconciliation.Scope.FULL, began_at=clock.now(), **facts)
    client = as_role("finance", settings)
    page = client.get(reverse("admin:payments_reconciliation_change", args=[row.pk])).content.decode()
    listed = client.get(reverse("admin:payments_reconciliation_changelist")).content.decode()
    assert words[0] in listed
    assert [each for each in words if each not in unescape(page)] == []
