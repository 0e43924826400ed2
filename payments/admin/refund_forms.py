"""What staff fill in at the refund desk."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from marketplace.lib.money import Money, MoneyError, from_decimal, round_share
from payments.models import Payment, Refund
from payments.refunds import USUAL_BEARER, left_of

# What is made in Stripe's dashboard is not asked for here.
REASONS = [choice for choice in Refund.Reason.choices if choice[0] != Refund.Reason.AT_STRIPE]
FIRST_REASON = Refund.Reason.STUDENT_ASKED


class RefundForm(forms.Form):
    """`cleaned_data["money"]` is what the student gets, `cleaned_data["bearer"]` who bears it."""

    amount = forms.DecimalField(
        min_value=Decimal("0.001"), max_digits=14, required=False, widget=UnfoldAdminDecimalFieldWidget
    )
    percent = forms.DecimalField(
        label="Or per cent of what is left",
        min_value=Decimal("0.01"),
        max_value=100,
        decimal_places=2,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    reason = forms.ChoiceField(choices=REASONS, initial=FIRST_REASON, widget=UnfoldAdminSelectWidget)
    bearer = forms.ChoiceField(
        label="Who bears it",
        required=False,
        choices=[("", "The usual one for the reason"), *Refund.Bearer.choices],
        widget=UnfoldAdminSelectWidget,
        help_text="Usually coach and platform, each their share; goodwill is the platform's.",
    )
    note = forms.CharField(
        label="Why",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For staff alone; it is kept in the log of decisions.",
    )

    def __init__(self, *args: Any, payment: Payment, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left = left_of(payment)
        self.fields["amount"].label = f"Amount in {payment.currency.upper()}"
        self.fields["amount"].help_text = f"At most {self.left}."

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if "amount" in facts and "percent" in facts:
            facts["money"] = self._money(facts["amount"], facts["percent"])
        if "reason" in facts:
            reason = Refund.Reason(facts["reason"])
            facts["reason"] = reason
            facts["bearer"] = Refund.Bearer(facts.get("bearer") or USUAL_BEARER[reason])
        return facts

    def _money(self, amount: Decimal | None, percent: Decimal | None) -> Money:
        if (amount is None) == (percent is None):
            raise ValidationError("Give an amount or per cent: one of the two.")
        if percent is not None:
            part = round_share(self.left.amount, int(percent * 100), 10_000, self.left.currency)
            return Money(part, self.left.currency)
        assert amount is not None  # one of the two is there
        try:
            return from_decimal(amount, self.left.currency)
        except MoneyError as error:
            raise ValidationError({"amount": str(error)}) from error


class ApprovalForm(forms.Form):
    """To agree to another person's refund, or not."""

    reason = forms.CharField(
        label="Why it is not approved",
        max_length=300,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Needed to dismiss it.",
    )

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if "dismiss" in self.data and not facts.get("reason"):
            raise ValidationError({"reason": "Say why, for the colleague who asked for it."})
        return facts
