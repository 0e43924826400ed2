"""What went wrong with a call to Stripe, in the few ways that matter to us."""

from typing import Literal, NoReturn

import requests
import stripe
import structlog
from urllib3.exceptions import MaxRetryError, NewConnectionError

log = structlog.get_logger(__name__)

Outcome = Literal["refused", "busy", "lost", "broken"]


class GatewayError(Exception):
    """Stripe did not do what it was asked, or we can't know.

    `outcome` says what to do about it:
    - refused: it had no effect and never will; asking again as it is changes nothing
    - busy: it had no effect this time (rate limit, no connection, our key is not accepted): ask later
    - lost: the answer is lost, it may have had its effect: the same key again
    - broken: the key brings this same failure for ever: look whether it had its effect

    `declined`: it was refused by the card's bank, and not by Stripe.
    """

    def __init__(self, outcome: Outcome, code: str, message: str, *, declined: bool = False) -> None:
        super().__init__(f"{outcome}: {code or 'no code'}")
        self.outcome: Outcome = outcome
        self.declined = declined
        self.code = code[:100]
        # Stripe's words, for staff: never shown to the public, and never logged.
        self.message = message[:500]

    @property
    def permanent(self) -> bool:
        return self.outcome == "refused"


def raise_as_ours(error: stripe.StripeError, path: str) -> NoReturn:
    """The library leaves `code` empty on some errors (401, 403, 409, 429); the body's own is always there."""
    code = (error.error.code if error.error else error.code) or ""
    outcome = _outcome(error)
    if isinstance(error, stripe.IdempotencyError):
        # The same key with other parameters: only a bug of ours does that, or a release that writes them otherwise.
        code = "idempotency_error"
        log.critical("stripe_key_reused_with_other_parameters", path=path)
    elif isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        log.critical("stripe_refuses_our_key", path=path, code=code, status=error.http_status)
    message = (error.error.message if error.error else None) or type(error).__name__
    raise GatewayError(outcome, code, message, declined=isinstance(error, stripe.CardError)) from error


def _outcome(error: stripe.StripeError) -> Outcome:
    status = error.http_status
    if isinstance(error, stripe.APIConnectionError):
        return "busy" if _never_sent(error) else "lost"
    if status in (401, 403, 429):
        return "busy"
    # This request had no effect, but the one that used the key before may well have had its own.
    if isinstance(error, stripe.IdempotencyError):
        return "broken"
    # A replayed failure is stored for good, so the request it answers is over.
    if status in (424, 500) or (status is not None and status > 500 and _replayed(error)):
        return "broken"
    # 409: another request with this key is under way. 502 to 504 come from in front of Stripe's own machines,
    # and a body that is not Stripe's error may stand for any answer.
    if status is None or status in (408, 409, 425) or status >= 501 or error.error is None:
        return "lost"
    return "refused"


def _replayed(error: stripe.StripeError) -> bool:
    return (error.headers or {}).get("Idempotent-Replayed") == "true"


def _never_sent(error: stripe.APIConnectionError) -> bool:
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    reason = cause.args[0] if isinstance(cause, requests.exceptions.ConnectionError) and cause.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)
