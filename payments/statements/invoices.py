"""The fee invoice of a closed month: our fees less what was given back with refunds; below zero a credit note."""

from datetime import datetime
from typing import Any

from babel import Locale
from django.conf import settings
from django.db.models import Max

from coaches.models import Coach
from marketplace.lib.money import round_share
from payments.models import FeeInvoice
from payments.statements.books import CoachMonth


def make_invoice(found: CoachMonth, coach: Coach, now: datetime) -> FeeInvoice | None:
    """In the caller's transaction, which lets in one at a time: the number follows the last one. None of nothing."""
    amount = found.fees
    if not amount:
        return None
    last = FeeInvoice.objects.aggregate(last=Max("number"))["last"] or 0
    return FeeInvoice.objects.create(
        number=last + 1,
        coach=coach,
        month=found.month,
        currency=found.currency,
        amount=amount,
        tax_bps=settings.FEE_TAX_BPS,
        tax_amount=tax_within(amount, settings.FEE_TAX_BPS, found.currency),
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


def tax_within(amount: int, tax_bps: int, currency: str) -> int:
    """The tax that is part of `amount`, in minor units; of a credit note the same below zero."""
    tax = round_share(abs(amount), tax_bps, 10_000 + tax_bps, currency)
    return tax if amount >= 0 else -tax


def _recipient(coach: Coach) -> dict[str, Any]:
    """What we know of them; Stripe has their address and tax id, and we have not."""
    account = getattr(coach, "payout_account", None)
    country = Locale("en").territories.get(account.country, account.country) if account else ""
    return {"name": coach.user.name or coach.display_name, "address": country, "tax_id": ""}
