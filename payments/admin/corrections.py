"""Corrections of the books: what one person proposes, and the second person's word on it."""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.lib.money import Money, to_decimal
from marketplace.templatetags.ui import plain_time
from payments import ledger
from payments.admin.base import ShowsMoney, link, link_to
from payments.admin.correction_forms import CorrectionForm
from payments.admin.deciding import Choice, decide
from payments.admin.lists import ListedAdmin, decimal
from payments.admin.refund_desk import button
from payments.models import Correction, Difference, LedgerTransaction
from payments.services import corrections
from payments.services.corrections import OnSuspense, Wish

SEE = "payments.view_correction"
MEANING = (
    "Money is moved between two accounts of our own books; nothing moves at Stripe. It is booked today, once another "
    "person has agreed."
)
Facts = list[tuple[str, Any]]


def propose_address(clears: OnSuspense | None = None, difference: Difference | None = None) -> str:
    only: dict[str, Any] = {"clears": clears.fact.pk, "currency": clears.money.currency} if clears else {}
    if difference is not None:
        only["difference"] = difference.pk
    return f"{reverse('admin:payments_correction_propose')}?{urlencode(only)}".removesuffix("?")


def clear_links(fact: LedgerTransaction, difference: Difference | None = None) -> list[SafeString]:
    """To the proposal for each currency of which it has left something on suspense."""
    left = [OnSuspense(fact, money) for money in corrections.left_of(fact)]
    return [button(propose_address(each, difference), f"Move {each.money} from suspense") for each in left]


# --- proposing ----------------------------------------------------------------------------------


def propose_view(request: HttpRequest) -> HttpResponse:
    """Of one entry on suspense, which the address names, or between two other accounts."""
    require_right(request, corrections.PROPOSE)
    fact, difference = _named(request, LedgerTransaction, "clears"), _named(request, Difference, "difference")
    clears = _left(fact, request.GET.get("currency", "")) if fact else None
    if fact is not None and clears is None:
        messages.error(request, "Nothing of this entry is on suspense any more.")
        return redirect("admin:payments_correction_changelist")
    if fact is not None and difference is None:
        difference = corrections.difference_about(fact)
    form = CorrectionForm(request.POST or None, clears=clears, initial=_initial(clears, difference))
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            return _propose(request, form, fact, difference)
        except DomainError as error:
            form.add_error(None, str(error))
            status = error.status
    return desk_page(
        request,
        "admin/desks/correct.html",
        title="Correct the books",
        status=status,
        meaning=MEANING,
        form=form,
        facts=_before(clears, difference),
        entries=[(each, propose_address(each)) for each in corrections.on_suspense()] if clears is None else [],
    )


def _named(request: HttpRequest, model: Any, name: str) -> Any:
    number = request.GET.get(name, "")
    if not number:
        return None
    return get_object_or_404(model, pk=int(number) if number.isdecimal() and number.isascii() else 0)


def _left(fact: LedgerTransaction, currency: str) -> OnSuspense | None:
    """In the currency that was asked for, or else in the first."""
    left = corrections.left_of(fact)
    return next((OnSuspense(fact, money) for money in left if currency in (money.currency, "")), None)


def _initial(clears: OnSuspense | None, difference: Difference | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"token": uuid.uuid4(), "currency": settings.CURRENCIES[0]}
    payment = (clears.fact.payment if clears else None) or (difference.payment if difference else None)
    coach = payment.coach if payment else difference.coach if difference else None
    if clears is not None:
        facts["amount"] = to_decimal(clears.money)
    if payment is not None:
        facts["payment"] = payment.pk
    if coach is not None:
        facts["coach"] = coach.user.email
    return facts


def _before(clears: OnSuspense | None, difference: Difference | None) -> Facts:
    facts: Facts = []
    if clears is not None:
        waiting = clears.fact.cleared_by.filter(status=Correction.Status.TO_APPROVE)
        facts += [
            ("From", "Suspense"),
            ("Put there by", link(clears.fact)),
            ("On", plain_time(clears.fact.occurred_at, "UTC")),
            ("Still there", str(clears.money)),
            *(("Waits for a second person", _linked(each)) for each in waiting),
        ]
    if difference is not None:
        facts.append(("Explains, once nothing is left", link(difference)))
    return facts


def _propose(
    request: HttpRequest, form: CorrectionForm, fact: LedgerTransaction | None, difference: Difference | None
) -> HttpResponse:
    said = form.cleaned_data
    wish = Wish(
        from_account=said["from_account"],
        to_account=said["to_account"],
        money=said["money"],
        coach=said["coach"],
        payment=said["payment"],
        clears=fact,
        difference=difference,
    )
    correction = corrections.propose(
        wish=wish, token=said["token"], reason=said["reason"], actor=signed_in(request), now=clock.now()
    )
    messages.success(request, f"{what(correction)}: it waits for a second person.")
    return redirect("admin:payments_correction_change", correction.pk)


# --- the second person --------------------------------------------------------------------------


def decide_view(request: HttpRequest, correction_id: int) -> HttpResponse:
    require_right(request, SEE)
    known = Correction.objects.select_related(
        "coach", "payment", "clears", "difference", "booked", "proposed_by", "decided_by"
    )
    correction = get_object_or_404(known, pk=correction_id)
    return decide(
        request,
        correction,
        _choices(request, correction),
        right=corrections.DECIDE,
        title=f"Correct the books: {what(correction)}",
        meaning=MEANING,
        facts=_facts(correction),
        back=reverse("admin:payments_correction_change", args=[correction.pk]),
    )


def _choices(request: HttpRequest, correction: Correction) -> list[Choice]:
    actor, now = signed_in(request), clock.now()
    waits = correction.status == Correction.Status.TO_APPROVE
    own = actor.pk == correction.proposed_by_id
    return [
        Choice(
            "approve",
            "Approve: book it",
            lambda reason: corrections.approve(correction=correction, actor=actor, reason=reason, now=now),
            "It is booked.",
            offered=waits and not own,
        ),
        Choice(
            "decline",
            "Withdraw it" if own else "Decline",
            lambda reason: corrections.decline(correction=correction, actor=actor, reason=reason, now=now),
            "Nothing is booked.",
            offered=waits,
        ),
    ]


def _facts(correction: Correction) -> Facts:
    facts: Facts = [("Why", correction.reason), ("What it does", _lines(correction))]
    if correction.coach is not None:
        facts += [("Coach", link(correction.coach)), ("For the coach", coach_words(correction))]
    if correction.payment is not None:
        facts.append(("About", link(correction.payment)))
    if correction.clears is not None:
        facts += [("Clears", link(correction.clears)), ("Of that on suspense now", _left_words(correction.clears))]
    if correction.difference is not None:
        facts.append(("Explains", link(correction.difference)))
    facts += [
        ("Proposed by", f"{correction.proposed_by.name}, {plain_time(correction.created_at, 'UTC')}"),
        ("State", correction.get_status_display()),
    ]
    if correction.decided_by is not None and correction.decided_at is not None:
        when = plain_time(correction.decided_at, "UTC")
        decided = f"{correction.decided_by.name}, {when}: {correction.decision}"
        facts += [("Decided by", decided), ("In the books", link(correction.booked))]
    return facts


def what(correction: Correction) -> str:
    accounts = correction.get_from_account_display(), correction.get_to_account_display()
    return f"{correction.money} from {accounts[0].lower()} to {accounts[1].lower()}"


def coach_words(correction: Correction) -> str:
    gets = corrections.coach_gets(correction) or Money(0, correction.currency)
    more = "gets {} more with" if gets.amount > 0 else "gives back {}: it is taken off"
    return f"The coach {more.format(Money(abs(gets.amount), gets.currency))} the first run after this is booked."


def told_by(correction: Correction) -> str:
    """The reason and both persons, in one line."""
    agreed = f"; {correction.decided_by.name}: {correction.decision}" if correction.decided_by else ""
    return f"{correction.reason} ({correction.proposed_by.name}{agreed})"


def _lines(correction: Correction) -> str:
    waits = correction.status == Correction.Status.TO_APPROVE
    rows = []
    for line in corrections.lines_of(correction):
        now = f", where {ledger.balance(line.account, line.money.currency)} is now" if waits else ""
        rows.append(f"{line.account}: {line.money}{now}")
    return "\n".join(rows)


def _left_words(fact: LedgerTransaction) -> str:
    return ", ".join(map(str, corrections.left_of(fact))) or "nothing"


def _linked(correction: Correction) -> SafeString:
    return link_to(reverse("admin:payments_correction_decide", args=[correction.pk]), what(correction))


# --- the list -----------------------------------------------------------------------------------


@admin.register(Correction)
class CorrectionAdmin(ShowsMoney, ListedAdmin):
    list_display = ("id", "what", "money", "reason", "status", "proposed_by", "decided_by", "created_at", "act")
    list_filter = ("status", "from_account", "to_account", "currency")
    list_select_related = ("proposed_by", "decided_by")
    search_fields = ("reason", "coach__display_name", "=payment__reference", "=clears__reference")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    fields = (
        "act", "what", "lines", "coach", "for_the_coach", "payment_link", "clears_link", "difference_link", "reason",
        "status", "proposed_by", "created_at", "decided_by", "decided_at", "decision", "booked_link", "decisions",
    )  # fmt: skip
    readonly_fields = (
        "act", "what", "lines", "for_the_coach", "payment_link", "clears_link", "difference_link", "booked_link",
        "decisions",
    )  # fmt: skip
    sums_mean = "(as they stand in the books, debits positive)"
    columns = {
        "id": lambda each: each.pk,
        "from": lambda each: each.from_account,
        "to": lambda each: each.to_account,
        "currency": lambda each: each.currency,
        "amount": decimal("amount"),
        "coach": lambda each: each.coach_id,
        "payment": lambda each: each.payment_id,
        "reason": lambda each: each.reason,
        "status": lambda each: each.status,
        "proposed by": lambda each: each.proposed_by.email,
        "created at": lambda each: each.created_at,
        "decided by": lambda each: each.decided_by.email if each.decided_by else "",
        "decided at": lambda each: each.decided_at,
        "decision": lambda each: each.decision,
        "ledger transaction": lambda each: each.booked_id,
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("propose/", guarded(propose_view), name="payments_correction_propose"),
            path("<int:correction_id>/decide/", guarded(decide_view), name="payments_correction_decide"),
            *super().get_urls(),
        ]

    @admin.display(description="What is moved")
    def what(self, correction: Correction) -> str:
        return what(correction)

    @admin.display(description="Lines")
    def lines(self, correction: Correction) -> SafeString:
        return format_html('<span class="whitespace-pre-line">{}</span>', _lines(correction))

    @admin.display(description="For the coach")
    def for_the_coach(self, correction: Correction) -> str:
        return coach_words(correction) if correction.coach_id else "-"

    @admin.display(description="About")
    def payment_link(self, correction: Correction) -> str | SafeString:
        return link(correction.payment)

    @admin.display(description="Clears")
    def clears_link(self, correction: Correction) -> str | SafeString:
        return link(correction.clears)

    @admin.display(description="Explains")
    def difference_link(self, correction: Correction) -> str | SafeString:
        return link(correction.difference)

    @admin.display(description="In the books")
    def booked_link(self, correction: Correction) -> str | SafeString:
        return link(correction.booked)

    @admin.display(description="What is to do")
    def act(self, correction: Correction) -> str | SafeString:
        if correction.status != Correction.Status.TO_APPROVE:
            return "-"
        return button(reverse("admin:payments_correction_decide", args=[correction.pk]), "Approve or decline")

    @admin.display(description="Decisions")
    def decisions(self, correction: Correction) -> Any:
        return decisions_of(correction)
