"""Who bears what, worked out by hand, in currencies of 0, 2 and 3 decimals. Fee: 20 %."""

import pytest

from marketplace.lib.money import Money
from payments.models import Payment, Refund
from payments.refunds import NothingToRefund, RefundAmountWrong, RefundTooHigh, refund_quote

Bearer, Reason = Refund.Bearer, Refund.Reason


def captured(
    amount: int, currency: str = "usd", *, refunded: int = 0, taken_back: int = 0, returned_fee: int = 0
) -> Payment:
    return Payment(
        status=Payment.Status.CAPTURED,
        amount=amount,
        captured_amount=amount,
        currency=currency,
        fee_bps=2000,
        refunded_amount=refunded,
        taken_back_amount=taken_back,
        returned_fee_amount=returned_fee,
        stripe_fee_amount=320,
    )


def parts(payment: Payment, amount: int, bearer: Refund.Bearer) -> tuple[int, int, int]:
    quote = refund_quote(payment, amount=Money(amount, payment.currency), reason=Reason.STUDENT_ASKED, bearer=bearer)
    assert quote.amount == Money(amount, payment.currency)
    assert quote.stripe_fee == Money(320, payment.currency)
    return quote.coach_part.amount, quote.fee_part.amount, quote.loss_part.amount


@pytest.mark.parametrize(
    ("bearer", "amount", "expected"),
    [
        (Bearer.SHARED, 10_000, (8_000, 2_000, 0)),
        (Bearer.SHARED, 2_500, (2_000, 500, 0)),
        (Bearer.SHARED, 1, (1, 0, 0)),
        (Bearer.SHARED, 3, (2, 1, 0)),
        (Bearer.COACH, 2_500, (2_500, 0, 0)),
        (Bearer.COACH, 10_000, (8_000, 2_000, 0)),
        (Bearer.COACH, 9_000, (8_000, 1_000, 0)),
        (Bearer.PLATFORM, 2_500, (0, 500, 2_000)),
        (Bearer.PLATFORM, 10_000, (0, 2_000, 8_000)),
    ],
)
def test_of_a_hundred_dollars(bearer: Refund.Bearer, amount: int, expected: tuple[int, int, int]) -> None:
    assert parts(captured(10_000), amount, bearer) == expected


@pytest.mark.parametrize(
    ("bearer", "amount", "expected"),
    [(Bearer.SHARED, 777, (622, 155, 0)), (Bearer.COACH, 777, (777, 0, 0)), (Bearer.PLATFORM, 777, (0, 155, 622))],
)
def test_of_five_thousand_yen(bearer: Refund.Bearer, amount: int, expected: tuple[int, int, int]) -> None:
    assert parts(captured(5_000, "jpy"), amount, bearer) == expected


@pytest.mark.parametrize(
    ("bearer", "amount", "expected"),
    # Three decimals go in tens: 20 % of 1.230 is 0.246, which rounds to 0.250.
    [
        (Bearer.SHARED, 1_230, (980, 250, 0)),
        (Bearer.COACH, 1_230, (1_230, 0, 0)),
        (Bearer.PLATFORM, 1_230, (0, 250, 980)),
    ],
)
def test_of_ten_dinars(bearer: Refund.Bearer, amount: int, expected: tuple[int, int, int]) -> None:
    assert parts(captured(10_000, "kwd"), amount, bearer) == expected


def test_many_small_refunds_end_at_exactly_nothing() -> None:
    payment = captured(1_000)
    for _ in range(333):
        coach, fee, loss = parts(payment, 3, Bearer.SHARED)
        payment.refunded_amount += 3
        payment.taken_back_amount += coach
        payment.returned_fee_amount += fee
        assert loss == 0
    coach, fee, loss = parts(payment, 1, Bearer.SHARED)
    assert (payment.taken_back_amount + coach, payment.returned_fee_amount + fee, loss) == (800, 200, 0)


def test_what_the_platform_gave_once_is_not_asked_of_the_coach() -> None:
    payment = captured(10_000, refunded=5_000, returned_fee=1_000)
    assert parts(payment, 5_000, Bearer.SHARED) == (4_000, 1_000, 0)
    assert parts(payment, 5_000, Bearer.COACH) == (5_000, 0, 0)


def test_a_coach_never_gives_back_more_than_they_had() -> None:
    payment = captured(10_000, refunded=7_500, taken_back=7_500)
    assert parts(payment, 2_500, Bearer.COACH) == (500, 2_000, 0)


def test_a_hold_is_given_back_by_the_same_shares() -> None:
    payment = Payment(status=Payment.Status.HELD, amount=10_000, currency="usd", fee_bps=2000)
    quote = refund_quote(payment, amount=Money(5_000, "usd"), reason=Reason.STUDENT_MISSED)
    assert (quote.coach_part.amount, quote.fee_part.amount, quote.stripe_fee.amount) == (4_000, 1_000, 0)


def test_goodwill_is_the_platforms_unless_said_otherwise() -> None:
    quote = refund_quote(captured(10_000), amount=Money(1_000, "usd"), reason=Reason.GOODWILL)
    assert (quote.coach_part.amount, quote.fee_part.amount, quote.loss_part.amount) == (0, 200, 800)


def test_never_more_than_is_left() -> None:
    with pytest.raises(RefundTooHigh, match=r"At most \$75\.00"):
        parts(captured(10_000, refunded=2_500, taken_back=2_000, returned_fee=500), 7_501, Bearer.SHARED)
    with pytest.raises(NothingToRefund):
        parts(captured(10_000, refunded=10_000, taken_back=8_000, returned_fee=2_000), 1, Bearer.SHARED)


@pytest.mark.parametrize("amount", [Money(0, "usd"), Money(-1, "usd"), Money(100, "eur")])
def test_nonsense_is_refused(amount: Money) -> None:
    with pytest.raises(RefundAmountWrong):
        refund_quote(captured(10_000), amount=amount, reason=Reason.STUDENT_ASKED)


def test_dinars_are_given_back_in_tens() -> None:
    with pytest.raises(RefundAmountWrong):
        parts(captured(10_000, "kwd"), 1_235, Bearer.SHARED)
