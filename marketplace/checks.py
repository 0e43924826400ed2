"""What `manage.py check` says of this installation, beyond Django's own checks."""

from typing import Any

from django.conf import settings
from django.core import checks


@checks.register()
def somebody_is_told(**_: Any) -> list[checks.CheckMessage]:
    if settings.DEBUG or settings.OPERATOR_EMAILS:
        return []
    hint = "Set OPERATOR_EMAILS to the addresses of those who run this installation."
    return [checks.Warning("Nobody is told by mail when something is wrong.", hint=hint, id="marketplace.W001")]
