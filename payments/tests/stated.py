"""What the tests of whole lives of money say of its statements."""

from collections import defaultdict
from datetime import timedelta

from django.db.models import Sum

from marketplace import clock
from marketplace.lib.months import end_of, month_of, start_of
from marketplace.tests.sandbox import Sandbox
from payments import ledger, statements
from payments.ledger import COACH_PAYABLE
from payments.models import FeeInvoice, LedgerEntry, LedgerTransaction, Statement
from payments.statements import Kind
from payments.statements.totals import NOBODY, totals_between


def close_all(sandbox: Sandbox) -> list[Statement]:
    """Two months on, all that has happened is in closed months."""
    end = end_of(month_of(clock.now()))
    sandbox.advance(int((end + timedelta(days=2) - sandbox.now()).total_seconds()))
    assert statements.close_due_months(clock.now())
    return list(Statement.objects.order_by("month"))


def kinds(rows: list[Statement]) -> list[Kind]:
    months = [statements.coach_month(coach_id=row.coach_id, month=row.month, currency=row.currency) for row in rows]
    return [line.kind for month in months for line in month.lines]


def assert_whole() -> None:
    """Of all coaches and currencies, once all is closed: each entry is in one line, and all sums lead to the books'."""
    chains: dict[tuple[int, str], list[Statement]] = defaultdict(list)
    for row in Statement.objects.order_by("month"):
        chains[row.coach_id, row.currency].append(row)
    for rows in chains.values():
        _assert_chain(rows)
    booked = LedgerEntry.objects.filter(account__code__startswith=COACH_PAYABLE)
    assert {int(code.removeprefix(COACH_PAYABLE)) for code in booked.values_list("account__code", flat=True)} <= {
        coach for coach, _ in chains
    }
    fees = LedgerEntry.objects.filter(account__code="platform_revenue").values_list("account__currency")
    invoiced = FeeInvoice.objects.values_list("currency").annotate(total=Sum("amount"))
    booked_fees = {currency: -total for currency, total in fees.annotate(total=Sum("amount")) if total}
    assert {currency: total for currency, total in invoiced if total} == booked_fees
    numbers = list(FeeInvoice.objects.order_by("pk").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    _assert_years()


def _assert_chain(rows: list[Statement]) -> None:
    """Each month begins with what the one before ended with; the last ends with what the books say."""
    coach_id, currency = rows[0].coach_id, rows[0].currency
    assert rows[0].opening == 0
    assert [row.opening for row in rows[1:]] == [row.closing for row in rows[:-1]]
    assert -rows[-1].closing == ledger.balance(ledger.coach_payable(coach_id), currency).amount
    assert Kind.ADJUSTMENT not in kinds(rows)
    assert all(statements.verify(row) for row in rows)
    months = [statements.coach_month(coach_id=coach_id, month=row.month, currency=currency) for row in rows]
    told = [line.transaction_id for month in months for line in month.lines]
    facts = LedgerTransaction.objects.filter(
        entries__account__code=ledger.coach_payable(coach_id), entries__account__currency=currency
    )
    assert len(told) == len(set(told))
    assert set(facts.values_list("pk", flat=True)) <= set(told)


def _assert_years() -> None:
    """What is left of each year's totals leads to the books' balances, too; and it is the same from sums that were kept
    as from the ledger.
    """
    statements.sum_up_closed_months()
    left: dict[tuple[int, str], int] = defaultdict(int)
    for year in range(clock.now().year - 2, clock.now().year + 1):
        whole = statements.whole_year(year)
        from_ledger = totals_between(start_of(f"{year}-01"), end_of(f"{year}-12"))
        assert whole.coaches == [row for row in from_ledger if row.coach_id != NOBODY]
        assert sum(row.amount for row in whole.revenue) == sum(row.fees for row in from_ledger)
        for row in whole.coaches:
            assert row.adjusted == 0
            left[row.coach_id, row.currency] += row.gross - row.refunds - row.fees + row.borne_by_us - row.paid
    for (coach_id, currency), amount in left.items():
        assert amount == -ledger.balance(ledger.coach_payable(coach_id), currency).amount
