"""The fee invoice of a closed month: our fees less what was given back with refunds; below zero a credit note.

What was given back of an earlier month's fees names the invoice that it corrects, and has the tax of that invoice.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from babel import Locale
from django.conf import settings
from django.db.models import Max

from coaches.models import Coach
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
        recipient=_recipient(coach),
        issued_at=now,
    )


def issuer() -> dict[str, Any]:
    """Who we are, to be frozen on a paper."""
    return {
        "name": settings.OPERATOR_NAME,
        "address": settings.OPERATOR_ADDRESS,
        "tax_id": settings.OPERATOR_TAX_ID,
    }


def _recipient(coach: Coach) -> dict[str, Any]:
    """What we know of them; Stripe has their address and tax id, and we have not."""
    account = getattr(coach, "payout_account", None)
    country = Locale("en").territories.get(account.country, account.country) if account else ""
    return {"name": coach.user.name or coach.display_name, "address": country, "tax_id": ""}
