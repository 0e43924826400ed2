"""What people send about bookings.

An instant travels as ISO 8601 with its offset, so that no clock change is ever guessed at.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from bookings import policy
from bookings.models import Claim
from coaches.models import LONGEST_SESSION_MINUTES, Offering
from marketplace.lib.money import Money, MoneyError
from marketplace.lib.zones import zones_by_region

NO_INSTANT = "This is not a time that can be booked."
# Far from the ends of the calendar, where adding a length or turning to another zone fails.
_YEARS = range(2000, 9000)
_LONG_NUMBER = re.compile(r"(?:\d[ -]?){13,19}")


class InstantField(forms.CharField):
    """An instant in UTC. Refuses local times without an offset: they may mean two instants, or none."""

    def clean(self, value: object) -> datetime:
        try:
            instant = datetime.fromisoformat(super().clean(value))
            in_utc = instant.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise ValidationError(NO_INSTANT, code="invalid_instant") from error
        if instant.tzinfo is None or in_utc.year not in _YEARS:
            raise ValidationError(NO_INSTANT, code="invalid_instant")
        return in_utc


class ZoneForm(forms.Form):
    """Whose clock the times are shown by."""

    zone = forms.ChoiceField(label="Times are shown in", choices=zones_by_region)


class SlotForm(forms.Form):
    """The time a person has chosen."""

    start = InstantField(max_length=40)
    zone = forms.ChoiceField(choices=zones_by_region)


class BookForm(SlotForm):
    """The booking as the person agreed to it. Price, length and terms are what they saw: compared, never used."""

    minutes = forms.IntegerField(min_value=1, max_value=LONGEST_SESSION_MINUTES)
    price_amount = forms.IntegerField()
    currency = forms.CharField(max_length=3)
    policy = forms.ChoiceField(choices=Offering.Cancellation)
    policy_version = forms.IntegerField(min_value=1)
    note = forms.CharField(
        label="What would you like to work on?",
        help_text="Your coach reads this before answering.",
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"]
        if any(_is_card_number(match.group()) for match in _LONG_NUMBER.finditer(note)):
            raise ValidationError("Please don't write card numbers here. You pay on the next page.", code="card_number")
        return note

    def clean(self) -> dict[str, Any]:
        """Adds `expected_price` and `expected_policy`, which the person agreed to."""
        facts: dict[str, Any] = super().clean() or {}
        if "minutes" not in facts:
            raise ValidationError("Please look at the length again.", code="invalid_length")
        try:
            facts["expected_price"] = Money(facts["price_amount"], facts["currency"])
        except (KeyError, MoneyError) as error:
            raise ValidationError("Please look at the price again.", code="invalid_price") from error
        try:
            facts["expected_policy"] = policy.agreed(facts["policy"], facts["policy_version"])
        except (KeyError, StopIteration) as error:
            raise ValidationError("Please look at the cancellation terms again.", code="invalid_policy") from error
        return facts


def _is_card_number(text: str) -> bool:
    """The check digit that every card number has (Luhn)."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) >= 13 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=500)


class CancelForm(forms.Form):
    """The costs that the person was shown before they confirmed."""

    kept_amount = forms.IntegerField(min_value=0)

    def kept(self, currency: str) -> Money:
        return Money(self.cleaned_data["kept_amount"], currency)


class ProposalForm(forms.Form):
    """The proposed start that the person has read."""

    start = InstantField(max_length=40)


class ProposeForm(SlotForm):
    """Another time for the session, and why."""

    reason = forms.CharField(
        label="Why?",
        help_text="The other side reads this.",
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class ReportForm(forms.Form):
    """What did not go as agreed: of what this side can say."""

    kind = forms.ChoiceField(label="What happened?", widget=forms.RadioSelect)
    words = forms.CharField(
        label="In your own words",
        help_text="The other side and our team read this. A problem needs some words; anything else may do without.",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 5}),
    )

    def __init__(self, kinds: Sequence[Claim.Kind], data: Mapping[str, Any] | None = None) -> None:
        initial = {"kind": kinds[0].value} if len(kinds) == 1 else {}
        super().__init__(data, initial=initial)
        kind = self.fields["kind"]
        assert isinstance(kind, forms.ChoiceField)
        kind.choices = [(each.value, each.label) for each in kinds]


class AnswerForm(forms.Form):
    words = forms.CharField(max_length=2000)
