"""Bookings as the real services make them. What Stripe would say is told to the real recorders of facts."""

from datetime import UTC, datetime, timedelta

from bookings import policy, services
from bookings.models import Booking
from coaches.models import Coach, Offering
from marketplace.models import User
from marketplace.tests.factories import UserFactory
from payments import services as payment_services
from payments.models import Customer, Payment, PayoutAccount
from payments.stripe_objects import CardFacts, ChargeFacts, IntentFacts

# A Friday noon; the coach's clock in New York shows 7:00.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
START = datetime(2026, 11, 21, 15, tzinfo=UTC)
END = START + timedelta(hours=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def known_student(user: User) -> User:
    """A person who has bought before, so that booking needs no network."""
    Customer.objects.create(user=user, stripe_customer_id=f"cus_{user.pk}")
    return user


def many_students(count: int) -> list[User]:
    return [known_student(UserFactory.create()) for _ in range(count)]


def payable(coach: Coach) -> Coach:
    """With the account that an onboarded coach has."""
    PayoutAccount.objects.create(
        coach=coach,
        stripe_account_id=f"acct_{coach.pk}",
        country="US",
        default_currency="usd",
        details_submitted=True,
        charges_enabled=True,
        payouts_enabled=True,
        transfers_active=True,
    )
    return coach


def book(
    student: User, offering: Offering, *, starts_at: datetime = START, now: datetime = NOW, note: str = ""
) -> Booking:
    return services.book(
        student_user=student,
        offering=offering,
        starts_at=starts_at,
        expected_price=offering.price,
        expected_minutes=offering.minutes,
        expected_policy=policy.current(offering.cancellation),
        agreed_zone=student.time_zone,
        note=note,
        now=now,
    )


def intent(
    payment: Payment, *, status: str = "requires_capture", capture_before: datetime | None = None
) -> IntentFacts:
    """The intent as Stripe would show it for this payment."""
    charge = ChargeFacts(
        id=f"ch_{payment.pk}",
        amount=payment.amount,
        amount_captured=0,
        captured=False,
        capture_before=capture_before or payment.created_at + timedelta(days=7),
        card=CardFacts(f"pm_{payment.pk}", "visa", "4242", 12, 2030),
        balance_transaction=None,
        transfer=None,
        application_fee=None,
    )
    return IntentFacts(
        id=payment.payment_intent_id or f"pi_{payment.pk}",
        status=status,
        amount=payment.amount,
        amount_received=0,
        currency=payment.currency,
        customer=payment.payer.stripe_customer.stripe_customer_id,
        livemode=False,
        metadata={"payment_id": str(payment.pk)},
        created=payment.created_at,
        cancellation_reason="",
        last_refusal="",
        refusal_code="",
        saves_card=True,
        charge=charge,
    )


def paid(booking: Booking, *, now: datetime = NOW, capture_before: datetime | None = None) -> Booking:
    """Stripe holds the money, and says so."""
    payment = payment_of(booking)
    payment_services.record_hold(payment=payment, intent=intent(payment, capture_before=capture_before), now=now)
    return fresh(booking)


def unpaid(booking: Booking, *, now: datetime = NOW) -> Booking:
    """Stripe has closed the Checkout, and says so."""
    payment_services.record_checkout_expired(payment=payment_of(booking), now=now)
    return fresh(booking)


def hold_lost(booking: Booking, *, now: datetime) -> Booking:
    payment = payment_of(booking)
    payment_services.record_hold_lost(payment=payment, intent=intent(payment, status="canceled"), now=now)
    return fresh(booking)


def requested(student: User, offering: Offering, *, starts_at: datetime = START) -> Booking:
    return paid(book(student, offering, starts_at=starts_at))


def accepted(student: User, offering: Offering, *, starts_at: datetime = START) -> Booking:
    booking = requested(student, offering, starts_at=starts_at)
    services.accept(booking=booking, actor=offering.coach.user, now=NOW)
    return fresh(booking)


def payment_of(booking: Booking) -> Payment:
    """The current one, as it is now in the database."""
    return Payment.objects.get(booking=booking)


def fresh(booking: Booking) -> Booking:
    return Booking.objects.select_related("student__user", "coach__user", "payment").get(pk=booking.pk)
