"""Months of coaches: why each got what they got, their statements and invoices; and what tax authorities ask for."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from coaches.models import Coach
from marketplace import clock
from marketplace.admin_desks import desk_page, require_right
from marketplace.lib.money import Money, to_decimal
from marketplace.lib.months import end_of, month_before, month_in_words, month_of, start_of
from marketplace.lib.tables import Row, csv_response
from payments import payouts, statements
from payments.admin.base import ReadOnlyAdmin, link, link_to, money
from payments.admin.lists import Columns, ListedAdmin, decimal
from payments.admin.story import story_link
from payments.models import ClosedMonth, FeeInvoice, Payment, PayoutAccount, PayoutLine, Statement
from payments.statements import papers, why
from payments.statements.words import rows_of, sums_of

SEE = "payments.view_statement"
ROWS = 100
YEARS = range(2000, 9998)


def month_link(coach_id: int, month: str, currency: str, words: str = "Why this amount") -> SafeString:
    return link_to(reverse("admin:payments_statement_month", args=[coach_id, month, currency]), words)


def months_link(coach_id: int, words: str) -> SafeString:
    return link_to(reverse("admin:payments_statement_coach", args=[coach_id]), words)


# --- one coach ----------------------------------------------------------------------------------


def coach_view(request: HttpRequest, coach_id: int) -> HttpResponse:
    """All months of a coach."""
    require_right(request, SEE)
    coach = get_object_or_404(Coach, pk=coach_id)
    page = Paginator(statements.months_of(coach, clock.now()), ROWS).get_page(request.GET.get("p"))
    rows = [(month, month_link(coach.pk, month.month, month.currency, month.words)) for month in page]
    return desk_page(
        request,
        "admin/statements/months.html",
        title=f"Months of {coach.display_name}",
        coach=link(coach),
        page=page,
        rows=rows,
    )


def month_view(request: HttpRequest, coach_id: int, month: str, currency: str) -> HttpResponse:
    """Why this coach got this amount in this month."""
    require_right(request, SEE)
    coach, now = get_object_or_404(Coach.objects.select_related("user"), pk=coach_id), clock.now()
    found = statements.month_shown(coach, month, currency, now)
    if found is None:
        raise Http404
    page = Paginator(rows_of(found), ROWS).get_page(request.GET.get("p"))
    payments = Payment.objects.in_bulk([row.line.payment_id for row in page if row.line.payment_id])
    return desk_page(
        request,
        "admin/statements/month.html",
        title=f"{coach.display_name}, {month_in_words(month)}, {currency.upper()}",
        coach=coach,
        links=_around(coach, found),
        facts=[*_facts(found), *((words, str(sum_)) for words, sum_ in sums_of(found)), *_by_run(found)],
        page=page,
        rows=[_row(each, payments) for each in why.explained(list(page))],
        lines=[(link(line), Money(line.amount, currency), line) for line in why.unpaid_lines(coach, currency)],
        earnings=[(story_link(each.earning.payment), each) for each in why.unpaid_earnings(coach, currency, now)],
        most_earnings=why.MOST_EARNINGS,
        waiting=[row for row in payouts.waiting(now) if (row.coach_id, row.money.currency) == (coach.pk, currency)],
        payouts=[(payout, Money(payout.amount, currency)) for payout in found.payouts],
        zone=coach.user.time_zone,
    )


def _around(coach: Coach, found: statements.CoachMonth) -> list[SafeString]:
    """To the months before and after, where there are any, and to all."""
    known = [row.month for row in statements.months_of(coach, clock.now()) if row.currency == found.currency]
    beside = [
        (month_before(start_of(found.month)), "The month before"),
        (month_of(end_of(found.month)), "The month after"),
    ]
    links = [month_link(coach.pk, month, found.currency, words) for month, words in beside if month in known]
    return [*links, months_link(coach.pk, "All months of this coach")]


def _facts(found: statements.CoachMonth) -> list[tuple[str, str | SafeString]]:
    """Whether it is closed and said, and invoiced."""
    of_month = {"coach": found.coach_id, "month": found.month, "currency": found.currency}
    said = Statement.objects.filter(**of_month).first()
    invoice = FeeInvoice.objects.filter(**of_month).first()
    if said is None:
        return [("State", "Closed" if statements.is_closed(found.month) else "Open: these are the figures so far")]
    same = said.digest == statements.digest_of(found)
    books = "and the books still say the same" if same else "and that DIFFERS from what the books say now"
    return [
        ("State", f"Closed. Stated on {date_format(said.made_at, 'D j M Y')}, {books}."),
        ("Invoice", link(invoice) if invoice else "None: there was no fee"),
    ]


def _by_run(found: statements.CoachMonth) -> list[tuple[str, SafeString]]:
    """The run of a month pays after its end, so that its transfer is a line of the next month."""
    lines = PayoutLine.objects.filter(coach=found.coach_id, currency=found.currency, run__month=found.month)
    line = lines.select_related("run").first()
    if line is None:
        return []
    state = (
        f"paid on {date_format(line.paid_at, 'DATETIME_FORMAT')}" if line.paid_at else line.get_status_display().lower()
    )
    return [
        ("By the run of this month", format_html("{}, {}: {}", money(line.amount, line.currency), state, link(line)))
    ]


def _row(each: why.Explained, payments: dict[int, Payment]) -> dict[str, Any]:
    row, line = each.row, each.row.line
    fact = reverse("admin:payments_ledgertransaction_change", args=[line.transaction_id])
    payment = payments.get(line.payment_id or 0)
    less = line.kind == statements.Kind.SESSION and payment is not None and line.gross < payment.amount
    return {
        "row": row,
        "line": line,
        "reason": each.reason,
        "payment": link_to(reverse("admin:payments_payment_change", args=[payment.pk]), line.reference)
        if payment
        else "",
        "story": story_link(payment),
        "price": payment.money if payment and less else None,
        "fact": link_to(fact, line.source),
        "transfer": link(each.transfer) if each.transfer else "",
        "run_line": link(each.transfer.line) if each.transfer and each.transfer.line else "",
        "late": line.recorded_at if month_of(line.recorded_at) != month_of(line.at) else None,
        "made_of": [(part, Money(part.amount, part.currency)) for part in each.made_of[: why.MOST_EARNINGS]],
        "more": max(0, len(each.made_of) - why.MOST_EARNINGS),
    }


# --- a year -------------------------------------------------------------------------------------

TOTALS_HEADER = (
    "year", "quarter", "coach", "name", "email", "country", "currency", "sessions", "paid_by_students", "refunded",
    "fees", "borne_by_platform", "transferred", "adjusted",
)  # fmt: skip
REVENUE_HEADER = ("year", "quarter", "country", "currency", "revenue")


def year_view(request: HttpRequest, year: int) -> HttpResponse:
    """The totals of each coach by quarter, and our revenue by country."""
    require_right(request, SEE)
    whole = _whole_year(year)
    page = Paginator(whole.coaches, ROWS).get_page(request.GET.get("p"))
    coaches = Coach.objects.in_bulk([row.coach_id for row in page])
    return desk_page(
        request,
        "admin/statements/year.html",
        title=f"The year {year}",
        year=year,
        page=page,
        rows=[(row, months_link(row.coach_id, coaches[row.coach_id].display_name)) for row in page],
        revenue=[(row, Money(row.amount, row.currency)) for row in whole.revenue],
    )


def totals_file(request: HttpRequest, year: int) -> HttpResponseBase:
    require_right(request, SEE)
    return csv_response(f"coaches-{year}.csv", TOTALS_HEADER, _total_rows(year, _whole_year(year).coaches))


def revenue_file(request: HttpRequest, year: int) -> HttpResponseBase:
    require_right(request, SEE)
    rows: list[Row] = [
        (year, row.quarter, row.country, row.currency, to_decimal(Money(row.amount, row.currency)))
        for row in _whole_year(year).revenue
    ]
    return csv_response(f"revenue-{year}.csv", REVENUE_HEADER, rows)


def _whole_year(year: int) -> statements.WholeYear:
    if year not in YEARS:
        raise Http404
    return statements.whole_year(year)


def _total_rows(year: int, totals: list[statements.QuarterTotals]) -> Iterable[Row]:
    """Amounts in the currency's own unit."""
    people = Coach.objects.select_related("user").in_bulk({row.coach_id for row in totals})
    countries = dict(PayoutAccount.objects.filter(coach__in=people).values_list("coach_id", "country"))
    for row in totals:
        coach = people[row.coach_id]
        amounts = (row.gross, row.refunds, row.fees, row.borne_by_us, row.paid, row.adjusted)
        yield (
            year,
            row.quarter,
            row.coach_id,
            coach.user.name or coach.display_name,
            coach.user.email,
            countries.get(row.coach_id, ""),
            row.currency,
            row.sessions,
            *(to_decimal(Money(amount, row.currency)) for amount in amounts),
        )


# --- the lists ----------------------------------------------------------------------------------


@admin.register(Statement)
class StatementAdmin(ListedAdmin):
    list_display = ("coach", "month", "currency", "carried_in", "carried_out", "made_at", "told_at", "why_link")
    list_filter = ("month", "currency")
    list_select_related = ("coach",)
    search_fields = ("coach__display_name", "coach__user__email")
    ordering = ("-month", "coach", "currency")
    summed = "closing"
    sums_mean = "carried out"
    fields = ("coach", "month", "currency", "carried_in", "carried_out", "why_link", "digest", "made_at", "told_at")
    readonly_fields = ("carried_in", "carried_out", "why_link")
    columns: ClassVar[Columns] = {
        "coach": lambda row: row.coach_id,
        "name": lambda row: row.coach.display_name,
        "month": lambda row: row.month,
        "currency": lambda row: row.currency,
        "carried_in": decimal("opening"),
        "carried_out": decimal("closing"),
        "digest": lambda row: row.digest,
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        coach, year = "coach/<int:coach_id>/", "year/<int:year>/"
        return [
            path(coach, guarded(coach_view), name="payments_statement_coach"),
            path(f"{coach}<str:month>/<str:currency>/", guarded(month_view), name="payments_statement_month"),
            path("year/", guarded(this_year_view), name="payments_statement_this_year"),
            path(year, guarded(year_view), name="payments_statement_year"),
            path(f"{year}coaches.csv", guarded(totals_file), name="payments_statement_totals"),
            path(f"{year}revenue.csv", guarded(revenue_file), name="payments_statement_revenue"),
            *super().get_urls(),
        ]

    @admin.display(description="Carried in")
    def carried_in(self, row: Statement) -> str:
        return money(row.opening, row.currency)

    @admin.display(description="Carried out")
    def carried_out(self, row: Statement) -> str:
        return money(row.closing, row.currency)

    @admin.display(description="Line by line")
    def why_link(self, row: Statement) -> SafeString:
        return month_link(row.coach_id, row.month, row.currency)


def this_year_view(request: HttpRequest) -> HttpResponse:
    return year_view(request, clock.now().year)


@admin.register(FeeInvoice)
class FeeInvoiceAdmin(ListedAdmin):
    list_display = ("number", "coach", "month", "in_all", "tax", "issued_at", "paper", "why_link")
    list_filter = ("month", "currency")
    list_select_related = ("coach",)
    search_fields = ("=number", "coach__display_name", "coach__user__email")
    date_hierarchy = "issued_at"
    ordering = ("-number",)
    sums_mean = "with tax"
    fields = (
        *("number", "coach", "month", "in_all", "tax", "corrected", "from_whom", "to_whom", "issued_at"),
        *("paper", "why_link"),
    )
    readonly_fields = ("in_all", "tax", "corrected", "from_whom", "to_whom", "paper", "why_link")
    columns: ClassVar[Columns] = {
        "number": lambda row: row.number,
        "issued": lambda row: row.issued_at,
        "coach": lambda row: row.coach_id,
        "name": lambda row: row.recipient.get("name", ""),
        "month": lambda row: row.month,
        "currency": lambda row: row.currency,
        "amount": decimal("amount"),
        "tax": decimal("tax_amount"),
        "tax_bps": lambda row: row.tax_bps,
        "tax_id": lambda row: row.recipient.get("tax_id", ""),
        "corrects": lambda row: " ".join(str(part["number"]) for part in row.corrects),
    }

    def get_urls(self) -> list[URLPattern]:
        paper = path("<int:invoice_id>/pdf/", self.admin_site.admin_view(invoice_file), name="payments_feeinvoice_pdf")
        return [paper, *super().get_urls()]

    @admin.display(description="Amount, with tax")
    def in_all(self, invoice: FeeInvoice) -> str:
        return str(invoice.money)

    @admin.display(description="Tax within it")
    def tax(self, invoice: FeeInvoice) -> str:
        rates = f"{invoice.tax_bps / 100:g} %" if not invoice.corrects else "each part at its own rate"
        return f"{money(invoice.tax_amount, invoice.currency)} ({rates})"

    @admin.display(description="Lines")
    def corrected(self, invoice: FeeInvoice) -> str:
        return "\n".join(f"{words}: {sum_}" for words, sum_ in papers.invoice_rows(invoice))

    @admin.display(description="From")
    def from_whom(self, invoice: FeeInvoice) -> str:
        return papers.party(invoice.issuer)

    @admin.display(description="To")
    def to_whom(self, invoice: FeeInvoice) -> str:
        return papers.party(invoice.recipient)

    @admin.display(description="Paper")
    def paper(self, invoice: FeeInvoice) -> SafeString:
        return link_to(reverse("admin:payments_feeinvoice_pdf", args=[invoice.pk]), "PDF")

    @admin.display(description="Line by line")
    def why_link(self, invoice: FeeInvoice) -> SafeString:
        return month_link(invoice.coach_id, invoice.month, invoice.currency, "The month")


def invoice_file(request: HttpRequest, invoice_id: int) -> HttpResponse:
    require_right(request, "payments.view_feeinvoice")
    invoice = get_object_or_404(FeeInvoice, pk=invoice_id)
    disposition = f'attachment; filename="fee-invoice-{invoice.number}.pdf"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "private, no-store"}
    return HttpResponse(papers.invoice_pdf(invoice), content_type="application/pdf", headers=headers)


@admin.register(ClosedMonth)
class ClosedMonthAdmin(ReadOnlyAdmin):
    list_display = ("month", "ends_at", "closed_at")
    ordering = ("-ends_at",)
    fields = list_display
