"""Forms about the person."""

from django import forms
from django.http import HttpRequest

from marketplace.lib.zones import is_zone, zones_by_region
from marketplace.models import User


class SignupForm(forms.Form):
    """What sign-up asks beside e-mail and password. The browser fills in the time zone."""

    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput())

    def clean_time_zone(self) -> str:
        # A browser without a zone, or with one we do not know, is no reason to refuse a person.
        zone: str = self.cleaned_data["time_zone"]
        return zone if is_zone(zone) else "UTC"

    def signup(self, request: HttpRequest, user: User) -> None:
        user.name = self.cleaned_data["name"]
        user.time_zone = self.cleaned_data["time_zone"]
        user.save(update_fields=["name", "time_zone"])


class DetailsForm(forms.Form):
    """What a person may change about themselves on the account's first page."""

    name = forms.CharField(label="Your name", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    time_zone = forms.ChoiceField(
        label="Your time zone",
        choices=zones_by_region,
        help_text="Times on our pages and in our mails are told by this clock.",
    )
