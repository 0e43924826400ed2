"""Where a coach is paid out to, kept as Stripe tells it: by what a person knows it by."""

from collections.abc import Iterable
from datetime import datetime

from payments.errors import StripeMismatchError
from payments.models import BankAccount, PayoutAccount
from payments.stripe_accounts import BankFacts

ERRORED = "errored"


def record_banks(account: PayoutAccount, banks: Iterable[BankFacts], now: datetime) -> None:
    """All that the account has, in the transaction that holds the account's row: the others are gone."""
    told = list(banks)
    for facts in told:
        record_bank(account, facts, now)
    others = BankAccount.objects.filter(account=account, removed_at=None)
    others.exclude(stripe_bank_id__in=[facts.id for facts in told]).update(removed_at=now, is_default=False)


def record_bank(account: PayoutAccount, facts: BankFacts, now: datetime) -> BankAccount:
    """One of them. Stripe tells no state of a card: what a failed payout has said of it stays."""
    kept = {
        "kind": facts.kind,
        "name": facts.bank_name[:120],
        "last4": facts.last4,
        "currency": facts.currency,
        "is_default": facts.default_for_currency,
        "removed_at": None,
        **({"status": facts.status} if facts.status else {}),
    }
    bank, _ = BankAccount.objects.update_or_create(
        stripe_bank_id=facts.id,
        defaults=kept,
        create_defaults={**kept, "account": account, "created_at": now},
    )
    if bank.account_id != account.pk:
        raise StripeMismatchError(f"{facts.id} is in another account than {account}.")
    if facts.default_for_currency:
        siblings = account.banks.filter(currency=facts.currency).exclude(pk=bank.pk)
        siblings.update(is_default=False)
    return bank


def record_bank_failed(account: PayoutAccount, facts: BankFacts | None, bank_id: str) -> None:
    """A payout to it has come back; Stripe sends nothing there until it is replaced."""
    status = facts.status if facts is not None else ""
    BankAccount.objects.filter(account=account, stripe_bank_id=bank_id).update(status=status or ERRORED)
