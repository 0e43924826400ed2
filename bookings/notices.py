"""Mails that transitions owe: written with the transition, sent after it, remembered on their rows.

Under any number of workers a mail is sent once. Only a worker that dies between handing the mail over
and noting it leads to a second copy: a mail twice is better than a mail never.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from kombu.exceptions import OperationalError as BrokerError

from bookings import calendars, mail
from bookings.models import BookingEvent, Notice
from bookings.process import Mail
from marketplace import clock
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

# Longer than any attempt to send: the mail server is given 10 s (EMAIL_TIMEOUT) for each step of a few.
LEASE = timedelta(minutes=2)
# Retried after 1, 2, 4 ... minutes, at most 6 hours apart; after the last try the row waits for staff.
LONGEST_PAUSE = timedelta(hours=6)
MOST_TRIES = 12
SEND_TASK = "bookings.tasks.send_notices"


def write(*, event: BookingEvent, mails: Sequence[Mail], now: datetime) -> None:
    """Inside the transition's transaction; the fast path sends them right after it."""
    if not mails:
        return
    Notice.objects.bulk_create(
        Notice(event=event, recipient=mail.recipient, template=mail.template, next_try_at=now) for mail in mails
    )
    transaction.on_commit(_send_soon, robust=True)


def _send_soon() -> None:
    try:
        current_app.send_task(SEND_TASK, retry=False)
    except BrokerError:
        # The rows are the promise: the next tick sends them.
        log.warning("broker_unreachable", task=SEND_TASK)


def send_due(*, now: datetime, limit: int = 50) -> int:
    """Sends what is due, oldest first; returns how many went out."""
    due = _due(now).order_by("next_try_at", "pk").values_list("pk", flat=True)
    return sum(_send(pk, now) for pk in for_a_while(list(due[:limit])))


def _due(now: datetime) -> QuerySet[Notice]:
    free = Q(lease_until=None) | Q(lease_until__lte=clock.wall())
    return Notice.objects.filter(free, sent_at=None, next_try_at__lte=now, tries__lt=MOST_TRIES)


def _send(pk: int, now: datetime) -> bool:
    claimed = _due(now).filter(pk=pk).update(lease_until=clock.wall() + LEASE, tries=F("tries") + 1)
    if claimed != 1:
        return False  # another worker has it
    notice = Notice.objects.select_related(
        "event__booking__student__user", "event__booking__coach__user", "event__booking__payment"
    ).get(pk=pk)
    if mail.is_overtaken(notice, now=now):
        # It would say what is not so any more; the mail about what came after it is on its way.
        log.info("notice_overtaken", notice=pk, template=notice.template)
        notice.delete()
        return False
    try:
        _message(notice).send()
    except Exception:
        pause = min(timedelta(minutes=2 ** (notice.tries - 1)), LONGEST_PAUSE)
        Notice.objects.filter(pk=pk).update(lease_until=None, next_try_at=now + pause)
        log.exception("notice_not_sent", notice=pk, tries=notice.tries)
        return False
    Notice.objects.filter(pk=pk).update(lease_until=None, sent_at=now)
    return True


def _message(notice: Notice) -> EmailMultiAlternatives:
    context = mail.context(notice)
    # A subject is one line, whatever is in the names it mentions.
    subject = " ".join(_said(notice, "subject.txt", context).split())
    message = EmailMultiAlternatives(subject, _said(notice, "body.txt", context), to=[context["email"]])
    message.attach_alternative(_said(notice, "body.html", context), "text/html")
    _attach_invitation(message, notice)
    return message


def _said(notice: Notice, part: str, context: dict[str, Any]) -> str:
    """In the words for this side, or in those for both."""
    both = notice.template.removesuffix(f"-{notice.recipient}")
    return render_to_string([f"mail/{notice.template}-{part}", f"mail/{both}-{part}"], context)


def _attach_invitation(message: EmailMultiAlternatives, notice: Notice) -> None:
    """Twice, as the programs want it: Outlook and Gmail look among the alternatives, others for a file to open.

    Most providers' own APIs take no other alternative than HTML and would refuse the mail: there it is the file alone.
    """
    booking = notice.event.booking
    method = calendars.method(booking)
    if method:
        to = booking.student.user if notice.recipient == Notice.Recipient.STUDENT else booking.coach.user
        content = calendars.invitation(booking, to=to, at=notice.event.at).decode()
        if not settings.EMAIL_BACKEND.startswith("anymail."):
            message.attach_alternative(content, f"text/calendar; method={method}")
        message.attach("session.ics", content, f"text/calendar; method={method}")
