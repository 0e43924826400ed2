"""What coaches type, and what is wrong with it in words."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.html import format_html

from coaches.models import (
    FURTHEST_DAYS,
    LONGEST_BUFFER_MINUTES,
    LONGEST_NOTICE_MINUTES,
    LONGEST_SESSION_MINUTES,
    Coach,
    Offering,
    Step,
)
from coaches.services import CoachRules, OfferingRules
from coaches.windows import length_in_words
from marketplace.lib.money import (
    MAXIMUM_CHARGE,
    Money,
    MoneyError,
    decimals,
    from_decimal,
    least_charge,
    step,
    to_decimal,
)
from marketplace.lib.zones import zones_by_region

LONGEST_PRICE = 12
MOST_SESSIONS_A_DAY = 48
MOST_SESSIONS_A_WEEK = 200

BUFFERS = (0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, LONGEST_BUFFER_MINUTES)
_HOUR, _DAY = 60, 24 * 60
NOTICES = (0, 1 * _HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY, 5 * _DAY, 7 * _DAY,
           10 * _DAY, LONGEST_NOTICE_MINUTES)  # fmt: skip

# The terms of each policy, for the coach. What students agree to is with the bookings, in the same words.
CANCELLATION_WORDS = {
    Offering.Cancellation.FLEXIBLE: "You can cancel at any time before the start and pay nothing.",
    Offering.Cancellation.MODERATE: (
        "Up to 24 hours before the start you can cancel and pay nothing. Later, half of the price is kept."
    ),
    Offering.Cancellation.STRICT: (
        "Up to 48 hours before the start you can cancel and pay nothing. Later, half of the price is kept, and in the "
        "last 24 hours all of it."
    ),
}


class LengthField(forms.TypedChoiceField):
    """A length to choose, in the units that people say it in; minutes come out. One that is set already stays there."""

    def __init__(self, lengths: Sequence[int], **kwargs: Any) -> None:
        super().__init__(coerce=int, empty_value=None, **kwargs)
        self.lengths = lengths
        self.offer()

    def offer(self, present: int | None = None, nothing: str | None = None) -> None:
        """Lists the lengths, with the present one among them and `nothing` said before them."""
        lengths = sorted({*self.lengths, *([] if present is None else [present])})
        first = [] if nothing is None else [("", nothing)]
        self.choices = [*first, *((str(minutes), length_in_words(minutes)) for minutes in lengths)]


class SearchForm(forms.Form):
    q = forms.CharField(
        label="Subject or name",
        required=False,
        max_length=80,
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )


class ProfileForm(forms.Form):
    display_name = forms.CharField(
        label="Your name, as students see it",
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    subject = forms.CharField(
        label="What you teach", max_length=60, help_text="A word or two, such as Piano or Spanish."
    )
    headline = forms.CharField(
        label="In one line",
        max_length=140,
        help_text="What a student gets from you. Shown in the list of coaches.",
    )
    bio = forms.CharField(
        label="About you",
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text="Your experience, how you work, and whom you work with best.",
    )
    time_zone = forms.ChoiceField(
        choices=zones_by_region,
        help_text=(
            "Your weekly hours are in this zone; students see them in theirs. If you change it, 09:00 stays 09:00 on "
            "your new clock. Sessions that are booked stay at the instant they were agreed for."
        ),
    )


class OfferingForm(forms.Form):
    """The price is typed in major units of the chosen currency, and is exact or refused."""

    title = forms.CharField(max_length=120, help_text="For example: Conversation practice.")
    description = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What happens in the session, and what to bring.",
    )
    minutes = forms.IntegerField(label="Length in minutes", min_value=5, max_value=LONGEST_SESSION_MINUTES, initial=60)
    price = forms.CharField(
        max_length=LONGEST_PRICE,
        label="Price of one session",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    currency = forms.ChoiceField(choices=lambda: [(code, code.upper()) for code in settings.CURRENCIES])
    instant = forms.TypedChoiceField(
        label="When a student books",
        choices=[("no", "I accept or decline each request"), ("yes", "It is confirmed at once")],
        coerce=lambda value: value == "yes",
        initial="no",
        widget=forms.RadioSelect,
    )
    cancellation = forms.ChoiceField(
        label="When a student cancels",
        choices=[
            (code.value, format_html("<span><strong>{}</strong><br>“{}”</span>", code.label, words))
            for code, words in CANCELLATION_WORDS.items()
        ],
        initial=Offering.Cancellation.FLEXIBLE,
        widget=forms.RadioSelect,
        help_text=(
            "These are the words that students agree to when they book. When you cancel, they never pay. "
            "What is booked keeps the terms it was booked under."
        ),
    )
    buffer_before_minutes = LengthField(BUFFERS, label="Free time before each session", required=False)
    buffer_after_minutes = LengthField(BUFFERS, label="Free time after each session", required=False)
    notice_minutes = LengthField(NOTICES, label="Book at least this long ahead", required=False)
    step_minutes = forms.TypedChoiceField(
        label="A session can begin", choices=Step.choices, coerce=int, empty_value=None, required=False
    )

    OWN_RULES = ("buffer_before_minutes", "buffer_after_minutes", "notice_minutes", "step_minutes")

    def __init__(self, coach: Coach, data: Any = None, *, offering: Offering | None = None) -> None:
        super().__init__(data, initial=self.initial_of(offering) if offering else None)
        for name in self.OWN_RULES[:3]:
            as_for_all = f"As for all my sessions ({length_in_words(getattr(coach, name))})"
            self._length(name).offer(getattr(offering, name, None), as_for_all)
        step = self.fields["step_minutes"]
        assert isinstance(step, forms.TypedChoiceField)
        step.choices = [("", f"As for all my sessions ({coach.get_step_minutes_display()})"), *Step.choices]

    def _length(self, name: str) -> LengthField:
        field = self.fields[name]
        assert isinstance(field, LengthField)
        return field

    @property
    def own_rules(self) -> list[forms.BoundField]:
        """What an offering may have otherwise than the coach's other sessions."""
        return [self[name] for name in self.OWN_RULES]

    @property
    def has_own_rules(self) -> bool:
        """Whether any of them is chosen, or is wrong: then they are shown at once."""
        return any(field.errors or field.value() not in ("", None) for field in self.own_rules)

    @staticmethod
    def initial_of(offering: Offering) -> dict[str, Any]:
        return {
            **{name: getattr(offering, name) for name in OfferingForm.OWN_RULES},
            "cancellation": offering.cancellation,
            "title": offering.title,
            "description": offering.description,
            "minutes": offering.minutes,
            "price": f"{to_decimal(offering.price):f}",
            "currency": offering.currency,
            "instant": "yes" if offering.instant else "no",
        }

    def facts(self) -> dict[str, Any]:
        """What was typed, for the service; the price brings its currency along."""
        typed = {name: value for name, value in self.cleaned_data.items() if name != "currency"}
        rules = OfferingRules(**{name: typed.pop(name) for name in self.OWN_RULES})
        return {**typed, "rules": rules}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if "price" in cleaned and "currency" in cleaned:
            try:
                cleaned["price"] = parse_price(cleaned["price"], cleaned["currency"])
            except ValidationError as error:
                self.add_error("price", error)
        return cleaned


class RulesForm(forms.Form):
    """How all of a coach's time is offered. An empty "most" is no limit."""

    buffer_before_minutes = LengthField(
        BUFFERS, label="Before each session", help_text="To prepare, or to get there. It may lie outside your hours."
    )
    buffer_after_minutes = LengthField(
        BUFFERS,
        label="After each session",
        help_text="To write things up, or to breathe. Between two sessions, both count.",
    )
    notice_minutes = LengthField(
        NOTICES,
        label="Students book at least this long ahead",
        help_text="We ask for a few hours in any case; the longer of the two counts.",
    )
    furthest_days = forms.IntegerField(
        label="Students book at most this many days ahead",
        min_value=1,
        max_value=FURTHEST_DAYS,
        help_text=f"From 1 to {FURTHEST_DAYS} days of your calendar, from today.",
        error_messages={
            "min_value": "Students must be able to book at least 1 day ahead.",
            "max_value": f"Students can book at most {FURTHEST_DAYS} days ahead.",
        },
    )
    step_minutes = forms.TypedChoiceField(
        label="A session can begin",
        choices=Step.choices,
        coerce=int,
        help_text="Counted from where your hours begin: from 09:15, every 30 minutes is 09:15, 09:45, 10:15.",
    )
    most_a_day = forms.IntegerField(
        label="Sessions on one day",
        min_value=1,
        max_value=MOST_SESSIONS_A_DAY,
        required=False,
        help_text="From midnight to midnight. Leave it empty for no limit.",
        error_messages={
            "min_value": "Allow at least 1, or leave it empty for no limit. To take a day off, see Days off."
        },
    )
    most_a_week = forms.IntegerField(
        label="Sessions in one week",
        min_value=1,
        max_value=MOST_SESSIONS_A_WEEK,
        required=False,
        help_text="From Monday to Sunday. Leave it empty for no limit.",
        error_messages={"min_value": "Allow at least 1, or leave it empty for no limit."},
    )

    def __init__(self, coach: Coach, data: Any = None) -> None:
        super().__init__(data, initial={name: getattr(coach, name) for name in self.base_fields})
        for name, field in self.fields.items():
            if isinstance(field, LengthField):
                field.offer(getattr(coach, name))

    def clean(self) -> dict[str, Any]:
        day, week = self.cleaned_data.get("most_a_day"), self.cleaned_data.get("most_a_week")
        if day and week and week < day:
            self.add_error("most_a_week", f"You allow {day} on one day: allow at least as many in the week.")
        return self.cleaned_data

    @property
    def rules(self) -> CoachRules:
        return CoachRules(**self.cleaned_data)


def parse_price(text: str, currency: str) -> Money:
    """Raises ValidationError, in words, for anything but plain digits that make a chargeable amount."""
    places = decimals(currency)
    example = f"{Decimal(25):.{places}f}"
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValidationError(f"Write the price in plain digits, like {example}.", code="price_format")
    # More decimals than the currency has are often a thousands separator: 10.000 may mean ten thousand.
    if len(text.partition(".")[2]) > places:
        raise ValidationError(f"Write a price in {currency.upper()} like {example}.", code="price_too_fine")
    try:
        price = from_decimal(Decimal(text), currency)
    except MoneyError as error:
        raise ValidationError(str(error), code="price_too_fine") from None
    least = least_charge(currency)
    if price < least:
        raise ValidationError(f"The lowest price is {least}.", code="price_too_low")
    most = Money(MAXIMUM_CHARGE // step(currency) * step(currency), currency)
    if most < price:
        raise ValidationError(f"The highest price is {most}.", code="price_too_high")
    return price
