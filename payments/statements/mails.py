"""The mail about a closed month: one for each coach, whatever the number of currencies.

The statements' own times remember it. They are set before the mail and put back where it could not be sent, so only a
worker that dies in between costs a mail. A mail that could not be sent lets the others go first.
"""

from datetime import datetime

from django.conf import settings
from django.urls import reverse

from coaches.models import Coach
from marketplace.lib.mails import send_mail
from marketplace.lib.money import Money
from marketplace.lib.months import month_in_words
from payments.models import FeeInvoice, Statement
from payments.rounds import for_a_while
from payments.statements.books import last_closed_month
from payments.taking_turns import attempt, ready

WORK = "statement_mail"


def tell_coaches(now: datetime) -> int:
    """Returns how many were told; of the last closed month alone, as after a standstill nobody wants one for each."""
    closed = last_closed_month()
    if closed is None:
        return 0
    untold = Statement.objects.filter(month=closed.month, told_at=None, coach__user__is_active=True)
    coaches = Coach.objects.filter(pk__in=untold.values("coach")).select_related("user").order_by("pk")
    return sum(_tell(coach, closed.month, now) for coach in for_a_while(ready(coaches, WORK, now).iterator()))


def _tell(coach: Coach, month: str, now: datetime) -> bool:
    theirs = Statement.objects.filter(coach=coach, month=month)
    told_before = theirs.exclude(told_at=None).exists()
    if not theirs.filter(told_at=None).update(told_at=now):
        return False  # another worker has it
    if told_before:
        return False  # of another currency; the page that the mail led to has this one, too
    carried = [Money(row.closing, row.currency) for row in theirs.order_by("currency")]
    if attempt(WORK, coach.pk, lambda: _send(coach, month, carried), now):
        return True
    theirs.filter(told_at=now).update(told_at=None)
    return False


def _send(coach: Coach, month: str, carried: list[Money]) -> None:
    context = {
        "name": coach.user.get_short_name(),
        "month": month_in_words(month),
        "invoiced": FeeInvoice.objects.filter(coach=coach, month=month).exists(),
        "carried": [str(sum_) for sum_ in carried if sum_.amount],
        "link": settings.SITE_URL + reverse("payments:statements"),
        "zone": coach.user.time_zone,
    }
    send_mail("statement", context, coach.user.email)
