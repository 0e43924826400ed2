"""Money, for staff: enough to see what happened and why. Nothing is edited here."""

from payments.admin import (
    bank_payouts,
    books,
    corrections,
    disputes,
    mirrored,
    money,
    problems,
    reconciliation,
    refund_desk,
    reversals,
    runs,
    standstills,
    statements,
    talk,
)

__all__ = [
    "bank_payouts",
    "books",
    "corrections",
    "disputes",
    "mirrored",
    "money",
    "problems",
    "reconciliation",
    "refund_desk",
    "reversals",
    "runs",
    "standstills",
    "statements",
    "talk",
]
