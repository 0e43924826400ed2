"""The desk for a refund that came back from the student's bank."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from marketplace import clock
from marketplace.admin_desks import require_right
from marketplace.lib.access import signed_in
from marketplace.lib.money import Money
from marketplace.templatetags.ui import plain_time
from payments.admin.base import link
from payments.admin.deciding import Choice, decide
from payments.models import Refund
from payments.owed import owed_of_refund
from payments.services import failed_refunds

FAILED = (
    "The student's bank has sent this refund back: the money is on our Stripe balance, and we owe it to the student. "
    "Stripe refunds to the same card alone. Ask the student whether the card, or its account, still takes money."
)
LOST = (
    "The student's bank has sent this refund back, and a dispute about this payment was lost. Beside what the student "
    "has by that we still owe {owed} of this refund. Stripe refunds nothing more of such a payment: pay the student "
    "{owed} from our bank account, and say so here."
)
SAID = (
    "A colleague says that the student has {said} from our bank account. A second person confirms it, or not. Once it "
    "is confirmed, the student is told by mail."
)
SAID_ANOTHER = (
    "A colleague says that the student has {said} from our bank account, but by now we owe {owed} of this refund: a "
    "dispute was lost, or another refund came back or was paid. So it can't be confirmed. Take it back, see that the "
    "student has {owed}, and say that. What they got beyond it is our loss, for a correction of the books."
)
MADE_GOOD = (
    "The student's bank has sent this refund back, and a dispute that was lost has given the student all of it since: "
    "of this refund we owe nothing. So there is nothing to send, and nothing to pay by other means here."
)
SETTLED = "There is nothing to do about this refund here any more."


def failed_view(request: HttpRequest, refund_id: int) -> HttpResponse:
    """Whoever may see refunds reads it; whoever may change them decides."""
    require_right(request, "payments.view_refund")
    known = Refund.objects.select_related("payment__payer", "payment__coach", "otherwise_by", "replaces")
    refund = get_object_or_404(known, pk=refund_id)
    owed = owed_of_refund(refund)
    return decide(
        request,
        refund.payment,
        _choices(request, refund, owed),
        right="payments.change_refund",
        title=f"{refund.money} came back from the student's bank",
        meaning=_meaning(refund, owed),
        facts=_facts(refund, owed),
        back=reverse("admin:payments_refund_change", args=[refund.pk]),
        shown=str(owed),
    )


def _meaning(refund: Refund, owed: Money) -> str:
    if refund.status != Refund.Status.FAILED:
        return SETTLED
    if owed.amount <= 0:
        return MADE_GOOD
    if refund.otherwise_by:
        said = failed_refunds.said_amount(refund)
        return (SAID if said == owed else SAID_ANOTHER).format(said=said, owed=owed)
    return LOST.format(owed=owed) if failed_refunds.is_lost(refund.payment) else FAILED


def _choices(request: HttpRequest, refund: Refund, owed: Money) -> list[Choice]:
    """As one of two people who say that it was paid by other means, or before anybody says so."""
    is_owed = refund.status == Refund.Status.FAILED and owed.amount > 0
    said = refund.otherwise_by is not None
    holds = said and failed_refunds.said_amount(refund) == owed
    mine = said and refund.otherwise_by_id == signed_in(request).pk

    def choice(name: str, words: str, act: Callable[..., object], done: str, *, offered: bool) -> Choice:
        actor, now = signed_in(request), clock.now()
        return Choice(
            name,
            words,
            lambda reason: act(refund=refund, reason=reason, actor=actor, now=now),
            done,
            offered=offered and is_owed,
        )

    return [
        choice(
            "again", "Send it again", failed_refunds.send_again, "It is on its way to the student again.",
            offered=not said and not failed_refunds.is_lost(refund.payment),
        ),
        choice(
            "otherwise", f"The student was paid {owed} by other means",
            partial(failed_refunds.say_paid_otherwise, amount=owed), "Kept. A second person has to confirm it.",
            offered=not said and failed_refunds.may_be_paid_otherwise(refund),
        ),
        choice(
            "confirm", "Confirm: paid by other means", failed_refunds.confirm_paid_otherwise,
            "Confirmed. The books owe the student nothing more of it.", offered=holds and not mine,
        ),
        choice(
            "deny", "Take it back" if mine else "It was not so", failed_refunds.deny_paid_otherwise,
            "It is owed to the student as before.", offered=said,
        ),
    ]  # fmt: skip


def _facts(refund: Refund, owed: Money) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [
        ("Student", f"{refund.payment.payer.name} <{refund.payment.payer.email}>"),
        ("For", refund.payment.description),
        ("Amount", str(refund.money)),
        ("State", refund.get_status_display()),
        ("What the bank says", (refund.failure or "no reason").replace("_", " ")),
    ]
    if refund.status == Refund.Status.FAILED:
        facts.append(("Of it we owe", str(owed)))
    if refund.replaces:
        facts.append(("A further try of", link(refund.replaces)))
    facts += [(f"Try of {plain_time(again.created_at, 'UTC')}", _outcome(again)) for again in refund.replaced_by.all()]
    if refund.otherwise_by:
        facts.append(("Paid by other means, says", f"{refund.otherwise_by.name}: {refund.otherwise_note}"))
    return facts


def _outcome(again: Refund) -> str:
    return f"{again.get_status_display()}: {again.failure}" if again.failure else again.get_status_display()
