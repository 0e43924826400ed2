"""Which API versions there are: those that the installed `stripe` package lists for webhook endpoints."""

import functools
import re

from . import schema
from .errors import StripeError
from .world import API_VERSION

# `2026-08-26.dahlia`, and with private features: `2026-08-26.preview; some_beta=v1`.
_PREVIEW = re.compile(r"\d{4}-\d{2}-\d{2}\.preview")


@functools.cache
def known() -> frozenset[str]:
    fields = schema.schema("WebhookEndpointCreateParams").fields or {}
    return frozenset({API_VERSION, *fields["api_version"].literals})


def check(version: str) -> None:
    """Raises StripeError (400) when Stripe never had this version. All known ones are answered in the newest shape."""
    named = version.partition(";")[0].strip()
    if named not in known() and not _PREVIEW.fullmatch(named):
        raise StripeError(f"Invalid Stripe API version: {version[:100]}")
