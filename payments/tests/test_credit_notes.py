"""Fees that are given back after their invoice: which paper names which, and at which rate of tax. All by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pypdfium2
import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace.tests.factories import CoachFactory
from payments import statements
from payments.models import FeeInvoice, Payment
from payments.statements.papers import invoice_pdf, invoice_rows, invoice_title
from payments.tests.month_books import IN_NOVEMBER, IN_OCTOBER, post, refund, session

pytestmark = pytest.mark.django_db

IN_DECEMBER = datetime(2026, 12, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def close(month: int, year: int = 2026) -> None:
    """The day after its end."""
    statements.close_due_months(datetime(year + month // 12, month % 12 + 1, 2, tzinfo=UTC))


def paper(month: str, coach: Coach | None = None) -> FeeInvoice:
    found = FeeInvoice.objects.filter(month=month)
    return (found.filter(coach=coach) if coach else found).get()


def parts(invoice: FeeInvoice) -> list[tuple[int, int, int, int]]:
    """Number, amount, rate and tax of each that is corrected."""
    return [(part["number"], part["amount"], part["tax_bps"], part["tax_amount"]) for part in invoice.corrects]


def text_of(invoice: FeeInvoice) -> str:
    pages = pypdfium2.PdfDocument(invoice_pdf(invoice))
    return " ".join(" ".join(page.get_textpage().get_text_range().split()) for page in pages)


@pytest.fixture
def invoiced(coach: Coach, settings: Any) -> Payment:
    """October: a fee of 20.00 at 19 %, of which 3.19 is tax. Since then it is 7 %."""
    settings.FEE_TAX_BPS = 1_900
    payment = session(coach)
    close(10)
    settings.FEE_TAX_BPS = 700
    return payment


def test_a_credit_note_names_the_invoice_and_has_its_rate(invoiced: Payment) -> None:
    refund(invoiced, IN_NOVEMBER, coach=8_000, fee=2_000)
    close(11)

    note = paper("2026-11")

    assert invoice_title(note) == "Credit note 2"
    assert (note.amount, note.tax_amount) == (-2_000, -319)
    assert note.corrects == [
        {"number": 1, "called": "Fee invoice 1", "month": "2026-10", "amount": -2_000, "tax_bps": 1_900,
         "tax_amount": -319}
    ]  # fmt: skip
    assert invoice_rows(note) == [
        ("Correction of Fee invoice 1 of October 2026, without tax", "-$16.81"),
        ("Tax, 19 %", "-$3.19"),
        ("In all, USD", "-$20.00"),
    ]
    shown = text_of(note)
    for words in ("Credit note 2", "Corrects Fee invoice 1 of October 2026", "19 %"):
        assert words in shown
    assert "7 %" not in shown
    assert "Corrects" not in text_of(paper("2026-10"))


def test_what_the_month_earned_itself_is_taxed_at_its_own_rate_beside_it(coach: Coach, invoiced: Payment) -> None:
    session(coach, IN_NOVEMBER, amount=25_000, fee=5_000)
    refund(invoiced, IN_NOVEMBER, coach=2_000, fee=500)
    close(11)

    invoice = paper("2026-11")

    # 50.00 with 3.27 at 7 %; 5.00 of 20.00 leaves 15.00, whose tax is 2.39 and was 3.19.
    assert invoice_title(invoice) == "Fee invoice 2"
    assert (invoice.amount, invoice.tax_bps, invoice.tax_amount) == (4_500, 700, 327 - 80)
    assert (invoice.own_amount, invoice.own_tax) == (5_000, 327)
    assert parts(invoice) == [(1, -500, 1_900, -80)]
    assert invoice_rows(invoice) == [
        ("Fees of November 2026, less fees given back, without tax", "$46.73"),
        ("Tax, 7 %", "$3.27"),
        ("Correction of Fee invoice 1 of October 2026, without tax", "-$4.20"),
        ("Tax, 19 %", "-$0.80"),
        ("In all, USD", "$45.00"),
    ]


def test_one_that_corrects_several_lists_each_at_its_own_rate(coach: Coach, invoiced: Payment, settings: Any) -> None:
    in_november = session(coach, IN_NOVEMBER)
    close(11)
    settings.FEE_TAX_BPS = 0
    refund(in_november, IN_DECEMBER, coach=4_000, fee=1_000)
    refund(invoiced, IN_DECEMBER, coach=8_000, fee=2_000)
    close(12)

    note = paper("2026-12")

    # Of 20.00 at 7 % 1.31 is tax, of the 10.00 that are left 0.65.
    assert parts(note) == [(1, -2_000, 1_900, -319), (2, -1_000, 700, -66)]
    assert (note.amount, note.tax_amount) == (-3_000, -385)
    assert [words for words, _ in invoice_rows(note)] == [
        "Correction of Fee invoice 1 of October 2026, without tax", "Tax, 19 %",
        "Correction of Fee invoice 2 of November 2026, without tax", "Tax, 7 %",
        "In all, USD",
    ]  # fmt: skip


def test_no_cent_of_tax_is_left_when_all_is_given_back_in_parts(coach: Coach, settings: Any) -> None:
    settings.FEE_TAX_BPS = 1_900
    payment = session(coach, amount=1_000, fee=100)
    close(10)
    settings.FEE_TAX_BPS = 0
    refund(payment, IN_NOVEMBER, coach=100, fee=33)
    close(11)
    refund(payment, IN_DECEMBER, coach=100, fee=33)
    close(12)
    refund(payment, IN_DECEMBER + timedelta(days=31), coach=100, fee=34)
    close(1, 2027)

    # Of 1.00 it is 16 cents (15.97), of 0.67 11 (10.70), of 0.34 5 (5.43); alone each part would have 5.
    taxes = list(FeeInvoice.objects.order_by("number").values_list("tax_amount", flat=True))
    assert taxes == [16, -5, -6, -5]


def test_what_is_charged_again_after_all_is_at_the_invoices_rate_too(invoiced: Payment, coach: Coach) -> None:
    refund(invoiced, IN_NOVEMBER, coach=8_000, fee=2_000)
    close(11)
    back = {f"coach_payable:{coach.pk}": -8_000, "platform_revenue": -2_000, "refunds_in_flight": 10_000}
    post("refund_undone", back, IN_DECEMBER, invoiced)
    close(12)

    again = paper("2026-12")

    assert (invoice_title(again), parts(again)) == ("Fee invoice 3", [(1, 2_000, 1_900, 319)])
    assert (again.amount, again.own_amount, again.tax_amount) == (2_000, 0, 319)


def test_a_month_whose_sum_is_nothing_and_whose_tax_is_not_has_a_paper(coach: Coach, invoiced: Payment) -> None:
    session(coach, IN_NOVEMBER)
    refund(invoiced, IN_NOVEMBER, coach=8_000, fee=2_000)
    close(11)
    both = paper("2026-11")
    assert (both.amount, both.own_amount, both.tax_amount, parts(both)) == (
        0, 2_000, 131 - 319, [(1, -2_000, 1_900, -319)],
    )  # fmt: skip


def test_a_lost_dispute_corrects_it_and_a_refund_of_the_same_month_corrects_none(
    coach: Coach, invoiced: Payment
) -> None:
    refund(session(coach, IN_NOVEMBER), IN_NOVEMBER + HOUR, coach=4_000, fee=1_000)
    post("dispute_withdrawn", {"disputes_held": 10_000}, IN_NOVEMBER, invoiced)
    lost = {"disputes_held": -10_000, f"coach_payable:{coach.pk}": 8_000, "platform_revenue": 2_000}
    post("dispute_lost", lost, IN_NOVEMBER + HOUR, invoiced)
    close(11)
    note = paper("2026-11")
    assert (note.own_amount, parts(note)) == (1_000, [(1, -2_000, 1_900, -319)])


def test_fees_that_were_never_invoiced_are_the_months_own(coach: Coach, settings: Any) -> None:
    settings.FEE_TAX_BPS = 1_900
    payment = session(coach)
    refund(payment, IN_OCTOBER + HOUR, coach=8_000, fee=2_000)
    close(10)
    assert not FeeInvoice.objects.exists()
    back = {f"coach_payable:{coach.pk}": -8_000, "platform_revenue": -2_000, "refunds_in_flight": 10_000}
    post("refund_undone", back, IN_NOVEMBER, payment)
    close(11)
    only = paper("2026-11")
    assert (only.amount, only.tax_amount, only.corrects) == (2_000, 319, [])


def test_neither_another_coachs_nor_another_currencys_invoice_is_corrected(coach: Coach, settings: Any) -> None:
    other = CoachFactory.create()
    session(other)
    euros = session(coach, currency="eur")
    dollars = session(coach)
    close(10)
    refund(euros, IN_NOVEMBER, coach=800, fee=200)
    refund(dollars, IN_NOVEMBER, coach=400, fee=100)
    close(11)
    corrected = {
        note.currency: [(part["number"], part["amount"]) for part in note.corrects]
        for note in FeeInvoice.objects.filter(month="2026-11")
    }
    numbers = dict(FeeInvoice.objects.filter(month="2026-10", coach=coach).values_list("currency", "number"))
    assert corrected == {"eur": [(numbers["eur"], -200)], "usd": [(numbers["usd"], -100)]}


def test_the_page_and_the_file_are_the_same_after_the_rate_has_changed_again(
    invoiced: Payment, coach: Coach, client: Client, settings: Any
) -> None:
    refund(invoiced, IN_NOVEMBER, coach=8_000, fee=2_000)
    close(11)
    before = invoice_pdf(paper("2026-11"))
    settings.FEE_TAX_BPS = 2_500
    client.force_login(coach.user)
    shown = " ".join(client.get(reverse("payments:fee_invoice", args=[2])).content.decode().split())
    for words in ("Credit note 2", "Fee invoice 1 of October 2026", reverse("payments:fee_invoice", args=[1]), "19 %"):
        assert words in shown
    assert invoice_pdf(paper("2026-11")) == before
