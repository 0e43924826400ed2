"""Money at risk: one page, one queue, and for each row what can be done about it."""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from bookings import at_risk
from marketplace import clock
from marketplace.admin_desks import desk_page
from payments.at_risk import AtRisk

ON_A_PAGE = 100
# All that is before a page is read for it.
LAST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Kind:
    """Who sees rows of a kind, and the page from which whoever may can act; `since` is what began then."""

    label: str
    right: str
    page: str
    words: str
    since: str = "waits since"


KINDS = {
    "hold_ends": Kind("Hold ends", "bookings.view_booking", "bookings_booking_change", "See the session"),
    "claim_to_decide": Kind("Claim", "bookings.view_claim", "bookings_claim_decide", "Decide"),
    "link_unpaid": Kind("Link unpaid", "bookings.view_booking", "bookings_booking_change", "See the session"),
    "unknown_operation": Kind(
        "Answer lost", "payments.view_operation", "payments_operation_change", "See the operation"
    ),
    "failed_refund": Kind("Refund failed", "payments.view_refund", "payments_refund_failed", "Send it again"),
    "refund_to_approve": Kind(
        "Refund to approve", "payments.view_refund", "payments_refund_decide", "Approve or dismiss"
    ),
    "dispute_due": Kind("Dispute", "payments.view_dispute", "payments_dispute_desk", "Open the desk"),
    "fraud_warning": Kind(
        "Fraud warning", "payments.view_fraudwarning", "payments_fraudwarning_change", "Refund, or let stand"
    ),
    "restricted_coach": Kind(
        "Coach restricted",
        "payments.view_payoutaccount",
        "payments_payoutaccount_change",
        "See the account",
        "release of the oldest share:",
    ),
    "parked_event": Kind("Event parked", "payments.view_stripeevent", "payments_stripeevent_change", "See the event"),
    "waiting_line": Kind("Payout waits", "payments.view_payoutline", "payments_payoutline_change", "See why"),
    "reversal_to_decide": Kind("Reversed at Stripe", "payments.view_reversal", "payments_reversal_decide", "Decide"),
    "correction_to_approve": Kind(
        "Correction to approve", "payments.view_correction", "payments_correction_decide", "Approve or decline"
    ),
}


def at_risk_view(request: HttpRequest) -> HttpResponse:
    """Each member of staff sees what their rights let them see, sorted by deadline."""
    kinds = [name for name, kind in KINDS.items() if request.user.has_perm(kind.right)]
    if not kinds:
        raise PermissionDenied
    now = clock.now()
    number = _number_of_page(request)
    end = number * ON_A_PAGE
    found = at_risk.queue(kinds=kinds, now=now, most=end + 1)
    rows = [_shown(row, now) for row in found[end - ON_A_PAGE : end]]
    return desk_page(
        request,
        "admin/desks/at_risk.html",
        title="Money at risk",
        rows=rows,
        earlier=number - 1,
        later=number + 1 if len(found) > end else 0,
        kinds=[KINDS[name].label for name in kinds],
    )


def _number_of_page(request: HttpRequest) -> int:
    asked = request.GET.get("p", "")
    return min(max(int(asked), 1), LAST_PAGE) if asked.isdecimal() and len(asked) < 7 else 1


def _shown(row: AtRisk, now: datetime) -> dict[str, object]:
    kind = KINDS[row.kind]
    address = reverse(f"admin:{kind.page}", args=[row.subject.pk])
    late = row.until is not None and row.until <= now
    words = {"label": kind.label, "words": kind.words, "since": kind.since}
    return {"row": row, "address": address, "late": late, **words}
