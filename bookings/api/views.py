"""The endpoints of bookings: the same services as the pages."""

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from bookings import process, selectors, services
from bookings.api.changes import (
    AgreeSerializer,
    CancelSerializer,
    CostsSerializer,
    ProposeSerializer,
    WithdrawSerializer,
)
from bookings.api.claims import ClaimActions
from bookings.api.room import RoomActions
from bookings.api.serializers import BookingSerializer
from bookings.models import Booking
from bookings.transition import InvalidState, NotAllowed
from marketplace import clock
from marketplace.lib.money import Money
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

    @extend_schema(request=ProposeSerializer, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def propose(self, request: Request, pk: str) -> Response:
        """Another time for the same session; both are kept until the other side answers.

        409 `slot_unavailable`, `slot_too_soon`, `outside_hours`, `hold_too_short` and others where it can't be.
        """
        booking, sent = self.get_object(), _sent(ProposeSerializer, request)
        services.propose(booking=booking, actor=cast("User", request.user), now=clock.now(), **sent)
        return self._fresh(booking)

    @extend_schema(request=AgreeSerializer, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def agree(self, request: Request, pk: str) -> Response:
        """The session moves to the proposed time. 409 `invalid_state` where that is not proposed any more."""
        booking, sent = self.get_object(), _sent(AgreeSerializer, request)
        user, expected = cast("User", request.user), sent["starts_at"]
        services.agree(booking=booking, actor=user, expected_starts_at=expected, now=clock.now())
        return self._fresh(booking)

    @extend_schema(request=WithdrawSerializer, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: str) -> Response:
        """The session stays where it is: either side takes back or turns down the proposal that they have read.

        409 `invalid_state` where that is not proposed any more.
        """
        booking, sent = self.get_object(), _sent(WithdrawSerializer, request)
        user, expected = cast("User", request.user), sent["starts_at"]
        services.withdraw(
            booking=booking, actor=user, expected_starts_at=expected, reason=sent["reason"], now=clock.now()
        )
        return self._fresh(booking)

    @extend_schema(responses=CostsSerializer)
    @action(detail=True)
    def costs(self, request: Request, pk: str) -> Response:
        """What it costs the student to cancel now. 409 `invalid_state` where it can't be cancelled any more."""
        booking, now = self.get_object(), clock.now()
        if booking.student.user_id != cast("User", request.user).pk:
            raise NotAllowed
        if booking.payment is None or not selectors.can(process.CANCEL_BY_STUDENT, booking=booking, now=now):
            raise InvalidState("This session can't be cancelled any more.")
        return Response(CostsSerializer(selectors.if_cancelled(booking=booking, payment=booking.payment, now=now)).data)

    @extend_schema(request=CancelSerializer, responses=BookingSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """The session is off. A student sends the `kept_amount` that `costs` told: 409 `costs_changed` where it is
        another by now, and nothing is cancelled. A coach may send a `reason`, and the student pays nothing.
        """
        booking, sent = self.get_object(), _sent(CancelSerializer, request)
        user, now = cast("User", request.user), clock.now()
        if booking.student.user_id == user.pk:
            kept = Money(sent["kept_amount"], booking.currency)
            services.cancel_by_student(booking=booking, actor=user, expected_kept=kept, now=now)
        else:
            services.cancel_by_coach(booking=booking, actor=user, reason=sent["reason"], now=now)
        return self._fresh(booking)

    def _fresh(self, booking: Booking) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=booking.pk)).data)


def _sent(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """What the client sent, checked. Raises ValidationError."""
    checked = serializer(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)
