"""The marks that our operations leave at Stripe: on what they make, and in the key of the request."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

# An operation's id and the number of the attempt. Keys that libraries make up, Stripe's and others', have no number.
_KEY = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9]+")


def operation_id(metadata: Mapping[str, Any]) -> uuid.UUID | None:
    """Of the operation that made the object; None where there is none, or no such mark as we leave."""
    try:
        return uuid.UUID(str(metadata.get("operation_id")))
    except ValueError:
        return None


def idempotency_key(operation_id: uuid.UUID, attempt: int) -> str:
    """A new one for each attempt: Stripe answers a known one with what it has answered before."""
    return f"{operation_id}-{attempt}"


def operation_of_key(key: str) -> uuid.UUID | None:
    """Of the operation that sent a request under this key; None where it is no key of ours."""
    found = _KEY.fullmatch(key)
    return uuid.UUID(found.group(1)) if found else None
