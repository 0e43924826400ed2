"""Mails about disputes: the coach is asked for their side, reminded as staff are, and told how it ended.

The dispute's own times remember what was sent. They are set before the mail and put back where it could not be
sent, so only a worker that dies in between costs a mail. A mail that could not be sent lets the others go first.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse

from marketplace.lib.mails import send_mail
from payments.dispute_ends import end_for_coach
from payments.models import Dispute, Reversal
from payments.rounds import for_a_while
from payments.services.answering import ANSWERABLE
from payments.taking_turns import attempt, ready

ASK, REMIND, TELL = "dispute_asked", "dispute_reminded", "dispute_ended"

# How long before the bank's deadline everybody is reminded.
REMIND_BEFORE = (timedelta(days=7), timedelta(days=2))


def send_due(*, now: datetime, limit: int = 50) -> int:
    """Returns how many disputes were written about."""
    asked = [_ask(dispute, now) for dispute in for_a_while(ready(_to_ask(now), ASK, now)[:limit])]
    reminded = [_remind(dispute, now) for dispute in for_a_while(ready(_to_remind(now), REMIND, now)[:limit])]
    told = [_tell(dispute, now) for dispute in for_a_while(ready(_to_tell(), TELL, now)[:limit])]
    return sum(asked) + sum(reminded) + sum(told)


def _answerable(now: datetime) -> QuerySet[Dispute]:
    waiting = Dispute.objects.filter(status__in=ANSWERABLE, closed_at=None, due_by__gt=now)
    unanswered = waiting.exclude(evidence_state=Dispute.Evidence.SUBMITTED)
    return unanswered.select_related("payment__coach__user", "payment__payer").order_by("due_by")


def _to_ask(now: datetime) -> QuerySet[Dispute]:
    return _answerable(now).filter(coach_asked_at=None)


def _to_remind(now: datetime) -> QuerySet[Dispute]:
    due = Q()
    for before in REMIND_BEFORE:
        due |= Q(due_by__lte=now + before, last_mail_at__lt=F("due_by") - before)
    return _answerable(now).annotate(last_mail_at=Coalesce("reminded_at", "coach_asked_at")).filter(due)


def _to_tell() -> QuerySet[Dispute]:
    """Once it is known, too, what could be fetched back from the coach."""
    ended = Dispute.objects.filter(closed_at__isnull=False, coach_told_at=None)
    ended = ended.exclude(reversal__status=Reversal.Status.REQUESTED)
    return ended.select_related("payment__coach__user", "payment__payer").order_by("closed_at")


def _ask(dispute: Dispute, now: datetime) -> bool:
    if not Dispute.objects.filter(pk=dispute.pk, coach_asked_at=None).update(coach_asked_at=now):
        return False  # another worker has it
    if attempt(ASK, dispute.pk, lambda: _to_coach(dispute, reminder=False), now):
        return True
    Dispute.objects.filter(pk=dispute.pk, coach_asked_at=now).update(coach_asked_at=None)
    return False


def _remind(dispute: Dispute, now: datetime) -> bool:
    before = dispute.reminded_at
    if not Dispute.objects.filter(pk=dispute.pk, reminded_at=before).update(reminded_at=now):
        return False
    if attempt(REMIND, dispute.pk, lambda: _remind_both(dispute), now):
        return True
    Dispute.objects.filter(pk=dispute.pk, reminded_at=now).update(reminded_at=before)
    return False


def _tell(dispute: Dispute, now: datetime) -> bool:
    ended = Dispute.objects.filter(pk=dispute.pk, coach_told_at=None, closed_at=dispute.closed_at)
    if not ended.update(coach_told_at=now):
        return False
    if attempt(TELL, dispute.pk, lambda: _end_to_coach(dispute), now):
        return True
    Dispute.objects.filter(pk=dispute.pk, coach_told_at=now).update(coach_told_at=None)
    return False


def _remind_both(dispute: Dispute) -> None:
    _to_staff(dispute)
    if dispute.coach_said_at is None:
        _to_coach(dispute, reminder=True)


def _to_coach(dispute: Dispute, *, reminder: bool) -> None:
    send_mail("dispute-coach", {**_for_coach(dispute), "reminder": reminder}, dispute.payment.coach.user.email)


def _end_to_coach(dispute: Dispute) -> None:
    context = {**_for_coach(dispute), "end": end_for_coach(dispute)}
    send_mail("dispute-ended", context, dispute.payment.coach.user.email)


def _for_coach(dispute: Dispute) -> dict[str, Any]:
    user = dispute.payment.coach.user
    link = settings.SITE_URL + reverse("payments:coach_dispute", args=[dispute.pk])
    return {**_context(dispute), "name": user.get_short_name(), "zone": user.time_zone, "link": link}


def _to_staff(dispute: Dispute) -> None:
    link = settings.SITE_URL + reverse("admin:payments_dispute_desk", args=[dispute.pk])
    send_mail("dispute-staff", {**_context(dispute), "zone": "UTC", "link": link}, settings.SUPPORT_EMAIL)


def _context(dispute: Dispute) -> dict[str, Any]:
    return {
        "dispute": dispute,
        "payment": dispute.payment,
    }
