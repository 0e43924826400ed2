"""The main path and its side paths as one story, told step by step over HTTP.

One coach and one student; five bookings: taken and paid out by the month, declined, let go, forgotten, and
taken with each session. So every kind of call to Stripe that changes something is in it, from web and worker.
"""

from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse

from bookings.models import Booking
from coaches.models import Coach, Offering
from marketplace.tests.factories import CoachFactory, OfferingFactory, UserFactory, open_all_week
from marketplace.tests.main_path.people import Person
from marketplace.tests.main_path.product import BEGIN, Product
from payments.models import Payment, PayoutAccount, PayoutRun

TOMORROW = BEGIN + timedelta(days=1)
# In the month after the earnings are released.
PAYDAY = BEGIN.replace(month=4, day=1, hour=1)

Status = Booking.Status


class Story:
    def __init__(self, product: Product) -> None:
        self.product = product
        coach_user = UserFactory.create(email="coach@example.com", name="Carla Coach")
        self.coach: Coach = CoachFactory.create(user=coach_user, slug="carla-coach", payable=False)
        open_all_week(self.coach)
        self.offering: Offering = OfferingFactory.create(coach=self.coach)
        student_user = UserFactory.create(email="student@example.com", name="Sam Student")
        self.teacher, self.student = Person(product, coach_user), Person(product, student_user)

    def tell(self) -> None:
        self.onboard()
        monthly = self.book(hour=10)
        self.pay(monthly)
        self.answer(monthly, "accept", Status.ACCEPTED)
        self.decline(self.book(hour=12))
        self.let_go(self.book(hour=14))
        self.forget(self.book(hour=16))
        self.be_paid_per_session()
        per_session = self.book(hour=18)
        self.pay(per_session)
        self.answer(per_session, "accept", Status.ACCEPTED)
        self.complete(monthly)
        self.leave_to_the_timer(per_session)
        self.turn_the_month()
        self.product.until_quiet()

    # --- the coach sets up ----------------------------------------------------------------------

    def onboard(self) -> None:
        page = self.teacher.post(reverse("payments:start_onboarding"), country="US")
        self.teacher.get(self.teacher.press_at_stripe(page, outcome="complete"))
        self.product.until("the coach can be booked", self._can_be_booked)

    def _can_be_booked(self) -> bool:
        return Coach.objects.get(pk=self.coach.pk).payable

    def be_paid_per_session(self) -> None:
        self.teacher.post(reverse("payments:preferences"), mode="per_session", method="stripe")
        assert PayoutAccount.objects.get(coach=self.coach).settlement_mode == "per_session"

    # --- booking and paying ---------------------------------------------------------------------

    def book(self, *, hour: int) -> Booking:
        """Up to Stripe's page, which is open and not paid."""
        self.checkout = self.press_book(hour=hour)
        assert "/c/pay/" in self.checkout
        booking = Booking.objects.get(starts_at=TOMORROW.replace(hour=hour))
        assert booking.status == Status.AWAITING_PAYMENT
        return booking

    def press_book(self, *, hour: int) -> str:
        chosen = urlencode({"start": TOMORROW.replace(hour=hour).isoformat(), "zone": self.student.user.time_zone})
        return self.student.send_form(
            f"{reverse('bookings:review', args=[self.offering.pk])}?{chosen}",
            reverse("bookings:book", args=[self.offering.pk]),
            note="Scales, please.",
        )

    def pay(self, booking: Booking) -> None:
        back = self.student.press_at_stripe(self.checkout, card="pm_card_visa")
        assert back == reverse("bookings:paid", args=[booking.pk])
        assert self.student.get(back).status_code == 200
        self.until(booking, Status.REQUESTED, Payment.Status.HELD)

    def let_go(self, booking: Booking) -> None:
        self.student.post(reverse("bookings:let_go", args=[booking.pk]))
        self.until(booking, Status.ABANDONED, Payment.Status.LAPSED)

    def forget(self, booking: Booking) -> None:
        self.product.let_pass(timedelta(minutes=31))
        self.until(booking, Status.ABANDONED, Payment.Status.LAPSED)

    # --- the session ----------------------------------------------------------------------------

    def answer(self, booking: Booking, word: str, status: Booking.Status) -> None:
        self.teacher.post(reverse(f"bookings:{word}", args=[booking.pk]))
        self.until(booking, status, None)

    def decline(self, booking: Booking) -> None:
        self.pay(booking)
        self.answer(booking, "decline", Status.DECLINED)
        self.until(booking, Status.DECLINED, Payment.Status.RELEASED)

    def complete(self, booking: Booking) -> None:
        self.product.set_clock(booking.ends_at)
        self.teacher.post(reverse("bookings:complete", args=[booking.pk]))
        self.until(booking, Status.COMPLETED, Payment.Status.CAPTURED)

    def leave_to_the_timer(self, booking: Booking) -> None:
        self.product.set_clock(booking.ends_at + timedelta(hours=24))
        self.until(booking, Status.COMPLETED, Payment.Status.CAPTURED)

    def turn_the_month(self) -> None:
        self.product.set_clock(PAYDAY)
        march = PayoutRun.objects.filter(month="2027-03", status=PayoutRun.Status.CLOSED)
        self.product.until("the coach is paid for the month", march.exists)

    def until(self, booking: Booking, status: Booking.Status, payment: Payment.Status | None) -> None:
        wanted = Booking.objects.filter(pk=booking.pk, status=status)
        if payment is not None:
            wanted = wanted.filter(payment__status=payment)
        self.product.until(f"the booking is {status}, its payment {payment}", wanted.exists)
