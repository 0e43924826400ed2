"""The dispute desk: what it is about, what it did to the money, the packet, and what staff answer the bank."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, posted_version, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from marketplace.templatetags.ui import plain_time
from payments import services
from payments.admin.base import money
from payments.admin.dispute_forms import AcceptForm, BearerForm, EvidenceForm, FileForm, SubmitForm, words
from payments.evidence import LONGEST_IN_ALL
from payments.models import Dispute, EvidenceFile, LedgerEntry, LedgerTransaction
from payments.services.answering import ANSWERABLE

Facts = list[tuple[str, str]]


class Desk:
    """The page's forms, as they were sent or as they are stored. A button asks for its own form, and for no other."""

    def __init__(self, request: HttpRequest, dispute: Dispute) -> None:
        self.request, self.dispute, self.version = request, dispute, posted_version(request)
        self.texts = EvidenceForm(request.POST if request.method == "POST" else None, dispute=dispute)
        self.submit = _asked(SubmitForm, request, "submit")
        self.file = _asked(FileForm, request, "attach")
        self.accept = _asked(AcceptForm, request, "accept")
        self.bearer = _asked(BearerForm, request, "bearer", charged_to=dispute.charged_to)

    @property
    def who(self) -> dict[str, Any]:
        return {
            "dispute": self.dispute,
            "actor": signed_in(self.request),
            "version": self.version,
            "now": clock.now(),
        }


def _asked(form: type[forms.Form], request: HttpRequest, button: str, **stored: str) -> forms.Form:
    """Checked where its button was pressed; else as it stands on the page."""
    if button in request.POST:
        return form(request.POST, request.FILES, prefix=button)
    typed = {name: request.POST[f"{button}-{name}"] for name in form.base_fields if f"{button}-{name}" in request.POST}
    return form(prefix=button, initial={**stored, **typed})


def desk_view(request: HttpRequest, dispute_id: int) -> HttpResponse:
    """Whoever may see disputes reads it; whoever may change them answers."""
    require_right(request, "payments.change_dispute" if request.method == "POST" else "payments.view_dispute")
    desk = Desk(request, _get(dispute_id))
    if request.method != "POST":
        return _page(desk)
    button = next((name for name in BUTTONS if name in request.POST), None)
    if button is None:
        raise Http404
    form, act, done = BUTTONS[button]
    chosen = form(desk)
    if not (desk.texts.is_valid() and chosen.is_valid()):
        return _page(desk, status=400)
    try:
        act(desk)
    except services.StaleVersion as error:
        fresh = _get(dispute_id)
        desk.texts.show_others(fresh.evidence)
        return _again(desk, fresh, error)
    except DomainError as error:
        return _again(desk, _get(dispute_id), error)
    if done:
        messages.success(request, done)
        return redirect("admin:payments_dispute_desk", dispute_id)
    # What was typed elsewhere on the page is not stored yet: it stays on it.
    desk.dispute = _get(dispute_id)
    return _page(desk, saved="Done. The texts are as you left them, and not stored yet.")


def file_view(request: HttpRequest, file_id: int) -> HttpResponse:
    """A file of the packet, to be looked at; its kind was found out from its content when it was kept."""
    require_right(request, "payments.view_dispute")
    file = get_object_or_404(EvidenceFile, pk=file_id)
    return HttpResponse(
        bytes(file.content),
        content_type=file.content_type,
        headers={"Content-Disposition": f'inline; filename="{file.name}"', "X-Content-Type-Options": "nosniff"},
    )


# --- the buttons --------------------------------------------------------------------------------


def _stage(desk: Desk) -> None:
    services.stage_evidence(fields=desk.texts.texts(), **desk.who)


def _submit(desk: Desk) -> None:
    services.submit_evidence(fields=desk.texts.texts(), **desk.who)


def _accept(desk: Desk) -> None:
    services.accept_dispute(reason=desk.accept.cleaned_data["reason"], **desk.who)


def _choose_bearer(desk: Desk) -> None:
    wish = desk.bearer.cleaned_data
    services.choose_bearer(charged_to=Dispute.ChargedTo(wish["charged_to"]), reason=wish["reason"], **desk.who)


def _attach(desk: Desk) -> None:
    wish = desk.file.cleaned_data
    services.attach_file(field=wish["field"], content=wish["file"].read(), **desk.who)


def _detach(desk: Desk) -> None:
    services.detach_file(field=desk.request.POST["detach"], **desk.who)


# Its name -> the form it needs, what it does, and what is said when the page is done with.
BUTTONS: dict[str, tuple[Callable[[Desk], forms.Form], Callable[[Desk], None], str]] = {
    "stage": (lambda desk: desk.texts, _stage, "Stored, and on its way to Stripe. The bank does not see it yet."),
    "submit": (lambda desk: desk.submit, _submit, "On its way to the bank."),
    "accept": (lambda desk: desk.accept, _accept, "The bank is told that we accept the dispute."),
    "bearer": (lambda desk: desk.bearer, _choose_bearer, ""),
    "attach": (lambda desk: desk.file, _attach, ""),
    "detach": (lambda desk: desk.texts, _detach, ""),
}


# --- the page -----------------------------------------------------------------------------------


def _get(dispute_id: int) -> Dispute:
    known = Dispute.objects.select_related("payment__payer", "payment__coach__user", "handled_by")
    return get_object_or_404(known, pk=dispute_id)


def _again(desk: Desk, fresh: Dispute, error: DomainError) -> HttpResponse:
    desk.dispute = fresh
    return _page(desk, status=error.status, refused=str(error))


def _page(desk: Desk, *, status: int = 200, refused: str = "", saved: str = "") -> HttpResponse:
    dispute, request = desk.dispute, desk.request
    may = request.user.has_perm("payments.change_dispute")
    return desk_page(
        request,
        "admin/desks/dispute.html",
        title=f"{'Inquiry' if dispute.is_inquiry else 'Dispute'} {dispute}: {dispute.money}",
        status=status,
        desk=desk,
        dispute=dispute,
        refused=refused,
        saved=saved,
        may_change=may and dispute.closed_at is None,
        may_answer=may and is_answerable(dispute),
        facts=_facts(dispute),
        moved=_moved(dispute),
        texts=[(words(name), text) for name, text in dispute.evidence.items()],
        most=LONGEST_IN_ALL,
        files=[(file, words(file.field)) for file in dispute.files.defer("content").order_by("field")],
        decisions=decisions_of(dispute, dispute.payment),
    )


def is_answerable(dispute: Dispute) -> bool:
    """Whether the bank still takes an answer, as far as we know."""
    in_time = dispute.due_by is None or dispute.due_by > clock.now()
    return in_time and dispute.status in ANSWERABLE and dispute.evidence_state != Dispute.Evidence.SUBMITTED


def _facts(dispute: Dispute) -> Facts:
    payment = dispute.payment
    asked = f"asked {_when(dispute.coach_asked_at)}" if dispute.coach_asked_at else "not asked yet"
    return [
        ("To be answered until", _when(dispute.due_by)),
        ("State", f"{dispute.get_status_display()}; evidence: {dispute.get_evidence_state_display().lower()}"),
        ("The bank's reason", dispute.reason.replace("_", " ")),
        ("Amount", f"{dispute.money} of {money(payment.captured_amount, payment.currency)} taken"),
        ("For", payment.description),
        ("Student", str(payment.payer)),
        ("Coach", f"{payment.coach.display_name} <{payment.coach.user.email}>"),
        ("If lost, the coach's share is borne by", dispute.get_charged_to_display()),
        ("In whose hands", dispute.handled_by.name if dispute.handled_by else "nobody's yet"),
        ("The coach says", dispute.coach_says or f"nothing yet; {asked}"),
    ]


def _moved(dispute: Dispute) -> Facts:
    """What it did to the money, line by line from the books."""
    booked = LedgerTransaction.objects.filter(payment=dispute.payment, kind__startswith="dispute")
    return [
        (f"{_when(fact.occurred_at)}: {fact.kind.replace('_', ' ')}", "\n".join(map(_line, fact.entries.all())))
        for fact in booked.prefetch_related("entries__account").order_by("pk")
    ]


def _line(entry: LedgerEntry) -> str:
    return f"{entry.account.code} {money(entry.amount, entry.account.currency)}"


def _when(instant: Any) -> str:
    return plain_time(instant, "UTC") if instant else "-"
