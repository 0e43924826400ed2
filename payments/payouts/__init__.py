"""The monthly run: pays each coach, in each currency, what was released before the month's end, by one transfer.

A run is a row with a stage, so it is safe to run twice, to be killed at any line, and to be raced by a second
beat: lines are planned once, in the transaction that opens the run; one process at a time pays them, each line by
one Operation at a time; and whoever learns of the transfer first (our own call, a repeated one, Stripe's event)
records it once.
"""

from marketplace.lib.months import UnknownMonth, end_of, month_before
from payments.payouts.holding import LineHeld, LineNotHeld, LineOnItsWay, hold_line, release_line
from payments.payouts.lines import CANT_RECEIVE, DISPUTED, UP_TO_THE_COACH, due_lines, pay_line
from payments.payouts.overview import Part, Progress, WaitingSum, progress, waiting
from payments.payouts.planning import BooksOutOfBalance, MonthNotOver, PlannedLine, dry_run, open_run, plan_run
from payments.payouts.run import close_run, pay_lines, run_due
from payments.payouts.transfers import record_transfer

__all__ = [
    "CANT_RECEIVE",
    "DISPUTED",
    "UP_TO_THE_COACH",
    "BooksOutOfBalance",
    "LineHeld",
    "LineNotHeld",
    "LineOnItsWay",
    "MonthNotOver",
    "Part",
    "PlannedLine",
    "Progress",
    "UnknownMonth",
    "WaitingSum",
    "close_run",
    "dry_run",
    "due_lines",
    "end_of",
    "hold_line",
    "month_before",
    "open_run",
    "pay_line",
    "pay_lines",
    "plan_run",
    "progress",
    "record_transfer",
    "release_line",
    "run_due",
    "waiting",
]
