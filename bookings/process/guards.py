"""When a transition may happen, and when time brings it about: conditions on the row, for a given `now`."""

from collections.abc import Callable
from datetime import datetime
from functools import reduce
from operator import and_

from django.db.models import Exists, F, OuterRef, Q

from bookings.models import Claim
from bookings.process.terms import (
    AUTHORISE_BEFORE,
    COMPLETES_AFTER,
    HOLD_AFTER_END,
    HOLD_MARGIN,
    RENEW_BEFORE_END,
    REPORT_WITHIN,
)

When = Callable[[datetime], Q]


def always(_now: datetime) -> Q:
    return Q()


def before(field: str) -> When:
    return lambda now: Q(**{f"{field}__gt": now})


def since(field: str) -> When:
    return lambda now: Q(**{f"{field}__lte": now})


def all_of(*guards: When) -> When:
    return lambda now: reduce(and_, (guard(now) for guard in guards))


def proposed(_now: datetime) -> Q:
    return Q(proposed_starts_at__isnull=False)


def not_proposed(_now: datetime) -> Q:
    return Q(proposed_starts_at=None)


def authorise_due(now: datetime) -> Q:
    return Q(payment__status="saved", starts_at__lte=now + AUTHORISE_BEFORE, starts_at__gt=now)


def renew_due(now: datetime) -> Q:
    """A hold that ends before the session is settled: made anew once a new one would last, or before it dies.

    Each hold once, and not within a day: a card that is refused, or whose holds are always short, would be asked
    without end. Without a card the student is asked, and only where the hold ends too early to be taken at all.
    """
    card = Q(payment__card__isnull=False, payment__card__removed_at=None)
    short_of_settling = card & Q(payment__capture_before__lt=F("ends_at") + HOLD_AFTER_END)
    short_of_the_end = Q(payment__capture_before__lte=F("ends_at") + HOLD_MARGIN)
    would_last = Q(starts_at__lte=now + AUTHORISE_BEFORE) | Q(payment__capture_before__lte=now + RENEW_BEFORE_END)
    untried = Q(payment__held_at__lte=now - RENEW_BEFORE_END, payment__replaced_by=None, pay_due_at=None)
    held = Q(payment__status="held", ends_at__gt=now)
    return held & (short_of_settling | short_of_the_end) & would_last & untried


def pay_link_unused(now: datetime) -> Q:
    return Q(pay_due_at__lte=now, starts_at__gt=now)


def hold_ends_soon(now: datetime) -> Q:
    return Q(ends_at__lte=now, payment__status="held", payment__capture_before__lte=now + HOLD_MARGIN)


def complete_due(now: datetime) -> Q:
    return Q(ends_at__lte=now - COMPLETES_AFTER) | hold_ends_soon(now)


def claim_is_open(_now: datetime) -> Q:
    return Q(Exists(Claim.objects.filter(booking=OuterRef("pk"), state__in=Claim.UNDECIDED)))


def no_claim_is_open(now: datetime) -> Q:
    return ~claim_is_open(now)


def reportable(now: datetime) -> Q:
    """Once: what is decided is not asked again. What was taken back may be."""
    asked = Claim.objects.filter(booking=OuterRef("pk")).exclude(state=Claim.State.WITHDRAWN)
    return Q(~Exists(asked), starts_at__lte=now, ends_at__gt=now - REPORT_WITHIN)
