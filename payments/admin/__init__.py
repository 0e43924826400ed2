"""Money, for staff: enough to see what happened and why. Nothing is edited here."""

from payments.admin import books, mirrored, money, refund_desk, talk

__all__ = ["books", "mirrored", "money", "refund_desk", "talk"]
