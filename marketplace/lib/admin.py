"""What the admin pages of every app share."""

from typing import Any


class ReadOnly:
    """Looked at, never edited: whatever changes these rows is a service, or Stripe, or the person themselves."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False
