"""The marks that our objects bear at Stripe."""

import uuid
from collections.abc import Mapping
from typing import Any


def operation_id(metadata: Mapping[str, Any]) -> uuid.UUID | None:
    """Of the operation that made the object; None where there is none, or no such mark as we leave."""
    try:
        return uuid.UUID(str(metadata.get("operation_id")))
    except ValueError:
        return None
