"""The endpoints of bookings: the same services as the pages."""

from typing import cast

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from bookings import selectors, services
from bookings.api.claims import ClaimActions
from bookings.api.room import RoomActions
from bookings.api.serializers import BookingSerializer
from bookings.models import Booking
from marketplace import clock
from marketplace.models import User


class BookingFilter(django_filters.FilterSet):  # type: ignore[misc]  # ships no types
    status = django_filters.MultipleChoiceFilter(choices=Booking.Status.choices)
    role = django_filters.ChoiceFilter(
        method="by_role", choices=[("student", "Sessions I take"), ("coach", "Sessions I give")]
    )

    def by_role(self, rows: QuerySet[Booking], _name: str, role: str) -> QuerySet[Booking]:
        user = self.request.user
        return rows.filter(student__user=user) if role == "student" else rows.filter(coach__user=user)


class BookingViewSet(ClaimActions, RoomActions, ReadOnlyModelViewSet[Booking]):
    """The caller's own sessions, as student and as coach, the latest first. Others' do not exist here."""

    queryset = Booking.objects.none()  # for the schema; rows come from get_queryset
    serializer_class = BookingSerializer
    filterset_class = BookingFilter
    lookup_value_regex = r"[0-9]{1,18}"

    def get_queryset(self) -> QuerySet[Booking]:
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return selectors.bookings_of(cast("User", self.request.user))

    @extend_schema(request=None, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def accept(self, request: Request, pk: str) -> Response:
        """The coach takes the session. 409 `invalid_state` when it is not, or no longer, waiting for an answer."""
        booking = self.get_object()
        services.accept(booking=booking, actor=cast("User", request.user), now=clock.now())
        return self._fresh(booking)

    @extend_schema(request=None, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def complete(self, request: Request, pk: str) -> Response:
        """The session took place, and the held money is taken. 409 `invalid_state` before its end."""
        booking = self.get_object()
        services.complete(booking=booking, actor=cast("User", request.user), now=clock.now())
        return self._fresh(booking)

    def _fresh(self, booking: Booking) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=booking.pk)).data)
