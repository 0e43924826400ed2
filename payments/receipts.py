"""A student's receipt for what was taken: as it stands now, corrected by each refund and each lost dispute."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from marketplace.lib.money import Money
from marketplace.lib.pdf import Heading, Rows, Text, document
from marketplace.lib.zones import in_zone, zone_label
from payments.models import Dispute, Payment, Refund
from payments.owed import reached


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    words: str
    at: datetime | None
    money: Money


@dataclass(frozen=True, slots=True)
class Receipt:
    """`total` is what the student has paid in the end: what was taken, less what went back."""

    number: str
    description: str
    payer: str
    payer_email: str
    seller: str
    taken_at: datetime
    lines: Sequence[ReceiptLine]
    total: Money


def receipt_of(payment: Payment) -> Receipt | None:
    """None where nothing was taken."""
    if payment.status != Payment.Status.CAPTURED or payment.captured_at is None:
        return None
    taken = Money(payment.captured_amount, payment.currency)
    back = [
        ReceiptLine("Refunded", refund.settled_at, -reached(refund))
        for refund in payment.refunds.filter(status__in=Refund.REACHED).order_by("settled_at", "pk")
    ]
    back += [
        ReceiptLine("Returned by your bank", dispute.closed_at, -dispute.money)
        for dispute in payment.disputes.filter(
            status=Dispute.Status.LOST, closed_at__isnull=False, reinstated_at=None
        ).order_by("pk")
    ]
    went_back = sum((line.money for line in back), Money(0, payment.currency))
    return Receipt(
        number=f"{payment.pk:08d}",
        description=payment.description,
        payer=payment.payer.name,
        payer_email=payment.payer.email,
        seller=payment.coach.display_name,
        taken_at=payment.captured_at,
        lines=[ReceiptLine(_what_was_taken(payment), payment.captured_at, taken), *back],
        total=taken + went_back,
    )


def receipts_of(reference: str) -> list[Payment]:
    """The payments of one thing that have a receipt, the oldest first."""
    return list(Payment.objects.filter(reference=reference, status=Payment.Status.CAPTURED).order_by("pk"))


def receipt_pdf(receipt: Receipt, *, zone: str) -> bytes:
    return document(
        title=f"Receipt {receipt.number}",
        author=settings.SITE_NAME,
        blocks=[
            Text(f"{settings.SITE_NAME}\n{settings.SITE_URL}\n{settings.SUPPORT_EMAIL}"),
            Rows(
                [
                    ("For", receipt.description),
                    ("Paid by", f"{receipt.payer} ({receipt.payer_email})"),
                    ("Given by", receipt.seller),
                    ("Taken", _when(receipt.taken_at, zone)),
                ]
            ),
            Heading(f"Amounts in {receipt.total.currency.upper()}"),
            Rows([*(_row(line, zone) for line in receipt.lines), ("Paid in all", str(receipt.total))], True),
        ],
    )


def _what_was_taken(payment: Payment) -> str:
    whole = payment.captured_amount == payment.amount
    return "Taken from the card" if whole else f"Taken from the card, of {payment.money}"


def _row(line: ReceiptLine, zone: str) -> tuple[str, str]:
    return f"{line.words}, {_when(line.at, zone)}" if line.at else line.words, str(line.money)


def _when(instant: datetime, zone: str) -> str:
    return f"{in_zone(instant, zone):%d %b %Y, %H:%M} {zone_label(zone)}"
