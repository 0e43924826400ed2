"""Finance holds a line back, or lets it go again."""

from datetime import datetime
from typing import Any

from django.db import transaction

from marketplace.lib.decisions import record_decision
from marketplace.lib.errors import DomainError
from marketplace.models import User
from payments.errors import NotStaff, OwnMoney, ReasonNeeded
from payments.models import PayoutLine
from payments.payouts.lines import has_transfer

RIGHT = "payments.change_payoutline"


class LineOnItsWay(DomainError):
    code = "line_on_its_way"
    message = "Stripe was asked for this transfer already: it can't be held any more."


class LineHeld(DomainError):
    code = "line_held"
    message = "This line is held already."


class LineNotHeld(DomainError):
    code = "line_not_held"
    message = "This line is not held."


def hold_line(*, line: PayoutLine, actor: User, reason: str, now: datetime) -> PayoutLine:
    """It is not paid until somebody releases it, and its run stays open.

    Raises NotStaff, OwnMoney, ReasonNeeded, LineHeld, LineOnItsWay.
    """
    with transaction.atomic():
        locked = _locked(line, actor, reason)
        if locked.status == PayoutLine.Status.HELD:
            raise LineHeld
        # Whoever sends it asks for the same lock before the transfer is written down.
        if locked.status == PayoutLine.Status.PAID or has_transfer(locked):
            raise LineOnItsWay
        before = _worth(locked)
        locked.status, locked.waiting_for = PayoutLine.Status.HELD, ""
        locked.held_by, locked.held_reason, locked.held_at = actor, reason.strip()[:500], now
        _save(locked)
        _log(actor, "hold_payout_line", locked, reason=reason, before=before, now=now)
    return locked


def release_line(*, line: PayoutLine, actor: User, reason: str, now: datetime) -> PayoutLine:
    """The run pays it again. Raises NotStaff, OwnMoney, ReasonNeeded, LineNotHeld."""
    with transaction.atomic():
        locked = _locked(line, actor, reason)
        if locked.status != PayoutLine.Status.HELD:
            raise LineNotHeld
        before = _worth(locked)
        locked.status = PayoutLine.Status.PLANNED
        locked.held_by, locked.held_reason, locked.held_at = None, "", None
        _save(locked)
        _log(actor, "release_payout_line", locked, reason=reason, before=before, now=now)
    return locked


def _locked(line: PayoutLine, actor: User, reason: str) -> PayoutLine:
    locked = (
        PayoutLine.objects.select_for_update(of=("self",)).select_related("run", "coach").filter(pk=line.pk).first()
    )
    if locked is None:  # a refund has undone it
        raise LineNotHeld("This line is gone: what was on it was refunded.")
    _require_right(actor, locked)
    if not reason.strip():
        raise ReasonNeeded
    return locked


def _require_right(actor: User, line: PayoutLine) -> None:
    """As they are now, and not as they were when they signed in."""
    staff = User.objects.filter(pk=actor.pk, is_active=True, is_staff=True).first()
    if staff is None or not staff.has_perm(RIGHT):
        raise NotStaff
    if staff.pk == line.coach.user_id:
        raise OwnMoney("This line pays you: somebody else has to decide.")


def _save(line: PayoutLine) -> None:
    line.save(update_fields=["status", "waiting_for", "held_by", "held_reason", "held_at"])


def _worth(line: PayoutLine) -> dict[str, object]:
    return {"status": line.status, "amount": line.amount, "currency": line.currency}


def _log(actor: User, decision: str, line: PayoutLine, **facts: Any) -> None:
    record_decision(actor=actor, decision=decision, subject=line, after=_worth(line), **facts)
