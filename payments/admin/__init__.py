"""Money, for staff: enough to see what happened and why. Nothing is edited here."""

from payments.admin import (
    books,
    disputes,
    mirrored,
    money,
    reconciliation,
    refund_desk,
    reversals,
    runs,
    standstills,
    statements,
    talk,
)

__all__ = [
    "books",
    "disputes",
    "mirrored",
    "money",
    "reconciliation",
    "refund_desk",
    "reversals",
    "runs",
    "standstills",
    "statements",
    "talk",
]
