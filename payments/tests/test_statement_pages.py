"""A coach's months as they see them: their own alone, open ones as far as they are, closed ones as files, too."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from payments import statements
from payments.models import FeeInvoice, Payment, Payout
from payments.tests.month_books import CLOSING_TIME, IN_NOVEMBER, IN_OCTOBER, OCTOBER, refund, session, transfer
from payments.tests.test_statements import paid_out

pytestmark = pytest.mark.django_db

MONTHS = reverse("payments:statements")
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock may be anything; these pages live in November 2026."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def as_coach(client: Client, coach: Coach) -> Client:
    client.force_login(coach.user)
    return client


@pytest.fixture
def closed(coach: Coach) -> Payment:
    """October is closed: a session of 100.00 with 25.00 of it refunded, and 50.00 transferred."""
    payment = session(coach, reference="booking:7")
    refund(payment, IN_OCTOBER + timedelta(hours=1), coach=2_000, fee=500)
    transfer(coach, 5_000, IN_OCTOBER + timedelta(hours=2))
    paid_out(coach, 4_000, IN_OCTOBER)
    statements.close_due_months(CLOSING_TIME)
    return payment


def page(name: str = "statement", month: str = OCTOBER, currency: str = "usd") -> str:
    return reverse(f"payments:{name}", args=[month, currency])


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# --- somebody else's ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["statement", "statement_csv", "statement_pdf"])
def test_a_month_is_its_coachs_alone(closed: Payment, client: Client, student: User, name: str) -> None:
    client.force_login(student)
    assert client.get(page(name)).status_code == 404
    client.force_login(CoachFactory.create().user)
    assert client.get(page(name)).status_code == 404
    client.logout()
    assert client.get(page(name)).status_code == 302


@pytest.mark.parametrize("name", ["fee_invoice", "fee_invoice_pdf"])
def test_an_invoice_is_its_coachs_alone(closed: Payment, client: Client, name: str) -> None:
    address = reverse(f"payments:{name}", args=[FeeInvoice.objects.get().number])
    client.force_login(CoachFactory.create().user)
    assert client.get(address).status_code == 404
    client.force_login(closed.coach.user)
    assert client.get(address).status_code == 200


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("month", "currency"),
    [("2026-09", "usd"), ("2026-12", "usd"), (OCTOBER, "eur"), ("2026-13", "usd"), ("x", "usd"), (OCTOBER, "<b>"),
     ("2026-10\n", "usd"), ("٢٠٢٦-10", "usd"), ("9999-12", "usd"), (OCTOBER, "USD"), (OCTOBER, "us\0"),
     (OCTOBER, "u" * 5_000)],
)  # fmt: skip
def test_what_never_was_does_not_exist(closed: Payment, as_coach: Client, month: str, currency: str) -> None:
    for name in ("statement", "statement_csv", "statement_pdf"):
        assert as_coach.get(page(name, month, currency)).status_code == 404
    assert as_coach.get(reverse("api_month_lines", args=[month, currency])).status_code == 404


@pytest.mark.parametrize("year", [0, 1999, 2025, 10_000, 10**30])
def test_a_year_without_anything_does_not_exist(closed: Payment, as_coach: Client, year: int) -> None:
    assert as_coach.get(reverse("payments:statement_year", args=[year])).status_code == 404
    assert as_coach.get(reverse("api_year", args=[year])).status_code == 404


def test_pages_are_read_and_never_written(closed: Payment, as_coach: Client) -> None:
    for address in (MONTHS, page(), reverse("payments:fee_invoice", args=[1])):
        assert as_coach.post(address).status_code == 405


# --- what they show -----------------------------------------------------------------------------


@pytest.mark.embedded
def test_the_list_has_each_month_with_its_sums_and_says_which_is_open(closed: Payment, as_coach: Client) -> None:
    session(closed.coach, IN_NOVEMBER)
    shown = text(as_coach, MONTHS)
    assert shown.index("November 2026") < shown.index("October 2026")
    november, october = shown[shown.index("November 2026") :].split("October 2026")
    assert "so far, USD" in november
    assert "carried out, USD" in october
    for sum_ in ("$0.00", "$60.00", "$50.00", "$10.00"):
        assert sum_ in october
    assert "$90.00" in november


def test_a_closed_month_has_its_lines_its_payouts_and_its_files(closed: Payment, as_coach: Client) -> None:
    shown = text(as_coach, page())
    for words in ("October 2026", "Session: A session", "Paid $100.00, fee $20.00", "$25.00 to the student",
                  "booking:7", "Transfer to Stripe account", "po_4000", "Tue 20 Oct 2026, 12:00",
                  "Tue 20 Oct 2026, 14:00", "Berlin time", "Fee invoice 1", page("statement_csv"),
                  "Session of", "Mon 12 Oct 2026", page("statement_pdf")):  # fmt: skip
        assert words in shown
    assert "So far" not in shown
    assert as_coach.get(page("statement_csv"))["Content-Disposition"] == (
        'attachment; filename="statement-2026-10-usd.csv"'
    )
    assert as_coach.get(page("statement_pdf")).content.startswith(b"%PDF")


def test_an_open_month_says_so_and_has_no_files(closed: Payment, as_coach: Client) -> None:
    november = page(month="2026-11")
    assert "So far: this month is still open" in text(as_coach, november)
    assert ".csv" not in text(as_coach, november)
    assert as_coach.get(page("statement_csv", "2026-11")).status_code == 404
    assert as_coach.get(page("statement_pdf", "2026-11")).status_code == 404


def test_a_month_that_is_over_and_not_closed_yet_is_open(coach: Coach, as_coach: Client) -> None:
    session(coach)
    assert "So far: this month is still open" in text(as_coach, page())


def test_the_file_is_the_one_that_was_told(closed: Payment, as_coach: Client) -> None:
    content = as_coach.get(page("statement_csv")).content.decode()
    assert content == statements.statement_csv(
        statements.coach_month(coach_id=closed.coach_id, month=OCTOBER, currency="usd")
    )


def test_the_invoice_shows_both_sides_and_the_tax(coach: Coach, as_coach: Client, settings: Any) -> None:
    settings.OPERATOR_NAME, settings.OPERATOR_TAX_ID, settings.FEE_TAX_BPS = "Holdfast GmbH", "DE123", 1_900
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    settings.OPERATOR_NAME, settings.FEE_TAX_BPS = "Another", 0
    shown = text(as_coach, reverse("payments:fee_invoice", args=[1]))
    for words in ("Fee invoice 1", "Holdfast GmbH", "Tax id DE123", "Carla Coach", "19 %", "$16.81", "$3.19", "$20.00"):
        assert words in shown
    assert "Another" not in shown


def test_a_month_that_is_closed_and_not_stated_yet_has_no_files(coach: Coach, as_coach: Client) -> None:
    session(coach)
    statements.closing.close_next_month(CLOSING_TIME)
    assert ".pdf" not in text(as_coach, page())
    assert as_coach.get(page("statement_pdf")).status_code == 404


def test_a_year_in_which_only_we_gave_something_back_is_told(coach: Coach, as_coach: Client) -> None:
    payment = session(coach, IN_NOVEMBER - timedelta(days=365))
    refund(payment, IN_NOVEMBER, coach=0, fee=2_000, loss=8_000)
    assert reverse("payments:statement_year", args=[2026]) in text(as_coach, MONTHS)
    assert "-$100.00" in text(as_coach, reverse("payments:statement_year", args=[2026]))


def test_an_open_month_that_changed_nothing_for_the_coach_is_listed(closed: Payment, as_coach: Client) -> None:
    Payout.objects.create(
        account=closed.coach.payout_account, amount=700, currency="eur", status="paid", created_at=IN_NOVEMBER,
        recorded_at=IN_NOVEMBER, stripe_payout_id="po_eur",
    )  # fmt: skip
    assert page(month="2026-11", currency="eur") in text(as_coach, MONTHS)
    session(closed.coach, IN_NOVEMBER, currency="jpy", amount=5_000, fee=5_000)
    assert page(month="2026-11", currency="jpy") in text(as_coach, MONTHS)


def test_an_open_month_in_which_a_payout_only_came_back_is_listed(closed: Payment, as_coach: Client) -> None:
    Payout.objects.create(
        account=closed.coach.payout_account, amount=700, currency="eur", status="failed", created_at=IN_OCTOBER,
        recorded_at=IN_OCTOBER, failed_at=IN_NOVEMBER, stripe_payout_id="po_eur",
    )  # fmt: skip
    assert page(month="2026-11", currency="eur") in text(as_coach, MONTHS)


def test_a_coach_with_nothing_yet_is_told_so_and_a_student_is_led_to_begin(coach: Coach, client: Client) -> None:
    client.force_login(coach.user)
    assert "Nothing to state yet" in text(client, MONTHS)
    client.force_login(CoachFactory.build().user.__class__.objects.create(email="new@example.com", name="N"))
    assert client.get(MONTHS).status_code == 302


@pytest.mark.embedded
def test_the_year_is_told_by_quarter(closed: Payment, as_coach: Client) -> None:
    session(closed.coach, datetime(2026, 3, 31, 23, 59, tzinfo=UTC) + timedelta(days=365))
    shown = text(as_coach, reverse("payments:statement_year", args=[2026]))
    for words in ("Quarter 4, USD", "$100.00", "-$25.00", "-$15.00", "$50.00"):
        assert words in shown
    assert "Quarter 1" not in shown


@pytest.mark.parametrize("sessions", [1, 60])
def test_pages_ask_as_often_for_few_as_for_many(
    coach: Coach, as_coach: Client, sessions: int, django_assert_num_queries: Any
) -> None:
    for hour in range(sessions):
        session(coach, IN_OCTOBER + timedelta(hours=hour))
    statements.close_due_months(CLOSING_TIME)
    with django_assert_num_queries(9):
        as_coach.get(page())
    with django_assert_num_queries(13):
        as_coach.get(MONTHS)


def test_more_lines_than_a_page_has_are_on_the_next(coach: Coach, as_coach: Client) -> None:
    for hour in range(60):
        session(coach, IN_OCTOBER + timedelta(hours=hour), description=f"Session no. {hour}")
    first, second = text(as_coach, page()), text(as_coach, page() + "?page=2")
    assert "Session no. 49" in first
    assert "Session no. 50" not in first
    assert "Session no. 59" in second
    assert "$4,800.00" in first


# --- the API ------------------------------------------------------------------------------------


def test_the_api_lists_months(closed: Payment, as_coach: Client) -> None:
    answer = as_coach.get(reverse("api_months")).json()
    assert answer["count"] == 2
    assert answer["results"][1] == {
        "month": OCTOBER,
        "currency": "usd",
        "closed": True,
        "opening": 0,
        "earned": 6_000,
        "paid": 5_000,
        "closing": 1_000,
    }
    assert (answer["results"][0]["month"], answer["results"][0]["closed"]) == ("2026-11", False)


def test_the_api_lists_a_months_lines_page_by_page(closed: Payment, as_coach: Client) -> None:
    address = reverse("api_month_lines", args=[OCTOBER, "usd"])
    answer = as_coach.get(address, {"page_size": 2}).json()
    assert (answer["count"], len(answer["results"])) == (3, 2)
    line = answer["results"][1]
    assert line.pop("source_id").startswith("refund_decided_")
    assert line == {
        "kind": "refund",
        "at": "2026-10-20T13:00:00Z",
        "reference": "booking:7",
        "description": "A session",
        "session_ends_at": "2026-10-12T12:00:00Z",
        "gross": -2_500,
        "fee": -500,
        "borne_by_us": 0,
        "in_dispute": 0,
        "amount": -2_000,
        "balance": 6_000,
    }


def test_the_api_totals_a_year(closed: Payment, as_coach: Client) -> None:
    assert as_coach.get(reverse("api_year", args=[2026])).json() == {
        "year": 2026,
        "quarters": [
            {
                "currency": "usd",
                "quarter": 4,
                "sessions": 1,
                "gross": 10_000,
                "refunds": 2_500,
                "fees": 1_500,
                "borne_by_us": 0,
                "adjusted": 0,
                "paid": 5_000,
            }
        ],
    }


def test_the_api_has_nothing_for_others(closed: Payment, client: Client, student: User) -> None:
    addresses = (
        reverse("api_months"),
        reverse("api_month_lines", args=[OCTOBER, "usd"]),
        reverse("api_year", args=[2026]),
    )
    for address in addresses:
        assert client.get(address).status_code in (401, 403)
    client.force_login(student)
    for address in addresses:
        assert client.get(address).status_code == 404


def test_the_schema_is_without_a_warning() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")
