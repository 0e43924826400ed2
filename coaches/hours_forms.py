"""When coaches teach, as they type it: the week, and dates with other hours. All of it works without a script."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms

from coaches.models import DateOverride, Weekday
from coaches.slots import DayWindow, Window
from coaches.windows import overlap_in_words, overlaps, overlaps_of_day, span_in_words

MOST_WINDOWS_A_DAY = 8
LONGEST_OVERRIDE_DAYS = 366
PLANNED_AHEAD_DAYS = 2 * 366


class WindowForm(forms.Form):
    """One row of hours. A row left empty is no window."""

    starts = forms.TimeField(
        label="From",
        input_formats=["%H:%M"],
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"required": "Say when it begins."},
    )
    ends = forms.TimeField(
        label="To",
        input_formats=["%H:%M"],
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        error_messages={"required": "Say when it ends."},
    )
    ends_next_day = forms.BooleanField(label="Next day", required=False)

    def __init__(self, data: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(data, empty_permitted=True, use_required_attribute=False, **kwargs)

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        starts, ends, next_day = cleaned.get("starts"), cleaned.get("ends"), cleaned.get("ends_next_day", False)
        if starts is None or ends is None:
            return cleaned
        if not next_day and ends <= starts:
            self.add_error("ends", "This ends before it begins. If it ends on the next day, tick “Next day”.")
        elif next_day and ends > starts:
            self.add_error("ends", "This is longer than 24 hours. If it ends on the same day, untick “Next day”.")
        else:
            cleaned["window"] = DayWindow(starts, ends, next_day)
        return cleaned

    @property
    def window(self) -> DayWindow | None:
        """Of a row that was judged, found right and not left empty."""
        window: DayWindow | None = self.cleaned_data.get("window")
        return window


class WeekForm:
    """All days of the week, each with some rows; a button asks for one more row."""

    def __init__(self, days: dict[Weekday, list[WindowForm]]) -> None:
        self.days = days

    @classmethod
    def of(cls, windows: Sequence[Window]) -> "WeekForm":
        """The week as it is, with an empty row on each day that has none."""
        return cls({day: rows_of(_name(day), [each for each in windows if each.weekday == day]) for day in Weekday})

    @classmethod
    def typed(cls, data: Mapping[str, str]) -> "WeekForm":
        return cls({day: typed_rows(_name(day), data) for day in Weekday})

    def with_another_row(self, on: str) -> "WeekForm":
        """What was typed, not judged yet, with an empty row more on the day of that number."""
        return WeekForm(
            {day: unjudged_rows(_name(day), rows, more=str(day.value) == on) for day, rows in self.days.items()}
        )

    def is_valid(self) -> bool:
        """Judges each row, and rows that overlap; the errors are beside the later one."""
        judged = [form.is_valid() for rows in self.days.values() for form in rows]
        typed = self._typed()
        found = overlaps([window for window, _ in typed])
        for earlier, later in found:
            for window, form in typed:
                if window is later:
                    form.add_error("starts", overlap_in_words(earlier, later))
        return all(judged) and not found

    @property
    def windows(self) -> list[Window]:
        """The windows that were typed and are right in themselves; for a judged form."""
        return [window for window, _ in self._typed()]

    def _typed(self) -> list[tuple[Window, WindowForm]]:
        return [
            (Window(day, form.window.starts, form.window.ends, form.window.ends_next_day), form)
            for day, rows in self.days.items()
            for form in rows
            if form.window
        ]


class OverrideForm(forms.Form):
    """Some days, a note, and the hours on each of them, if there are any."""

    HOURS = "hours"

    first_day = forms.DateField(
        label="First day",
        help_text="The day itself, or where it begins.",
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        error_messages={"required": "Say which day.", "invalid": "Write the day like 2026-12-24."},
    )
    last_day = forms.DateField(
        label="Last day",
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Leave it empty for one day.",
        error_messages={"invalid": "Write the day like 2026-12-31."},
    )
    kind = forms.ChoiceField(
        label="On these days",
        choices=[("off", "Not available: nobody can book"), ("hours", "Other hours than usual, the same on each day")],
        initial="off",
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        max_length=120, required=False, help_text="Only you see it. For example: Holidays, or Conference."
    )

    def __init__(
        self,
        data: Mapping[str, str] | None = None,
        *,
        today: date,
        rows: list[WindowForm],
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial, use_required_attribute=False)
        self.today = today
        self.rows = rows

    @classmethod
    def new(cls, *, today: date) -> "OverrideForm":
        return cls(today=today, rows=rows_of(cls.HOURS, []))

    @classmethod
    def of(cls, override: DateOverride, windows: Sequence[DayWindow], *, today: date) -> "OverrideForm":
        return cls(today=today, rows=rows_of(cls.HOURS, windows), initial=_initial_of(override))

    @classmethod
    def typed(cls, data: Mapping[str, str], *, today: date) -> "OverrideForm":
        no_row = [WindowForm(data, prefix=f"{cls.HOURS}-0")]
        return cls(data, today=today, rows=typed_rows(cls.HOURS, data) or no_row)

    def with_another_row(self) -> "OverrideForm":
        """What was typed, not judged yet, with an empty row more: other hours are meant."""
        typed = {name: self[name].value() for name in self.fields}
        rows = unjudged_rows(self.HOURS, self.rows, more=True)
        return OverrideForm(today=self.today, rows=rows, initial={**typed, "kind": "hours"})

    def clean(self) -> dict[str, Any]:
        self._judge_days()
        if self.cleaned_data.get("kind") == "hours":
            self._judge_hours()
        return self.cleaned_data

    def _judge_days(self) -> None:
        first = self.cleaned_data.get("first_day")
        if first is None or "last_day" in self.errors:
            return
        last = self.cleaned_data["last_day"] = self.cleaned_data.get("last_day") or first
        if last < first:
            self.add_error("last_day", "The last day is before the first one.")
        elif last < self.today:
            self.add_error("first_day", "This is over already. Choose a day from today on.")
        elif (last - first).days >= LONGEST_OVERRIDE_DAYS:
            self.add_error("last_day", f"Choose at most {LONGEST_OVERRIDE_DAYS} days at once.")
        elif last > self.today + timedelta(days=PLANNED_AHEAD_DAYS):
            self.add_error(
                "last_day" if self["last_day"].value() else "first_day", "Choose days in the next two years."
            )

    def _judge_hours(self) -> None:
        judged = [row.is_valid() for row in self.rows]
        typed = [(row.window, row) for row in self.rows if row.window]
        found = overlaps_of_day([window for window, _ in typed])
        for earlier, later in found:
            row = [row for window, row in typed if window == later][-1]
            row.add_error("starts", f"{span_in_words(later)} overlaps {span_in_words(earlier)}.")
        if not all(judged) or found:
            self.add_error(None, "Please look at the hours again.")
        elif not typed:
            self.add_error("kind", "Type the hours below, or choose “Not available”.")

    def facts(self) -> dict[str, Any]:
        """What was typed, for the service. Hours that were typed for a day off are left out."""
        cleaned = self.cleaned_data
        windows = [row.window for row in self.rows if row.window] if cleaned["kind"] == "hours" else []
        return {**{name: cleaned[name] for name in ("first_day", "last_day", "note")}, "windows": windows}


def _initial_of(override: DateOverride) -> dict[str, Any]:
    last_day = None if override.last_day == override.first_day else override.last_day
    kind = "hours" if override.windows else "off"
    return {"first_day": override.first_day, "last_day": last_day, "kind": kind, "note": override.note}


# --- rows: numbered within their name -----------------------------------------------------------


def rows_of(name: str, windows: Sequence[Window | DayWindow]) -> list[WindowForm]:
    """The windows as rows; one empty row when there is none."""
    return _rows(
        name,
        [{"starts": each.starts, "ends": each.ends, "ends_next_day": each.ends_next_day} for each in windows] or [{}],
    )


def typed_rows(name: str, data: Mapping[str, str]) -> list[WindowForm]:
    """The rows that were sent."""
    prefixes = [f"{name}-{index}" for index in range(MOST_WINDOWS_A_DAY)]
    return [WindowForm(data, prefix=prefix) for prefix in prefixes if f"{prefix}-starts" in data]


def unjudged_rows(name: str, rows: Sequence[WindowForm], *, more: bool) -> list[WindowForm]:
    """What was typed, without a word on it; with an empty row more where one is asked for."""
    values = [{field: form[field].value() for field in form.fields} for form in rows]
    return _rows(name, [*values, {}] if more or not values else values)


def _rows(name: str, values: Sequence[Mapping[str, Any]]) -> list[WindowForm]:
    return [
        WindowForm(initial=value, prefix=f"{name}-{index}") for index, value in enumerate(values[:MOST_WINDOWS_A_DAY])
    ]


def _name(day: Weekday) -> str:
    return day.name.lower()
