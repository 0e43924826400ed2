"""What mobile clients send to change a session, and read before they do."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError as FormError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from bookings.forms import NO_INSTANT
from bookings.forms import InstantField as FormInstant


@extend_schema_field(OpenApiTypes.DATETIME)
class InstantField(serializers.CharField):
    """ISO 8601 with its offset, as everywhere: a time without one may mean two instants, or none."""

    default_error_messages = {"invalid_instant": NO_INSTANT}

    def to_internal_value(self, data: str) -> datetime:  # type: ignore[override]  # text comes in, an instant out
        try:
            return FormInstant(max_length=40).clean(super().to_internal_value(data))
        except FormError:
            self.fail("invalid_instant")


class ReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(
        default="", allow_blank=True, max_length=500, help_text="In the person's own words; the other side reads them."
    )


class ProposeSerializer(ReasonSerializer):
    starts_at = InstantField(help_text="Another start, one of those that `slots` offers. The length stays.")


class AgreeSerializer(serializers.Serializer[Any]):
    starts_at = InstantField(help_text="The proposed start as the person has read it.")


class WithdrawSerializer(ReasonSerializer):
    starts_at = InstantField(help_text="The proposed start as the person has read it.")


class CancelSerializer(ReasonSerializer):
    kept_amount = serializers.IntegerField(
        default=0, min_value=0, max_value=2**63 - 1, help_text="What `costs` said and the person has confirmed."
    )


class CostsSerializer(serializers.Serializer[Any]):
    """What cancelling now means for the student, in whole minor units of `currency`."""

    kept_amount = serializers.IntegerField(source="kept.amount", help_text="Is taken from the card.")
    returned_amount = serializers.IntegerField(source="returned.amount", help_text="Is not.")
    currency = serializers.CharField(source="kept.currency")
    changes_at = serializers.DateTimeField(allow_null=True, help_text="From then on it costs more, if ever.")
