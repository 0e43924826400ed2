"""The fee invoice of a closed month: our fees less what was given back with refunds; below zero a credit note.

What was given back of an earlier month's fees names the invoice that it corrects, and has the tax of that invoice.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from babel import Locale
from django.conf import settings
from django.db.models import Max

from coaches.models import BillingDetails, Coach
from payments.models import FeeInvoice
from payments.statements.books import CoachMonth
from payments.statements.correcting import corrected_by
from payments.statements.tax import tax_within


def make_invoice(found: CoachMonth, coach: Coach, now: datetime) -> FeeInvoice | None:
    """In the caller's transaction, which lets in one at a time: the number follows the last one. None of nothing."""
    corrects = corrected_by(found)
    own = found.fees - sum(part.amount for part in corrects)
    if not own and not corrects:
        return None
    own_tax = tax_within(own, settings.FEE_TAX_BPS, found.currency)
    last = FeeInvoice.objects.aggregate(last=Max("number"))["last"] or 0
    return FeeInvoice.objects.create(
        number=last + 1,
        coach=coach,
        month=found.month,
        currency=found.currency,
        amount=found.fees,
        tax_bps=settings.FEE_TAX_BPS,
        tax_amount=own_tax + sum(part.tax_amount for part in corrects),
        corrects=[asdict(part) for part in corrects],
        issuer=issuer(),
        recipient=recipient_of(coach),
        issued_at=now,
    )


def issuer() -> dict[str, Any]:
    """Who we are, to be frozen on a paper."""
    return {
        "name": settings.OPERATOR_NAME,
        "address": settings.OPERATOR_ADDRESS,
        "tax_id": settings.OPERATOR_TAX_ID,
    }


def recipient_of(coach: Coach) -> dict[str, Any]:
    """Whom an invoice is made out to today: as they say themselves, and as far as they don't, as we know them."""
    said, code = _known_of(coach)
    country = Locale("en").territories.get(code, code)
    return {
        "name": said.name or coach.user.name or coach.display_name,
        "address": "\n".join(line for line in (said.address, country) if line),
        "tax_id": said.tax_id,
    }


def missing_of(coach: Coach) -> list[str]:
    """What their next invoice lacks, in words for them."""
    said, code = _known_of(coach)
    known = (("your address", said.address), ("your country", code), ("your tax id", said.tax_id))
    return [words for words, value in known if not value]


def _known_of(coach: Coach) -> tuple[BillingDetails, str]:
    """With the code of their country, which Stripe has in any case."""
    said = getattr(coach, "billing_details", None) or BillingDetails()
    account = getattr(coach, "payout_account", None)
    return said, said.country or (account.country if account else "")
