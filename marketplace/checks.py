"""What `manage.py check` says of this installation, beyond Django's own checks."""

from typing import Any

from django.conf import settings
from django.core import checks

from marketplace.lib.letters import unusable_fonts


@checks.register()
def somebody_is_told(**_: Any) -> list[checks.CheckMessage]:
    if settings.DEBUG or settings.OPERATOR_EMAILS:
        return []
    hint = "Set OPERATOR_EMAILS to the addresses of those who run this installation."
    return [checks.Warning("Nobody is told by mail when something is wrong.", hint=hint, id="marketplace.W001")]


@checks.register()
def papers_can_be_set(**_: Any) -> list[checks.CheckMessage]:
    hint = "PDF_FONTS takes fonts with TrueType outlines: files that end in .ttf, as a rule."
    return [
        checks.Error(f"A font can't be used: {wrong}", hint=hint, id="marketplace.E001") for wrong in unusable_fonts()
    ]
