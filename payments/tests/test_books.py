"""The books in the admin: each figure leads to its rows, their sum is the figure, and they can be taken along."""

import csv
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from structlog.testing import capture_logs

from marketplace.lib.money import Money
from marketplace.lib.months import month_of
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role, browser_of, member_of
from payments import chart, ledger, postings
from payments.admin import lists
from payments.admin.books import ENTRIES_ON_A_PAGE
from payments.models import (
    Dispute,
    Earning,
    LedgerAccount,
    LedgerEntry,
    Payment,
    PayoutLine,
    PayoutRun,
    Refund,
    Transfer,
)
from payments.tests.factories_books import NOW, earn

pytestmark = pytest.mark.django_db

BOOKS = ("ledgeraccount", "ledgerentry", "ledgertransaction", "earning", "transfer", "payoutline")
LISTS = (*BOOKS, "payment", "refund", "dispute")
MONTH = month_of(NOW)


@pytest.fixture
def desk() -> Client:
    return as_role("finance")


def post(lines: dict[str, int], *, reference: str, at: Any = NOW, currency: str = "usd") -> None:
    with transaction.atomic():
        ledger.post(
            kind="test",
            reference=reference,
            lines=[ledger.Line(account, Money(amount, currency)) for account, amount in lines.items()],
            now=at,
        )


def paid_out() -> PayoutLine:
    earning = earn(CoachFactory.create(display_name="=HYPERLINK(1)"))
    run = PayoutRun.objects.create(month="2026-10", opened_at=NOW)
    line = PayoutLine.objects.create(run=run, coach=earning.coach, amount=8_000, currency="usd", status="waiting")
    Transfer.objects.create(
        stripe_transfer_id="tr_1", coach=line.coach, destination="acct_1", amount=8_000, currency="usd", line=line,
        created_at=NOW,
    )  # fmt: skip
    Refund.objects.create(
        payment=earning.paid_for, amount=500, currency="usd", coach_part=400, fee_part=100, loss_part=0,
        bearer="shared", reason="goodwill", note="@SUM(A1)", status="succeeded", created_at=NOW,
    )  # fmt: skip
    Dispute.objects.create(
        stripe_dispute_id="dp_1", payment=earning.paid_for, amount=9_500, currency="usd", reason="fraudulent",
        status="needs_response", opened_at=NOW,
    )  # fmt: skip
    return line


def listed(name: str) -> str:
    return reverse(f"admin:payments_{name}_changelist")


def exported(client: Client, name: str, query: str = "") -> list[dict[str, str]]:
    answer = client.get(reverse(f"admin:payments_{name}_export") + query)
    assert answer.status_code == 200, name
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(answer.getvalue().decode(), newline="")))


# --- the chart of accounts ----------------------------------------------------------------------


@pytest.mark.embedded
def test_the_chart_says_what_is_in_each_account_and_sums_to_zero(desk: Client) -> None:
    earn(CoachFactory.create())
    earn(CoachFactory.create())
    post({"coach_payable:999999": 500, "platform_losses": -500}, reference="debt")
    post({"bank": 700, "suspense": -700}, reference="yen", currency="jpy")
    groups = {(each.currency, each.code): each for rows in chart.chart().values() for each in rows}
    assert {key: each.balance.amount for key, each in groups.items()} == {
        ("jpy", "bank"): 700,
        ("jpy", "suspense"): -700,
        ("usd", "stripe_balance"): 19_360,
        ("usd", "coach_payable:"): -15_500,
        ("usd", "platform_revenue"): -4_000,
        ("usd", "stripe_fees"): 640,
        ("usd", "platform_losses"): -500,
    }
    assert groups["usd", "coach_payable:"].owed_by_us == Money(16_000, "usd")
    assert groups["usd", "coach_payable:"].owed_to_us == Money(500, "usd")
    page = desk.get(reverse("admin:payments_ledgeraccount_chart"))
    assert [str(each["sum"]) for each in page.context["currencies"]] == ["¥0", "$0.00"]
    for figure in ("$193.60", "-$155.00", "we owe $160.00, they owe $5.00"):
        assert figure in page.content.decode()


def test_every_account_that_the_product_books_on_has_a_meaning() -> None:
    codes = {ledger.STRIPE_BALANCE, ledger.COACH_PAYABLE, *ledger.CLEARING_ACCOUNTS}
    codes |= {value for name, value in vars(postings).items() if name.isupper() and isinstance(value, str)}
    assert {code for code in codes if code not in chart.MEANINGS} == set()


def test_every_figure_of_the_chart_leads_to_rows_with_its_sum(desk: Client) -> None:
    for _ in range(2):
        earn(CoachFactory.create())
    earn(CoachFactory.create(), currency="eur")
    for currency in desk.get(reverse("admin:payments_ledgeraccount_chart")).context["currencies"]:
        for group in currency["groups"]:
            page = desk.get(group["address"])
            found = page.context["sums"] if group["row"].of_people else [page.context["balance"]]
            assert found == [group["row"].balance], group["row"].code


@pytest.mark.embedded
def test_months_lead_from_balance_to_balance_and_each_to_its_entries(desk: Client) -> None:
    for day in (-40, -39, -5, 0):
        post({"bank": 100, "suspense": -100}, reference=f"day {day}", at=NOW + timedelta(days=day))
    post({"bank": -30, "suspense": 30}, reference="back", at=NOW)
    account = LedgerAccount.objects.get(code="bank")
    now, before = chart.months_of(account)
    assert (now.month, now.opening.amount, now.debit.amount, now.credit.amount) == ("2026-10", 200, 200, -30)
    assert (before.month, before.opening.amount, before.closing.amount) == ("2026-09", 0, 200)
    assert now.closing == ledger.balance("bank", "usd")

    page = desk.get(reverse("admin:payments_ledgeraccount_month", args=[account.pk, "2026-10"]))
    assert [row["after"].amount for row in page.context["rows"]] == [300, 400, 370]
    assert page.context["opening"].amount == 200
    as_list = desk.get(page.context["entries"])
    assert as_list.context["cl"].result_count == now.entries == 3
    assert as_list.context["sums"] == [Money(170, "usd")]


def test_a_month_ends_with_its_last_instant_in_utc(desk: Client) -> None:
    first = NOW.replace(day=1, hour=0)
    post({"bank": 1, "suspense": -1}, reference="last", at=first - timedelta(microseconds=1))
    post({"bank": 2, "suspense": -2}, reference="first", at=first)
    account = LedgerAccount.objects.get(code="bank")
    assert [(each.month, each.closing.amount) for each in chart.months_of(account)] == [("2026-10", 3), ("2026-09", 1)]
    assert [entry.amount for entry in chart.entries_of(account, "2026-09")] == [1]
    assert [entry.amount for entry in chart.entries_of(account, "2026-10")] == [2]
    assert chart.opening_of(account, "2026-10") == Money(1, "usd")


@pytest.mark.embedded
def test_the_balance_runs_on_over_the_pages_of_a_month(desk: Client) -> None:
    for number in range(ENTRIES_ON_A_PAGE + 1):
        post({"bank": 1, "suspense": -1}, reference=str(number))
    address = reverse("admin:payments_ledgeraccount_month", args=[LedgerAccount.objects.get(code="bank").pk, MONTH])
    last = desk.get(address, {"p": 2}).context["rows"]
    assert [row["after"].amount for row in last] == [ENTRIES_ON_A_PAGE + 1]


# --- sums ---------------------------------------------------------------------------------------


@pytest.mark.embedded
def test_a_list_sums_what_is_chosen_in_each_currency(desk: Client) -> None:
    paid_out()
    earn(CoachFactory.create(), currency="eur", amount=5_000, platform_fee=1_000)
    assert desk.get(listed("payment"), {"status__exact": "captured"}).context["sums"] == [
        Money(5_000, "eur"),
        Money(10_000, "usd"),
    ]
    assert desk.get(listed("earning"), {"currency": "eur"}).context["sums"] == [Money(4_000, "eur")]
    assert desk.get(listed("transfer"), {"q": "tr_1"}).context["sums"] == [Money(8_000, "usd")]
    assert desk.get(listed("payoutline"), {"status__exact": "paid"}).context["sums"] == []
    assert desk.get(listed("refund"), {"status__exact": "succeeded"}).context["sums"] == [Money(500, "usd")]
    assert desk.get(listed("dispute"), {"closed_at__isnull": "True"}).context["sums"] == [Money(9_500, "usd")]
    assert desk.get(listed("ledgerentry"), {"account__code": "platform_revenue"}).context["sums"] == [
        Money(-1_000, "eur"),
        Money(-2_000, "usd"),
    ]
    # Everything of all times is not summed up for each look at it.
    assert desk.get(listed("payment")).context["sums"] == []


def test_a_search_that_finds_a_row_by_many_others_counts_it_once(desk: Client) -> None:
    line = paid_out()
    earn(line.coach, reference="booking:twice")
    answer = desk.get(listed("payoutline"), {"q": "HYPERLINK"})
    assert answer.context["sums"] == [Money(8_000, "usd")]


# --- files --------------------------------------------------------------------------------------


@pytest.mark.embedded
def test_a_file_holds_the_rows_of_the_list_with_its_filters(desk: Client) -> None:
    paid_out()
    earn(CoachFactory.create(), currency="eur")
    address = desk.get(listed("ledgerentry"), {"account__currency": "eur", "p": "1"}).context["export"]
    rows = exported(desk, "ledgerentry", address[address.index("?") :])
    assert len(rows) == 4
    assert {row["currency"] for row in rows} == {"eur"}
    entry = LedgerEntry.objects.get(account__code="platform_revenue", account__currency="eur")
    assert next(row for row in rows if row["account"] == "platform_revenue") == {
        "id": str(entry.pk),
        "occurred at": "2026-10-20T12:00:00Z",
        "kind": "capture",
        "reference": entry.transaction.reference,
        "transaction": str(entry.transaction_id),
        "payment": str(entry.transaction.payment_id),
        "account": "platform_revenue",
        "currency": "eur",
        "amount": "-20.00",
        "balance transaction": "",
    }


def test_each_list_has_a_file_with_as_many_rows(desk: Client) -> None:
    paid_out()
    for name in LISTS:
        count = desk.get(listed(name)).context["cl"].result_count
        assert count > 0, name
        assert len(exported(desk, name)) == count, name


def test_names_and_reasons_that_begin_like_a_formula_are_text_in_the_file(desk: Client) -> None:
    line = paid_out()
    PayoutLine.objects.filter(pk=line.pk).update(waiting_for="+1 @SUM(A1)", held_reason="-1+1")
    row = exported(desk, "payoutline")[0]
    assert (row["coach"], row["waiting for"], row["why held"]) == ("'=HYPERLINK(1)", "'+1 @SUM(A1)", "'-1+1")
    assert (row["amount"], row["currency"]) == ("80.00", "usd")
    assert exported(desk, "refund")[0]["note"] == "'@SUM(A1)"


def test_who_may_not_see_rows_does_not_get_them_as_a_file(db: None) -> None:
    support = as_role("support")
    for name in BOOKS:
        assert support.get(reverse(f"admin:payments_{name}_export")).status_code == 403, name
    assert exported(support, "payment") == []
    assert Client().get(reverse("admin:payments_payment_export")).status_code == 302


def test_a_file_that_would_break_off_is_not_made(desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    earn(CoachFactory.create())
    monkeypatch.setattr(lists, "MOST_ROWS", 3)
    answer = desk.get(reverse("admin:payments_ledgerentry_export"), {"account__currency": "usd"}, follow=True)
    assert answer.redirect_chain == [(f"{listed('ledgerentry')}?account__currency=usd", 302)]
    assert "4 rows are too many for a file of 3" in answer.content.decode()
    assert len(exported(desk, "ledgerentry", "?account__code=bank")) == 0


def test_it_is_noted_who_exported_what_and_not_whom_they_searched_for() -> None:
    finance = member_of("finance")
    with capture_logs() as logs:
        exported(browser_of(finance), "payment", "?status__exact=captured&q=carla@example.com")
    noted = [line for line in logs if line["event"] == "rows_exported"]
    assert noted == [
        {
            "event": "rows_exported",
            "log_level": "info",
            "user": finance.pk,
            "model": "payments.Payment",
            "filters": {"status__exact": ["captured"]},
            "searched": True,
            "rows": 0,
        }
    ]


# --- hostile input ------------------------------------------------------------------------------

HOSTILE = (
    "?p=999999999999999999999", "?p=abc", "?p=-1", "?q=%00", "?q=" + "x" * 3_000, "?o=9.9.-9", "?currency=%00",
    "?id__exact=99999999999999999999999", "?id__exact=abc", "?status__exact=%F0%9F%92%A9", "?no_such=1",
    "?payment__payer__password__startswith=a", "?occurred_at__year=99999", "?created_at__gte=garbage", "?e=1",
    "?transaction__occurred_at__gte=garbage", "?account__code=%00", "?line__status=%27", "?code__startswith=%25",
    "?_to_field=password", "?all=", "?id__in=1,2,x", "?amount__gt=1e999",
)  # fmt: skip


@pytest.mark.embedded
@pytest.mark.everyday(1)
@pytest.mark.parametrize("name", LISTS)
def test_no_filter_breaks_a_list_or_its_file(desk: Client, name: str) -> None:
    paid_out()
    for query in HOSTILE:
        for page in ("changelist", "export"):
            answer = desk.get(reverse(f"admin:payments_{name}_{page}") + query)
            assert answer.status_code in (200, 302, 400), (name, page, query)


def test_no_number_month_or_page_breaks_the_pages_of_an_account(desk: Client) -> None:
    earn(CoachFactory.create())
    account = LedgerAccount.objects.first()
    assert account
    months = reverse("admin:payments_ledgeraccount_months", args=[account.pk])
    assert desk.get(months).status_code == 200
    for month in ("2026-13", "2026-1", "0000-01", "9999-12", "x", "%00", "\u0662\u0660\u0662\u0666-10", "2026-10-01"):
        assert desk.get(f"{months}{month}/").status_code == 404, month
    for page in ("0", "-1", "abc", "9" * 40, ""):
        assert desk.get(f"{months}{MONTH}/?p={page}").status_code == 200, page
    for number in ("0", "9" * 30):
        assert desk.get(months.replace(f"/{account.pk}/", f"/{number}/")).status_code == 404


# --- rights and price ---------------------------------------------------------------------------


def test_support_sees_no_books(db: None) -> None:
    earn(CoachFactory.create())
    account = LedgerAccount.objects.first()
    assert account
    support = as_role("support")
    for address in (
        reverse("admin:payments_ledgeraccount_chart"),
        reverse("admin:payments_ledgeraccount_months", args=[account.pk]),
        reverse("admin:payments_ledgeraccount_month", args=[account.pk, MONTH]),
    ):
        assert support.get(address).status_code == 403


def test_the_pages_of_the_books_cost_the_same_however_much_there_is(desk: Client) -> None:
    earn(CoachFactory.create())
    account = LedgerAccount.objects.get(code="platform_revenue")
    addresses = (
        reverse("admin:payments_ledgeraccount_chart"),
        reverse("admin:payments_ledgeraccount_months", args=[account.pk]),
        reverse("admin:payments_ledgeraccount_month", args=[account.pk, MONTH]),
        f"{listed('ledgeraccount')}?currency__exact=usd",
        f"{listed('ledgerentry')}?account__currency=usd",
    )
    few = [queries(lambda: desk.get(address)) for address in addresses]  # noqa: B023  # called at once
    for _ in range(5):
        earn(CoachFactory.create())
    assert [queries(lambda: desk.get(address)) for address in addresses] == few  # noqa: B023  # called at once


def queries(act: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as caught:
        act()
    return len(caught)


def test_a_file_of_many_rows_costs_no_more_queries(desk: Client) -> None:
    addresses = [reverse(f"admin:payments_{name}_export") for name in LISTS]
    paid_out()
    few = [queries(lambda: desk.get(address).getvalue()) for address in addresses]  # noqa: B023  # called at once
    for _ in range(5):
        earn(CoachFactory.create())
    assert Payment.objects.count() == Earning.objects.count() == 6
    many = [queries(lambda: desk.get(address).getvalue()) for address in addresses]  # noqa: B023  # called at once
    assert many == few


def test_entries_are_filtered_by_nothing_that_leads_to_people(desk: Client) -> None:
    address = reverse("admin:payments_ledgerentry_changelist")
    assert desk.get(address, {"transaction__payment__payer__password__startswith": "x"}).status_code == 400
