"""Whom fee invoices are made out to: what a coach says, what is missing, and that an invoice never changes."""

import csv
from io import StringIO
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from coaches.billing import countries
from coaches.models import BillingDetails, Coach
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role
from payments import statements
from payments.models import FeeInvoice, PayoutAccount
from payments.statements.papers import invoice_pdf
from payments.tests.month_books import CLOSING_TIME, session

pytestmark = pytest.mark.django_db

PAGE = reverse("payments:billing")
API = reverse("api_billing")
SAID = {"name": "Carla Coach GmbH", "address": "1 Main Street\n10115 Berlin", "country": "DE", "tax_id": "DE123456789"}
NOTHING = {"name": "", "address": "", "country": "", "tax_id": ""}
WRONG = [
    ("name", "a\nTax id DE1"),
    ("name", "x" * 121),
    ("address", "x" * 401),
    ("address", "1\n2\n3\n4\n5\n6\n7"),
    ("address", "1 Main Street\x07"),
    ("country", "ZZ"),
    ("country", "Germany"),
    ("country", "de"),
    ("tax_id", "none"),
    ("tax_id", "=1+1"),
    ("tax_id", "DE\u0661\u0662\u0663"),
    ("tax_id", "1" * 31),
    ("tax_id", "DE1\n2"),
]


@pytest.fixture
def as_coach(client: Client, coach: Coach) -> Client:
    client.force_login(coach.user)
    return client


def said_by(coach: Coach) -> dict[str, str]:
    details = BillingDetails.objects.filter(coach=coach).first()
    return {name: getattr(details, name) for name in SAID} if details else {}


def text(client: Client, address: str = PAGE) -> str:
    return " ".join(client.get(address).content.decode().split())


def patch(client: Client, body: Any) -> Any:
    return client.patch(API, body, content_type="application/json")


# --- on the invoice -----------------------------------------------------------------------------


@pytest.mark.embedded
def test_what_a_coach_says_is_on_the_next_invoice_and_stays_on_it(coach: Coach, as_coach: Client) -> None:
    as_coach.post(PAGE, SAID)
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    invoice = FeeInvoice.objects.get()
    before = invoice_pdf(invoice)

    as_coach.post(PAGE, {**SAID, "name": "Another", "tax_id": "FR1"})

    invoice.refresh_from_db()
    assert invoice.recipient == {
        "name": "Carla Coach GmbH",
        "address": "1 Main Street\n10115 Berlin\nGermany",
        "tax_id": "DE123456789",
    }
    assert invoice_pdf(invoice) == before
    with pytest.raises(DatabaseError, match="it is final"), transaction.atomic():
        FeeInvoice.objects.update(recipient={})
    shown = text(as_coach, reverse("payments:fee_invoice", args=[invoice.number]))
    assert "Carla Coach GmbH" in shown
    assert "Tax id DE123456789" in shown
    assert "Another" not in shown


@pytest.mark.parametrize(
    ("said", "recipient"),
    [
        (NOTHING, {"name": "Carla Coach", "address": "Austria", "tax_id": ""}),
        ({**NOTHING, "name": "C. Coach"}, {"name": "C. Coach", "address": "Austria", "tax_id": ""}),
        ({**NOTHING, "country": "DE"}, {"name": "Carla Coach", "address": "Germany", "tax_id": ""}),
        ({**NOTHING, "address": "Graz"}, {"name": "Carla Coach", "address": "Graz\nAustria", "tax_id": ""}),
        ({**NOTHING, "tax_id": "12 345/6"}, {"name": "Carla Coach", "address": "Austria", "tax_id": "12 345/6"}),
    ],
)
def test_what_is_not_said_is_as_we_know_it(coach: Coach, said: dict[str, str], recipient: dict[str, str]) -> None:
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="AT")
    BillingDetails.objects.create(coach=coach, **said)
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    assert FeeInvoice.objects.get().recipient == recipient


def test_the_country_that_is_known_is_not_missing(coach: Coach, as_coach: Client) -> None:
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="AT")
    assert "Missing: your address, your tax id." in text(as_coach)
    assert as_coach.get(API).json()["missing"] == ["your address", "your tax id"]


def test_finance_gets_them_safe_for_spreadsheets_and_sees_them_beside_the_coach(coach: Coach, as_coach: Client) -> None:
    finance, support = as_role("finance"), as_role("support")
    as_coach.post(PAGE, {**SAID, "name": "=1+1"})
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    answer = finance.get(reverse("admin:payments_feeinvoice_export"))
    rows = list(csv.DictReader(StringIO(b"".join(answer).decode())))
    assert [(row["name"], row["tax_id"]) for row in rows] == [("'=1+1", "DE123456789")]
    beside = reverse("admin:coaches_coach_change", args=[coach.pk])
    assert "10115 Berlin" in text(finance, beside)
    assert "10115 Berlin" not in text(support, beside)


# --- the page -----------------------------------------------------------------------------------


def test_the_page_says_what_is_missing_until_it_is_said(coach: Coach, as_coach: Client) -> None:
    assert "Missing: your address, your country, your tax id." in text(as_coach)
    as_coach.post(PAGE, {**NOTHING, "address": "Graz"})
    assert "Missing: your country, your tax id." in text(as_coach)
    answer = as_coach.post(PAGE, SAID)
    assert answer["Location"] == PAGE
    shown = text(as_coach)
    assert "Missing" not in shown
    assert 'value="DE123456789"' in shown
    assert "1 Main Street 10115 Berlin Germany Tax id DE123456789" in shown


def test_lines_are_tidied_and_all_can_be_taken_back(coach: Coach, as_coach: Client) -> None:
    as_coach.post(PAGE, {**SAID, "address": " 1 Main Street \r\n\r\n Berlin\r"})
    assert said_by(coach) == {**SAID, "address": "1 Main Street\nBerlin"}
    as_coach.post(PAGE, NOTHING)
    assert said_by(coach) == NOTHING


@pytest.mark.everyday(3)
@pytest.mark.parametrize(("field", "typed"), WRONG)
def test_what_is_wrong_is_refused_beside_the_field(coach: Coach, as_coach: Client, field: str, typed: str) -> None:
    answer = as_coach.post(PAGE, {**SAID, field: typed})
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == [field]
    assert said_by(coach) == {}
    assert patch(as_coach, {field: typed}).status_code == 400
    assert said_by(coach) == {}


def test_hostile_words_are_only_words(coach: Coach, as_coach: Client) -> None:
    hostile = "<script>alert(1)</script>&'\""
    as_coach.post(PAGE, {**SAID, "name": hostile, "address": hostile})
    shown = text(as_coach)
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert" in shown
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    assert invoice_pdf(FeeInvoice.objects.get()).startswith(b"%PDF-")


def test_it_is_their_own_alone(coach: Coach, as_coach: Client, student: User) -> None:
    other = CoachFactory.create()
    BillingDetails.objects.create(coach=other, **{**SAID, "name": "Somebody Else"})
    assert "Somebody Else" not in text(as_coach)
    as_coach.post(PAGE, SAID)
    assert said_by(other)["name"] == "Somebody Else"
    assert Client().get(PAGE).status_code == 302
    nobody = Client()
    nobody.force_login(student)
    assert nobody.post(PAGE, SAID)["Location"] == reverse("coaches:edit_profile")
    assert BillingDetails.objects.count() == 2


def test_countries_are_countries() -> None:
    assert {"DE", "US", "XK"} <= countries().keys()
    assert not {"EU", "UN", "ZZ", "001"} & countries().keys()


# --- the endpoint -------------------------------------------------------------------------------


def test_the_endpoint_changes_what_is_sent_and_says_what_is_missing(coach: Coach, as_coach: Client) -> None:
    assert as_coach.get(API).json() == {**NOTHING, "missing": ["your address", "your country", "your tax id"]}
    assert patch(as_coach, SAID).json() == {**SAID, "missing": []}
    answer = patch(as_coach, {"tax_id": "", "address": "1\r\nGraz\r\n"})
    assert answer.json() == {**SAID, "tax_id": "", "address": "1\nGraz", "missing": ["your tax id"]}
    assert said_by(coach) == {**SAID, "tax_id": "", "address": "1\nGraz"}


def test_the_endpoint_is_for_coaches_and_refuses_what_is_no_word(as_coach: Client, student: User) -> None:
    bodies: list[Any] = [
        [],
        "x",
        {"name": None},
        {"name": {}},
        {"country": ["DE"]},
        {"tax_id": "\0"},
        {"address": "\ud800"},
    ]
    for body in bodies:
        assert patch(as_coach, body).status_code == 400
    assert not BillingDetails.objects.exists()
    nobody = Client()
    nobody.force_login(student)
    assert nobody.get(API).status_code == 404
    assert patch(nobody, SAID).status_code == 404
    assert Client().get(API).status_code in (401, 403)
