"""What is compared, in this order: what others build on comes first, and sums come last. Each step is on its own."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from payments.gateway import GatewayError
from payments.models import Reconciliation
from payments.reconcile import (
    accounts,
    cards,
    disputes,
    entries,
    fees,
    intents,
    kinds,
    pages,
    payouts,
    refunds,
    restored,
    sums,
    transfers,
    warnings,
)
from payments.reconcile.findings import Finding, Round

log = structlog.get_logger(__name__)

TYPE = "comparison"
# What is said of one that was killed: how far it came, nobody knows.
CUT_OFF = "It was cut off."
SAID = {
    "refused": "Stripe refused",
    "busy": "Stripe did not answer this time",
    "lost": "Stripe did not answer",
    "broken": "Stripe answered with an error of its own",
}


@dataclass(frozen=True, slots=True)
class Step:
    """`needs`: the steps without whose end something may look wrong here that is not. What can be recorded is recorded
    all the same, and what is wrong in any case is named.
    """

    name: str
    do: Callable[[Round], None]
    needs: tuple[str, ...] = ()


INTENTS, REFUNDS, DISPUTES, TRANSFERS = "holds_and_captures", "refunds", "disputes", "transfers"
ENTRIES = "balance_transactions"

# Without its end nothing of Stripe's is recorded: it would come in the wrong order.
FIRST = Step("lost_changes", restored.take_over)
WITH_STRIPE = (
    Step("accounts", accounts.compare_all),
    Step("cards", cards.compare_all),
    Step("payment_pages", pages.compare_all),
    Step(INTENTS, intents.compare_all),
    Step(REFUNDS, refunds.compare_all, needs=(INTENTS,)),
    Step(DISPUTES, disputes.compare_all, needs=(INTENTS,)),
    Step("fraud_warnings", warnings.compare_all),
    Step(TRANSFERS, transfers.compare_all, needs=(INTENTS,)),
    Step("application_fees", fees.compare_all, needs=(INTENTS,)),
    Step("platforms_payouts", payouts.compare_platforms),
    Step("coaches_payouts", payouts.compare_coaches),
    # Of the others, each object is read by itself.
    Step(ENTRIES, entries.compare_all, needs=(INTENTS, TRANSFERS)),
    Step("balances", sums.compare_balances, needs=(ENTRIES,)),
    Step("clearing_accounts", sums.compare_clearing_accounts, needs=(REFUNDS, DISPUTES, ENTRIES)),
)
# These ask Stripe nothing, and build on nothing that is recorded only now.
BY_OURSELVES = (
    Step("statements", sums.compare_statements),
    Step("totals", sums.compare_totals),
    Step("books", sums.check_books),
)


def go_through(around: Round) -> None:
    """Each step to its end, or to where it fails; the row and the list of differences say which did not get there."""
    if _take(FIRST, around):
        for step in WITH_STRIPE:
            _take(step, around)
    else:
        around.row.not_compared |= {step.name: _waits_for([FIRST.name]) for step in WITH_STRIPE}
    for step in BY_OURSELVES:
        _take(step, around)


def _take(step: Step, around: Round) -> bool:
    """Whether it came to its end."""
    lacking = [need for need in step.needs if need in around.row.not_compared]
    around.is_lacking = bool(lacking)
    failure = _try(step, around)
    if failure:
        waiting = [each.name for each in WITH_STRIPE if step.name in each.needs or step is FIRST]
        around.report(Finding(kinds.NOT_COMPARED, TYPE, step.name, {"waits_for_it": waiting}, {"error": failure}))
    elif around.since is None or not _is_left_of_everything(step):
        around.gone(TYPE, [step.name])
    if failure or lacking:
        around.row.not_compared[step.name] = failure or _waits_for(lacking)
    around.row.compared = around.compared
    around.row.save(update_fields=["compared", "not_compared"])
    return not failure


def _try(step: Step, around: Round) -> str:
    """Why it failed, or nothing."""
    try:
        step.do(around)
    except GatewayError as error:
        log.warning("comparison_step_failed", step=step.name, outcome=error.outcome, code=error.code)
        return f"{SAID[error.outcome]}: {error.message or error.code}"[:300]
    except Exception as error:
        log.exception("comparison_step_failed_by_a_bug", step=step.name)
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def _is_left_of_everything(step: Step) -> bool:
    """Whether the last comparison of everything lacks it: that is not made good by one of the last days, nor by one
    that was cut off before it came to this step.
    """
    ended = Reconciliation.objects.filter(scope=Reconciliation.Scope.FULL).exclude(failure=CUT_OFF)
    whole = ended.order_by("-began_at", "-pk").first()
    return whole is not None and step.name in whole.not_compared


def _waits_for(steps: list[str]) -> str:
    return f"It waits for what was not compared: {', '.join(steps).replace('_', ' ')}."
