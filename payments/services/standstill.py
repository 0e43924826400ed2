"""The stop of all sending to Stripe: begun and ended by staff, or begun by ourselves (`payments.lookout`)."""

from datetime import datetime

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments.lookout import LOST_CHANGE, is_standing_still, look_out
from payments.models import Difference, Standstill

log = structlog.get_logger(__name__)

__all__ = [
    "NotStandingStill",
    "StandsStillAlready",
    "StandstillNeeded",
    "begin",
    "begin_after_restore",
    "current",
    "end",
    "hindrances_to_end",
    "is_standing_still",
]

NAMED = 10


class StandsStillAlready(DomainError):
    code = "stands_still_already"
    message = "Sending to Stripe is stopped already."


class NotStandingStill(DomainError):
    code = "not_standing_still"
    message = "Sending to Stripe is not stopped."


class StandstillNeeded(DomainError):
    """What is sent now might be sent a second time."""

    code = "standstill_needed"


def current() -> Standstill | None:
    return Standstill.objects.select_related("began_by").filter(ended_at=None).first()


def begin(*, reason: str, actor: User | None, now: datetime) -> Standstill:
    """From now on nothing that changes anything is sent to Stripe; what is asked for is written down, and waits.

    A call that is on its way already is not called back. `actor` is nobody where it is done on the machine itself.
    Raises StandsStillAlready.
    """
    try:
        with transaction.atomic():
            standstill = Standstill.objects.create(reason=reason[:500], began_at=now, began_by=actor)
            _log(standstill, "standstill_begun", actor, reason, now)
    except IntegrityError as error:
        raise StandsStillAlready from error
    log.critical("standstill_begun", reason=reason, by=actor.pk if actor else None)
    return standstill


def begin_after_restore(*, reason: str, actor: User | None, now: datetime) -> Standstill:
    """As `begin`, also where we stand still already; and nothing that Stripe tells is recorded one by one.

    A hold that was given back in the lost time would be made anew on the student's card. Of most that is lost we would
    find the traces at Stripe by ourselves, but not of what is older than Stripe's events, nor of bookings.
    """
    with transaction.atomic():
        standing = current() or begin(reason=reason, actor=actor, now=now)
        Standstill.objects.filter(pk=standing.pk).update(behind=True)
    standing.behind = True
    return standing


def end(*, reason: str, actor: User | None, now: datetime) -> Standstill:
    """What waited is sent by the sweeper, and runs go on. Looks first whether Stripe knows more than we do: network.

    Raises NotStandingStill, and StandstillNeeded with why.
    """
    if settings.STRIPE_LOOK_OUT_SECONDS:
        look_out(now)
    with transaction.atomic():
        standstill = Standstill.objects.select_for_update().filter(ended_at=None).first()
        if standstill is None:
            raise NotStandingStill
        hindrances = hindrances_to_end(standstill)
        if hindrances:
            raise StandstillNeeded(" ".join(hindrances))
        standstill.ended_at, standstill.ended_by, standstill.ended_reason = now, actor, reason[:500]
        standstill.save(update_fields=["ended_at", "ended_by", "ended_reason"])
        _log(standstill, "standstill_ended", actor, reason, now)
    log.critical("standstill_ended", reason=reason, by=actor.pk if actor else None)
    return standstill


def hindrances_to_end(standstill: Standstill) -> list[str]:
    """Why it can't be ended yet, in words; none where it can."""
    found = []
    if standstill.behind:
        found.append(
            "This database does not have all that Stripe knows of us. Run `manage.py reconcile --full` first: it takes "
            "over what can be."
        )
    unexplained = Difference.objects.filter(code=LOST_CHANGE, state=Difference.State.OPEN)
    if number := unexplained.count():
        named = ", ".join(unexplained.order_by("pk").values_list("object_id", flat=True)[:NAMED])
        found.append(
            f"{number} change(s) of ours at Stripe could not be taken over: {named}. Each is among the differences "
            "with Stripe, with the reason: settle it in Stripe's dashboard, then explain it there."
        )
    return found


def _log(standstill: Standstill, decision: str, actor: User | None, reason: str, now: datetime) -> None:
    """What is done on the machine itself is in its log."""
    if actor is not None:
        record_decision(actor=actor, decision=decision, subject=standstill, reason=reason, before={}, after={}, now=now)
