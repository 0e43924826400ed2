"""How a payment comes to be: on a page of its own, or after another one, on the same card."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from coaches.models import Coach
from marketplace.lib.money import Money
from marketplace.models import User
from payments import operations, pricing
from payments.errors import CoachNotPayable, HoldUnderWay
from payments.models import Operation, Payment, PayoutAccount, SettlementMode
from payments.services.parameters import PAGE_LIFE, page_params

Status = Payment.Status

# At most one payment of a reference is in one of these: the database sees to it.
UNDER_WAY = (Status.OPEN, Status.AUTHORISING)


def open_payment(
    *,
    reference: str,
    description: str,
    payer: User,
    coach: Coach,
    price: Money,
    service_ends_at: datetime,
    metadata: dict[str, str],
    return_url: str,
    cancel_url: str,
    now: datetime,
    opening: Payment.Opening = Payment.Opening.HOLD,
    replaces: Payment | None = None,
) -> Payment:
    """In the caller's transaction: the payment with price, fee and mode frozen, and the intent to open its page.

    The page holds the price or saves the card. With `replaces`, price and fee are those of the payment that is
    replaced, and a coach who can't be paid at the moment stands in nobody's way. The payer's customer must exist
    (`ensure_customer`). Addresses are absolute. Raises CoachNotPayable, HoldUnderWay.
    """
    payment = Payment(
        reference=reference,
        description=description,
        payer=payer,
        coach=coach,
        service_ends_at=service_ends_at,
        opening=opening,
        replaces=replaces,
        created_at=now,
        checkout_ends_at=now + PAGE_LIFE,
        **(_terms_after(replaces) if replaces else _terms(coach, price)),
    )
    save_under_way(payment)
    operation_id = uuid.uuid4()
    operations.create_for_own_run(
        Operation.Kind.CHECKOUT,
        operation_id=operation_id,
        params=page_params(
            payment=payment,
            operation_id=operation_id,
            metadata=metadata,
            return_url=return_url,
            cancel_url=cancel_url,
            now=now,
        ),
        payment=payment,
        now=now,
    )
    return payment


def on_the_same_card(payment: Payment, *, status: Payment.Status, service_ends_at: datetime, now: datetime) -> Payment:
    """Another payment for the same thing, not stored yet. Price and fee are the same."""
    return Payment(
        reference=payment.reference,
        description=payment.description,
        payer=payment.payer,
        coach=payment.coach,
        service_ends_at=service_ends_at,
        opening=Payment.Opening.CARD,
        status=status,
        card=payment.card,
        created_at=now,
        **_terms_after(payment),
    )


def save_under_way(payment: Payment) -> None:
    """Raises HoldUnderWay where another payment of the reference is; the caller's transaction lives on."""
    try:
        with transaction.atomic():
            payment.save(force_insert=True)
    except IntegrityError as error:
        refuse_under_way(payment, error)


def refuse_under_way(payment: Payment, error: IntegrityError) -> None:
    """Raises HoldUnderWay where that is what the database refused, else the error itself."""
    if Payment.objects.filter(reference=payment.reference, status__in=UNDER_WAY).exclude(pk=payment.pk).exists():
        raise HoldUnderWay from error
    raise error


def _terms(coach: Coach, price: Money) -> dict[str, object]:
    account = _payable_account(coach)
    if account is None:
        raise CoachNotPayable
    return {
        "amount": price.amount,
        "currency": price.currency,
        "fee_bps": settings.PLATFORM_FEE_BPS,
        "platform_fee": pricing.quote(price, settings.PLATFORM_FEE_BPS).platform_fee.amount,
        **_settled(account),
    }


def _terms_after(replaced: Payment) -> dict[str, object]:
    """Price and fee as they were agreed; settled as the coach is paid now.

    Stripe opens no page whose money goes to an account that can't receive it: then it comes to us, and the monthly
    run waits for the coach.
    """
    account = _payable_account(replaced.coach)
    to_us = {"settlement_mode": SettlementMode.MONTHLY, "destination": ""}
    return {
        "amount": replaced.amount,
        "currency": replaced.currency,
        "fee_bps": replaced.fee_bps,
        "platform_fee": replaced.platform_fee,
        **(_settled(account) if account else to_us),
    }


def _settled(account: PayoutAccount) -> dict[str, object]:
    """Of a coach who has chosen no way to be paid it comes to us, and waits."""
    sent_at_once = account.settlement_mode == SettlementMode.PER_SESSION and account.payout_method
    return {
        "settlement_mode": SettlementMode.PER_SESSION if sent_at_once else SettlementMode.MONTHLY,
        "destination": account.stripe_account_id if sent_at_once else "",
    }


def _payable_account(coach: Coach) -> PayoutAccount | None:
    account = PayoutAccount.objects.filter(coach=coach).first()
    return account if account and account.payable else None
