"""What coaches type about their outside calendars."""

from django import forms

from coaches.feeds.addresses import LONGEST, AddressRefused, normal_address


class FeedNameForm(forms.Form):
    name = forms.CharField(label="What you call it", max_length=60, help_text="Only you see it. For example: Family.")


class FeedForm(FeedNameForm):
    address = forms.CharField(
        label="Its address",
        max_length=LONGEST,
        help_text=(
            "The private address in iCal format, from the settings of your calendar. "
            "It begins with https:// or webcal:// and often ends with .ics. "
            "We keep it secret, and never show it again."
        ),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_address(self) -> str:
        try:
            return normal_address(self.cleaned_data["address"])
        except AddressRefused as error:
            raise forms.ValidationError(str(error), code=error.code) from None
