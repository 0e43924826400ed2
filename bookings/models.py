"""The session, from the request to its end. `Booking.status` is written by `bookings.transition` alone."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from coaches.models import Coach, Offering
from marketplace.lib.money import Money
from marketplace.lib.zones import validate_zone
from payments.models import Payment


class Student(models.Model):
    """A person who books. The row begins with the first booking."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="student")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.user)


class Booking(models.Model):
    """One session between a student and a coach. Price, fee, length, zone and policy are frozen when it is made."""

    class Status(models.TextChoices):
        AWAITING_PAYMENT = "awaiting_payment", "Waiting for payment"
        REQUESTED = "requested", "Requested"
        ACCEPTED = "accepted", "Accepted"
        COMPLETED = "completed", "Completed"
        NO_SHOW_STUDENT = "no_show_student", "Student did not come"
        NO_SHOW_COACH = "no_show_coach", "Coach did not come"
        ABANDONED = "abandoned", "Not paid"
        DECLINED = "declined", "Declined"
        EXPIRED = "expired", "Not answered"
        CANCELLED = "cancelled", "Cancelled"
        PAYMENT_FAILED = "payment_failed", "Payment failed"

    # States in which the booking takes the time of both.
    LIVE: ClassVar = (Status.AWAITING_PAYMENT, Status.REQUESTED, Status.ACCEPTED)

    student = models.ForeignKey(Student, models.PROTECT, related_name="bookings")
    coach = models.ForeignKey(Coach, models.PROTECT, related_name="bookings")
    offering = models.ForeignKey(Offering, models.PROTECT, related_name="bookings")
    title = models.CharField(max_length=120)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # The coach's time that this takes: the session with the coach's buffers around it, as they were at booking.
    blocked_from = models.DateTimeField()
    blocked_until = models.DateTimeField()
    # The zone in which the time was agreed: the student's. A later change of anyone's zone moves nothing.
    agreed_zone = models.CharField(max_length=64, validators=[validate_zone])
    price_amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    instant = models.BooleanField()
    # What a late cancellation costs, as the student has read it and agreed to it.
    policy = models.CharField(max_length=8, choices=Offering.Cancellation, default=Offering.Cancellation.FLEXIBLE)
    policy_version = models.PositiveSmallIntegerField(default=1)
    policy_text = models.TextField(blank=True)
    # The network address they agreed from: evidence, should their bank ask for it.
    agreed_from = models.GenericIPAddressField(null=True, blank=True)
    # What the student wants to work on, in their own words.
    note = models.TextField(max_length=1000, blank=True)

    status = models.CharField(max_length=20, choices=Status, default=Status.AWAITING_PAYMENT)
    # Counts up with each transition; the SEQUENCE of the calendar entry, too.
    version = models.PositiveIntegerField(default=1)
    # The current attempt to pay; earlier ones point here by their reference.
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, blank=True, related_name="booking")
    payment_due_at = models.DateTimeField()  # the slot is kept this long for Checkout
    answer_due_at = models.DateTimeField(null=True, blank=True)  # the coach answers before this
    # Another time that one side has proposed; both are kept until it is agreed, withdrawn or lapsed.
    proposed_starts_at = models.DateTimeField(null=True, blank=True)
    proposed_ends_at = models.DateTimeField(null=True, blank=True)
    proposed_blocked_from = models.DateTimeField(null=True, blank=True)
    proposed_blocked_until = models.DateTimeField(null=True, blank=True)
    proposed_by = models.CharField(max_length=10, blank=True)  # student or coach
    proposal_due_at = models.DateTimeField(null=True, blank=True)
    # The bank wants the student: paid by link before this, or else the session is off (once it is over: written off).
    pay_due_at = models.DateTimeField(null=True, blank=True)
    # What is still to be said, and when; empty once it is said.
    answer_reminder_at = models.DateTimeField(null=True, blank=True)
    pay_reminder_at = models.DateTimeField(null=True, blank=True)
    day_reminder_at = models.DateTimeField(null=True, blank=True)
    hour_reminder_at = models.DateTimeField(null=True, blank=True)
    # A booking whose timed transition failed is not tried again before this.
    retry_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="booking_ends_after_start"),
            models.CheckConstraint(condition=Q(price_amount__gt=0), name="booking_price_positive"),
            models.CheckConstraint(
                condition=Q(blocked_from__lte=F("starts_at"), blocked_until__gte=F("ends_at")),
                name="booking_blocks_its_session",
            ),
            models.CheckConstraint(
                condition=Q(
                    proposed_starts_at=None,
                    proposed_ends_at=None,
                    proposed_blocked_from=None,
                    proposed_blocked_until=None,
                    proposed_by="",
                    proposal_due_at=None,
                )
                | Q(
                    proposed_ends_at__gt=F("proposed_starts_at"),
                    proposed_blocked_from__lte=F("proposed_starts_at"),
                    proposed_blocked_until__gte=F("proposed_ends_at"),
                    proposed_by__in=["student", "coach"],
                    proposal_due_at__isnull=False,
                ),
                name="booking_proposal_whole",
            ),
        ]
        indexes: ClassVar = [
            # Busy times of a coach and of a student; their lists.
            models.Index(fields=["coach", "starts_at"], name="booking_of_coach"),
            models.Index(fields=["student", "starts_at"], name="booking_of_student"),
            # The timed transitions.
            models.Index(fields=["status", "ends_at"], name="booking_due"),
            # The reminders that are still owed; of all bookings, the coming ones.
            models.Index(
                fields=["day_reminder_at"], condition=Q(day_reminder_at__isnull=False), name="booking_day_reminder"
            ),
            models.Index(
                fields=["hour_reminder_at"], condition=Q(hour_reminder_at__isnull=False), name="booking_hour_reminder"
            ),
            models.Index(fields=["pay_due_at"], condition=Q(pay_due_at__isnull=False), name="booking_pay_due"),
            models.Index(
                fields=["proposal_due_at"], condition=Q(proposal_due_at__isnull=False), name="booking_proposal_due"
            ),
        ]

    def __str__(self) -> str:
        return f"booking {self.pk}: {self.title}"

    @property
    def price(self) -> Money:
        return Money(self.price_amount, self.currency)

    @property
    def minutes(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds() // 60)

    @property
    def reference(self) -> str:
        """The name under which payments know this booking."""
        return f"booking:{self.pk}"


class CalendarAddress(models.Model):
    """The private address at which a person's calendar program reads their sessions. Whoever has it may read them."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="calendar_address")
    token = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"calendar address of {self.user_id}"


class BookingEvent(models.Model):
    """One transition: who, what, why, before, after, when. Append-only: history and audit."""

    booking = models.ForeignKey(Booking, models.PROTECT, related_name="events")
    transition = models.CharField(max_length=30)
    # Nobody where time or a fact about money acted.
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    actor_role = models.CharField(max_length=10)  # student, coach, staff, timer, fact
    reason = models.CharField(max_length=500, blank=True)
    status_before = models.CharField(max_length=20, blank=True)
    status_after = models.CharField(max_length=20, choices=Booking.Status)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["booking", "at"], name="event_of_booking")]

    def __str__(self) -> str:
        return f"{self.transition} of booking {self.booking_id}"


class Notice(models.Model):
    """A mail that a transition owes to one side: written with the transition, sent after it, remembered."""

    class Recipient(models.TextChoices):
        STUDENT = "student"
        COACH = "coach"

    event = models.ForeignKey(BookingEvent, models.PROTECT, related_name="notices")
    recipient = models.CharField(max_length=8, choices=Recipient)
    template = models.CharField(max_length=40)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)  # wall time
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["event", "recipient"], name="notice_once_per_recipient"),
        ]
        indexes: ClassVar = [
            # What is still to be sent, oldest first.
            models.Index(fields=["next_try_at"], condition=Q(sent_at=None), name="notice_due"),
        ]

    def __str__(self) -> str:
        return f"{self.template} to {self.recipient}"


class LiveSession(models.Model):
    """Where a booked session takes place. Made when the booking is accepted."""

    booking = models.OneToOneField(Booking, models.PROTECT, related_name="live_session")
    meeting_url = models.URLField(max_length=300)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"live session of {self.booking}"


class Attendance(models.Model):
    """One stay of one side on the session's page: from opening the room to leaving it, or to the last sign of life."""

    booking = models.ForeignKey(Booking, models.PROTECT, related_name="attendances")
    side = models.CharField(max_length=10)  # student or coach
    joined_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            # A page that is loaded twice is one stay.
            models.UniqueConstraint(fields=["booking", "side"], condition=Q(left_at=None), name="attendance_one_open"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["booking", "joined_at"], name="attendance_of_booking"),
        ]

    def __str__(self) -> str:
        return f"{self.side} at booking {self.booking_id}"


class Claim(models.Model):
    """One side says that the session did not go as agreed. It changes nothing by itself; the decision does."""

    class Kind(models.TextChoices):
        STUDENT_MISSING = "student_missing", "The student did not come"
        COACH_MISSING = "coach_missing", "The coach did not come"
        PROBLEM = "problem", "There was a problem with the session"

    class State(models.TextChoices):
        OPEN = "open", "Waits for the other side"
        CONTRADICTED = "contradicted", "Staff decide"
        DECIDED = "decided", "Decided"
        WITHDRAWN = "withdrawn", "Taken back"

    class Outcome(models.TextChoices):
        NOTHING = "nothing", "The session counts as held"
        NO_SHOW_STUDENT = "no_show_student", "The student did not come"
        NO_SHOW_COACH = "no_show_coach", "The coach did not come"
        REFUNDED = "refunded", "Some of the price goes back"

    UNDECIDED: ClassVar = (State.OPEN, State.CONTRADICTED)

    booking = models.ForeignKey(Booking, models.PROTECT, related_name="claims")
    kind = models.CharField(max_length=15, choices=Kind)
    side = models.CharField(max_length=10)  # whose claim: student or coach
    words = models.TextField(max_length=2000, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField()
    # The other side may contradict before this.
    answer_due_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(max_length=2000, blank=True)
    outcome = models.CharField(max_length=15, choices=Outcome, blank=True)
    # What one person would decide, where it is too much for one: whoever decides the same is the second.
    proposed_outcome = models.CharField(max_length=15, choices=Outcome, blank=True)
    proposed_back = models.BigIntegerField(null=True, blank=True)
    proposed_reason = models.CharField(max_length=500, blank=True)
    proposed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="claims_proposed"
    )
    # Nobody where it decided itself.
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="claims_decided"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    decision = models.CharField(max_length=500, blank=True)  # read by both sides
    # Counts up with each change: two members of staff on one claim.
    version = models.PositiveIntegerField(default=1)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["booking"], condition=Q(state__in=["open", "contradicted"]), name="claim_one_undecided"
            ),
        ]
        indexes: ClassVar = [
            # The timer's and the desk's work, by deadline.
            models.Index(
                fields=["answer_due_at"], condition=Q(state__in=["open", "contradicted"]), name="claim_undecided"
            ),
        ]

    def __str__(self) -> str:
        return f"claim {self.pk} on booking {self.booking_id}"

    @property
    def other_side(self) -> str:
        """Who may contradict; of a missed session, who is said not to have come."""
        return "coach" if self.side == "student" else "student"

    @property
    def left_to_staff(self) -> bool:
        """Staff decide though nobody has contradicted: our record of the room speaks against it."""
        return self.state == self.State.CONTRADICTED and self.answered_at is None
