"""Coaches' accounts as Stripe has them, with what it asks of them and where it pays them out, against what we keep."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from payments import gateway, marks, mirror, services
from payments.errors import PayoutsUnavailable
from payments.gateway import GatewayError
from payments.models import BankAccount, Operation, PayoutAccount
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import Finding, Round
from payments.services.accounts import BANKS_SHOWN
from payments.stripe_accounts import AccountFacts, BankFacts, read_account

TYPE = "account"
# Out of reach for so long, an account has left us, whether anybody has told us or not.
OUT_OF_SIGHT_AFTER = timedelta(days=3)
OUT_OF_REACH = (kinds.OUT_OF_REACH.code, TYPE)
# What we keep just as Stripe tells it, by the same name.
KEPT = (
    "country",
    "default_currency",
    "details_submitted",
    "charges_enabled",
    "payouts_enabled",
    "transfers_active",
    "disabled_reason",
)

_Banks = dict[str, BankAccount]


def compare_all(around: Round) -> None:
    comparing.run(COMPARISON, around.since, around)
    lost = [object_id for code, object_type, object_id in around.found if (code, object_type) == OUT_OF_REACH]
    for account in PayoutAccount.objects.filter(stripe_account_id__in=lost):
        # Nothing can be paid to it: whatever it is called, that is what we have to know.
        with suppress(PayoutsUnavailable):
            services.refresh_payout_account(account=account, now=around.moment())
        if account.balance_read_at is None or account.balance_read_at <= around.now - OUT_OF_SIGHT_AFTER:
            services.stop_following(account.payouts.filter(created_at__lte=around.now - OUT_OF_SIGHT_AFTER), around.now)


def _compare(batch: Sequence[AccountFacts]) -> Iterator[Finding]:
    rows = PayoutAccount.objects.filter(stripe_account_id__in=[facts.id for facts in batch])
    known = {row.stripe_account_id: row for row in rows}
    banks, copies = _banks_of(known.values()), mirror.copies_of_accounts(known)
    for facts in batch:
        account = known.get(facts.id)
        if account is None and marks.operation_id(facts.metadata) is not None:
            # Others are not of our making, and move nothing of ours.
            yield Finding(kinds.ORPHAN_AT_STRIPE, TYPE, facts.id, stripes=_kept(facts))
        elif account is not None and account.deauthorised_at is None:
            yield from _differing(account, banks[account.pk], facts)
            yield from _differing_copy(account, copies.get(facts.id), facts)


def _banks_of(accounts: Iterable[PayoutAccount]) -> dict[int, _Banks]:
    banks: dict[int, _Banks] = defaultdict(dict)
    for row in BankAccount.objects.filter(account__in=accounts, removed_at=None):
        banks[row.account_id][row.stripe_bank_id] = row
    return banks


def _differing(account: PayoutAccount, banks: _Banks, facts: AccountFacts) -> Iterator[Finding]:
    ours, stripes = _kept(account), _kept(facts)
    # One that Stripe does not tell stays as it is.
    stripes["payout_schedule"] = stripes["payout_schedule"] or ours["payout_schedule"]
    shown = {bank.id for bank in facts.banks}
    if shown - banks.keys() or (len(shown) < BANKS_SHOWN and banks.keys() - shown):
        ours["banks"], stripes["banks"] = sorted(banks), sorted(shown)
    sides = (
        (kinds.STATE_DIFFERS, ours, stripes),
        (kinds.REQUIREMENTS_DIFFER, account.requirements, facts.requirements),
        (kinds.BANK_DIFFERS, *_described(banks, facts.banks)),
    )
    for kind, with_us, with_stripe in sides:
        if with_us != with_stripe:
            said = _apart(with_us, with_stripe), _apart(with_stripe, with_us)
            yield Finding(kind, TYPE, facts.id, *said, coach_id=account.coach_id)
    named = facts.metadata.get("coach_id", str(account.coach_id))
    if named != str(account.coach_id):
        owners = {"coach": account.coach_id}, {"coach": named}
        yield Finding(kinds.OWNER_DIFFERS, TYPE, facts.id, *owners, coach_id=account.coach_id)


def _differing_copy(account: PayoutAccount, copy: dict[str, Any] | None, facts: AccountFacts) -> Iterator[Finding]:
    """One that was never mirrored shows nothing wrong."""
    if copy is None:
        return
    shown = read_account(copy)
    ours, stripes = ({**_kept(each), **each.requirements} for each in (shown, facts))
    if ours != stripes:
        said = _apart(ours, stripes), _apart(stripes, ours)
        yield Finding(kinds.MIRROR_DIFFERS, TYPE, facts.id, *said, coach_id=account.coach_id)


def _described(banks: _Banks, told: Sequence[BankFacts]) -> tuple[dict[str, str], dict[str, str]]:
    """What we and Stripe know of each that both know. Where Stripe tells no state ours stays."""
    ours, stripes = {}, {}
    for facts in told:
        row = banks.get(facts.id)
        if row is not None:
            ours[facts.id] = _in_words(row.name, row.last4, row.currency, row.status, row.is_default)
            told_name, status = facts.bank_name[:120], facts.status or row.status
            stripes[facts.id] = _in_words(told_name, facts.last4, facts.currency, status, facts.default_for_currency)
    return ours, stripes


def _in_words(name: str, last4: str, currency: str, status: str, is_default: bool) -> str:  # both sides'
    facts = (name, f"ending in {last4}", currency, status, "default" if is_default else "")
    return ", ".join(fact for fact in facts if fact)


def _apart(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of one side, what the other has otherwise."""
    return {name: value for name, value in one.items() if name not in other or other[name] != value}


def _kept(account: PayoutAccount | AccountFacts) -> dict[str, Any]:
    kept = {name: getattr(account, name) for name in KEPT}
    if isinstance(account, PayoutAccount):
        when = (account.schedule_interval, account.schedule_monthly_anchor, account.schedule_weekly_anchor)
    else:
        when = (account.schedule.interval, account.schedule.monthly_anchor, account.schedule.weekly_anchor)
    return {**kept, "payout_schedule": " ".join(str(each) for each in when if each)}


def _repair(facts: AccountFacts, now: datetime) -> None:
    services.record_account(facts=facts, now=now)
    copies = mirror.copies_of_accounts([facts.id])
    account = PayoutAccount.objects.filter(stripe_account_id=facts.id).first()
    if account is not None and any(_differing_copy(account, copies.get(facts.id), facts)):
        mirror.mirror_object("account", facts.id)


def _under_way(batch: Sequence[AccountFacts], around: Round) -> set[str]:
    """It is being made, or the coach is changing something of it."""
    named = {mark: facts.id for facts in batch if (mark := marks.operation_id(facts.metadata)) is not None}
    ids = [facts.id for facts in batch]
    open_ones = Operation.objects.filter(
        Q(pk__in=named) | Q(coach__payout_account__stripe_account_id__in=ids),
        state__in=Operation.OPEN_STATES,
        created_at__gt=around.now - comparing.UNDER_WAY_FOR,
    )
    rows = open_ones.values_list("pk", "coach__payout_account__stripe_account_id")
    return {named.get(pk) or stripe_id for pk, stripe_id in rows}


def _read(account_id: str) -> AccountFacts:
    """With all of its banks. One that has cut its connection is not to be read by us any more."""
    try:
        return services.read_account(account_id)
    except GatewayError as error:
        if error.code == "account_invalid":
            raise GatewayError("refused", error.code, error.message) from error
        raise


def _known(since: datetime | None) -> Iterator[Known]:
    """All of them or none: a row does not say by which clock it was made."""
    if since is not None:
        return
    rows = PayoutAccount.objects.filter(deauthorised_at=None)
    for account in rows.iterator(chunk_size=1000):
        yield Known(account.stripe_account_id, _kept(account), coach_id=account.coach_id)


COMPARISON = Comparison(
    object_type=TYPE,
    each=gateway.list_accounts,
    read=_read,
    created=lambda _: None,
    compare=_compare,
    repair=_repair,
    under_way=_under_way,
    ours=_known,
    missing=kinds.OUT_OF_REACH,
)
