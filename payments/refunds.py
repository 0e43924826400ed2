"""Who gets what back and who bears it: one pure function tells it before, and the refund then follows it."""

from dataclasses import dataclass

from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, least_charge, step
from payments import pricing
from payments.models import Payment, Refund

Bearer, Reason = Refund.Bearer, Refund.Reason

# Whose fault it is says who bears it, unless staff choose otherwise.
USUAL_BEARER = {
    Reason.STUDENT_ASKED: Bearer.SHARED,
    Reason.COACH_MISSED: Bearer.SHARED,
    Reason.STUDENT_MISSED: Bearer.SHARED,
    Reason.PROBLEM: Bearer.SHARED,
    Reason.DUPLICATE: Bearer.SHARED,
    Reason.FRAUD: Bearer.SHARED,
    Reason.GOODWILL: Bearer.PLATFORM,
    Reason.AT_STRIPE: Bearer.SHARED,
}
# The reasons that Stripe knows; any other is the student's wish.
STRIPE_REASON = {Reason.DUPLICATE: "duplicate", Reason.FRAUD: "fraudulent"}


class NothingToRefund(DomainError):
    code = "nothing_to_refund"
    message = "Nothing is taken or held of this payment any more."


class RefundTooHigh(DomainError):
    code = "refund_too_high"
    status = 400

    def __init__(self, left: Money) -> None:
        super().__init__(f"At most {left} can be given back.")


class RefundAmountWrong(DomainError):
    code = "refund_amount_wrong"
    status = 400
    message = "Give back more than nothing, in the payment's own currency and its smallest coins."


@dataclass(frozen=True, slots=True)
class RefundQuote:
    """`amount` is the student's; the coach bears `coach_part`, the platform `fee_part` of its fee and `loss_part`.

    `stripe_fee` is what Stripe took for the capture: it is never returned, and the platform has borne it.
    """

    amount: Money
    coach_part: Money
    fee_part: Money
    loss_part: Money
    stripe_fee: Money


def refund_quote(
    payment: Payment, *, amount: Money, reason: Refund.Reason, bearer: Refund.Bearer | None = None
) -> RefundQuote:
    """What giving back `amount` of what is left means for each side. While it is only held: what is not taken.

    Raises NothingToRefund, RefundTooHigh, RefundAmountWrong.
    """
    left = left_of(payment)
    if left.amount == 0:
        raise NothingToRefund
    if amount.currency != payment.currency or amount.amount <= 0 or amount.amount % step(amount.currency):
        raise RefundAmountWrong
    if left < amount:
        raise RefundTooHigh(left)
    coach, fee = _parts(payment, amount, bearer or USUAL_BEARER[reason])
    currency = payment.currency
    return RefundQuote(
        amount=amount,
        coach_part=Money(coach, currency),
        fee_part=Money(fee, currency),
        loss_part=Money(amount.amount - coach - fee, currency),
        stripe_fee=Money(payment.stripe_fee_amount, currency),
    )


def left_of(payment: Payment) -> Money:
    """What can still be given back: of what is taken, or of what is held."""
    if payment.status == Payment.Status.HELD:
        return payment.money
    return Money(payment.captured_amount - payment.refunded_amount, payment.currency)


def kept_after(payment: Payment, amount: Money) -> Money:
    """What stays taken, or is taken of a hold, once this much is given back: Stripe would not charge too little."""
    rest = left_of(payment) - amount
    held = payment.status == Payment.Status.HELD
    return Money(0, rest.currency) if held and rest < least_charge(rest.currency) else rest


def coach_part_of(payment: Payment, amount: Money) -> Money:
    """The coach's part of an amount that both bear, each their share, such as a dispute's; at most what is left."""
    return Money(_parts(payment, amount, Bearer.SHARED)[0], payment.currency)


def _parts(payment: Payment, amount: Money, bearer: Refund.Bearer) -> tuple[int, int]:
    """The coach's part, and that of our fee; the rest is our loss."""
    taken = payment.money if payment.status == Payment.Status.HELD else _captured(payment)
    whole, part = pricing.quote(taken, payment.fee_bps), pricing.quote(amount, payment.fee_bps)
    # Of a transfer for several sessions more may be kept with this one than is its own.
    share_left = max(0, whole.coach_share.amount - payment.taken_back_amount - payment.kept_amount)
    fee_left = whole.platform_fee.amount - payment.returned_fee_amount
    match bearer:
        case Bearer.COACH:
            coach = min(amount.amount, share_left)
            return coach, min(amount.amount - coach, fee_left)
        case Bearer.PLATFORM:
            return 0, min(part.platform_fee.amount, fee_left)
        case Bearer.SHARED:
            coach = min(part.coach_share.amount, share_left)
            fee = min(amount.amount - coach, fee_left)
            # Several parts are rounded one by one: what that leaves is the coach's as far as they have it.
            return coach + min(amount.amount - coach - fee, share_left - coach), fee


def _captured(payment: Payment) -> Money:
    return Money(payment.captured_amount, payment.currency)
