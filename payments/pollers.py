"""Asking Stripe on a timer. With every event lost, these alone bring everything to the same state."""

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from payments import services
from payments.errors import NotYetError, PayoutsUnavailable, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Operation, Payment, PayoutAccount
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

Status = Payment.Status

OPEN_EVERY = timedelta(seconds=15)
# A page that we believe closed is looked at for a while longer: a payment on it still counts.
LAPSED_EVERY = timedelta(minutes=5)
LAPSED_FOR = timedelta(hours=2)
HELD_EVERY = timedelta(hours=1)
HELD_NEAR_ITS_END_EVERY = timedelta(minutes=10)
NEAR_ITS_END = timedelta(hours=12)
UNDER_WAY_EVERY = timedelta(minutes=1)

BEGUN_EVERY = timedelta(minutes=1)
BEGUN_FOR = timedelta(days=1)
STALE_EVERY = timedelta(hours=1)
PAYABLE_EVERY = timedelta(hours=6)


# --- payments -----------------------------------------------------------------------------------


def poll_open_payments(*, now: datetime, limit: int = 100) -> int:
    """Ask after payments that are not finished, longest unasked first. Returns how many were asked after."""
    asked = 0
    for payment in for_a_while(_unfinished(now).order_by(F("polled_at").asc(nulls_first=True))[:limit]):
        if not _claim(payment, now):
            continue
        asked += 1
        if not _poll_payment(payment, now):
            break
    return asked


def _unfinished(now: datetime) -> QuerySet[Payment]:
    near = Q(capture_before__lte=now + NEAR_ITS_END)
    due = (
        Q(_asked_before(now - OPEN_EVERY), status=Status.OPEN)
        | Q(_asked_before(now - LAPSED_EVERY), status=Status.LAPSED, checkout_ends_at__gt=now - LAPSED_FOR)
        | Q(_asked_before(now - HELD_EVERY), status=Status.HELD)
        | Q(_asked_before(now - HELD_NEAR_ITS_END_EVERY), near, status=Status.HELD)
        | Q(_asked_before(now - UNDER_WAY_EVERY), status__in=(Status.AUTHORISING, Status.CAPTURING, Status.RELEASING))
    )
    # A page that is not known to be there can't be asked after; its operation does.
    without_page = Q(status__in=(Status.OPEN, Status.LAPSED), checkout_session_id=None)
    return Payment.objects.filter(due).exclude(without_page).select_related("payer__stripe_customer")


def _asked_before(latest: datetime) -> Q:
    return Q(polled_at=None) | Q(polled_at__lte=latest)


def _claim(payment: Payment, now: datetime) -> bool:
    """Two pollers at once ask once."""
    return bool(Payment.objects.filter(pk=payment.pk, polled_at=payment.polled_at).update(polled_at=now))


def _poll_payment(payment: Payment, now: datetime) -> bool:
    """False where Stripe answers nobody at the moment: then the others wait for the next round."""
    try:
        services.refresh_payment(payment=payment, now=now)
        services.ask_anew(payment=payment, now=now)
    except NotYetError as error:
        log.info("payment_not_settled_yet", payment=payment.pk, reason=str(error))
    except StripeMismatchError as error:
        log.critical("payment_differs_from_stripe", payment=payment.pk, reason=str(error))
    except GatewayError as error:
        log.warning("poll_failed", payment=payment.pk, outcome=error.outcome, code=error.code)
        return error.outcome == "refused"
    except Exception:
        # One payment that trips over a bug must not keep the others from being looked after.
        log.exception("poll_failed_by_a_bug", payment=payment.pk)
    return True


def close_overdue_pages(*, now: datetime, limit: int = 100) -> int:
    """Close the pages whose time is over, oldest first, whatever they are for. Returns how many were tried."""
    overdue = Payment.objects.filter(status=Status.OPEN, checkout_ends_at__lte=now).order_by("checkout_ends_at")
    tried = 0
    for payment in for_a_while(overdue[:limit]):
        tried += 1
        try:
            services.close_checkout(payment=payment, now=now)
        except Exception:
            log.exception("closing_failed_by_a_bug", payment=payment.pk)
    return tried


# --- connected accounts -------------------------------------------------------------------------


def poll_payout_accounts(*, now: datetime, limit: int = 100) -> int:
    """Ask how accounts stand: often while a coach is being onboarded, now and then later."""
    asked = 0
    for account in for_a_while(_accounts_due(now).order_by(F("read_at").asc(nulls_first=True))[:limit]):
        # Two pollers at once ask once, and an account that can't be read goes to the end of the queue.
        if not PayoutAccount.objects.filter(pk=account.pk, read_at=account.read_at).update(read_at=now):
            continue
        asked += 1
        try:
            services.refresh_payout_account(account=account, now=now)
        except PayoutsUnavailable:
            log.warning("account_poll_failed", account=account.stripe_account_id)
            break
    return asked


def _accounts_due(now: datetime) -> QuerySet[PayoutAccount]:
    begun = Exists(
        Operation.objects.filter(
            kind=Operation.Kind.CREATE_ACCOUNT, coach=OuterRef("coach"), created_at__gt=now - BEGUN_FOR
        )
    )
    payable = Q(transfers_active=True, payouts_enabled=True)
    due = (
        Q(_read_before(now - PAYABLE_EVERY), payable)
        | Q(_read_before(now - STALE_EVERY), ~payable)
        | Q(_read_before(now - BEGUN_EVERY), ~payable, begun)
    )
    return PayoutAccount.objects.filter(due, deauthorised_at=None)


def _read_before(latest: datetime) -> Q:
    return Q(read_at=None) | Q(read_at__lte=latest)
