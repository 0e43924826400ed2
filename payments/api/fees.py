"""What a price comes to: the platform's fee and the coach's share."""

import re
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.lib.money import MAXIMUM_CHARGE, Money, least_charge, step
from payments.pricing import quote


class MinorUnitsField(serializers.IntegerField):
    """Plain ASCII digits: Python's int() would also take other scripts, underscores and signs."""

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class FeesQuery(serializers.Serializer[Any]):
    amount = MinorUnitsField(
        min_value=1, max_value=MAXIMUM_CHARGE, help_text="The price in minor units, such as 2500 for $25.00."
    )
    currency = serializers.CharField(
        min_length=3, max_length=3, help_text="Three letters, one of the platform's currencies."
    )

    def validate_currency(self, value: str) -> str:
        if value.lower() not in settings.CURRENCIES:
            raise serializers.ValidationError("The platform has no prices in this currency.", code="unknown_currency")
        return value.lower()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        amount, currency = attrs["amount"], attrs["currency"]
        least = least_charge(currency)
        if amount < least.amount:
            raise serializers.ValidationError({"amount": f"The lowest price is {least}."}, code="min_value")
        if amount % step(currency):
            raise serializers.ValidationError(
                {"amount": f"Amounts are multiples of {step(currency)}."}, code="too_fine"
            )
        return attrs


class MoneySerializer(serializers.Serializer[Money]):
    amount = serializers.IntegerField(help_text="Minor units.")
    currency = serializers.CharField()
    formatted = serializers.CharField(source="__str__", help_text="For people: $25.00.")


class FeesSerializer(serializers.Serializer[Any]):
    price = MoneySerializer()
    platform_fee = MoneySerializer()
    coach_share = MoneySerializer()


class FeesView(APIView):
    @extend_schema(parameters=[FeesQuery], responses=FeesSerializer)
    def get(self, request: Request) -> Response:
        """Quote the platform's fee and the coach's share for a price."""
        query = FeesQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        price = Money(query.validated_data["amount"], query.validated_data["currency"])
        return Response(FeesSerializer(quote(price, settings.PLATFORM_FEE_BPS)).data)
