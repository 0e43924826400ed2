"""A closed month and its fee invoice as PDF, all in UTC: the same statement gives the same bytes for ever."""

from datetime import UTC, datetime
from typing import Any

from marketplace.lib.money import Money
from marketplace.lib.months import month_in_words
from marketplace.lib.pdf import Block, Heading, Rows, Text, document
from payments.models import FeeInvoice, Statement
from payments.statements.books import BankPayout, CoachMonth, Line
from payments.statements.words import WORDS, explain, sums_of


def statement_pdf(statement: Statement, found: CoachMonth) -> bytes:
    """No name of the coach is on it, and of us the one that is frozen: a name may change, and this may not."""
    blocks: list[Block] = [
        Text(party(statement.issuer)),
        Rows([("Coach number", str(found.coach_id)), ("Amounts in", found.currency.upper()), ("Times in", "UTC")]),
        Heading("In short"),
        Rows([(words, str(sum_)) for words, sum_ in sums_of(found)], True),
    ]
    if found.lines:
        blocks += [Heading("Line by line"), Rows([_row(line, found.currency) for line in found.lines])]
    if found.payouts:
        rows = [_bank_row(payout, found.currency) for payout in found.payouts]
        blocks += [Heading("From your Stripe account to your bank"), Rows(rows)]
    title, author = f"Statement of {month_in_words(found.month)}", statement.issuer.get("name", "")
    return document(title=title, author=author, blocks=blocks)


def invoice_title(invoice: FeeInvoice) -> str:
    return f"{'Credit note' if invoice.amount < 0 else 'Fee invoice'} {invoice.number}"


def invoice_rows(invoice: FeeInvoice) -> list[tuple[str, str]]:
    """They add up to the last one, the total: the month's own, and each invoice that is corrected, at its own rate."""
    fees, currency = f"Fees of {month_in_words(invoice.month)}, less fees given back", invoice.currency
    rows = []
    if invoice.own_amount or not invoice.corrects:
        rows += _taxed(fees, Money(invoice.own_amount, currency), invoice.own_tax, invoice.tax_bps)
    for part in invoice.corrects:
        words = f"Correction of {correction_of(part)}"
        rows += _taxed(words, Money(part["amount"], currency), part["tax_amount"], part["tax_bps"])
    return [*rows, (f"In all, {currency.upper()}", str(invoice.money))]


def correction_of(part: dict[str, Any]) -> str:
    """The invoice that a part corrects."""
    return f"{part['called']} of {month_in_words(part['month'])}"


def _taxed(words: str, amount: Money, tax_amount: int, tax_bps: int) -> list[tuple[str, str]]:
    if not tax_bps:
        return [(words, str(amount)), ("Tax", "None")]
    tax = Money(tax_amount, amount.currency)
    return [(f"{words}, without tax", str(amount - tax)), (f"Tax, {tax_bps / 100:g} %", str(tax))]


def invoice_pdf(invoice: FeeInvoice) -> bytes:
    """Of what is frozen on it alone."""
    return document(
        title=invoice_title(invoice),
        author=invoice.issuer["name"],
        blocks=[
            Rows(
                [
                    ("From", party(invoice.issuer)),
                    ("To", party(invoice.recipient)),
                    ("Coach number", str(invoice.coach_id)),
                    ("Issued", f"{invoice.issued_at.astimezone(UTC):%d %b %Y}"),
                    ("For", month_in_words(invoice.month)),
                    *[("Corrects", correction_of(part)) for part in invoice.corrects],
                ]
            ),
            Heading(f"Amounts in {invoice.currency.upper()}"),
            Rows(invoice_rows(invoice), True),
            Text(settled(invoice)),
        ],
    )


def party(side: dict[str, str]) -> str:
    """Name, address and tax id, as far as they are known; a line each."""
    tax_id = side.get("tax_id") and f"Tax id {side['tax_id']}"
    return "\n".join(line for line in (side.get("name"), side.get("address"), tax_id) if line)


def settled(invoice: FeeInvoice) -> str:
    if invoice.amount < 0:
        return "Already given back with the refunds of the month: nothing is to be paid."
    return "Already kept from what the students paid: nothing is to be paid."


def _row(line: Line, currency: str) -> tuple[str, str]:
    of_day = line.service_ends_at and f"Session of {line.service_ends_at.astimezone(UTC):%d %b %Y}"
    named = (line.description, of_day, line.reference or line.source)
    parts = (WORDS[line.kind], _when(line.at), *named, explain(line, currency))
    return "\n".join(part for part in parts if part), str(Money(line.amount, currency))


def _bank_row(payout: BankPayout, currency: str) -> tuple[str, str]:
    came_back = ", came back" if payout.amount < 0 else ""
    out_of_sight = "" if payout.amount else ", out of our sight: the account has left us"
    named = f"{payout.stripe_payout_id}{came_back}{out_of_sight}"
    return f"{named}\n{_when(payout.at)}", str(Money(payout.amount, currency))


def _when(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%d %b %Y, %H:%M}"
