"""A payment's whole story on one page: what happened, what it is called at Stripe, and how it is booked."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.safestring import SafeString

from marketplace.admin_desks import desk_page, require_right, subject_address
from payments import chart
from payments.admin.base import link, link_to, money
from payments.models import LedgerEntry, Payment
from payments.story import AtStripe, Step, Story, story_of

# Where Stripe's dashboard shows an object, by the beginning of its id; others are searched for.
# https://docs.stripe.com/dashboard/basics
DASHBOARD = {
    "pi": "payments/",
    "ch": "payments/",
    "py": "payments/",
    "re": "refunds/",
    "tr": "connect/transfers/",
    "acct": "connect/accounts/",
    "po": "payouts/",
    "evt": "events/",
}
SEARCH = "search?query="


def story_view(request: HttpRequest, payment_id: int) -> HttpResponse:
    """Whoever may see payments reads it; of each step, what else their rights let them see."""
    require_right(request, "payments.view_payment")
    known = Payment.objects.select_related("payer", "coach", "card")
    story = story_of(get_object_or_404(known, pk=payment_id))
    books = request.user.has_perm("payments.view_ledgerentry")
    payment = story.payment
    return desk_page(
        request,
        "admin/books/story.html",
        title=f"The story of {payment}",
        payment=payment,
        facts=_facts(story),
        subject=subject_address(payment.reference),
        steps=[_shown(step, books) for step in story.steps if request.user.has_perm(step.right)],
        attempts=[link_to(story_address(each), f"{each}: {each.get_status_display()}") for each in story.attempts],
        operations=[
            (link(each), each) for each in story.operations if request.user.has_perm("payments.view_operation")
        ],
        events=[(link(each), each) for each in story.events if request.user.has_perm("payments.view_stripeevent")],
    )


def story_address(payment: Payment) -> str:
    return reverse("admin:payments_payment_story", args=[payment.pk])


def story_link(payment: Payment | None) -> str | SafeString:
    return link_to(story_address(payment), "Story") if payment else "-"


def story_url(guarded: Callable[[Any], Any]) -> Any:
    return path("<int:payment_id>/story/", guarded(story_view), name="payments_payment_story")


def at_stripe(shown: AtStripe) -> str | SafeString:
    """The id, leading to Stripe's dashboard; the sandbox has none."""
    if settings.STRIPE_SANDBOX_URL:
        return shown.id
    kind = shown.id.partition("_")[0]
    parts = [shown.account, "" if settings.STRIPE_LIVE_MODE else "test", DASHBOARD.get(kind, SEARCH)]
    where = "/".join(part for part in parts if part)
    return link_to(f"https://dashboard.stripe.com/{where}{quote(shown.id, safe='')}", shown.id)


def _facts(story: Story) -> list[tuple[str, str]]:
    payment = story.payment
    return [
        ("For", payment.description),
        ("Student", str(payment.payer)),
        ("Coach", payment.coach.display_name),
        ("State", payment.get_status_display()),
        ("Price", str(payment.money)),
        ("Taken", money(payment.captured_amount, payment.currency)),
        ("Refunded", money(payment.refunded_amount, payment.currency)),
    ]


def _shown(step: Step, books: bool) -> dict[str, Any]:
    return {
        "step": step,
        "objects": [at_stripe(each) for each in step.objects],
        "row": _row(step.row),
        "fact": link(step.fact) if step.fact and books else "",
        "entries": [_entry(each) for each in step.fact.entries.all()] if step.fact and books else [],
        "unbooked": step.unbooked and books,
    }


def _row(row: Model | None) -> str | SafeString:
    """What the step tells of is known by its id at Stripe already; here is where the rest of it is."""
    if row is None or not admin.site.is_registered(type(row)):
        return ""
    meta = row._meta  # noqa: SLF001  # Django's documented way to a model's names
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return link_to(address, f"See the {meta.verbose_name}")


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    account, booked = entry.account, entry.balance_transaction_id
    return {
        "account": link_to(reverse("admin:payments_ledgeraccount_months", args=[account.pk]), account.code),
        "meaning": chart.MEANINGS.get(chart.group_of(account.code), chart.OTHER),
        "amount": money(entry.amount, account.currency),
        "at_stripe": at_stripe(AtStripe(booked)) if booked else "",
    }
