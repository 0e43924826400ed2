"""Mails to the operators about what is wrong: at once when it begins, once when it is over, and daily while it lasts.

At most so many go out within an hour; what comes on top is told by the first one after it, together. A mail's number
is claimed before it is sent, with the rows that it tells of; a mail that could not be sent gives both back, and the
next round tries again. So only a worker that dies in between costs a mail, and the daily one tells of the same.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.urls import reverse

from marketplace.lib.mails import send_mail
from payments import problems
from payments.models import OperatorMail, Problem

log = structlog.get_logger(__name__)

MOST_AN_HOUR = 6
DIGEST_EVERY = timedelta(days=1)
# What was over before this was never told, since there was no address: nobody wants it now.
TELL_WITHIN = timedelta(days=1)
# So many are named; the page has them all.
NAMED = 20


def send_due(*, now: datetime) -> bool:
    """Whether a mail was sent."""
    if not settings.OPERATOR_EMAILS:
        return False
    claimed = _claim(now)
    if claimed is None:
        return False
    try:
        _send(claimed)
    except Exception:
        claimed.delete()  # its rows are untold again
        log.exception("operators_not_told")
        return False
    return True


def _claim(now: datetime) -> OperatorMail | None:
    # Read before all else: who claims the next number has seen all that the last one told.
    last = OperatorMail.objects.order_by("-number").first()
    if OperatorMail.objects.filter(written_at__gt=now - timedelta(hours=1)).count() >= MOST_AN_HOUR:
        return None
    begun, over = list(_begun(now)), list(_over(now))
    lasts = last is not None and last.written_at <= now - DIGEST_EVERY and problems.current().exists()
    if not (begun or over or lasts):
        return None
    try:
        with transaction.atomic():
            claimed = OperatorMail.objects.create(number=last.number + 1 if last else 1, written_at=now)
            Problem.objects.filter(pk__in=[row.pk for row in begun]).update(begun_mail=claimed)
            told_whole = [row.pk for row in begun if row.ended_at]
            Problem.objects.filter(pk__in=[*told_whole, *(row.pk for row in over)]).update(ended_mail=claimed)
    except IntegrityError:
        return None  # another worker writes it
    return claimed


def _begun(now: datetime) -> QuerySet[Problem]:
    lasting = Q(ended_at=None) | Q(ended_at__gt=now - TELL_WITHIN)
    return Problem.objects.filter(lasting, begun_mail=None)


def _over(now: datetime) -> QuerySet[Problem]:
    """Those whose beginning was told, and that did not come back soon."""
    told = Problem.objects.filter(begun_mail__isnull=False, ended_mail=None)
    return told.filter(ended_at__lte=now - problems.SETTLES_AFTER)


def _send(claimed: OperatorMail) -> None:
    order = ("began_at", "pk")
    begun = list(claimed.begun.order_by(*order))
    over = list(claimed.ended.exclude(begun_mail=claimed).order_by(*order))
    still = list(problems.current().exclude(begun_mail=claimed))
    sections = [("New", begun), ("Over", over), ("Still so", still)]
    context = {
        "subject": _subject(begun, over, still),
        "sections": [
            {"title": title, "rows": [_row(row) for row in rows[:NAMED]], "more": max(0, len(rows) - NAMED)}
            for title, rows in sections
            if rows
        ],
        "link": settings.SITE_URL + reverse("admin:payments_problem_changelist"),
    }
    send_mail("problems", context, *settings.OPERATOR_EMAILS)


def _subject(begun: list[Problem], over: list[Problem], still: list[Problem]) -> str:
    if len(begun) == 1:
        return begun[0].what
    if begun:
        return f"{len(begun)} things are wrong"
    if over:
        return f"Over: {over[0].what}" if len(over) == 1 else f"{len(over)} things are over"
    return f"Still so: {still[0].what}" if len(still) == 1 else f"{len(still)} things are still wrong"


def _row(problem: Problem) -> dict[str, Any]:
    return {"problem": problem, "link": settings.SITE_URL + problem.page}
