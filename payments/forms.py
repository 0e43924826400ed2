"""What a coach chooses about being paid, and says of a dispute."""

import re
from decimal import Decimal
from typing import Any

from babel import Locale
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict

from coaches.billing import (
    LONGEST_ADDRESS,
    LONGEST_TAX_ID,
    MOST_LINES,
    countries,
    tidy_address,
    validate_address,
    validate_line,
    validate_tax_id,
)
from coaches.models import BillingDetails
from marketplace.lib.money import Money, MoneyError, decimals, from_decimal, to_decimal
from payments.models import Payout, PayoutAccount, PayoutMethod, SettlementMode
from payments.payout_selectors import Balance
from payments.services.answering import LONGEST_WORDS
from payments.services.schedules import WEEKDAYS

LONGEST_AMOUNT = 14
MODES = [
    (SettlementMode.MONTHLY, "Once a month: one transfer of everything, once each session has been over for a week"),
    (SettlementMode.PER_SESSION, "After each session: your share moves as soon as the session is complete"),
]
LATER = "later"
METHODS = [
    (str(PayoutMethod.STRIPE), "By Stripe: to your Stripe balance, and from there to your bank"),
    (LATER, "Not for now: what you earn waits with us until you choose"),
]
INTERVALS = [("daily", "Every day"), ("weekly", "Once a week"), ("monthly", "Once a month")]
DAY_OF = {"monthly": "monthly_anchor", "weekly": "weekly_anchor"}
WEEKDAY_CHOICES = [(day, day.capitalize()) for day in WEEKDAYS]
SPEEDS = [
    (Payout.Method.STANDARD, "In a few working days, at no charge"),
    (Payout.Method.INSTANT, "Within half an hour, as a rule"),
]


def country_choices() -> list[tuple[str, str]]:
    """The countries that the operator serves, by their names."""
    names = Locale("en").territories
    return sorted(((code, names.get(code, code)) for code in settings.COUNTRIES), key=lambda choice: choice[1])


class CountryForm(forms.Form):
    country = forms.ChoiceField(
        label="Country you are paid in",
        choices=country_choices,
        help_text="Where you live and have your bank account. It can't be changed later.",
    )


class BillingForm(forms.Form):
    """Everything may stay empty; the page says what is missing then."""

    name = forms.CharField(
        label="Name or company",
        max_length=120,
        required=False,
        validators=[validate_line],
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
        help_text="Where it is empty, your own name is used.",
    )
    address = forms.CharField(
        label="Street and town",
        max_length=LONGEST_ADDRESS,
        required=False,
        validators=[validate_address],
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
        help_text=f"At most {MOST_LINES} lines, without the country.",
    )
    country = forms.ChoiceField(required=False, choices=lambda: [("", "Not said"), *countries().items()])
    tax_id = forms.CharField(
        label="Tax or VAT id",
        max_length=LONGEST_TAX_ID,
        required=False,
        validators=[validate_tax_id],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="As it was given to you. We don't check it.",
    )

    @classmethod
    def of(cls, said: BillingDetails | None, data: QueryDict | None) -> "BillingForm":
        """It begins with what was said."""
        return cls(data, initial={name: getattr(said, name) for name in cls.base_fields} if said else None)

    def clean_address(self) -> str:
        return tidy_address(self.cleaned_data["address"])


class PreferencesForm(forms.Form):
    mode = forms.ChoiceField(label="When your share is sent", choices=MODES, widget=forms.RadioSelect)
    method = forms.TypedChoiceField(
        label="How it is sent",
        choices=METHODS,
        coerce=lambda value: PayoutMethod.NONE if value == LATER else PayoutMethod(value),
        widget=forms.RadioSelect,
    )

    @classmethod
    def of(cls, account: PayoutAccount, data: QueryDict | None) -> "PreferencesForm":
        """It begins with what is chosen."""
        return cls(data, initial={"mode": account.settlement_mode, "method": account.payout_method or LATER})


class ScheduleForm(forms.Form):
    """Within the operator's limits. Only the chosen rhythm's own day is looked at."""

    interval = forms.ChoiceField(label="How often", widget=forms.RadioSelect)
    monthly_anchor = forms.TypedChoiceField(label="Day of the month", coerce=int)
    weekly_anchor = forms.ChoiceField(label="Day of the week", choices=WEEKDAY_CHOICES)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [(value, words) for value, words in INTERVALS if value in settings.PAYOUT_INTERVALS]
        _choices(self, "interval").choices = offered
        days = range(settings.PAYOUT_EARLIEST_DAY, settings.PAYOUT_LATEST_DAY + 1)
        _choices(self, "monthly_anchor").choices = [(day, str(day)) for day in days]
        shorter = "In a shorter month it is the last day." if settings.PAYOUT_LATEST_DAY > 28 else ""
        self.fields["monthly_anchor"].help_text = shorter
        if len(offered) == 1:
            self.fields["interval"].widget = forms.HiddenInput()
            self.fields["interval"].initial = offered[0][0]
        else:
            self.fields["monthly_anchor"].help_text = f"If you choose once a month. {shorter}"
            self.fields["weekly_anchor"].help_text = "If you choose once a week."
        for interval, field in DAY_OF.items():
            if interval not in settings.PAYOUT_INTERVALS:
                del self.fields[field]

    def clean(self) -> dict[str, Any]:
        """{"interval"}, with "monthly_anchor" or "weekly_anchor" where that is the rhythm's."""
        facts = super().clean() or {}
        for interval, field in DAY_OF.items():
            if facts.get("interval") != interval:
                facts.pop(field, None)
                self.errors.pop(field, None)
        return facts


def _choices(form: forms.Form, name: str) -> forms.ChoiceField:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    return field


class AmountField(forms.CharField):
    """An amount in the currency's major units, in plain digits; a Money above zero comes out."""

    def __init__(self, *, currency: str, widget: type[forms.TextInput] = forms.TextInput, **kwargs: Any) -> None:
        attrs = {"inputmode": "decimal" if decimals(currency) else "numeric", "autocomplete": "off"}
        super().__init__(max_length=LONGEST_AMOUNT, widget=widget(attrs=attrs), **kwargs)
        self.currency = currency

    def prepare_value(self, value: Any) -> Any:
        """What was typed stays as it was typed."""
        return f"{to_decimal(value):.{decimals(self.currency)}f}" if isinstance(value, Money) else value

    def clean(self, value: Any) -> Money:
        text = super().clean(value)
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            example = f"{Decimal(25):.{decimals(self.currency)}f}"
            raise ValidationError(f"Write the amount in digits, such as {example}.", code="invalid")
        try:
            money = from_decimal(Decimal(text), self.currency)
        except MoneyError as error:
            raise ValidationError(str(error), code="too_fine") from error
        if money.amount == 0:
            raise ValidationError("Write an amount above zero.", code="too_little")
        return money


class PayOutForm(forms.Form):
    """`cleaned_data`: "money", at most what is available, and "method"; that is a choice where there is one."""

    method = forms.ChoiceField(label="How fast", choices=SPEEDS, widget=forms.RadioSelect)

    def __init__(self, *args: Any, balance: Balance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.balance = balance
        amount = AmountField(
            currency=balance.currency,
            label=f"Amount in {balance.currency.upper()}",
            help_text=f"At most {balance.available}.",
            initial=balance.available,
        )
        self.fields = {"money": amount, **self.fields}
        self.fields["method"].initial = Payout.Method.STANDARD
        if settings.PAYOUT_NOW != "instant" or balance.instant.amount <= 0:
            self.fields["method"].widget = forms.HiddenInput()
            _choices(self, "method").choices = SPEEDS[:1]
        else:
            self.fields["method"].help_text = f"At most {balance.instant} within half an hour."

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        method, money = facts.get("method"), facts.get("money")
        fast = method == Payout.Method.INSTANT
        most = self.balance.instant if fast else self.balance.available
        if money is not None and most < money:
            self.add_error("money", f"At most {most} can be paid out{' so fast' if fast else ''}.")
        if method:
            facts["method"] = Payout.Method(method)
        return facts


class CoachSaysForm(forms.Form):
    words = forms.CharField(
        label="How was the session?",
        max_length=LONGEST_WORDS,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What you did, what was said, what shows it. We may pass it on to the student's bank.",
    )
