"""What mobile clients see of a booking."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bookings.models import Booking
from coaches.models import Coach
from marketplace.models import User
from payments import selectors as payment_selectors


class CoachSerializer(serializers.ModelSerializer[Coach]):
    class Meta:
        model = Coach
        fields: ClassVar = ["slug", "display_name"]


class ProposalSerializer(serializers.Serializer[Booking]):
    """Another time that one side has proposed. Both are kept until `answer_by`."""

    starts_at = serializers.DateTimeField(source="proposed_starts_at")
    ends_at = serializers.DateTimeField(source="proposed_ends_at")
    proposed_by = serializers.ChoiceField(choices=["student", "coach"])
    answer_by = serializers.DateTimeField(source="proposal_due_at")


class BookingSerializer(serializers.ModelSerializer[Booking]):
    """Amounts are whole minor units of `currency`, times are in UTC.

    `payment_due_at`: until when a new booking waits to be paid. `pay_due_at`: where the card could not be charged
    without the student, until when they are asked to pay; else nothing. `policy_text`: what a late cancellation costs.
    """

    coach = CoachSerializer(read_only=True)
    student_name = serializers.CharField(source="student.user.name", read_only=True)
    role = serializers.SerializerMethodField()
    payment_status = serializers.SerializerMethodField()
    proposal = serializers.SerializerMethodField()
    meeting_url = serializers.SerializerMethodField()

    class Meta:
        model = Booking
        fields: ClassVar = [
            "id",
            "status",
            "role",
            "title",
            "coach",
            "student_name",
            "starts_at",
            "ends_at",
            "agreed_zone",
            "note",
            "price_amount",
            "currency",
            "payment_status",
            "payment_due_at",
            "pay_due_at",
            "answer_due_at",
            "policy",
            "policy_text",
            "proposal",
            "meeting_url",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=["student", "coach"]))
    def get_role(self, booking: Booking) -> str:
        """The side on which the caller stands."""
        user: User = self.context["request"].user
        return "student" if booking.student.user_id == user.pk else "coach"

    @extend_schema_field(serializers.ChoiceField(choices=["PENDING", "CAPTURED", "REFUNDED", "FAILED"]))
    def get_payment_status(self, booking: Booking) -> str:
        return payment_selectors.payment_status(booking.payment)

    @extend_schema_field(ProposalSerializer(allow_null=True))
    def get_proposal(self, booking: Booking) -> dict[str, Any] | None:
        return ProposalSerializer(booking).data if booking.proposed_starts_at else None

    def get_meeting_url(self, booking: Booking) -> str:
        """Where the call is; empty unless the session is going to take place. Whoever goes there first asks `join`:
        else they are not on record as having come.
        """
        if booking.status != Booking.Status.ACCEPTED:
            return ""
        return booking.live_session.meeting_url
