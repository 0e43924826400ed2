"""Reporting a session that did not go as agreed, for mobile clients: the same services as the pages."""

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from bookings import services
from bookings.claim_page import latest
from bookings.models import Booking, Claim
from bookings.words import room_says
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.models import User


class NothingReported(DomainError):
    code = "nothing_reported"
    status = 409
    message = "Nothing is reported of this session."


class ClaimSerializer(serializers.ModelSerializer[Claim]):
    """A report and what has become of it. `side` has reported; the other may contradict before `answer_due_at`.

    In the state `contradicted` staff decide; where `answered_at` is null, nobody has contradicted, and `note` says why.
    """

    note = serializers.SerializerMethodField(
        help_text="Why staff decide though nobody has contradicted: our record of the session's room. Else empty."
    )

    class Meta:
        model = Claim
        fields: ClassVar = [
            "kind",
            "side",
            "words",
            "state",
            "opened_at",
            "answer_due_at",
            "answered_at",
            "answer",
            "outcome",
            "decided_at",
            "decision",
            "note",
        ]
        read_only_fields = fields

    def get_note(self, claim: Claim) -> str:
        return room_says(claim) if claim.left_to_staff else ""


class ReportSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        choices=Claim.Kind.choices, help_text="A student says coach_missing or problem; a coach, student_missing."
    )
    words = serializers.CharField(
        default="", allow_blank=True, max_length=2000, help_text="The other side and staff read them."
    )


class AnswerSerializer(serializers.Serializer[Any]):
    words = serializers.CharField(max_length=2000, help_text="The other side and staff read them.")


class ClaimActions(GenericAPIView[Booking]):
    """What the endpoint of bookings has of reports."""

    @extend_schema(request=ReportSerializer, responses={201: ClaimSerializer})
    @action(detail=True, methods=["post"])
    def report(self, request: Request, **_pk: str) -> Response:
        """It did not go as agreed: nobody is paid before that is decided. From the start until 24 h after the end.

        409 `invalid_state`, `coach_did_not_wait`, `too_many_reports`; 403 `not_yours_to_say`; 400 `words_missing`.
        """
        booking, sent = self.get_object(), ReportSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        kind, words = Claim.Kind(sent.validated_data["kind"]), sent.validated_data["words"]
        claim = services.report(
            booking=booking, actor=cast("User", request.user), kind=kind, words=words, now=clock.now()
        )
        return Response(ClaimSerializer(claim).data, status=201)

    @extend_schema(responses=ClaimSerializer(many=True))
    @action(detail=True, filterset_class=None, pagination_class=None)
    def reports(self, _request: Request, **_pk: str) -> Response:
        """All reports on the session, the latest last."""
        return Response(ClaimSerializer(self.get_object().claims.order_by("pk"), many=True).data)

    @extend_schema(request=AnswerSerializer, responses=ClaimSerializer)
    @action(detail=True, methods=["post"])
    def contradict(self, request: Request, **_pk: str) -> Response:
        """The other side's word on the latest report, within 24 h: then staff decide. 409 `invalid_state` later."""
        claim, sent = _latest(self.get_object()), AnswerSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        words = sent.validated_data["words"]
        services.contradict(claim=claim, actor=cast("User", request.user), words=words, now=clock.now())
        return _fresh(claim)

    @extend_schema(request=None, responses=ClaimSerializer)
    @action(detail=True, methods=["post"])
    def take_back_report(self, request: Request, **_pk: str) -> Response:
        """Whoever reported takes it back. 409 `invalid_state` once it is decided."""
        claim = _latest(self.get_object())
        services.take_back(claim=claim, actor=cast("User", request.user), now=clock.now())
        return _fresh(claim)


def _latest(booking: Booking) -> Claim:
    """Raises NothingReported."""
    claim = latest(booking)
    if claim is None:
        raise NothingReported
    return claim


def _fresh(claim: Claim) -> Response:
    claim.refresh_from_db()
    return Response(ClaimSerializer(claim).data)
