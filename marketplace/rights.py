"""What each role of the staff may do: three groups, and the least rights that their work needs.

The groups hold exactly these rights after each migration: a right that is taken out here is taken away. Whoever needs
another mix makes a group of their own. Pages ask for rights, never for a group.
"""

from typing import Any

from django.apps import AppConfig
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

SEE_SESSIONS = (
    "bookings.view_booking",
    "bookings.view_bookingevent",
    "bookings.view_livesession",
    "bookings.view_notice",
    "bookings.view_student",
    "bookings.view_attendance",
    "bookings.view_claim",
    "coaches.view_coach",
    "coaches.view_offering",
    "coaches.view_weeklyhours",
)
SEE_PAYMENTS = (
    "payments.view_payment",
    "payments.view_refund",
    "payments.view_dispute",
    "payments.view_fraudwarning",
    "marketplace.view_staffdecision",
)
SEE_BOOKS = (
    "payments.view_customer",
    "payments.view_earning",
    "payments.view_ledgeraccount",
    "payments.view_ledgerentry",
    "payments.view_ledgertransaction",
    "payments.view_operation",
    "payments.view_payoutaccount",
    "payments.view_payoutline",
    "payments.view_payoutrun",
    "payments.view_reversal",
    "payments.view_stripeevent",
    "payments.view_transfer",
    "payments.view_payout",
    "payments.view_bankaccount",
    "payments.view_closedmonth",
    "payments.view_statement",
    "payments.view_feeinvoice",
    "coaches.view_billingdetails",
    "payments.view_reconciliation",
    "payments.view_difference",
    "payments.view_correction",
    "payments.view_standstill",
    "payments.view_problem",
    "djstripe.view_account",
    "djstripe.view_balancetransaction",
    "djstripe.view_charge",
    "djstripe.view_customer",
    "djstripe.view_paymentintent",
    "djstripe.view_paymentmethod",
    "djstripe.view_session",
    "djstripe.view_transfer",
)
# Answer and end sessions in the coach's name, decide claims, ask for refunds.
WORK_ON_SESSIONS = ("bookings.change_booking", "bookings.change_claim", "payments.add_refund")
# Ask for refunds and agree to those of others, answer disputes, work parked events again.
WORK_ON_MONEY = (
    "payments.add_refund",
    "payments.change_refund",
    "payments.change_dispute",
    "payments.change_fraudwarning",
    "payments.change_stripeevent",
)
# Hold and release lines of a run, decide what is done with reversals made at Stripe, pay the platform out, explain
# differences, propose corrections of the books and agree to those of others, stop and resume all sending to Stripe.
WORK_ON_BOOKS = (
    "payments.change_payoutline",
    "payments.change_reversal",
    "payments.add_payout",
    "payments.change_difference",
    "payments.add_correction",
    "payments.change_correction",
    "payments.add_standstill",
    "payments.change_standstill",
)
KEEP_PEOPLE = (
    "marketplace.view_user",
    "marketplace.add_user",
    "marketplace.change_user",
    "coaches.change_coach",
    "coaches.change_offering",
)

ROLES: dict[str, tuple[str, ...]] = {
    "support": (*SEE_SESSIONS, *SEE_PAYMENTS, *WORK_ON_SESSIONS),
    "finance": (*SEE_SESSIONS, *SEE_PAYMENTS, *SEE_BOOKS, *WORK_ON_MONEY, *WORK_ON_BOOKS),
    "admin": (
        *SEE_SESSIONS, *SEE_PAYMENTS, *SEE_BOOKS, *WORK_ON_SESSIONS, *WORK_ON_MONEY, *WORK_ON_BOOKS, *KEEP_PEOPLE,
    ),
}  # fmt: skip


def grant_rights(*, app_config: AppConfig, using: str, apps: Apps, **_: Any) -> None:
    """After each migration of an app: the roles' rights in it, made if they are missing. Safe to repeat.

    `apps` is what is migrated so far: before there are groups, there is nothing to grant.
    """
    try:
        apps.get_model("auth", "Group")
    except LookupError:
        return
    create_permissions(app_config, verbosity=0, using=using, apps=apps)
    label = app_config.label
    for name, rights in ROLES.items():
        wanted = {right.partition(".")[2] for right in rights if right.startswith(f"{label}.")}
        if not wanted:
            continue
        group, _made = Group.objects.using(using).get_or_create(name=name)
        known = Permission.objects.using(using).filter(content_type__app_label=label)
        group.permissions.remove(*known.exclude(codename__in=wanted))
        group.permissions.add(*known.filter(codename__in=wanted))
