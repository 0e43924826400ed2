"""What is wrong with the product as a whole: one list, that the admin, `/health/` and the mails to operators share.

A timer looks for everything that is quick to find; what is wrong in the books, and which statements are missing, is
looked for by the timers that check books and close months. Each thing is one row from when it was seen first until it
is over, so that a person is told once of each (`operator_mails`). Rows tell no secrets and nobody's own data: numbers,
Stripe's ids, and words of ours.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.urls import reverse

from marketplace import clock
from marketplace.lib.months import end_of, month_before, month_in_words
from payments import lookout, statements
from payments.models import (
    Difference,
    Earning,
    LedgerTransaction,
    LookOut,
    Operation,
    Payout,
    PayoutLine,
    PayoutRun,
    Problem,
    Reconciliation,
    Standstill,
    StripeEvent,
    Watch,
)
from payments.payouts import DISPUTED, UP_TO_THE_COACH
from payments.reconcile.kinds import BOOKS_DO_NOT_ADD_UP, KINDS

log = structlog.get_logger(__name__)

# Of each kind so many are told one by one; more than that is a fire, and not a list.
MOST = 100
# What comes back so soon was never over: what comes and goes all day is told once.
SETTLES_AFTER = timedelta(hours=1)
# How long work that is due may lie there before nobody is at it.
LATE = timedelta(minutes=15)
# A run opens in the first minute of its month; and this long it may take to ask for each transfer once.
OPENS_WITHIN, RUN_TAKES = timedelta(hours=1), timedelta(hours=6)
# Stripe's events come within seconds, and are repeated for three days.
EVENTS_WITHIN, EVENTS_LOOK_BACK = timedelta(minutes=30), timedelta(days=3)
# Everything is compared each night.
COMPARED_WITHIN = timedelta(hours=50)
# A payout of the platform's that failed is old news after this, though nobody has paid out again.
FAILED_FOR = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Found:
    """`about` tells it from others of its kind; `page` is the path of the page that leads on."""

    about: str
    what: str
    meaning: str
    page: str
    since: datetime


Finder = Callable[[datetime], Iterable[Found]]


def current() -> QuerySet[Problem]:
    """What is wrong now, the oldest first."""
    return Problem.objects.filter(ended_at=None).order_by("began_at", "pk")


def counts() -> dict[str, int]:
    """How many there are of each kind now, by words that anybody may read. One query."""
    found = current().order_by().values_list("kind").annotate(number=Count("pk")).order_by("kind")
    return {TITLES.get(kind, kind): number for kind, number in found}


def look(now: datetime) -> None:
    """Bring the list in step with what is so. What can't be looked at by a bug stays as it was."""
    _note_the_gap(now)
    for kind, find in FINDERS.items():
        try:
            keep(kind, find(now), now)
        except Exception:
            log.exception("problem_not_looked_for", kind=kind)


def keep(kind: str, found: Iterable[Found], now: datetime) -> None:
    """These are all that there are of this kind now."""
    by_about = {each.about: each for each in found}
    theirs = Problem.objects.filter(kind=kind)
    theirs.filter(ended_at=None).exclude(about__in=by_about).update(ended_at=now)
    # The end of it was told to nobody yet: it goes on.
    soon_again = theirs.filter(about__in=by_about, ended_at__gt=now - SETTLES_AFTER, ended_mail=None)
    again_open = theirs.filter(ended_at=None, about=OuterRef("about"))
    newest = theirs.filter(about=OuterRef("about"), pk__gt=OuterRef("pk"))
    soon_again.filter(~Exists(again_open), ~Exists(newest)).update(ended_at=None)
    # Without those that another worker has written down since.
    for row in theirs.filter(ended_at=None, about__in=by_about):
        theirs.filter(pk=row.pk).update(**_said(by_about.pop(row.about)), seen_at=now)
    # Another worker may have written the same rows down just now.
    Problem.objects.bulk_create(
        (
            Problem(kind=kind, about=each.about, began_at=each.since, seen_at=now, **_said(each))
            for each in by_about.values()
        ),
        ignore_conflicts=True,
    )


def _said(found: Found) -> dict[str, str]:
    return {"what": found.what[:200], "meaning": found.meaning[:500], "page": found.page}


# --- what is looked for -------------------------------------------------------------------------


def _standstills(_now: datetime) -> Iterable[Found]:
    for standing in Standstill.objects.filter(ended_at=None):
        yield Found(
            str(standing.pk),
            "Nothing is sent to Stripe",
            "Sending is stopped: holds, captures, refunds, transfers and payouts are written down and wait. The page "
            "says why, and how it ends.",
            reverse("admin:payments_standstill_now"),
            standing.began_at,
        )


def _differences(_now: datetime) -> Iterable[Found]:
    # Those of the books are on the list by the check of the books.
    still = Difference.objects.filter(state=Difference.State.OPEN).exclude(code=BOOKS_DO_NOT_ADD_UP.code)
    for row in still.order_by("found_at", "pk")[:MOST]:
        kind = KINDS.get(row.code)
        yield Found(
            str(row.pk),
            str(row),
            f"{kind.meaning if kind else ''} The page says what to do.".strip(),
            reverse("admin:payments_difference_change", args=[row.pk]),
            row.found_at,
        )


def _runs(now: datetime) -> Iterable[Found]:
    page = reverse("admin:payments_payoutrun_latest")
    for run in PayoutRun.objects.filter(status=PayoutRun.Status.OPEN).order_by("month"):
        number = _left_by_us(run, now)
        if number:
            what = f"The run of {month_in_words(run.month)} is not done: {number} transfer(s) are not paid"
            meaning = "They wait for us, and not for their coaches: our balance, our books, or Stripe's refusal."
            yield Found(run.month, what, meaning, page, run.opened_at)
    month = month_before(now)
    missing = not PayoutRun.objects.filter(month=month).exists()
    due = Earning.objects.filter(release_at__lt=end_of(month), frozen=False, line=None, reversal=None)
    if missing and now >= end_of(month) + OPENS_WITHIN and due.exists():
        what = f"The run of {month_in_words(month)} was not begun"
        meaning = "Nobody is paid before it is: the books are out of balance, sending is stopped, or no timer runs."
        yield Found(month, what, meaning, page, end_of(month))


def _left_by_us(run: PayoutRun, now: datetime) -> int:
    """How many lines wait for something that neither a coach nor finance has to do."""
    ours = Q(status=PayoutLine.Status.WAITING) & ~Q(waiting_for__in=[*UP_TO_THE_COACH, DISPUTED])
    if run.opened_at <= now - RUN_TAKES:
        ours |= Q(status=PayoutLine.Status.PLANNED)
    return run.lines.filter(ours).count()


def _platform_payouts(now: datetime) -> Iterable[Found]:
    """Until the platform is paid out again in that currency."""
    platforms = Payout.objects.filter(account=None)
    gone_wrong = (Payout.Status.FAILED, Payout.Status.REFUSED)
    later = platforms.filter(currency=OuterRef("currency"), created_at__gt=OuterRef("created_at"))
    failed = platforms.filter(~Exists(later), status__in=gone_wrong, created_at__gt=now - FAILED_FOR)
    for payout in failed.order_by("pk")[:MOST]:
        yield Found(
            str(payout.pk),
            f"The platform's payout of {payout.money} failed",
            "The money is on our balance at Stripe. Correct the bank account in Stripe's Dashboard and pay out again.",
            reverse("admin:payments_payout_change", args=[payout.pk]),
            payout.failed_at or payout.created_at,
        )


def _events_not_worked(now: datetime) -> Iterable[Found]:
    if lookout.is_behind():
        return  # they wait for its end, which is on the list
    late = StripeEvent.objects.filter(state=StripeEvent.State.NEW, next_try_at__lte=now - LATE)
    first = late.aggregate(first=Min("next_try_at"))["first"]
    if first:
        page = reverse("admin:payments_stripeevent_changelist") + "?state__exact=new"
        meaning = "They came and nobody works them: no worker runs, or it is stuck. Pollers bring the same, but later."
        yield Found("", "Stripe's events are not worked", meaning, page, first)


def _no_events(now: datetime) -> Iterable[Found]:
    """Stripe tells each capture by an event: where none came since, it can't reach us."""
    last = StripeEvent.objects.order_by("-pk").values_list("received_at", flat=True).first()
    # The event of a capture may come before we have booked it.
    silent_since = max(last + LATE if last else now - EVENTS_LOOK_BACK, now - EVENTS_LOOK_BACK)
    captures = LedgerTransaction.objects.filter(kind="capture", occurred_at__gt=silent_since)
    first = captures.filter(occurred_at__lte=now - EVENTS_WITHIN).aggregate(first=Min("occurred_at"))["first"]
    if first:
        page = reverse("admin:payments_stripeevent_changelist")
        meaning = (
            "Money was captured and no event came since: the endpoint is off at Stripe, its secret is wrong, or Stripe "
            "can't reach us. Pollers bring the same, but later."
        )
        yield Found("", "No webhooks come from Stripe", meaning, page, first)


def _operations_left(now: datetime) -> Iterable[Found]:
    if lookout.is_standing_still():
        return  # they wait for its end, which is on the list
    free = Q(lease_until=None) | Q(lease_until__lte=clock.wall())
    late = Operation.objects.filter(free, state__in=Operation.OPEN_STATES, next_try_at__lte=now - LATE)
    first = late.aggregate(first=Min("next_try_at"))["first"]
    if first:
        page = reverse("admin:payments_operation_changelist") + "?state__exact=pending"
        meaning = "What was asked for is not sent: no worker runs, it is stuck, or Stripe does not answer the look-out."
        yield Found("", "Requests to Stripe are not sent", meaning, page, first)


def _not_looked_out(now: datetime) -> Iterable[Found]:
    life = timedelta(seconds=settings.STRIPE_LOOK_OUT_SECONDS)
    silent = max(LATE, 3 * life)
    looked_at = LookOut.objects.filter(looked_at__year__gt=1970).values_list("looked_at", flat=True).first()
    if life and looked_at and clock.wall() - looked_at > silent:
        page = reverse("admin:payments_operation_changelist")
        meaning = "Nothing is sent before Stripe has told its newest objects: it does not answer, or no timer runs."
        yield Found("", "Stripe does not answer", meaning, page, now - (clock.wall() - looked_at))


def _not_compared(now: datetime) -> Iterable[Found]:
    began = Reconciliation.objects.aggregate(first=Min("began_at"))["first"]
    whole = Reconciliation.objects.filter(scope=Reconciliation.Scope.FULL, failure="", ended_at__isnull=False)
    last = whole.order_by("-began_at").values_list("began_at", flat=True).first() or began
    if last and last <= now - COMPARED_WITHIN:
        page = reverse("admin:payments_reconciliation_changelist")
        meaning = "Everything is compared each night; it breaks off, or no timer runs. Differences may be there unseen."
        yield Found("", "Our books were not compared with Stripe's", meaning, page, last)


FINDERS: dict[str, Finder] = {
    "standstill": _standstills,
    "difference": _differences,
    "run": _runs,
    "platform_payout": _platform_payouts,
    "events": _events_not_worked,
    "webhooks": _no_events,
    "operations": _operations_left,
    "look_out": _not_looked_out,
    "comparison": _not_compared,
}
# Kept by the timer that checks the books, and by the one that closes months.
BOOKS = "books"
STATEMENT = "statement"
TIMERS = "timers"
# What `/health/` says of each, where anybody may read it.
TITLES = {
    "standstill": "nothing is sent to Stripe",
    "difference": "differences with Stripe",
    "run": "a monthly run is not done",
    "platform_payout": "a payout of the platform's failed",
    "events": "events are not worked",
    "webhooks": "no webhooks come",
    "operations": "requests are not sent",
    "look_out": "Stripe does not answer",
    "comparison": "not compared with Stripe",
    BOOKS: "the books are out of balance",
    STATEMENT: "statements are not made",
    TIMERS: "the timers stood still",
}


_AMOUNT = re.compile(r"-?\d+ (?=[a-z]{3}\.$)")


def keep_imbalances(messages: Iterable[str], now: datetime) -> None:
    """What the check of the books has found."""
    keep(
        BOOKS,
        [
            Found(
                # Another amount is the same imbalance, however often it changes.
                _AMOUNT.sub("", message)[:100],
                f"The books don't balance: {message}",
                "Who it is about is paid nothing, and where it is about everybody, nobody is. The page leads to the "
                "entries.",
                reverse("admin:payments_ledgeraccount_chart"),
                now,
            )
            for message in list(messages)[:MOST]
        ],
        now,
    )


def keep_unstated(now: datetime) -> None:
    """The statements of closed months that could not be made."""
    # A month on the list is looked at each time, or it would go from the list and come back.
    listed = Problem.objects.filter(kind=STATEMENT, ended_at=None).values_list("about", flat=True)
    missing = statements.unstated(now, {about.split(" ")[0] for about in listed})
    keep(STATEMENT, map(_not_made, missing[:MOST]), now)


def _not_made(missing: statements.Unstated) -> Found:
    month, coach_id, currency = missing.month, missing.coach_id, missing.currency
    return Found(
        f"{month} {coach_id} {currency}",
        f"The statement of {month_in_words(month)} for coach {coach_id} ({currency.upper()}) is not made",
        "Making it fails by a bug, so the coach has neither it nor the invoice; nobody's payment waits for it. The log "
        "says why, by put_off. Whoever looks after the program puts that right; it is made by itself then: within two "
        "hours for the last two closed months, within 30 days for an older one.",
        reverse("admin:payments_statement_month", args=[coach_id, month, currency]),
        missing.closed_at,
    )


def _note_the_gap(now: datetime) -> None:
    """That the timers stood still can only be told afterwards: while they do, `/health/` is what wakes somebody."""
    wall, before = clock.wall(), Watch.objects.values_list("looked_at", flat=True).first()
    if not Watch.objects.filter(looked_at=before).update(looked_at=wall):
        return  # another worker looks
    if before is None or wall - before <= LATE:
        return
    began = now - (wall - before)
    Problem.objects.create(
        kind=TIMERS,
        about=f"{before:%Y-%m-%d %H:%M:%S}",
        what=f"The timers stood still for {(wall - before) // timedelta(minutes=1)} minutes",
        meaning="No worker or no beat ran. What was due is done now, late; sessions near their time may have suffered.",
        page=reverse("health"),
        began_at=began,
        seen_at=now,
        ended_at=now,
    )
