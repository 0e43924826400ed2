"""When a coach can be booked, for anyone to read: the same times as on the page."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import selectors
from coaches import selectors as coach_selectors
from coaches.models import Offering
from coaches.slots import Range
from marketplace import clock
from marketplace.lib.zones import in_zone, validate_zone, zone_label
from marketplace.models import User

MOST_DAYS = 31
# Far from the ends of the calendar, where turning to another zone fails.
_YEARS = range(2000, 9000)


class SlotsQuery(serializers.Serializer[Any]):
    """Adds `within`, the Range from `from` up to, but not including, `to`."""

    offering = serializers.IntegerField(min_value=1, max_value=2**63 - 1, help_text="The id of what is to be booked.")
    to = serializers.CharField(
        max_length=40, help_text=f"Likewise; not included, and at most {MOST_DAYS} days after `from`."
    )
    zone = serializers.CharField(
        default="UTC", max_length=64, validators=[validate_zone], help_text="An IANA name, such as Europe/Berlin."
    )

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which is no name that a class can give."""
        first = serializers.CharField(
            max_length=40,
            help_text="A date (2026-12-01: its beginning in `zone`), or a time with its offset from UTC "
            "(2026-12-01T09:00:00Z).",
        )
        return {**super().get_fields(), "from": first}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        zone = attrs["zone"]
        start, end = _moment("from", attrs["from"], zone), _moment("to", attrs["to"], zone)
        if end <= start:
            raise _refusal("to", "window_empty", "`to` is after `from`.")
        # By the wall clock: a month in which clocks are set back is an hour longer.
        if in_zone(end, zone).replace(tzinfo=None) - in_zone(start, zone).replace(tzinfo=None) > timedelta(MOST_DAYS):
            raise _refusal("to", "window_too_long", f"Please ask for at most {MOST_DAYS} days at once.")
        return {**attrs, "within": Range(start, end)}


def _moment(field: str, text: str, zone: str) -> datetime:
    """The instant (UTC) that a date or a time with its offset names. Nothing is guessed about a time without one."""
    try:
        moment = _parsed(text, zone)
        if moment.tzinfo is None:
            raise _refusal(field, "offset_missing", _which(moment, zone))
        instant = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refusal(field, "invalid_time", "This is neither a date nor a time with its offset.") from None
    if instant.year not in _YEARS:
        raise _refusal(field, "invalid_time", "This time is too far away.")
    return instant


def _parsed(text: str, zone: str) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)
    return datetime.combine(day, time(), ZoneInfo(zone))


def _which(local: datetime, zone: str) -> str:
    """What a wall-clock time without offset could mean in that zone."""
    choices = [local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1)]
    real = {each.isoformat() for each in choices if in_zone(each.astimezone(UTC), zone).replace(tzinfo=None) == local}
    if not real:
        return f"In {zone_label(zone)} clocks jump over this time. Please choose another one, with its offset."
    if len(real) > 1:
        return f"In {zone_label(zone)} this time comes twice. Please choose: {' or '.join(sorted(real))}."
    return f"Please add the offset: {real.pop()}."


def _refusal(field: str, code: str, words: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: words}, code=code)


@dataclass(frozen=True, slots=True)
class FreeSlot:
    starts_at: datetime
    ends_at: datetime
    local: str


class SlotSerializer(serializers.Serializer[FreeSlot]):
    starts_at = serializers.DateTimeField(default_timezone=UTC)
    ends_at = serializers.DateTimeField(default_timezone=UTC)
    local = serializers.CharField(
        help_text="The start by the clock of `zone`, with its offset: 2026-12-01T10:00:00+01:00."
    )


class SlotsSerializer(serializers.Serializer[Any]):
    zone = serializers.CharField()
    offering = serializers.IntegerField()
    minutes = serializers.IntegerField(help_text="How long a session takes.")
    slots = SlotSerializer(many=True)


class SlotsView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        parameters=[SlotsQuery],
        responses=SlotsSerializer,
        examples=[
            OpenApiExample(
                "One free time",
                value={
                    "zone": "Europe/Berlin",
                    "offering": 7,
                    "minutes": 60,
                    "slots": [
                        {
                            "starts_at": "2026-12-01T09:00:00Z",
                            "ends_at": "2026-12-01T10:00:00Z",
                            "local": "2026-12-01T10:00:00+01:00",
                        }
                    ],
                },
                response_only=True,
            )
        ],
    )
    def get(self, request: Request, slug: str) -> Response:
        """The times at which a session may start, in order. No login is needed; with one, times at which the caller
        has another session are left out. 404 where the coach or the offering can't be booked, or do not belong
        together; 400 `window_too_long`, `window_empty`, `invalid_time`, `offset_missing`, `unknown_time_zone`.
        """
        query = SlotsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        zone, offering = query.validated_data["zone"], _offering(slug, query.validated_data["offering"])
        user = request.user if isinstance(request.user, User) else None
        starts = selectors.open_slots(
            offering=offering, now=clock.now(), user=user, within=query.validated_data["within"]
        )
        slots = [FreeSlot(start, start + offering.duration, in_zone(start, zone).isoformat()) for start in starts]
        answer = {"zone": zone, "offering": offering.pk, "minutes": offering.minutes, "slots": slots}
        return Response(SlotsSerializer(answer).data)


def _offering(slug: str, offering_id: int) -> Offering:
    try:
        offering = coach_selectors.get_bookable_offering(offering_id)
    except Offering.DoesNotExist:
        raise NotFound from None
    if offering.coach.slug != slug:
        raise NotFound
    return offering
