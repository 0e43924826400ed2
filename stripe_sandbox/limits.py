"""Rate limits as Stripe has them: so many requests a second for an account, and so many for each endpoint.

Stripe's own numbers in test mode are 25 of both. Seconds are the machine's: a limit is about load, not about
what the sandbox's clock says.
"""

import time
from dataclasses import dataclass, field

from . import errors


@dataclass(slots=True)
class Bucket:
    """Requests that may still be made; fills up again within a second."""

    left: float
    at: float


@dataclass(slots=True)
class Limits:
    """Requests a second, 0 for no limit. A limit of N lets N through at once, then one each 1/N seconds."""

    account: int = 0
    endpoint: int = 0
    buckets: dict[tuple[str, ...], Bucket] = field(default_factory=dict)

    def count(self, account: str, method: str, route: str) -> None:
        """Counts a request. Raises StripeError 429; a refused request is not counted."""
        now = time.monotonic()
        of_account = self._full(self.account, (account,), now)
        of_endpoint = self._full(self.endpoint, (account, method, route), now)
        for bucket, reason in ((of_account, "global-rate"), (of_endpoint, "endpoint-rate")):
            if bucket and bucket.left < 1:
                raise errors.rate_limited(reason)
        for bucket in (of_account, of_endpoint):
            if bucket:
                bucket.left -= 1

    def _full(self, limit: int, name: tuple[str, ...], now: float) -> Bucket | None:
        """The bucket as full as it is by now."""
        if not limit:
            return None
        bucket = self.buckets.setdefault(name, Bucket(limit, now))
        bucket.left = min(limit, bucket.left + (now - bucket.at) * limit)
        bucket.at = now
        return bucket
