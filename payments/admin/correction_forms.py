"""What staff fill in to propose a correction of the books."""

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from coaches.models import Coach
from marketplace.lib.money import Money, decimals
from payments.models import Correction, LedgerAccount, Payment
from payments.services.corrections import LONGEST_REASON, OnSuspense

Account = Correction.Account
# Suspense is cleared entry by entry, and nothing is moved to it.
CHOICES = [("", "Choose"), *(choice for choice in Account.choices if choice[0] != Account.SUSPENSE)]


def known_currencies() -> list[tuple[str, str]]:
    known = {*settings.CURRENCIES, *LedgerAccount.objects.values_list("currency", flat=True).distinct()}
    return [(currency, currency.upper()) for currency in sorted(known)]


class CorrectionForm(forms.Form):
    """`cleaned_data["money"]` as it stands in the books; `coach` where one of the accounts is theirs."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    from_account = forms.ChoiceField(label="From", choices=CHOICES, widget=UnfoldAdminSelectWidget)
    to_account = forms.ChoiceField(label="To", choices=CHOICES, widget=UnfoldAdminSelectWidget)
    currency = forms.ChoiceField(choices=known_currencies, widget=UnfoldAdminSelectWidget)
    amount = forms.DecimalField(
        max_digits=14,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="As it stands in the books, debits positive: a cost or what is owed to us is above zero, what we "
        "have earned or owe is below. It leaves the first account and comes to the second.",
    )
    coach = forms.EmailField(
        label="Coach's e-mail address",
        required=False,
        widget=UnfoldAdminEmailInputWidget,
        help_text="Only where one of the two is a coach's account.",
    )
    payment = forms.IntegerField(
        label="Number of the payment that it is about",
        min_value=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    reason = forms.CharField(
        label="Why",
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Of a coach's account they read it on their statement. It can't be changed later.",
    )

    def __init__(self, *args: Any, clears: OnSuspense | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clears = clears
        if clears is not None:
            del self.fields["from_account"], self.fields["currency"]
            self.fields["amount"].label = f"Amount in {clears.money.currency.upper()}"
            self.fields["amount"].help_text = f"Of {clears.money}, with its sign: all of it, or a part."

    def clean_coach(self) -> Coach | None:
        address = self.cleaned_data["coach"]
        coach = Coach.objects.filter(user__email__iexact=address).first() if address else None
        if address and coach is None:
            raise ValidationError("No coach has this address.")
        return coach

    def clean_payment(self) -> Payment | None:
        number = self.cleaned_data["payment"]
        payment = Payment.objects.select_related("coach").filter(pk=number).first() if number else None
        if number and payment is None:
            raise ValidationError("There is no payment with this number.")
        return payment

    def clean(self) -> dict[str, Any]:
        facts = super().clean() or {}
        if self.clears is not None:
            facts |= {"from_account": str(Account.SUSPENSE), "currency": self.clears.money.currency}
        if "coach" in facts and "payment" in facts:
            facts["coach"] = self._whose(facts)
        if facts.get("currency") and facts.get("amount") is not None:
            facts["money"] = _money(facts["amount"], facts["currency"])
        return facts

    def _whose(self, facts: dict[str, Any]) -> Coach | None:
        """A payment is somebody's, so it is enough to name that."""
        if Account.COACH not in (facts.get("from_account"), facts.get("to_account")):
            return None
        coach: Coach | None = facts["coach"] or (facts["payment"].coach if facts["payment"] else None)
        if coach is None:
            raise ValidationError({"coach": "Say whose account it is."})
        return coach


def _money(amount: Decimal, currency: str) -> Money:
    """In whole minor units. What Stripe has moved on its balance may be finer than what a card can be charged with."""
    minor = amount.scaleb(decimals(currency))
    if minor != minor.to_integral_value():
        raise ValidationError({"amount": f"Amounts in {currency.upper()} have {decimals(currency)} decimals at most."})
    return Money(int(minor), currency)
