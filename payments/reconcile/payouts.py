"""Payouts to banks: the platform's own, and the coaches' through their accounts."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Exists, Min, OuterRef, Q

from payments import gateway, marks, services
from payments.gateway import GatewayError
from payments.models import Operation, Payout, PayoutAccount
from payments.reconcile import comparing, kinds
from payments.reconcile.comparing import Comparison, Known
from payments.reconcile.findings import OPEN_FOR, Finding, Round
from payments.reconcile.kinds import Kind
from payments.reconcile.listing import created_since
from payments.stripe_payouts import PayoutFacts

TYPE = "payout"


def compare_platforms(around: Round) -> None:
    ours = Payout.objects.filter(account=None, status__in=Payout.OPEN_STATES)
    comparing.run_part(_comparison(None), around.window(ours.aggregate(first=Min("created_at"))["first"]), around)
    if around.since is None:
        around.gone_of(TYPE, Q(coach=None))


def compare_coaches(around: Round) -> None:
    """Of all coaches' accounts when everything is compared, else of those with a payout on its way: one list each."""
    on_its_way = Payout.objects.filter(account=OuterRef("pk"), status__in=Payout.OPEN_STATES)
    accounts = PayoutAccount.objects.filter(deauthorised_at=None)
    unread = set(PayoutAccount.objects.exclude(deauthorised_at=None).values_list("coach_id", flat=True))
    if around.since is not None:
        accounts = accounts.filter(Exists(on_its_way))
    since = around.since and around.now - OPEN_FOR
    for account in accounts.order_by("pk").iterator(chunk_size=1000):
        try:
            comparing.run_part(_comparison(account), since, around)
        except GatewayError as error:
            # One that has cut its connection is told by the comparison of accounts.
            if error.code != "account_invalid":
                raise
            unread.add(account.coach_id)
    if around.since is None:
        around.gone_of(TYPE, Q(coach__isnull=False) & ~Q(coach__in=unread))


def _comparison(account: PayoutAccount | None) -> Comparison[PayoutFacts]:
    account_id = account.stripe_account_id if account else ""
    return Comparison(
        object_type=TYPE,
        each=partial(gateway.list_payouts, account_id=account_id),
        read=partial(gateway.retrieve_payout, account_id=account_id),
        created=lambda facts: facts.created,
        compare=partial(_compare, account),
        repair=partial(_repair, account),
        under_way=_under_way,
        ours=partial(_known, account),
    )


def _compare(account: PayoutAccount | None, batch: Sequence[PayoutFacts]) -> Iterator[Finding]:
    rows = Payout.objects.filter(stripe_payout_id__in=[facts.id for facts in batch])
    known = {str(row.stripe_payout_id): row for row in rows}
    for facts in batch:
        payout = known.get(facts.id)
        # What fetches money back from our bank has no row, and is in the books alone.
        if payout is None and facts.amount > 0:
            yield Finding(kinds.MISSING_HERE, TYPE, facts.id, {}, _stripes(facts), coach_id=_coach(account))
        elif payout is not None:
            yield from _differing(payout, account, facts)


def _differing(payout: Payout, account: PayoutAccount | None, facts: PayoutFacts) -> Iterator[Finding]:
    checks: tuple[tuple[Kind, bool], ...] = (
        (kinds.STATE_DIFFERS, payout.status != facts.status),
        (kinds.AMOUNT_DIFFERS, payout.amount != facts.amount),
        (kinds.CURRENCY_DIFFERS, payout.currency != facts.currency),
        (kinds.OWNER_DIFFERS, payout.account_id != (account.pk if account else None)),
    )
    for kind, differs in checks:
        if differs:
            yield Finding(kind, TYPE, facts.id, _ours(payout), _stripes(facts), coach_id=_coach(account))


def _coach(account: PayoutAccount | None) -> int | None:
    return account.coach_id if account else None


def _ours(payout: Payout) -> dict[str, Any]:
    return {
        "payout": payout.pk,
        "account": payout.account_id,
        "status": payout.status,
        "amount": payout.amount,
        "currency": payout.currency,
    }


def _stripes(facts: PayoutFacts) -> dict[str, Any]:
    return {"status": facts.status, "amount": facts.amount, "currency": facts.currency, "automatic": facts.automatic}


def _repair(account: PayoutAccount | None, facts: PayoutFacts, now: datetime) -> None:
    services.record_payout(facts=facts, account=account, now=now)


def _under_way(batch: Sequence[PayoutFacts], around: Round) -> set[str]:
    named = {mark: facts.id for facts in batch if (mark := marks.operation_id(facts.metadata)) is not None}
    open_ones = Operation.objects.filter(
        pk__in=named, state__in=Operation.OPEN_STATES, created_at__gt=around.now - comparing.UNDER_WAY_FOR
    )
    return {named[pk] for pk in open_ones.values_list("pk", flat=True)}


def _known(account: PayoutAccount | None, since: datetime | None) -> Iterable[Known]:
    rows = created_since(Payout.objects.filter(account=account, stripe_payout_id__isnull=False), since)
    for payout in rows.iterator(chunk_size=1000):
        yield Known(str(payout.stripe_payout_id), _ours(payout), coach_id=_coach(account))
