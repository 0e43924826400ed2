"""Web addresses that a parameter gives: where customers and webhooks go."""

from urllib.parse import urlsplit

from .errors import Json, validation


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # half a pair of brackets
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def check(params: Json, *names: str) -> None:
    """Raises StripeError 400 for the first of these parameters that is given and no address."""
    for name in names:
        if name in params and not is_address(params[name]):
            raise validation("Not a valid URL", name, "url_invalid")
