"""Our books and Stripe's compared, object by object and cent by cent.

What the facts allow is repaired, by the same `record_*` as events and pollers use; the rest is shown to staff with
what it means and what to do about it.
"""

from payments.reconcile.engine import ReconciliationUnderWay, open_differences, reconcile, reconcile_due
from payments.reconcile.explaining import DifferenceSettled, explain
from payments.reconcile.kinds import KINDS, Family, Kind

__all__ = [
    "KINDS",
    "DifferenceSettled",
    "Family",
    "Kind",
    "ReconciliationUnderWay",
    "explain",
    "open_differences",
    "reconcile",
    "reconcile_due",
]
