"""What staff are shown of a refund before they confirm it, and the confirmation of exactly that."""

from datetime import datetime

from django.db import transaction

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money
from marketplace.models import User
from payments import pricing
from payments.errors import TooMuchForOne
from payments.models import Payment, Refund
from payments.refunds import RefundQuote, kept_after, refund_quote
from payments.services.locks import lock_payments
from payments.services.refunding import needs_second_person, request_refund


class RefundChanged(DomainError):
    code = "refund_changed"
    message = "Something has changed since you saw this. Nothing is refunded yet; please look at it again."


class StillToCome(DomainError):
    code = "still_to_come"
    message = "What this pays for is still to come, and the money is only held: it has to be cancelled, not refunded."


Facts = list[tuple[str, str]]


def quote_for_staff(
    payment: Payment, *, amount: Money, reason: Refund.Reason, bearer: Refund.Bearer, now: datetime
) -> RefundQuote:
    """Of a hold, only once the service is over: else it would be taken for nothing, or given for nothing.

    Raises StillToCome, TooMuchForOne, and what `refund_quote` raises.
    """
    if is_still_to_come(payment, now):
        raise StillToCome
    quote = refund_quote(payment, amount=amount, reason=reason, bearer=bearer)
    if payment.status == Payment.Status.HELD and needs_second_person(payment, amount):
        raise TooMuchForOne
    return quote


def is_still_to_come(payment: Payment, now: datetime) -> bool:
    return payment.status == Payment.Status.HELD and payment.service_ends_at > now


def who_pays(payment: Payment, quote: RefundQuote) -> Facts:
    """Who gets what and who pays it, in words. While it is only held nothing moves: less is taken, or nothing."""
    if payment.status == Payment.Status.HELD:
        return _of_a_hold(payment, quote)
    return [
        ("The student gets", str(quote.amount)),
        ("The coach bears", str(quote.coach_part)),
        ("We return of our fee", str(quote.fee_part)),
        ("Our loss", str(quote.loss_part)),
        ("Stripe's fee, not returned", f"{quote.stripe_fee}, which we have borne with the payment"),
    ]


def _of_a_hold(payment: Payment, quote: RefundQuote) -> Facts:
    taken = kept_after(payment, quote.amount)
    if taken.amount == 0:
        return [("Released to the student", str(payment.money)), ("Taken", "nothing"), ("Stripe's fee", "none")]
    parts = pricing.quote(taken, payment.fee_bps)
    return [
        ("Released to the student", str(quote.amount)),
        ("Taken now", str(taken)),
        ("Of that, the coach's", str(parts.coach_share)),
        ("Of that, our fee", str(parts.platform_fee)),
    ]


def summary(payment: Payment, quote: RefundQuote) -> str:
    """All that was shown, for the page to send back: held or taken, the amount, each part, and Stripe's fee."""
    parts = (quote.amount, quote.coach_part, quote.fee_part, quote.loss_part, quote.stripe_fee)
    waits = needs_second_person(payment, quote.amount)
    return " ".join((payment.status, payment.currency, *(str(part.amount) for part in parts), str(waits)))


@transaction.atomic
def confirm_refund(
    *,
    payment: Payment,
    shown: str,
    amount: Money,
    reason: Refund.Reason,
    bearer: Refund.Bearer,
    note: str,
    actor: User,
    now: datetime,
) -> Refund | None:
    """The refund as its `summary` was shown. Raises RefundChanged, StillToCome, and what `request_refund` raises."""
    payment = lock_payments(payment.reference)[payment.pk]
    if summary(payment, quote_for_staff(payment, amount=amount, reason=reason, bearer=bearer, now=now)) != shown:
        raise RefundChanged
    return request_refund(payment=payment, amount=amount, reason=reason, bearer=bearer, note=note, actor=actor, now=now)
