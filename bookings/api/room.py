"""The session's room for mobile clients: who joins is on record, as on the page."""

from datetime import datetime
from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from bookings import services
from bookings.models import Booking
from bookings.services.attendance import there
from marketplace import clock
from marketplace.models import User


class RoomSerializer(serializers.Serializer[Any]):
    here = serializers.ListField(
        child=serializers.CharField(), help_text="The sides that are in the room now: student, coach."
    )


class JoinedSerializer(RoomSerializer):
    meeting_url = serializers.CharField(help_text="Where the call is.")


class RoomActions(GenericAPIView[Booking]):
    """What the endpoint of bookings has of the room."""

    @extend_schema(request=None, responses=JoinedSerializer)
    @action(detail=True, methods=["post"])
    def join(self, request: Request, **_pk: str) -> Response:
        """The caller is in the room; then `seen` every 30 seconds. 409 `room_closed` outside its times."""
        booking, now = self.get_object(), clock.now()
        link = services.join(booking=booking, user=cast("User", request.user), now=now)
        return Response({"meeting_url": link, "here": _here(booking, now)})

    @extend_schema(request=None, responses=RoomSerializer)
    @action(detail=True, methods=["post"])
    def seen(self, request: Request, **_pk: str) -> Response:
        """The caller is still there. After two minutes of silence the room takes them to have left."""
        booking, now = self.get_object(), clock.now()
        services.seen(booking=booking, user=cast("User", request.user), now=now)
        return Response({"here": _here(booking, now)})

    @extend_schema(request=None, responses=RoomSerializer)
    @action(detail=True, methods=["post"])
    def leave(self, request: Request, **_pk: str) -> Response:
        """The caller has left; they may join again."""
        booking, now = self.get_object(), clock.now()
        services.leave(booking=booking, user=cast("User", request.user), now=now)
        return Response({"here": _here(booking, now)})


def _here(booking: Booking, now: datetime) -> list[str]:
    return sorted(there(booking=booking, now=now))
