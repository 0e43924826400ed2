"""How a call is made, and the one place that knows Stripe's library.

A change needs an idempotency key and is sent once: repeating is the business of `payments.operations`, which
knows what a lost answer means. Nothing here touches our database, and nothing may hold a transaction open
while Stripe is asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Generic, Literal, Protocol, TypeVar

import stripe
import structlog
from django.conf import settings
from django.db import connections

from payments import pacing
from payments.stripe_failures import GatewayError, raise_as_ours
from payments.stripe_objects import Json

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 3.05
READ_TIMEOUT_SECONDS = 10
PAGE_SIZE = 100

_Facts = TypeVar("_Facts")


class _Tagged(Protocol):
    """What an operation leaves its mark on."""

    @property
    def metadata(self) -> Mapping[str, str]: ...


_Found = TypeVar("_Found", bound=_Tagged)


class NetworkInTransactionError(RuntimeError):
    """Stripe was about to be asked while a database transaction is open: a bug, whatever Stripe would say."""


@cache
def client() -> stripe.StripeClient:
    """One for each process; its connections are kept per thread."""
    sandbox = settings.STRIPE_SANDBOX_URL
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": sandbox, "connect": sandbox, "files": sandbox} if sandbox else None,
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)),
    )


def change(path: str, params: Json, key: str, parse: Callable[[Json], _Facts], *, account_id: str = "") -> _Facts:
    """`account_id`: the connected account whose object it is; empty for our own, here and below."""
    return call("post", path, params, {"idempotency_key": key, "stripe_account": account_id}, parse)


def read(path: str, params: Json, parse: Callable[[Json], _Facts], **options: str) -> _Facts:
    """A read changes nothing, so a lost answer is asked for once more at once."""
    try:
        return call("get", path, params, options, parse)
    except GatewayError as error:
        if error.outcome != "lost":
            raise
        return call("get", path, params, options, parse)


def list_all(path: str, params: Json, parse: Callable[[Json], _Facts], *, account_id: str = "") -> Iterator[_Facts]:
    """Every object of a v1 list, newest first, page by page: these lists show what was made a moment ago."""
    read_page = partial(_read_page, parse)
    cursor: dict[str, str] = {}
    while True:
        asked = {**params, **cursor, "limit": PAGE_SIZE}
        page = read(path, asked, read_page, stripe_account=account_id)
        yield from page.facts
        if not page.has_more:
            return
        cursor = {"starting_after": page.last_id}


@dataclass(frozen=True, slots=True)
class _Page(Generic[_Facts]):
    facts: list[_Facts]
    last_id: str
    has_more: bool


def _read_page(parse: Callable[[Json], _Facts], data: Json) -> _Page[_Facts]:
    objects = data["data"]
    return _Page([parse(each) for each in objects], objects[-1]["id"] if objects else "", data["has_more"])


def first_of(found: Iterable[_Found], operation_id: str) -> _Found | None:
    return next((facts for facts in found if facts.metadata.get("operation_id") == operation_id), None)


def call(
    method: Literal["get", "post", "delete"], path: str, params: Json, options: Json, parse: Callable[[Json], _Facts]
) -> _Facts:
    _refuse_open_transaction()
    if not pacing.take_turn(f"{method}:{'/'.join(path.split('/')[:3])}"):
        raise GatewayError("busy", "paced", "All that Stripe lets us ask in a second is asked for.")
    try:
        answer = client().raw_request(method, path, **params, **options)
    except stripe.StripeError as error:
        raise_as_ours(error, path)
    try:
        return parse(answer.data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("stripe_answer_unreadable", path=path, error=type(error).__name__)
        raise GatewayError("lost", "unreadable_answer", "The answer was not what Stripe sends.") from error


def _refuse_open_transaction() -> None:
    """A call inside a transaction holds its locks for as long as Stripe likes. A test case's own one is no matter."""
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise NetworkInTransactionError("A database transaction is open: commit before Stripe is asked.")
