"""A coach's own months: what was carried in, each line, what is carried out; as pages, and closed ones as files."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from coaches.models import Coach
from coaches.selectors import coach_of
from marketplace import clock
from marketplace.lib.access import signed_in
from marketplace.lib.money import Money
from marketplace.lib.months import month_in_words
from payments import statements
from payments.models import FeeInvoice, Statement
from payments.statements import papers
from payments.statements.invoices import missing_of
from payments.statements.words import rows_of, sums_of

MONTHS_ON_A_PAGE, LINES_ON_A_PAGE = 24, 50


@login_required
@never_cache
@require_GET
def months(request: HttpRequest) -> HttpResponse:
    coach = coach_of(signed_in(request))
    if coach is None:
        return redirect("coaches:edit_profile")
    page = Paginator(statements.months_of(coach, clock.now()), MONTHS_ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "years": statements.years_of(coach.pk), "missing": missing_of(coach)}
    return render(request, "statements/months.html", context)


@login_required
@never_cache
@require_GET
def month(request: HttpRequest, month: str, currency: str) -> HttpResponse:
    coach = _own_coach(request)
    found = _shown_month(coach, month, currency)
    context = {
        "month": found,
        "closed": Statement.objects.filter(coach=coach, month=month, currency=currency).exists(),
        "title": month_in_words(month),
        "sums": sums_of(found),
        "page": Paginator(rows_of(found), LINES_ON_A_PAGE).get_page(request.GET.get("page")),
        "payouts": [(payout, Money(payout.amount, currency)) for payout in found.payouts],
        "invoice": FeeInvoice.objects.filter(coach=coach, month=month, currency=currency).first(),
    }
    return render(request, "statements/month.html", context)


@login_required
@never_cache
@require_GET
def month_csv(request: HttpRequest, month: str, currency: str) -> HttpResponse:
    _, found = _closed_month(request, month, currency)
    return _file(statements.statement_csv(found), "text/csv; charset=utf-8", f"statement-{month}-{currency}.csv")


@login_required
@never_cache
@require_GET
def month_pdf(request: HttpRequest, month: str, currency: str) -> HttpResponse:
    stated, found = _closed_month(request, month, currency)
    return _file(papers.statement_pdf(stated, found), "application/pdf", f"statement-{month}-{currency}.pdf")


@login_required
@never_cache
@require_GET
def year(request: HttpRequest, year: int) -> HttpResponse:
    coach = _own_coach(request)
    if year not in statements.years_of(coach.pk):
        raise Http404
    quarters = statements.year_totals(year, coach_ids=[coach.pk])
    return render(request, "statements/year.html", {"year": year, "quarters": quarters})


@login_required
@never_cache
@require_GET
def invoice(request: HttpRequest, number: int) -> HttpResponse:
    own = _own_invoice(request, number)
    context = {
        "invoice": own,
        "title": papers.invoice_title(own),
        "issuer": papers.party(own.issuer),
        "recipient": papers.party(own.recipient),
        "for_month": month_in_words(own.month),
        "rows": papers.invoice_rows(own),
        "corrects": [(part["number"], papers.correction_of(part)) for part in own.corrects],
        "settled": papers.settled(own),
    }
    return render(request, "statements/invoice.html", context)


@login_required
@never_cache
@require_GET
def invoice_pdf(request: HttpRequest, number: int) -> HttpResponse:
    own = _own_invoice(request, number)
    return _file(papers.invoice_pdf(own), "application/pdf", f"fee-invoice-{own.number}.pdf")


def _own_coach(request: HttpRequest) -> Coach:
    coach = coach_of(signed_in(request))
    if coach is None:
        raise Http404
    return coach


def _shown_month(coach: Coach, month: str, currency: str) -> statements.CoachMonth:
    found = statements.month_shown(coach, month, currency, clock.now())
    if found is None:
        raise Http404
    return found


def _closed_month(request: HttpRequest, month: str, currency: str) -> tuple[Statement, statements.CoachMonth]:
    coach = _own_coach(request)
    found = _shown_month(coach, month, currency)
    return get_object_or_404(Statement, coach=coach, month=month, currency=currency), found


def _own_invoice(request: HttpRequest, number: int) -> FeeInvoice:
    return get_object_or_404(FeeInvoice, number=number, coach=_own_coach(request))


def _file(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(content, content_type=content_type, headers={"Content-Disposition": disposition})
