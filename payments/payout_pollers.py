"""Asking Stripe after payouts and balances on a timer. With every event lost, these alone bring the same state."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from payments import gateway, services
from payments.errors import NotYetError, PayoutsUnavailable, StripeMismatchError
from payments.gateway import GatewayError
from payments.models import Payout, PayoutAccount, Transfer
from payments.rounds import for_a_while

log = structlog.get_logger(__name__)

Status = Payout.Status

OPEN_EVERY = timedelta(hours=1)
INSTANT_EVERY = timedelta(minutes=5)
PAID_EVERY = timedelta(hours=12)
# A bank sends a payment back within five working days, says Stripe.
MAY_COME_BACK_FOR = timedelta(days=14)

WITH_MONEY_EVERY = timedelta(hours=6)
WITHOUT_MONEY_EVERY = timedelta(days=7)

FIND_PLATFORMS_OF = timedelta(days=30)


def poll_payouts(*, now: datetime, limit: int = 100) -> int:
    """Ask after payouts that are on their way, or may yet come back, longest unasked first. Returns how many."""
    # Those of accounts that had left us by the time that we heard of them.
    services.stop_following(Payout.objects.exclude(account__deauthorised_at=None), now)
    asked = 0
    due = _payouts_due(now).select_related("account__coach").order_by(F("polled_at").asc(nulls_first=True))
    for payout in for_a_while(due[:limit]):
        # Two pollers at once ask once.
        if not Payout.objects.filter(pk=payout.pk, polled_at=payout.polled_at).update(polled_at=now):
            continue
        asked += 1
        if not _heard_of(partial(services.refresh_payout, payout=payout, now=now), str(payout)):
            break
    return asked


def poll_balances(*, now: datetime, limit: int = 100) -> int:
    """What coaches have at Stripe, and payouts that nobody told us of: first of those to whom we ever sent money.

    Returns how many accounts were asked after.
    """
    asked = 0
    for account in for_a_while(_balances_due(now)[:limit]):
        asked += 1
        if not _heard_of(partial(services.refresh_balance, account=account, now=now), str(account)):
            break
        # One that can't be read goes to the end of the queue.
        PayoutAccount.objects.filter(pk=account.pk).update(balance_asked_at=now)
    return asked


def find_platform_payouts(*, now: datetime) -> int:
    """The platform's own of the last weeks, whoever made them. Returns how many told something new."""
    try:
        window = {"gte": int((now - FIND_PLATFORMS_OF).timestamp())}
        found = list(gateway.list_payouts(account_id="", created=window))[::-1]
    except GatewayError as error:
        log.warning("poll_failed", outcome=error.outcome, code=error.code)
        return 0
    known = dict(Payout.objects.filter(account=None).values_list("stripe_payout_id", "status"))
    new = [facts for facts in found if known.get(facts.id) != facts.status]
    for facts in new:
        _heard_of(partial(services.record_payout, facts=facts, account=None, now=now), facts.id)
    return len(new)


def _payouts_due(now: datetime) -> QuerySet[Payout]:
    on_its_way = Q(status__in=(Status.PENDING, Status.IN_TRANSIT))
    due = (
        Q(on_its_way, _before("polled_at", now - OPEN_EVERY))
        | Q(on_its_way, _before("polled_at", now - INSTANT_EVERY), method=Payout.Method.INSTANT)
        | Q(_before("polled_at", now - PAID_EVERY), status=Status.PAID, created_at__gt=now - MAY_COME_BACK_FOR)
    )
    return Payout.objects.filter(due, account__deauthorised_at=None).exclude(stripe_payout_id=None)


def _balances_due(now: datetime) -> QuerySet[PayoutAccount]:
    has_money = Exists(Transfer.objects.filter(coach=OuterRef("coach")))
    due = _before("balance_asked_at", now - WITHOUT_MONEY_EVERY) | Q(
        has_money, _before("balance_asked_at", now - WITH_MONEY_EVERY)
    )
    accounts = PayoutAccount.objects.filter(due, deauthorised_at=None).select_related("coach")
    return accounts.order_by(has_money.desc(), F("balance_asked_at").asc(nulls_first=True))


def _before(field: str, latest: datetime) -> Q:
    return Q(**{field: None}) | Q(**{f"{field}__lte": latest})


def _heard_of(ask: Callable[[], object], what: str) -> bool:
    """False where Stripe answers nobody at the moment: then the others wait for the next round."""
    try:
        ask()
    except NotYetError as error:
        log.info("payout_not_settled_yet", what=what, reason=str(error))
    except StripeMismatchError as error:
        log.critical("payout_differs_from_stripe", what=what, reason=str(error))
    except (GatewayError, PayoutsUnavailable) as error:
        cause = error if isinstance(error, GatewayError) else error.__cause__
        log.warning("payout_poll_failed", what=what, reason=str(cause))
        # One account that we can't reach any more is no reason to leave the others alone.
        return isinstance(cause, GatewayError) and (cause.permanent or cause.code == "account_invalid")
    except Exception:
        log.exception("payout_poll_failed_by_a_bug", what=what)
    return True
