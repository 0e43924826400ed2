"""Pages of development: the mail that was sent, and the clock that product and sandbox share."""

from datetime import datetime, timedelta

from csp.constants import NONE, SELF, UNSAFE_INLINE
from csp.decorators import csp_replace, csp_update
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from bookings.demo.stage import settle
from marketplace import clock
from marketplace.dev_mail import StoredMail, newest_first
from marketplace.lib import sandbox

# Holds keep this margin to their end, so that no timer comes too late for its hold because of a jump.
STEP = timedelta(hours=6)
SHOWN_MAILS = 200


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    return render(request, "dev/mailbox.html", {"mails": newest_first(settings.EMAIL_FILE_PATH)[:SHOWN_MAILS]})


@require_safe
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # csp knows views without arguments only
def mail(request: HttpRequest, key: str) -> HttpResponse:
    return render(request, "dev/mail.html", {"mail": _get_mail(key)})


@require_safe
@xframe_options_sameorigin
@csp_replace(  # type: ignore[arg-type]  # likewise
    {
        "default-src": [NONE],
        "script-src": [NONE],
        "connect-src": [NONE],
        "form-action": [NONE],
        "style-src": [UNSAFE_INLINE],
        "img-src": ["data:"],
        "frame-ancestors": [SELF],
        "sandbox": ["allow-popups", "allow-popups-to-escape-sandbox"],
    }
)
def mail_html(request: HttpRequest, key: str) -> HttpResponse:
    """The mail as its sender made it, in a frame that may do nothing but open links in a new window."""
    return HttpResponse(_get_mail(key).html.replace("<head>", '<head><base target="_blank">', 1))


def _get_mail(key: str) -> StoredMail:
    for stored in newest_first(settings.EMAIL_FILE_PATH):
        if stored.key == key:
            return stored
    raise Http404


@require_POST
def move_clock(request: HttpRequest) -> HttpResponse:
    """Moves the sandbox's clock and with it the product's: by `hours`, by `days`, or to the `month`'s end."""
    target = _target(request, clock.now())
    if target is None:
        return HttpResponseBadRequest("Say hours, days or month.")
    _walk_to(target)
    messages.success(request, "The clock has moved, and what fell due on the way has happened.")
    back = request.POST.get("next", "")
    return redirect(back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else "home")


def _target(request: HttpRequest, now: datetime) -> datetime | None:
    if "month" in request.POST:
        # The first instant of the next month: what was earned in this one can be paid out.
        return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
    for unit in ("hours", "days"):
        amount = request.POST.get(unit, "")
        if amount.isdecimal() and 0 < int(amount) <= 1000:
            return now + timedelta(**{unit: int(amount)})
    return None


def _walk_to(target: datetime) -> None:
    """In steps, doing what timers would have done by each: in one leap, holds would lapse before they are captured."""
    while (now := clock.now()) < target:
        # The sandbox counts whole seconds, so that the product's clock may lag by one: a second more is surely past it.
        sandbox.set_clock(int(min(now + STEP, target).timestamp()) + 1)
        settle()
