"""Asking Stripe on a timer. With every event lost, these alone bring everything to the same state."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from payments import gateway, services
from payments.errors import NotYetError, PayoutsUnavailable, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Dispute, FraudWarning, Operation, Payment, PayoutAccount, Refund
from payments.rounds import for_a_while
from payments.stripe_disputes import DisputeFacts, FraudWarningFacts
from payments.taking_turns import attempt, put_off, ready

log = structlog.get_logger(__name__)

Status = Payment.Status
_Facts = TypeVar("_Facts", DisputeFacts, FraudWarningFacts)

OPEN_EVERY = timedelta(seconds=15)
# A page that we believe closed is looked at for a while longer: a payment on it still counts.
LAPSED_EVERY = timedelta(minutes=5)
LAPSED_FOR = timedelta(hours=2)
HELD_EVERY = timedelta(hours=1)
HELD_NEAR_ITS_END_EVERY = timedelta(minutes=10)
NEAR_ITS_END = timedelta(hours=12)
UNDER_WAY_EVERY = timedelta(minutes=1)

REFUND_EVERY = timedelta(minutes=1)
REFUND_YOUNG_FOR = timedelta(hours=1)
REFUND_LATER_EVERY = timedelta(hours=1)
# A bank may send a refund back for as long as this.
REFUND_MAY_FAIL_FOR = timedelta(days=30)
FIND_REFUNDS_OF = timedelta(days=3)

DISPUTE_EVERY = timedelta(hours=1)
DISPUTE_CLOSED_EVERY = timedelta(days=1)
# A fee may come, or come back, some time after the end.
DISPUTE_MAY_MOVE_FOR = timedelta(days=30)
FIND_DISPUTES_OF = timedelta(days=30)

CLOSING = "close_page"

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
    def ask() -> None:
        services.refresh_payment(payment=payment, now=now)
        services.ask_anew(payment=payment, now=now)

    return _heard_of(ask, payment)


def _heard_of(ask: Callable[[], object], payment: Payment) -> bool:
    """False where Stripe answers nobody at the moment: then the others wait for the next round."""
    try:
        ask()
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
    for payment in for_a_while(ready(overdue, CLOSING, now)[:limit]):
        tried += 1
        done = attempt(CLOSING, payment.pk, partial(services.close_checkout, payment=payment, now=now), now)
        if done and payment.status == Status.OPEN:
            put_off(CLOSING, payment.pk, now)  # Stripe has not answered
    return tried


# --- refunds ------------------------------------------------------------------------------------


def poll_refunds(*, now: datetime, limit: int = 100) -> int:
    """Ask after refunds that are on their way, and those that may yet fail. Returns how many were asked after."""
    asked = 0
    due = _refunds_due(now).select_related("payment").order_by(F("polled_at").asc(nulls_first=True))
    for refund in for_a_while(due[:limit]):
        # Two pollers at once ask once.
        if not Refund.objects.filter(pk=refund.pk, polled_at=refund.polled_at).update(polled_at=now):
            continue
        asked += 1
        if not _heard_of(partial(services.refresh_refund, refund=refund, now=now), refund.payment):
            break
    return asked


def _refunds_due(now: datetime) -> QuerySet[Refund]:
    pending = Refund.objects.filter(status=Refund.Status.PENDING)
    young = Q(created_at__gt=now - REFUND_YOUNG_FOR)
    recent = Refund.objects.filter(status=Refund.Status.SUCCEEDED, created_at__gt=now - REFUND_MAY_FAIL_FOR)
    return (
        pending.filter(young, _asked_before(now - REFUND_EVERY))
        | pending.filter(~young, _asked_before(now - REFUND_LATER_EVERY))
        | recent.filter(_asked_before(now - REFUND_LATER_EVERY))
    )


def find_refunds_at_stripe(*, now: datetime) -> int:
    """Refunds of the last days, wherever they were made: should their events be lost. Returns how many were new."""
    since = int((now - FIND_REFUNDS_OF).timestamp())
    try:
        found = gateway.list_refunds(created={"gte": since})
    except GatewayError as error:
        log.warning("poll_failed", outcome=error.outcome, code=error.code)
        return 0
    known = set(
        Refund.objects.filter(stripe_refund_id__in=[refund.id for refund in found]).values_list(
            "stripe_refund_id", flat=True
        )
    )
    new = [refund for refund in reversed(found) if refund.id not in known]
    intents = [refund.payment_intent for refund in new]
    payments = {payment.payment_intent_id: payment for payment in Payment.objects.filter(payment_intent_id__in=intents)}
    ours = [refund for refund in new if refund.payment_intent in payments]
    for refund in ours:
        payment = payments[refund.payment_intent]
        _heard_of(partial(services.record_refund, payment=payment, facts=refund, now=now), payment)
    return len(ours)


# --- disputes, and warnings of them -------------------------------------------------------------


def poll_disputes(*, now: datetime, limit: int = 100) -> int:
    """Ask after disputes that are open, and those whose money may still move. Returns how many were asked after."""
    asked = 0
    due = _disputes_due(now).select_related("payment").order_by(F("polled_at").asc(nulls_first=True))
    for dispute in for_a_while(due[:limit]):
        # Two pollers at once ask once.
        if not Dispute.objects.filter(pk=dispute.pk, polled_at=dispute.polled_at).update(polled_at=now):
            continue
        asked += 1
        if not _heard_of(partial(services.refresh_dispute, dispute=dispute, now=now), dispute.payment):
            break
    return asked


def _disputes_due(now: datetime) -> QuerySet[Dispute]:
    never = Dispute.objects.filter(polled_at=None)
    open_ones = Dispute.objects.filter(_asked_before(now - DISPUTE_EVERY), closed_at=None)
    closed = Dispute.objects.filter(_asked_before(now - DISPUTE_CLOSED_EVERY), closed_at__gt=now - DISPUTE_MAY_MOVE_FOR)
    return never | open_ones | closed


def find_disputes_at_stripe(*, now: datetime) -> int:
    """Disputes of the last weeks: should their events be lost. Returns how many told something new."""
    found = _listed(gateway.list_disputes, now)
    ids = [facts.id for facts in found]
    known = dict(Dispute.objects.filter(stripe_dispute_id__in=ids).values_list("stripe_dispute_id", "status"))
    return _hear_of([facts for facts in found if known.get(facts.id) != facts.status], services.record_dispute, now)


def find_fraud_warnings_at_stripe(*, now: datetime) -> int:
    """The same for early fraud warnings."""
    found = _listed(gateway.list_fraud_warnings, now)
    ids = [facts.id for facts in found]
    known = dict(FraudWarning.objects.filter(stripe_warning_id__in=ids).values_list("stripe_warning_id", "actionable"))
    new = [facts for facts in found if known.get(facts.id) != facts.actionable]
    return _hear_of(new, services.record_fraud_warning, now)


def _listed(list_them: Callable[..., Iterable[_Facts]], now: datetime) -> list[_Facts]:
    """Those of the last weeks, the oldest first; none where Stripe does not answer."""
    try:
        return list(list_them(created={"gte": int((now - FIND_DISPUTES_OF).timestamp())}))[::-1]
    except GatewayError as error:
        log.warning("poll_failed", outcome=error.outcome, code=error.code)
        return []


def _hear_of(new: Sequence[_Facts], record: Callable[..., object], now: datetime) -> int:
    """Records those that are about payments of ours; returns how many."""
    payments = _payments_of(facts.payment_intent for facts in new)
    ours = [facts for facts in new if facts.payment_intent in payments]
    for facts in ours:
        payment = payments[facts.payment_intent]
        _heard_of(partial(record, payment=payment, facts=facts, now=now), payment)
    return len(ours)


def _payments_of(intents: Iterable[str]) -> dict[str | None, Payment]:
    payments = Payment.objects.filter(payment_intent_id__in=[intent for intent in intents if intent])
    return {payment.payment_intent_id: payment for payment in payments}


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
