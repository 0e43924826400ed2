"""Months of the books: closed once, told to each coach, invoiced, and the same for ever after."""

from payments.statements.books import BankPayout, CoachMonth, Kind, Line, StatementDiffers, coach_month, is_closed
from payments.statements.closing import Unstated, close_due_months, unstated
from payments.statements.files import digest_of, statement_csv
from payments.statements.mails import tell_coaches
from payments.statements.months import MonthSums, month_shown, months_of
from payments.statements.proof import (
    are_totals_changed,
    due_for_a_look,
    is_changed,
    totals_due_for_a_look,
    verify,
)
from payments.statements.totals import QuarterTotals, year_totals, years_of
from payments.statements.years import Revenue, WholeYear, sum_up_closed_months, whole_year

__all__ = [
    "BankPayout",
    "CoachMonth",
    "Kind",
    "Line",
    "MonthSums",
    "QuarterTotals",
    "Revenue",
    "StatementDiffers",
    "Unstated",
    "WholeYear",
    "are_totals_changed",
    "close_due_months",
    "coach_month",
    "digest_of",
    "due_for_a_look",
    "is_changed",
    "is_closed",
    "month_shown",
    "months_of",
    "statement_csv",
    "sum_up_closed_months",
    "tell_coaches",
    "totals_due_for_a_look",
    "unstated",
    "verify",
    "whole_year",
    "year_totals",
    "years_of",
]
