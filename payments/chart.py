"""The chart of accounts: what each account of the books means, what is in it, and how it came to that. Reads only."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from django.db.models import BigIntegerField, Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Window
from django.db.models.functions import Coalesce, TruncMonth

from marketplace.lib.money import Money
from marketplace.lib.months import end_of, month_of, start_of
from payments.models import LedgerAccount, LedgerEntry

# In the order in which they are read: what there is, whose it is, what is on its way, and what should not be.
# Those with a colon are one account for each person.
MEANINGS = {
    "stripe_balance": "What Stripe holds for us, available or not. Each entry names its balance transaction.",
    "bank": "What was paid out to the platform's bank, less what was paid in, or paid to students, from there.",
    "reserves": "What Stripe holds back: against negative balances of coaches, or for a time by its own rules.",
    "coach_payable:": "What we owe each coach (negative), or what they owe us (positive).",
    "refunds_owed:": "What we owe students whose bank has sent a refund back (negative).",
    "platform_revenue": "Our fees, less what of them went back with refunds and disputes (negative is earned).",
    "stripe_fees": "What Stripe took for captures, disputes and its services. It does not come back with refunds.",
    "platform_losses": "What we paid in somebody's stead: refunds by goodwill, lost disputes, sessions nobody paid.",
    "refunds_in_flight": "Refunds that are decided and have not left Stripe's balance yet. Returns to zero.",
    "transfers_in_flight": "Transfers that have left one account and not reached the other. Returns to zero.",
    "disputes_held": "What students' banks took while disputes are open. Returns to zero.",
    "suspense": "What nobody could say the meaning of. Each entry is to be looked at, and moved to where it belongs.",
}
OTHER = "An account that this page does not know."


def group_of(code: str) -> str:
    """ "coach_payable:12" is one of "coach_payable:"; what has no person is its own group."""
    head, colon, _ = code.partition(":")
    return head + colon


# --- all accounts -------------------------------------------------------------------------------


@dataclass(slots=True)
class Group:
    """One line of the chart: an account, or one of each person, in one currency. Signed minor units."""

    code: str
    currency: str
    accounts: list[int] = field(default_factory=list)
    entries: int = 0
    debit: int = 0  # of the accounts whose balance is above zero
    credit: int = 0  # of those below

    @property
    def meaning(self) -> str:
        return MEANINGS.get(self.code, OTHER)

    @property
    def of_people(self) -> bool:
        return self.code.endswith(":")

    @property
    def balance(self) -> Money:
        return Money(self.debit + self.credit, self.currency)

    @property
    def owed_to_us(self) -> Money:
        return Money(self.debit, self.currency)

    @property
    def owed_by_us(self) -> Money:
        return Money(-self.credit, self.currency)


def chart() -> dict[str, list[Group]]:
    """By currency, in the order of the meanings. Two queries, however many people have accounts."""
    sums = LedgerEntry.objects.values_list("account").annotate(Sum("amount"), Count("pk"))
    known = {account: (total, entries) for account, total, entries in sums}
    groups: dict[tuple[str, str], Group] = {}
    for pk, code, currency in LedgerAccount.objects.order_by("pk").values_list("pk", "code", "currency"):
        name = group_of(code)
        group = groups.setdefault((currency, name), Group(name, currency))
        total, entries = known.get(pk, (0, 0))
        group.accounts.append(pk)
        group.entries += entries
        group.debit += max(total, 0)
        group.credit += min(total, 0)
    order = {code: place for place, code in enumerate(MEANINGS)}
    by_currency: dict[str, list[Group]] = defaultdict(list)
    for currency, name in sorted(groups, key=lambda key: (key[0], order.get(key[1], len(order)), key[1])):
        by_currency[currency].append(groups[currency, name])
    return dict(by_currency)


def with_balance(accounts: QuerySet[LedgerAccount]) -> Any:
    """Each with its `total`, summed for the rows that are shown alone."""
    sums = LedgerEntry.objects.filter(account=OuterRef("pk")).order_by().values("account").annotate(total=Sum("amount"))
    return accounts.annotate(total=Coalesce(Subquery(sums.values("total")), 0, output_field=BigIntegerField()))


# --- one account --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountMonth:
    month: str
    opening: Money
    debit: Money
    credit: Money
    closing: Money
    entries: int


def months_of(account: LedgerAccount) -> list[AccountMonth]:
    """The months (UTC) in which anything was booked, the latest first. One query."""
    by_month = (
        account.entries.annotate(month=TruncMonth("transaction__occurred_at", tzinfo=UTC))
        .values("month")
        .annotate(
            debit=Coalesce(Sum("amount", filter=Q(amount__gt=0)), 0),
            credit=Coalesce(Sum("amount", filter=Q(amount__lt=0)), 0),
            entries=Count("pk"),
        )
        .order_by("month")
    )
    found, balance = [], Money(0, account.currency)
    for row in by_month:
        debit, credit = Money(row["debit"], account.currency), Money(row["credit"], account.currency)
        closing = balance + debit + credit
        found.append(AccountMonth(month_of(row["month"]), balance, debit, credit, closing, row["entries"]))
        balance = closing
    return found[::-1]


def opening_of(account: LedgerAccount, month: str) -> Money:
    """What was in it at the month's first instant. Raises UnknownMonth."""
    before = account.entries.filter(transaction__occurred_at__lt=start_of(month))
    return Money(before.aggregate(total=Sum("amount"))["total"] or 0, account.currency)


def entries_of(account: LedgerAccount, month: str) -> Any:
    """The month's entries in the order of the books, each with its `running` sum in this month. Raises UnknownMonth."""
    first, end = start_of(month), end_of(month)
    entries = account.entries.filter(transaction__occurred_at__gte=first, transaction__occurred_at__lt=end)
    order = [F("transaction__occurred_at").asc(), F("pk").asc()]
    running = entries.annotate(running=Window(Sum("amount"), order_by=order))
    return running.select_related("transaction__payment").order_by(*order)
