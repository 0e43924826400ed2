"""Where Stripe reports: verify, store, answer. No call to Stripe, no business, nothing enqueued.

A bad signature costs a 400 and stores nothing; a good one is one INSERT and 200. The worker finds the row.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import stripe
import structlog
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from marketplace import clock
from payments.models import StripeEvent

log = structlog.get_logger(__name__)

# Stripe's own tolerance, but in both directions: the library lets timestamps from the future pass.
TOLERANCE_SECONDS = 300
LARGEST_BODY = 1024 * 1024
_LENGTH = re.compile(r"[0-9]{1,10}")
# Stripe sends two signatures while a secret is being rolled; a header much longer than that is not from Stripe.
LONGEST_SIGNATURE_HEADER = 1024
_SIGNED_AT = re.compile(r"t=([0-9]{1,12}),")
# Ids go into text columns, which can't hold everything that JSON can.
_ID = re.compile(r"[A-Za-z0-9_.\-]{1,100}")
# Events of these types tell who a coach is and the details of their bank. Stripe keeps that, and we don't.
_PERSONAL = ("account.", "person.")
_REFUSALS_LOGGED_EVERY_SECONDS = 60

Handler = Callable[[HttpRequest], HttpResponse]


class RefusedError(Exception):
    """The request is answered with `status` and stores nothing."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@csrf_exempt
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Events of the platform's own account."""
    return _take_in(request, settings.STRIPE_WEBHOOK_SECRETS)


@csrf_exempt
def stripe_connect_webhook(request: HttpRequest) -> HttpResponse:
    """Events of connected accounts, which name the account and are signed with another secret."""
    return _take_in(request, settings.STRIPE_CONNECT_WEBHOOK_SECRETS)


def straight_to_intake(get_response: Handler) -> Handler:
    """The outermost middleware: Stripe's requests skip sessions, log-in, content policies and redirects.

    They need none of these, and a redirect to https would count as a failed delivery.
    """
    views = {
        reverse("payments:stripe_webhook"): stripe_webhook,
        reverse("payments:stripe_connect_webhook"): stripe_connect_webhook,
    }

    def handle(request: HttpRequest) -> HttpResponse:
        view = views.get(request.path)
        return get_response(request) if view is None else view(request)

    return handle


def _take_in(request: HttpRequest, secrets: list[str]) -> HttpResponse:
    try:
        body = _read_body(request)
        _verify(body, request.META.get("HTTP_STRIPE_SIGNATURE", ""), secrets)
        row = _read_event(body)
    except RefusedError as refusal:
        return _refused(refusal)
    try:
        _insert(row)
    except Error:
        # Never 2xx for an event that is not stored: Stripe sends it again.
        log.exception("event_not_stored", event_id=row.event_id)
        return HttpResponse(status=503)
    return HttpResponse(status=200)


def _read_body(request: HttpRequest) -> bytes:
    """The size is known before a byte is read; a body sent without a length is not read at all."""
    if request.method != "POST":
        raise RefusedError(405, "method")
    if request.content_type != "application/json":
        raise RefusedError(415, "content type")
    length = request.META.get("CONTENT_LENGTH") or ""
    if not _LENGTH.fullmatch(length) or int(length) > LARGEST_BODY:
        raise RefusedError(413, "size")
    return request.body


def _verify(body: bytes, header: str, secrets: list[str]) -> None:
    signed_at = _SIGNED_AT.match(header)
    if signed_at is None or len(header) > LONGEST_SIGNATURE_HEADER or not header.isascii():
        raise RefusedError(400, "signature header")
    if int(signed_at[1]) > time.time() + TOLERANCE_SECONDS:
        raise RefusedError(400, "signed in the future")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise RefusedError(400, "not UTF-8") from error
    if not any(_is_signed(text, header, secret) for secret in secrets):
        raise RefusedError(400, "signature")


def _is_signed(text: str, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, header, secret, TOLERANCE_SECONDS)
    except stripe.SignatureVerificationError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Row:
    event_id: str
    type: str
    account: str
    object_id: str
    livemode: bool
    payload: bytes
    ignored_because: str


def _read_event(body: bytes) -> _Row:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "not JSON") from error
    if not isinstance(event, dict) or not _is_id(event.get("id")) or not _is_id(event.get("type")):
        raise RefusedError(400, "not an event")
    livemode = event.get("livemode") is True
    return _Row(
        event_id=event["id"],
        type=event["type"],
        account=_id_or_blank(event.get("account"))[:64],
        object_id=_id_or_blank(_object_of(event).get("id")),
        livemode=livemode,
        payload=_impersonal(event) if event["type"].startswith(_PERSONAL) else body,
        ignored_because=_reason_to_ignore(event, livemode),
    )


def _impersonal(event: dict[str, Any]) -> bytes:
    """What the object was like is left out: the worker reads it from Stripe."""
    about = {name: _id_or_blank(_object_of(event).get(name)) for name in ("id", "object")}
    return json.dumps({**event, "data": {"object": about}}).encode()


def _reason_to_ignore(event: dict[str, Any], livemode: bool) -> str:
    if event.get("object") != "event":
        return "not a snapshot event"
    if livemode != settings.STRIPE_LIVE_MODE:
        # Live Connect endpoints do get test events: https://docs.stripe.com/connect/webhooks
        return "of the other mode (livemode)"
    return ""


def _object_of(event: dict[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    found = data.get("object") if isinstance(data, dict) else None
    return found if isinstance(found, dict) else {}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _id_or_blank(value: object) -> str:
    return str(value) if _is_id(value) else ""


def _insert(row: _Row) -> None:
    """One statement, one round trip: a second delivery of the same event changes nothing.

    Plain SQL, since the ORM's own way to ignore conflicts opens a transaction, which makes three round trips.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, _values(row))


_COLUMNS = (
    "event_id", "type", "account", "object_id", "livemode", "payload", "received_at", "next_try_at",
    "state", "reason", "mirror_state", "tries", "mirror_tries", "mirror_error",
)  # fmt: skip
_INSERT = (
    f"INSERT INTO payments_stripeevent ({', '.join(_COLUMNS)}) "  # noqa: S608  # constants above
    f"VALUES ({', '.join(['%s'] * len(_COLUMNS))}) ON CONFLICT (event_id) DO NOTHING"
)


def _values(row: _Row) -> list[Any]:
    now = connection.ops.adapt_datetimefield_value(clock.now())
    state, mirror_state = StripeEvent.State.NEW, StripeEvent.MirrorState.NEW
    if row.ignored_because:
        state, mirror_state = StripeEvent.State.IGNORED, StripeEvent.MirrorState.SKIPPED
    return [
        row.event_id, row.type, row.account, row.object_id, row.livemode, row.payload, now, now,
        str(state), row.ignored_because, str(mirror_state), 0, 0, "",
    ]  # fmt: skip


# --- refusals -----------------------------------------------------------------------------------


class _Refusals:
    """How many there were since the log last heard of them; each process counts its own."""

    count = 0
    logged_at = float("-inf")


def _refused(refusal: RefusedError) -> HttpResponse:
    """Anyone can send rubbish as fast as they like, so the log hears of it once a minute, with the count."""
    _Refusals.count += 1
    if time.monotonic() - _Refusals.logged_at >= _REFUSALS_LOGGED_EVERY_SECONDS:
        log.warning("webhook_requests_refused", count=_Refusals.count, latest=str(refusal))
        _Refusals.count, _Refusals.logged_at = 0, time.monotonic()
    response = HttpResponse(status=refusal.status)
    if refusal.status == 405:
        response["Allow"] = "POST"
    # Django would log each of them; this is how its own code marks an answer that is logged already.
    setattr(response, "_has_been_logged", True)  # noqa: B010  # not a field of the class
    return response
