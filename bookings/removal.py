"""People who are removed: not before their money is settled, and what is theirs alone goes; the books stay."""

from collections.abc import Iterator
from datetime import datetime

import structlog
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.db.models import Q

from bookings.models import Booking, CalendarAddress, Claim
from coaches.models import BillingDetails, CalendarFeed, Coach, DateOverride, Offering, WeeklyHours
from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments import services as payment_services
from payments.models import SavedCard
from payments.removal import money_pending

log = structlog.get_logger(__name__)

NAMED = 10


class StillPending(DomainError):
    """`reasons`: what has to be settled first, each in words."""

    code = "still_pending"

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__(" ".join(reasons))


def hindrances(user: User) -> list[str]:
    """Why this person can't be removed, in words for staff; nothing where they can."""
    return [*_offices(user), *_sessions(user), *money_pending(user)]


@transaction.atomic
def remove_person(*, user: User, actor: User, reason: str, now: datetime) -> None:
    """Their name, address and words go, their cards are forgotten, and nobody signs in as them any more.

    Payments, postings and statements stay: they name a person by a number. Raises StillPending.
    """
    # Locked, so that nothing new begins that would point here.
    user = User.objects.select_for_update().get(pk=user.pk)
    reasons = hindrances(user)
    if reasons:
        raise StillPending(reasons)
    for card_id in SavedCard.objects.filter(user=user, removed_at=None).values_list("pk", flat=True):
        payment_services.remove_card(user=user, card_id=card_id, now=now)
    Booking.objects.filter(student__user=user).exclude(note="").update(note="")
    CalendarAddress.objects.filter(user=user).delete()
    coach = Coach.objects.filter(user=user).first()
    if coach:
        _forget_coach(coach)
    _forget_user(user)
    record_decision(actor=actor, decision="person_removed", subject=user, reason=reason, before={}, after={}, now=now)
    log.warning("person_removed", user=user.pk, by=actor.pk)


def _offices(user: User) -> Iterator[str]:
    if user.is_staff or user.is_superuser:
        yield "They are on the staff: take that from them first."


def _sessions(user: User) -> Iterator[str]:
    theirs = Q(student__user=user) | Q(coach__user=user)
    live = Booking.objects.filter(theirs, status__in=Booking.LIVE).order_by("starts_at")
    for booking in live[:NAMED]:
        state = booking.get_status_display().lower()
        yield f"Session {booking.pk} on {booking.starts_at:%Y-%m-%d %H:%M} UTC is {state}."
    if (more := live.count() - NAMED) > 0:
        yield f"{more} more session(s) are to come."
    about_theirs = Q(booking__student__user=user) | Q(booking__coach__user=user)
    if number := Claim.objects.filter(about_theirs, state__in=Claim.UNDECIDED).count():
        yield f"{number} claim(s) about their sessions are not decided."


def _forget_coach(coach: Coach) -> None:
    """With all that they had changed before: the history keeps old words."""
    for model in (BillingDetails, CalendarFeed, DateOverride, WeeklyHours):
        model.objects.filter(coach=coach).delete()
    Offering.objects.filter(coach=coach).update(active=False)
    coach.slug, coach.display_name = f"removed-{coach.pk}", "A former coach"
    coach.headline = coach.bio = coach.subject = ""
    coach.save(update_fields=["slug", "display_name", "headline", "bio", "subject"])
    coach.history.all().delete()


def _forget_user(user: User) -> None:
    EmailAddress.objects.filter(user=user).delete()
    Authenticator.objects.filter(user=user).delete()
    user.groups.clear()
    user.user_permissions.clear()
    # `.invalid` is nobody's, by RFC 2606.
    user.email, user.name, user.time_zone = f"removed-{user.pk}@removed.invalid", "A former member", "UTC"
    user.is_active = False
    user.set_unusable_password()
    user.save(update_fields=["email", "name", "time_zone", "is_active", "password"])
