"""What a coach chooses about being paid, and says of a dispute."""

from babel import Locale
from django import forms
from django.conf import settings

from payments.models import SettlementMode
from payments.services.answering import LONGEST_WORDS


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


class SettlementForm(forms.Form):
    mode = forms.ChoiceField(
        label="Your share is sent",
        choices=SettlementMode.choices,
        widget=forms.RadioSelect,
        help_text="A change counts for new bookings. What is booked is paid out as it was agreed.",
    )


class CoachSaysForm(forms.Form):
    words = forms.CharField(
        label="How was the session?",
        max_length=LONGEST_WORDS,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What you did, what was said, what shows it. We may pass it on to the student's bank.",
    )
