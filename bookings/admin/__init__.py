"""Sessions, for staff. Nothing is edited here: what staff may do are transitions and decisions."""

from bookings.admin import bookings, claims, people

__all__ = ["bookings", "claims", "people"]
