"""Mails about lines of the monthly run: what waits for the coach to do something, and what was paid; each once.

The line's own times remember what was sent. They are set before the mail and put back where it could not be sent, so
only a worker that dies in between costs a mail. A mail that could not be sent lets the others go first.
"""

from datetime import datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.db.models import QuerySet
from django.urls import reverse

from marketplace.lib.mails import send_mail
from marketplace.lib.months import start_of
from payments.models import PayoutLine
from payments.payouts import UP_TO_THE_COACH
from payments.rounds import for_a_while
from payments.taking_turns import attempt, ready

# What was paid longer ago is no news: mail was switched off, or the line is older than these mails.
TELL_WITHIN = timedelta(days=7)

Told = Literal["told_waiting_at", "told_paid_at"]


def send_due(*, now: datetime, limit: int = 200) -> int:
    """Returns how many mails were sent."""
    due: tuple[tuple[Told, QuerySet[PayoutLine]], ...] = (
        ("told_waiting_at", _to_tell_waiting()),
        ("told_paid_at", _to_tell_paid(now)),
    )
    return sum(_tell(line, told, now) for told, lines in due for line in for_a_while(ready(lines, told, now)[:limit]))


def _to_tell_waiting() -> QuerySet[PayoutLine]:
    waiting = PayoutLine.objects.filter(status=PayoutLine.Status.WAITING, waiting_for__in=list(UP_TO_THE_COACH))
    return waiting.filter(told_waiting_at=None).select_related("run", "coach__user").order_by("pk")


def _to_tell_paid(now: datetime) -> QuerySet[PayoutLine]:
    paid = PayoutLine.objects.filter(status=PayoutLine.Status.PAID, told_paid_at=None, paid_at__gt=now - TELL_WITHIN)
    return paid.select_related("run", "coach__user").order_by("pk")


def _tell(line: PayoutLine, told: Told, now: datetime) -> bool:
    as_read = {name: getattr(line, name) for name in ("pk", "status", "waiting_for", "amount")}
    if not PayoutLine.objects.filter(**as_read, **{told: None}).update(**{told: now}):
        return False  # another worker has it, or what we would say of it is true no more
    template = "line-paid" if told == "told_paid_at" else "line-waiting"
    if attempt(told, line.pk, lambda: send_mail(template, _context(line), line.coach.user.email), now):
        return True
    PayoutLine.objects.filter(pk=line.pk, **{told: now}).update(**{told: None})
    return False


def _context(line: PayoutLine) -> dict[str, Any]:
    return {
        "line": line,
        "way_out": UP_TO_THE_COACH.get(line.waiting_for, ""),
        "month": f"{start_of(line.run.month):%B %Y}",
        "name": line.coach.user.get_short_name(),
        "earnings": settings.SITE_URL + reverse("payments:earnings"),
        "payouts": settings.SITE_URL + reverse("payments:payouts"),
    }
