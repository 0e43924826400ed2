"""What is compared, in this order: what others build on comes first, and sums come last."""

from collections.abc import Callable

from payments.reconcile import (
    accounts,
    disputes,
    entries,
    fees,
    intents,
    pages,
    payouts,
    refunds,
    restored,
    sums,
    transfers,
    warnings,
)
from payments.reconcile.findings import Round

STEPS: tuple[Callable[[Round], None], ...] = (
    restored.take_over,
    accounts.compare_all,
    pages.compare_all,
    intents.compare_all,
    refunds.compare_all,
    disputes.compare_all,
    warnings.compare_all,
    transfers.compare_all,
    fees.compare_all,
    payouts.compare_platforms,
    payouts.compare_coaches,
    entries.compare_all,
    sums.compare_balances,
    sums.compare_clearing_accounts,
    sums.compare_statements,
    sums.check_books,
)
