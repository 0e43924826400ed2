"""What the admin's theme asks for: our mark, and a side bar by what staff come for."""

from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

# What staff work through: its name and icon, its page, and the right to see it.
DESKS: tuple[tuple[str, str, str, dict[str, str], str], ...] = (
    (
        "What is wrong",
        "emergency_home",
        "admin:payments_problem_changelist",
        {"ended_at__isnull": "True"},
        "payments.view_problem",
    ),
    ("Money at risk", "warning", "admin:bookings_at_risk", {}, "payments.view_payment"),
    (
        "Claims to decide",
        "gavel",
        "admin:bookings_claim_changelist",
        {"state__in": "open,contradicted"},
        "bookings.view_claim",
    ),
    (
        "Payments to refund",
        "undo",
        "admin:payments_payment_changelist",
        {"status__in": "captured,held"},
        "payments.add_refund",
    ),
    (
        "Refunds to approve",
        "how_to_reg",
        "admin:payments_refund_changelist",
        {"status__exact": "to_approve"},
        "payments.change_refund",
    ),
    (
        "Open disputes",
        "balance",
        "admin:payments_dispute_changelist",
        {"closed_at__isnull": "True"},
        "payments.view_dispute",
    ),
    ("Chart of accounts", "account_tree", "admin:payments_ledgeraccount_chart", {}, "payments.view_ledgerentry"),
    ("Totals of the year", "event_note", "admin:payments_statement_this_year", {}, "payments.view_statement"),
    ("Monthly run", "calendar_month", "admin:payments_payoutrun_latest", {}, "payments.view_payoutrun"),
    (
        "Failed payouts",
        "money_off",
        "admin:payments_payout_changelist",
        {"status__exact": "failed"},
        "payments.view_payout",
    ),
    ("Pay out what is ours", "account_balance_wallet", "admin:payments_payout_platform", {}, "payments.add_payout"),
    (
        "Reversals to decide",
        "west",
        "admin:payments_reversal_changelist",
        {"status__exact": "at_stripe"},
        "payments.change_reversal",
    ),
    (
        "Differences with Stripe",
        "difference",
        "admin:payments_difference_changelist",
        {"state__exact": "open"},
        "payments.view_difference",
    ),
    (
        "Corrections to approve",
        "rule",
        "admin:payments_correction_changelist",
        {"status__exact": "to_approve"},
        "payments.view_correction",
    ),
    ("Stop sending to Stripe", "pan_tool", "admin:payments_standstill_now", {}, "payments.add_standstill"),
)
# Desks that say how much is waiting there.
COUNTED = {
    "admin:payments_problem_changelist": "payments.Problem",
    "admin:payments_difference_changelist": "payments.Difference",
    "admin:payments_correction_changelist": "payments.Correction",
}
# Group -> model and its icon (https://fonts.google.com/icons, which the theme ships).
GROUPS: dict[str, dict[str, str]] = {
    "Sessions": {
        "bookings.Booking": "event",
        "bookings.BookingEvent": "history",
        "bookings.LiveSession": "videocam",
        "bookings.Claim": "report",
        "bookings.Notice": "mail",
    },
    "People": {
        "coaches.Coach": "school",
        "coaches.Offering": "sell",
        "coaches.DateOverride": "event_busy",
        "coaches.CalendarFeed": "sync",
        "bookings.Student": "face",
        "marketplace.User": "person",
        "marketplace.StaffDecision": "history_edu",
    },
    "Money": {
        "payments.Payment": "credit_card",
        "payments.Refund": "undo",
        "payments.Dispute": "balance",
        "payments.FraudWarning": "flag",
        "payments.Earning": "savings",
        "payments.PayoutRun": "calendar_month",
        "payments.PayoutLine": "list_alt",
        "payments.Transfer": "east",
        "payments.Reversal": "west",
        "payments.PayoutAccount": "account_balance",
        "payments.Payout": "move_to_inbox",
        "payments.BankAccount": "credit_score",
    },
    "Books": {
        "payments.Statement": "request_quote",
        "payments.FeeInvoice": "receipt",
        "payments.ClosedMonth": "event_available",
        "payments.LedgerTransaction": "menu_book",
        "payments.LedgerEntry": "format_list_numbered",
        "payments.LedgerAccount": "account_tree",
        "payments.Difference": "difference",
        "payments.Correction": "rule",
        "payments.Reconciliation": "compare_arrows",
    },
    "Talk with Stripe": {
        "payments.Operation": "sync_alt",
        "payments.Standstill": "pan_tool",
        "payments.Problem": "emergency_home",
        "payments.StripeEvent": "webhook",
        "payments.Customer": "badge",
    },
    "Stripe's own objects": {
        "djstripe.PaymentIntent": "credit_card",
        "djstripe.Charge": "receipt_long",
        "djstripe.Transfer": "east",
        "djstripe.BalanceTransaction": "balance",
        "djstripe.Account": "account_balance",
    },
}


def mark(_request: HttpRequest) -> str:
    return static("img/mark.svg")


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """What the theme draws; a desk or model without an admin page, or not for this member of staff, is left out."""
    desks = [
        {
            "title": title,
            "icon": icon,
            "link": f"{reverse(page)}?{urlencode(only)}".removesuffix("?"),
            "badge": _waiting(page, only),
        }
        for title, icon, page, only, right in DESKS
        if request.user.has_perm(right)
    ]
    shown = [{"title": "Desks", "separator": True, "items": desks}] if desks else []
    for title, models in GROUPS.items():
        items = [item for label, icon in models.items() if (item := _item(request, label, icon))]
        if items:
            shown.append({"title": title, "separator": True, "items": items})
    return shown


def _waiting(page: str, only: dict[str, str]) -> int:
    """Nothing is shown for zero."""
    label = COUNTED.get(page)
    # In an address everything is text.
    wanted = {name: value == "True" if name.endswith("__isnull") else value for name, value in only.items()}
    return apps.get_model(label)._default_manager.filter(**wanted).count() if label else 0  # noqa: SLF001  # Django's name


def _item(request: HttpRequest, label: str, icon: str) -> dict[str, Any] | None:
    model = apps.get_model(label)
    if not admin.site.is_registered(model) or not admin.site.get_model_admin(model).has_view_permission(request):
        return None
    meta = model._meta  # noqa: SLF001 (Django's documented way to a model's names)
    return {
        "title": str(meta.verbose_name_plural).capitalize(),
        "icon": icon,
        "link": reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist"),
    }
