"""The refund desk: what a refund means for each side, its confirmation, and the second person's word on it."""

from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from marketplace import clock
from marketplace.admin_desks import decisions_of, desk_page, require_right
from marketplace.lib.access import signed_in
from marketplace.lib.errors import DomainError
from payments import services
from payments.admin.base import ReadOnlyInline, ShowsMoney, link, money
from payments.admin.failed_refunds import failed_view
from payments.admin.lists import ListedAdmin, decimal
from payments.admin.refund_forms import ApprovalForm, RefundForm
from payments.models import Operation, Payment, Refund
from payments.refunds import left_of
from payments.services import refund_desk, refunding
from payments.services.refund_desk import Facts

REFUNDABLE = (Payment.Status.HELD, Payment.Status.CAPTURED)


# --- asking for it ------------------------------------------------------------------------------


def refund_view(request: HttpRequest, payment_id: int) -> HttpResponse:
    """The form, then what it means, then exactly that."""
    require_right(request, "payments.add_refund")
    payment = get_object_or_404(Payment.objects.select_related("payer", "coach"), pk=payment_id)
    form = RefundForm(request.POST or None, payment=payment)
    if request.method != "POST" or not form.is_valid() or "change" in request.POST:
        return _ask(request, payment, form)
    shown = request.POST.get("shown", "")
    try:
        if shown:
            return _confirm(request, payment, form, shown)
        return _preview(request, payment, form)
    except DomainError as error:
        form.add_error(None, str(error))
        return _ask(request, payment, form, status=error.status)


def _ask(request: HttpRequest, payment: Payment, form: RefundForm, status: int = 200) -> HttpResponse:
    return desk_page(
        request,
        "admin/desks/refund.html",
        title=f"Refund {payment}",
        status=status,
        payment=payment,
        form=form,
        facts=_payment_facts(payment),
    )


def _preview(
    request: HttpRequest, payment: Payment, form: RefundForm, changed: DomainError | None = None
) -> HttpResponse:
    if not form.is_valid():
        return _ask(request, payment, form, status=409)
    wish = form.cleaned_data
    quote = refund_desk.quote_for_staff(
        payment, amount=wish["money"], reason=wish["reason"], bearer=wish["bearer"], now=clock.now()
    )
    return desk_page(
        request,
        "admin/desks/refund_confirm.html",
        title=f"Refund {quote.amount} of {payment}?",
        status=changed.status if changed else 200,
        payment=payment,
        form=form,
        changed=changed,
        facts=refund_desk.who_pays(payment, quote),
        bearer=wish["bearer"].label,
        reason=wish["reason"].label,
        shown=refund_desk.summary(payment, quote),
        waits=refunding.needs_second_person(payment, quote.amount),
    )


def _confirm(request: HttpRequest, payment: Payment, form: RefundForm, shown: str) -> HttpResponse:
    wish = form.cleaned_data
    try:
        refund = refund_desk.confirm_refund(
            payment=payment,
            shown=shown,
            amount=wish["money"],
            reason=wish["reason"],
            bearer=wish["bearer"],
            note=wish["note"],
            actor=signed_in(request),
            now=clock.now(),
        )
    except refund_desk.RefundChanged as error:
        payment.refresh_from_db()
        return _preview(request, payment, RefundForm(request.POST, payment=payment), error)
    messages.success(request, _done_words(refund, str(wish["money"])))
    return redirect("admin:payments_payment_change", payment.pk)


def _done_words(refund: Refund | None, amount: str) -> str:
    if refund is None:
        return f"{amount} is not taken: it is released with the rest of the hold."
    if refund.status == Refund.Status.TO_APPROVE:
        return f"{amount} waits for a second person."
    return f"{amount} is on its way to the student."


def _payment_facts(payment: Payment) -> Facts:
    return [
        ("For", payment.description),
        ("Student", str(payment.payer)),
        ("Coach", str(payment.coach.display_name)),
        ("State", f"{payment.get_status_display()}, {payment.money}"),
        ("Refunded so far", money(payment.refunded_amount, payment.currency)),
        ("Can still be given back", str(left_of(payment))),
    ]


# --- the second person --------------------------------------------------------------------------


def decide_view(request: HttpRequest, refund_id: int) -> HttpResponse:
    """Whoever may see refunds reads it; another person than who asked approves it, or dismisses it with a reason."""
    require_right(request, "payments.change_refund" if request.method == "POST" else "payments.view_refund")
    known = Refund.objects.select_related("payment__payer", "payment__coach", "requested_by")
    refund = get_object_or_404(known, pk=refund_id)
    form = ApprovalForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            return _decide(request, refund, form.cleaned_data["reason"])
        except DomainError as error:
            form.add_error(None, str(error))
            status = error.status
    return desk_page(
        request,
        "admin/desks/approve.html",
        title=f"Approve {refund.money} of {refund.payment}?",
        status=status,
        refund=refund,
        form=form,
        facts=_refund_facts(refund),
        may_decide=refund.status == Refund.Status.TO_APPROVE and request.user.has_perm("payments.change_refund"),
        decisions=decisions_of(refund.payment),
    )


def _decide(request: HttpRequest, refund: Refund, reason: str) -> HttpResponse:
    actor, now = signed_in(request), clock.now()
    if "dismiss" in request.POST:
        services.dismiss_refund(refund=refund, note=reason, actor=actor, now=now)
        messages.success(request, f"{refund} is dismissed; nothing was refunded.")
    elif "approve" in request.POST:
        services.approve_refund(refund=refund, actor=actor, now=now)
        messages.success(request, f"{refund.money} is on its way to the student.")
    else:
        raise Http404
    return redirect("admin:payments_refund_change", refund.pk)


def _refund_facts(refund: Refund) -> Facts:
    currency = refund.currency
    return [
        ("Student", str(refund.payment.payer)),
        ("Coach", refund.payment.coach.display_name),
        ("Asked for by", str(refund.requested_by or "a rule")),
        ("Reason", refund.get_reason_display()),
        ("Why", refund.note or "-"),
        ("Who bears it", refund.get_bearer_display()),
        ("The student gets", str(refund.money)),
        ("The coach bears", money(refund.coach_part, currency)),
        ("We return of our fee", money(refund.fee_part, currency)),
        ("Our loss", money(refund.loss_part, currency)),
        ("Stripe's fee, not returned", money(refund.payment.stripe_fee_amount, currency)),
    ]


# --- the list -----------------------------------------------------------------------------------


class OperationInline(ReadOnlyInline):
    model = Operation
    fields = ("kind", "state", "attempt", "tries", "error_code", "error_message", "created_at", "finished_at")
    ordering = ("created_at",)


@admin.register(Refund)
class RefundAdmin(ShowsMoney, ListedAdmin):
    list_display = ("id", "payment_link", "money", "reason", "bearer", "status", "requested_by", "created_at", "act")
    list_filter = ("status", "reason", "bearer", "currency")
    list_select_related = ("payment", "requested_by")
    search_fields = ("=stripe_refund_id", "=payment__reference", "=payment__payment_intent_id", "payment__payer__email")
    date_hierarchy = "created_at"
    ordering = ("created_at", "pk")
    inlines = (OperationInline,)
    fields = (
        "act", "payment_link", "money", "coach", "fee", "loss", "reason", "bearer", "note", "status", "failure",
        "requested_by", "approved_by", "replaces", "otherwise_by", "otherwise_note", "otherwise_agreed_by",
        "stripe_refund_id", "created_at", "settled_at", "decisions",
    )  # fmt: skip
    readonly_fields = ("act", "payment_link", "money", "coach", "fee", "loss", "decisions")
    columns = {
        "id": lambda refund: refund.pk,
        "payment": lambda refund: refund.payment_id,
        "currency": lambda refund: refund.currency,
        "amount": decimal("amount"),
        "the coach bears": decimal("coach_part"),
        "of our fee": decimal("fee_part"),
        "our loss": decimal("loss_part"),
        "reason": lambda refund: refund.reason,
        "bearer": lambda refund: refund.bearer,
        "status": lambda refund: refund.status,
        "note": lambda refund: refund.note,
        "created at": lambda refund: refund.created_at,
        "settled at": lambda refund: refund.settled_at,
        "at stripe": lambda refund: refund.stripe_refund_id,
        "sends again": lambda refund: refund.replaces_id,
    }

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("of/<int:payment_id>/", guarded(refund_view), name="payments_refund_make"),
            path("<int:refund_id>/decide/", guarded(decide_view), name="payments_refund_decide"),
            path("<int:refund_id>/failed/", guarded(failed_view), name="payments_refund_failed"),
            *super().get_urls(),
        ]

    @admin.display(description="Payment")
    def payment_link(self, refund: Refund) -> str | SafeString:
        return link(refund.payment)

    @admin.display(description="The coach bears")
    def coach(self, refund: Refund) -> str:
        return money(refund.coach_part, refund.currency)

    @admin.display(description="Of our fee")
    def fee(self, refund: Refund) -> str:
        return money(refund.fee_part, refund.currency)

    @admin.display(description="Our loss")
    def loss(self, refund: Refund) -> str:
        return money(refund.loss_part, refund.currency)

    @admin.display(description="What is to do")
    def act(self, refund: Refund) -> str | SafeString:
        match refund.status:
            case Refund.Status.TO_APPROVE:
                return button(reverse("admin:payments_refund_decide", args=[refund.pk]), "Approve or dismiss")
            case Refund.Status.FAILED:
                return button(reverse("admin:payments_refund_failed", args=[refund.pk]), "Send it again")
            case _:
                return "-"

    @admin.display(description="Decisions")
    def decisions(self, refund: Refund) -> Any:
        return decisions_of(refund, refund.payment)


def button(address: str, words: str) -> SafeString:
    return format_html(
        '<a class="font-semibold text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, words
    )


def refund_link(payment: Payment) -> str | SafeString:
    """To the desk, where there is something to give back."""
    nothing = payment.status not in REFUNDABLE or left_of(payment).amount == 0
    if nothing or refund_desk.is_still_to_come(payment, clock.now()):
        return "-"
    return button(reverse("admin:payments_refund_make", args=[payment.pk]), "Refund")
