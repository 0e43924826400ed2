"""What staff fill in at the claims desk."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from bookings.models import Claim
from marketplace.lib.money import MoneyError, from_decimal


class DecisionForm(forms.Form):
    """`cleaned_data["money"]` is what the student gets where a part goes back, and None otherwise."""

    outcome = forms.ChoiceField(
        choices=[("", "Choose an outcome"), *Claim.Outcome.choices], widget=UnfoldAdminSelectWidget
    )
    back = forms.DecimalField(
        min_value=Decimal("0.001"), max_digits=14, required=False, widget=UnfoldAdminDecimalFieldWidget
    )
    reason = forms.CharField(
        label="Why",
        max_length=400,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Both sides read this.",
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.currency = currency
        self.fields["back"].label = f"What goes back to the student, in {currency.upper()}"
        self.fields["back"].help_text = "Where some of the price goes back, and only there."

    def clean_outcome(self) -> Claim.Outcome:
        return Claim.Outcome(self.cleaned_data["outcome"])

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if "outcome" not in facts or "back" not in facts:
            return facts
        amount, in_part = facts["back"], facts["outcome"] == Claim.Outcome.REFUNDED
        if in_part != (amount is not None):
            raise ValidationError({"back": "Say how much." if in_part else "Nothing to say here with this outcome."})
        try:
            facts["money"] = None if amount is None else from_decimal(amount, self.currency)
        except MoneyError as error:
            raise ValidationError({"back": str(error)}) from error
        return facts
