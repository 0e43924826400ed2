"""What staff fill in at the dispute desk. All of it is one form on the page, so that no button loses what was typed."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from payments.evidence import FILE_FIELDS, LONGEST_FIELD, MOST_BYTES, TEXT_FIELDS, FilesTooLarge
from payments.models import Dispute

SHORT = ("customer_name", "customer_email_address", "customer_purchase_ip", "service_date", "duplicate_charge_id")


def words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _text_field(name: str) -> forms.CharField:
    # No maxlength: a browser would cut off what is pasted, and say nothing.
    long = UnfoldAdminTextareaWidget(attrs={"rows": 5, "data-counts": LONGEST_FIELD})
    widget = UnfoldAdminTextInputWidget if name in SHORT else long
    return forms.CharField(label=words(name), required=False, widget=widget)


class EvidenceForm(forms.Form):
    """The texts that the bank reads, by Stripe's names."""

    def __init__(self, data: Any = None, *, dispute: Dispute) -> None:
        super().__init__(data, prefix="text", initial=dispute.evidence)
        for name in TEXT_FIELDS:
            self.fields[name] = _text_field(name)

    def texts(self) -> dict[str, str]:
        """A browser sends line ends as two characters, which nobody has typed."""
        return {name: text.replace("\r\n", "\n") for name, text in self.cleaned_data.items()}

    def show_others(self, stored: dict[str, Any]) -> None:
        """Beside each text that somebody else has changed: theirs."""
        for name, text in self.texts().items():
            if text != stored.get(name, ""):
                self[name].help_text = f"As it is stored now: {stored.get(name, '') or 'nothing'}"


class SubmitForm(forms.Form):
    sure = forms.BooleanField(
        label="I have read it all: it goes to the bank once, for good.", widget=UnfoldBooleanWidget
    )


class FileForm(forms.Form):
    field = forms.ChoiceField(
        label="What it shows", choices=[(name, words(name)) for name in FILE_FIELDS], widget=UnfoldAdminSelectWidget
    )
    file = forms.FileField(widget=UnfoldAdminFileFieldWidget, help_text="PDF, JPEG or PNG; 4.5 MB for all together.")

    def clean_file(self) -> "UploadedFile[bytes]":
        """Before any of it is read into memory."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > MOST_BYTES:
            raise ValidationError(FilesTooLarge.message)
        return file


class AcceptForm(forms.Form):
    reason = forms.CharField(
        label="Why we accept it", max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2})
    )
    sure = forms.BooleanField(label="The money is lost, for good.", widget=UnfoldBooleanWidget)


class BearerForm(forms.Form):
    charged_to = forms.ChoiceField(
        label="Who bears the coach's share if it is lost",
        choices=Dispute.ChargedTo.choices,
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(label="Why they", max_length=1000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
