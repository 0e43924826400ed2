"""Money, for staff: enough to see what happened and why. Nothing is edited here."""

from payments.admin import books, mirrored, money, talk

__all__ = ["books", "mirrored", "money", "talk"]
