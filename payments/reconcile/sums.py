"""Whether the sums agree, with Stripe's and with each other."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, Max, OuterRef, Sum

from coaches.models import Coach
from payments import gateway, ledger
from payments.ledger import CLEARING_ACCOUNTS, STRIPE_BALANCE
from payments.models import Difference, LedgerEntry, Payment
from payments.reconcile import comparing, entries, kinds
from payments.reconcile.findings import Finding, Round
from payments.reconcile.listing import window
from payments.reconcile.postings import CONNECT_RESERVE, RESERVES
from payments.statements import are_totals_changed, due_for_a_look, is_changed, totals_due_for_a_look
from payments.stripe_balance import BalanceFacts

BALANCE = "balance"
RESERVE = "reserve"
CLEARING = "clearing_account"
STATEMENT = "statement"
TOTALS = "totals"
BOOKS = "books"

# Between Stripe's balance and our sum something may move: then both are read anew.
TRIES = 3
# How long money is on its way at most: a refund to its student, a transfer to its coach, a dispute to its end.
LONGEST = {
    "refunds_in_flight": timedelta(days=30),
    "transfers_in_flight": timedelta(days=2),
    "disputes_held": timedelta(days=180),
}


# --- Stripe's balance ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Look:
    """Stripe's balance, our sum of it, and what is known not to be in our books, read one after the other."""

    apart: Counter[str]
    theirs: BalanceFacts
    ours: Counter[str]

    def gaps(self) -> dict[str, int]:
        expected, total = self.ours.copy(), _total(self.theirs)
        expected.update(self.apart)
        return {each: gap for each in sorted({*expected, *total}) if (gap := total[each] - expected[each])}


def compare_balances(around: Round) -> None:
    """A gap that is another at each look is money that moves meanwhile, and is left: one that stays is said."""
    look, steady = _look(around), set[str]()
    for _ in range(TRIES):
        if steady == set(look.gaps()):
            break
        before, look = look, _look(around)
        steady = {each for each, gap in look.gaps().items() if before.gaps().get(each) == gap}
    for currency in look.gaps():
        if currency not in steady:
            around.left.add(currency)
            continue
        available, pending = look.theirs.available.get(currency, 0), look.theirs.pending.get(currency, 0)
        said = {"booked": look.ours[currency], "known_not_to_be": look.apart[currency]}
        stripes = {"available": available, "pending": pending}
        around.report(Finding(kinds.BALANCE_DIFFERS, BALANCE, currency, said, stripes))
    around.gone_of(BALANCE)
    _compare_reserves(look.theirs, around)


def _look(around: Round) -> _Look:
    apart = _not_booked_yet(around)
    apart.update(_explained())
    return _Look(apart, gateway.read_balance(""), _booked_by_currency())


def _not_booked_yet(around: Round) -> Counter[str]:
    """What Stripe has moved just now, and what is left because something is under way with it."""
    young = around.now - comparing.YOUNG
    moved = dict(around.left_nets)
    for batch in comparing.batches(gateway.list_balance_transactions(**window(young))):
        # Such as a reserve that was made since its page was compared.
        entries.take_up(batch, around.now)
        for booked in batch:
            if booked.created is not None and booked.created > young:
                moved[booked.id] = booked.currency, booked.net
    named = LedgerEntry.objects.filter(balance_transaction_id__in=moved)
    known = set(named.values_list("balance_transaction_id", flat=True))
    sums: Counter[str] = Counter()
    for stripe_id, (currency, net) in moved.items():
        if stripe_id not in known:
            sums[currency] += net
    return sums


def _explained() -> Counter[str]:
    """What staff have said is right not to be in our books, and is not."""
    booked = LedgerEntry.objects.filter(balance_transaction_id=OuterRef("object_id"))
    rows = Difference.objects.filter(~Exists(booked), code=kinds.NOT_BOOKED.code, state=Difference.State.EXPLAINED)
    sums: Counter[str] = Counter()
    for moved in rows.values_list("stripes", flat=True):
        sums[moved["currency"]] += moved["net"]
    return sums


def _total(balance: BalanceFacts) -> Counter[str]:
    total = Counter(balance.available)
    total.update(balance.pending)
    return total


def _booked_by_currency() -> Counter[str]:
    lines = LedgerEntry.objects.filter(account__code=STRIPE_BALANCE)
    sums = lines.values_list("account__currency").annotate(total=Sum("amount"))
    return Counter(dict(sums.order_by("account__currency")))


def _compare_reserves(theirs: BalanceFacts, around: Round) -> None:
    lines = LedgerEntry.objects.filter(account__code=RESERVES, transaction__kind=CONNECT_RESERVE)
    sums = lines.values_list("account__currency").annotate(total=Sum("amount"))
    ours = Counter(dict(sums.order_by("account__currency")))
    for currency in sorted({*ours, *theirs.connect_reserved}):
        reserved = theirs.connect_reserved.get(currency, 0)
        if ours[currency] != reserved:
            said = {"booked": ours[currency]}, {"connect_reserved": reserved}
            around.report(Finding(kinds.RESERVE_DIFFERS, RESERVE, currency, *said))
    around.gone_of(RESERVE)


# --- our own books ------------------------------------------------------------------------------


def compare_clearing_accounts(around: Round) -> None:
    """When everything is compared: what has been on its way for longer than it ever takes, payment by payment."""
    if around.since is not None:
        return
    lines = LedgerEntry.objects.filter(account__code__in=CLEARING_ACCOUNTS)
    groups = lines.values_list("account__code", "account__currency", "transaction__payment")
    left = groups.annotate(total=Sum("amount"), latest=Max("transaction__occurred_at")).exclude(total=0)
    for code, currency, payment, total, latest in left.order_by("account__code", "transaction__payment").iterator():
        if latest < around.now - LONGEST[code]:
            ours = {"account": code, "amount": total, "currency": currency, "since": latest.isoformat()}
            object_id = f"{code}:{payment or ''}:{currency}"
            coach = Payment.objects.values_list("coach_id", flat=True).filter(pk=payment).first()
            finding = Finding(kinds.CLEARING_TOO_OLD, CLEARING, object_id, ours, {}, payment, coach)
            around.report(finding)
    around.gone_of(CLEARING)


def compare_statements(around: Round) -> None:
    """When everything is compared: closed months, computed again, as far as it is their turn."""
    if around.since is not None:
        return
    known = Difference.objects.filter(object_type=STATEMENT, state=Difference.State.OPEN)
    changed_before = {int(each) for each in known.values_list("object_id", flat=True)}
    looked_at = []
    for statement in due_for_a_look(around.now, changed_before).iterator(chunk_size=500):
        looked_at.append(str(statement.pk))
        if not is_changed(statement):
            continue
        ours = {"statement": statement.pk, "month": statement.month, "currency": statement.currency}
        finding = Finding(kinds.STATEMENT_CHANGED, STATEMENT, str(statement.pk), ours, coach_id=statement.coach_id)
        around.report(finding)
    around.gone(STATEMENT, looked_at)


def compare_totals(around: Round) -> None:
    """The same of what was summed up of closed months; each is one query over the month's entries."""
    if around.since is not None:
        return
    known = Difference.objects.filter(object_type=TOTALS, state=Difference.State.OPEN)
    looked_at = totals_due_for_a_look(around.now, set(known.values_list("object_id", flat=True)))
    for month in looked_at:
        if are_totals_changed(month):
            around.report(Finding(kinds.TOTALS_CHANGED, TOTALS, month, {"month": month}))
    around.gone(TOTALS, looked_at)


def check_books(around: Round) -> None:
    imbalances = ledger.check()
    # An account may be of a coach that there never was: that is what is wrong with it.
    coaches = set(Coach.objects.filter(pk__in=[each.coach_id for each in imbalances]).values_list("pk", flat=True))
    for imbalance in imbalances:
        finding = Finding(
            kinds.BOOKS_DO_NOT_ADD_UP,
            BOOKS,
            str(imbalance)[:100],
            {"message": imbalance.message},
            coach_id=imbalance.coach_id if imbalance.coach_id in coaches else None,
        )
        around.report(finding)
    around.gone_of(BOOKS)
