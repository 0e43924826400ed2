"""Which earlier invoices a month corrects: by what was given back of the fees that they were for, or charged again."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Min

from marketplace.lib.months import month_of
from payments.models import FeeInvoice, LedgerTransaction
from payments.statements.books import CoachMonth, Kind
from payments.statements.papers import invoice_title
from payments.statements.tax import tax_within


@dataclass(frozen=True, slots=True)
class Part:
    """Of one invoice that is corrected, at its rate: minor units with tax, below zero what was given back."""

    number: int
    called: str
    month: str
    amount: int
    tax_bps: int
    tax_amount: int


def corrected_by(found: CoachMonth) -> list[Part]:
    """The oldest first. What belongs to no invoice is the month's own: the fees of its sessions, and what was changed
    in the books by hand. Two queries where there is anything.
    """
    amounts = _by_month(found)
    earlier = FeeInvoice.objects.filter(coach_id=found.coach_id, currency=found.currency).order_by("month")
    known = list(earlier) if amounts else []
    return [_part(invoice, amounts[invoice.month], known) for invoice in known if amounts.get(invoice.month)]


def _by_month(found: CoachMonth) -> dict[str, int]:
    """What changed of the fees of earlier months."""
    changes = [line for line in found.lines if line.fee and line.payment_id and line.kind is not Kind.SESSION]
    taken = LedgerTransaction.objects.filter(kind="capture", payment__in=[line.payment_id for line in changes])
    months = {
        payment: month_of(at) for payment, at in taken.values_list("payment").annotate(at=Min("occurred_at")).order_by()
    }
    amounts: dict[str, int] = defaultdict(int)
    for line in changes:
        month = months.get(line.payment_id, found.month)
        if month != found.month:
            amounts[month] += line.fee
    return amounts


def _part(invoice: FeeInvoice, amount: int, known: list[FeeInvoice]) -> Part:
    """The tax is what it changes in the tax of all that is left of that invoice: so no cent is lost by rounding."""
    before = [part for each in known for part in each.corrects if part["number"] == invoice.number]
    left = invoice.own_amount + sum(part["amount"] for part in before)
    bps, currency = invoice.tax_bps, invoice.currency
    tax = tax_within(left + amount, bps, currency) - tax_within(left, bps, currency)
    return Part(invoice.number, invoice_title(invoice), invoice.month, amount, bps, tax)
