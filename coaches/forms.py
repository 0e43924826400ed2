"""What coaches type, and what is wrong with it in words."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from coaches.models import LONGEST_SESSION_MINUTES, Offering, Weekday
from coaches.services import overlap_in_words, overlaps
from coaches.slots import Window
from marketplace.lib.money import (
    MAXIMUM_CHARGE,
    MINIMUM_CHARGES,
    Money,
    MoneyError,
    decimals,
    from_decimal,
    step,
    to_decimal,
)
from marketplace.lib.zones import zone_names

MOST_WINDOWS_A_DAY = 8
LONGEST_PRICE = 12


def zone_choices() -> list[tuple[str, str] | tuple[str, list[tuple[str, str]]]]:
    """The zones by region, as a grouped list."""
    regions: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(zone_names()):
        region, _, place = name.partition("/")
        if place:
            regions[region].append((name, place.replace("_", " ").replace("/", ", ")))
    return [("UTC", "UTC"), *regions.items()]


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
        choices=zone_choices, help_text="Your weekly hours are in this zone. Students see them in theirs."
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

    @staticmethod
    def initial_of(offering: Offering) -> dict[str, Any]:
        return {
            "title": offering.title,
            "description": offering.description,
            "minutes": offering.minutes,
            "price": f"{to_decimal(offering.price):f}",
            "currency": offering.currency,
            "instant": "yes" if offering.instant else "no",
        }

    def facts(self) -> dict[str, Any]:
        """What was typed, for the service; the price brings its currency along."""
        return {name: value for name, value in self.cleaned_data.items() if name != "currency"}

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if "price" in cleaned and "currency" in cleaned:
            try:
                cleaned["price"] = parse_price(cleaned["price"], cleaned["currency"])
            except ValidationError as error:
                self.add_error("price", error)
        return cleaned


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
    except MoneyError:
        raise ValidationError(f"{currency.upper()} has no amount this fine.", code="price_too_fine") from None
    least = Money(MINIMUM_CHARGES.get(currency, step(currency)), currency)
    if price < least:
        raise ValidationError(f"The lowest price is {least}.", code="price_too_low")
    most = Money(MAXIMUM_CHARGE // step(currency) * step(currency), currency)
    if most < price:
        raise ValidationError(f"The highest price is {most}.", code="price_too_high")
    return price


class WindowForm(forms.Form):
    """One row of a day. A row left empty is no window."""

    starts = forms.TimeField(
        label="From",
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"required": "Say when it begins."},
    )
    ends = forms.TimeField(
        label="To",
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"required": "Say when it ends."},
    )

    def __init__(self, weekday: Weekday, data: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(data, empty_permitted=True, use_required_attribute=False, **kwargs)
        self.weekday = weekday

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        starts, ends = cleaned.get("starts"), cleaned.get("ends")
        if starts and ends and ends <= starts:
            self.add_error("ends", "The end must be later than the beginning, on the same day.")
        elif starts and ends:
            cleaned["window"] = Window(self.weekday.value, starts, ends)
        return cleaned

    @property
    def window(self) -> Window | None:
        """Of a row that was judged, found right and not left empty."""
        window: Window | None = self.cleaned_data.get("window")
        return window


class WeekForm:
    """All days of the week, each with some rows. Works without a script: a button asks for one more row."""

    def __init__(self, days: dict[Weekday, list[WindowForm]]) -> None:
        self.days = days

    @classmethod
    def of(cls, windows: Sequence[Window]) -> "WeekForm":
        """The week as it is, with an empty row on each day that has none."""
        return cls(
            {day: _rows(day, [_typed(each) for each in windows if each.weekday == day.value]) for day in Weekday}
        )

    @classmethod
    def typed(cls, data: Mapping[str, str]) -> "WeekForm":
        """What was sent: rows are numbered within their day."""
        return cls(
            {
                day: [
                    WindowForm(day, data, prefix=prefix)
                    for prefix in (_prefix(day, index) for index in range(MOST_WINDOWS_A_DAY))
                    if f"{prefix}-starts" in data
                ]
                for day in Weekday
            }
        )

    def with_another_row(self, on: str) -> "WeekForm":
        """What was typed, not judged yet, with an empty row more on the day of that number."""
        days = {}
        for day, forms_of_day in self.days.items():
            values = [{"starts": form["starts"].value(), "ends": form["ends"].value()} for form in forms_of_day]
            days[day] = _rows(day, [*values, {}] if str(day.value) == on else values)
        return WeekForm(days)

    def is_valid(self) -> bool:
        """Judges each row, and rows that overlap; the errors are beside the later one."""
        forms_of_week = [form for forms_of_day in self.days.values() for form in forms_of_day]
        judged = [form.is_valid() for form in forms_of_week]
        found = overlaps(self.windows)
        for earlier, later in found:
            for form in forms_of_week:
                if form.window is later:
                    form.add_error("starts", overlap_in_words(earlier, later))
        return all(judged) and not found

    @property
    def windows(self) -> list[Window]:
        """The windows that were typed and are right in themselves; for a judged form."""
        return [form.window for forms_of_day in self.days.values() for form in forms_of_day if form.window]


def _rows(day: Weekday, values: Sequence[Mapping[str, Any]]) -> list[WindowForm]:
    return [
        WindowForm(day, initial=value, prefix=_prefix(day, index))
        for index, value in enumerate((values or [{}])[:MOST_WINDOWS_A_DAY])
    ]


def _typed(window: Window) -> dict[str, Any]:
    return {"starts": window.starts, "ends": window.ends}


def _prefix(day: Weekday, index: int) -> str:
    return f"{day.name.lower()}-{index}"
