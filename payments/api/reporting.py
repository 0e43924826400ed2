"""A coach's months and years, for mobile clients: the same figures as the pages. Amounts are minor units."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from coaches.models import Coach
from coaches.selectors import coach_of
from marketplace import clock
from marketplace.lib.access import signed_in
from payments import statements
from payments.models import Statement
from payments.statements.words import WORDS, rows_of

# The settings name this as the schema's enumeration.
KIND_CHOICES = [(kind.value, words) for kind, words in WORDS.items()]


class MonthSerializer(serializers.Serializer[Any]):
    """`opening + earned - paid = closing`. Below zero is what the coach owes."""

    month = serializers.CharField(help_text='In UTC, such as "2026-10".')
    currency = serializers.CharField()
    closed = serializers.BooleanField(help_text="Nothing in it changes any more.")
    opening = serializers.IntegerField(source="opening.amount", help_text="Carried in.")
    earned = serializers.IntegerField(
        source="earned.amount", help_text="After our fee, refunds and disputes; may be below zero."
    )
    paid = serializers.IntegerField(source="paid.amount", help_text="Moved to the coach's account at Stripe.")
    closing = serializers.IntegerField(source="closing.amount", help_text="Carried out, or so far.")


class LineSerializer(serializers.Serializer[Any]):
    """One fact: a session, a refund, a transfer ... `amount` is what it changed."""

    kind = serializers.ChoiceField(source="line.kind", choices=KIND_CHOICES)
    at = serializers.DateTimeField(source="line.at")
    reference = serializers.CharField(source="line.reference", help_text="What was paid for; empty for transfers.")
    description = serializers.CharField(source="line.description")
    session_ends_at = serializers.DateTimeField(source="line.service_ends_at", allow_null=True)
    gross = serializers.IntegerField(source="line.gross", help_text="Paid by the student; below zero, given back.")
    fee = serializers.IntegerField(source="line.fee", help_text="Ours; below zero, given back.")
    borne_by_us = serializers.IntegerField(source="line.borne_by_us")
    in_dispute = serializers.IntegerField(source="line.in_dispute", help_text="With the bank until it decides.")
    amount = serializers.IntegerField(source="amount.amount")
    balance = serializers.IntegerField(source="balance.amount", help_text="After this line.")
    source_id = serializers.CharField(source="line.source", help_text="Stripe's id of it, or ours.")


class QuarterSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    quarter = serializers.IntegerField(min_value=1, max_value=4)
    sessions = serializers.IntegerField()
    gross = serializers.IntegerField(help_text="Paid by students.")
    refunds = serializers.IntegerField(help_text="What of it went back to them, or to their banks.")
    fees = serializers.IntegerField(help_text="Ours, less what was given back.")
    borne_by_us = serializers.IntegerField()
    adjusted = serializers.IntegerField(help_text="Corrected in the books; below zero, taken off.")
    paid = serializers.IntegerField(help_text="Moved to the coach's account at Stripe.")


class YearSerializer(serializers.Serializer[Any]):
    year = serializers.IntegerField()
    quarters = QuarterSerializer(many=True)


class MonthsView(GenericAPIView[Statement]):
    serializer_class = MonthSerializer
    filter_backends = ()

    @extend_schema(responses=MonthSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the signed-in coach's months, newest first, each currency on its own. 404 for non-coaches."""
        page = self.paginate_queryset(statements.months_of(_own_coach(request), clock.now()))
        return self.get_paginated_response(MonthSerializer(page, many=True).data)


class LinesView(GenericAPIView[Statement]):
    serializer_class = LineSerializer
    filter_backends = ()

    @extend_schema(responses=LineSerializer(many=True))
    def get(self, request: Request, month: str, currency: str) -> Response:
        """List a month's lines in the order of the books. 404 where there is nothing of such a month."""
        found = statements.month_shown(_own_coach(request), month, currency, clock.now())
        if found is None:
            raise NotFound
        page = self.paginate_queryset(rows_of(found))
        return self.get_paginated_response(LineSerializer(page, many=True).data)


class YearView(APIView):
    @extend_schema(responses=YearSerializer)
    def get(self, request: Request, year: int) -> Response:
        """A year's totals by quarter and currency, as tax authorities ask for them. 404 for a year without any."""
        coach = _own_coach(request)
        if year not in statements.years_of(coach.pk):
            raise NotFound
        quarters = statements.year_totals(year, coach_ids=[coach.pk])
        return Response(YearSerializer({"year": year, "quarters": quarters}).data)


def _own_coach(request: Request) -> Coach:
    coach = coach_of(signed_in(request))
    if coach is None:
        raise NotFound
    return coach
