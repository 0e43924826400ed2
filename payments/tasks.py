"""What workers do for payments, one call each. Run twice or never, a task harms nothing; rows are the promise."""

import uuid

import structlog
from celery import shared_task
from django.conf import settings

from marketplace import clock
from payments import (
    bank_mails,
    dispute_mails,
    ledger,
    lookout,
    mirror,
    operations,
    operator_mails,
    payout_mails,
    payout_pollers,
    payouts,
    pollers,
    problems,
    statements,
    taking_turns,
    webhooks,
)
from payments.reconcile import reconcile_due

log = structlog.get_logger(__name__)

# Everything is many pages, each with its turn among all that Stripe is asked.
RECONCILE_SECONDS = 3 * 3600


@shared_task(name=operations.RUN_TASK)
def run_operation(operation_id: str) -> None:
    operations.run_operation(uuid.UUID(operation_id), now=clock.for_timers())


@shared_task(name="payments.tasks.sweep_operations")
def sweep_operations() -> None:
    operations.sweep(now=clock.for_timers())


@shared_task(name="payments.tasks.sweep_events")
def sweep_events() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        webhooks.sweep_events(now=now)


@shared_task(name="payments.tasks.mirror_events")
def mirror_events() -> None:
    mirror.mirror_events(now=clock.for_timers())


@shared_task(name="payments.tasks.prune_events")
def prune_events() -> None:
    now = clock.for_timers()
    webhooks.prune_events(now=now)
    taking_turns.forget(now)


@shared_task(name="payments.tasks.poll_open_payments")
def poll_open_payments() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.poll_open_payments(now=now)


@shared_task(name="payments.tasks.close_overdue_pages")
def close_overdue_pages() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.close_overdue_pages(now=now)


@shared_task(name="payments.tasks.poll_payout_accounts")
def poll_payout_accounts() -> None:
    pollers.poll_payout_accounts(now=clock.for_timers())


@shared_task(name="payments.tasks.poll_refunds")
def poll_refunds() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.poll_refunds(now=now)


@shared_task(name="payments.tasks.find_refunds_at_stripe")
def find_refunds_at_stripe() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.find_refunds_at_stripe(now=now)


@shared_task(name="payments.tasks.poll_disputes")
def poll_disputes() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.poll_disputes(now=now)


@shared_task(name="payments.tasks.find_disputes_at_stripe")
def find_disputes_at_stripe() -> None:
    now = clock.for_timers()
    if lookout.may_record(now):
        pollers.find_disputes_at_stripe(now=now)
        pollers.find_fraud_warnings_at_stripe(now=now)


@shared_task(name="payments.tasks.send_dispute_mails")
def send_dispute_mails() -> None:
    dispute_mails.send_due(now=clock.for_timers())


@shared_task(name="payments.tasks.poll_payouts")
def poll_payouts() -> None:
    payout_pollers.poll_payouts(now=clock.for_timers())


@shared_task(name="payments.tasks.poll_balances")
def poll_balances() -> None:
    payout_pollers.poll_balances(now=clock.for_timers())


@shared_task(name="payments.tasks.find_platform_payouts")
def find_platform_payouts() -> None:
    payout_pollers.find_platform_payouts(now=clock.for_timers())


@shared_task(name="payments.tasks.send_bank_mails")
def send_bank_mails() -> None:
    bank_mails.send_due(now=clock.for_timers())


@shared_task(name="payments.tasks.run_due_payouts")
def run_due_payouts() -> None:
    payouts.run_due(now=clock.for_timers())


@shared_task(name="payments.tasks.look_out")
def look_out() -> None:
    if settings.STRIPE_LOOK_OUT_SECONDS:
        lookout.look_out(clock.for_timers())


@shared_task(name="payments.tasks.send_payout_mails")
def send_payout_mails() -> None:
    payout_mails.send_due(now=clock.for_timers())


@shared_task(name="payments.tasks.tell_operators")
def tell_operators() -> None:
    now = clock.for_timers()
    problems.look(now)
    operator_mails.send_due(now=now)


@shared_task(name="payments.tasks.check_ledger")
def check_ledger() -> None:
    found = ledger.check()
    for imbalance in found:
        log.critical("books_out_of_balance", coach=imbalance.coach_id, imbalance=str(imbalance))
    problems.keep_imbalances(map(str, found), clock.for_timers())


@shared_task(name="payments.tasks.reconcile", time_limit=RECONCILE_SECONDS)
def reconcile() -> None:
    now = clock.for_timers()
    # A restored backup is put in order when a person says so: another installation may share the account.
    if lookout.may_record(now):
        reconcile_due(now=now)


@shared_task(name="payments.tasks.close_months")
def close_months() -> None:
    now = clock.for_timers()
    # What is taken over after a restore belongs to its own month.
    if not lookout.may_record(now):
        return
    if not statements.close_due_months(now) or statements.tell_coaches(now):
        # A round is short: ten thousand coaches are neither stated nor told in one.
        close_months.delay()
    problems.keep_unstated(now)
    # Last, since nobody waits for it: a year's page reads the ledger where there are no sums.
    statements.sum_up_closed_months()
