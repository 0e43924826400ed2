"""Cards that we offer to a student, or count on for a coming session: whether Stripe still lets us charge them."""

from datetime import datetime

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Mod

from payments import gateway, services
from payments.gateway import GatewayError
from payments.models import Difference, Payment, SavedCard
from payments.reconcile import kinds
from payments.reconcile.findings import Finding, Round
from payments.reconcile.kinds import Kind
from payments.selectors import NEEDS_ITS_CARD

TYPE = "payment_method"
# Of the cards that no session needs, this part is asked after each day.
DAYS = 7


def compare_all(around: Round) -> None:
    """One by one, since Stripe lists cards by their customer alone."""
    for card in _offered(around).iterator(chunk_size=1000):
        around.count(TYPE, 1)
        _compare(card, around)
    removed = SavedCard.objects.exclude(removed_at=None).filter(
        stripe_payment_method_id__in=Difference.objects.filter(object_type=TYPE, state=Difference.State.OPEN).values(
            "object_id"
        )
    )
    around.gone(TYPE, list(removed.values_list("stripe_payment_method_id", flat=True)))


def _offered(around: Round) -> QuerySet[SavedCard]:
    """What a coming session is paid by, each time; when everything is compared those of the day's turn, too."""
    needed = Exists(Payment.objects.filter(card=OuterRef("pk"), status__in=NEEDS_ITS_CARD))
    cards = SavedCard.objects.filter(removed_at=None).annotate(turn=Mod(F("pk"), DAYS))
    asked = Q(needed) if around.since is not None else Q(needed) | Q(turn=_turn(around.now))
    return cards.filter(asked).select_related("user__stripe_customer").order_by("pk")


def _turn(now: datetime) -> int:
    return now.toordinal() % DAYS


def _compare(card: SavedCard, around: Round) -> None:
    method_id = card.stripe_payment_method_id
    customer = getattr(card.user, "stripe_customer", None)
    ours = {"card": str(card), "customer": customer.stripe_customer_id if customer else ""}
    try:
        theirs = gateway.retrieve_payment_method(method_id).customer
    except GatewayError as error:
        if not error.permanent:
            raise
        around.report(_finding(kinds.ORPHAN_WITH_US, card, ours))
        return
    if not theirs:
        services.record_card_removed(payment_method_id=method_id, now=around.now)
        around.repaired(_finding(kinds.CARD_DETACHED, card, ours))
    elif theirs != ours["customer"]:
        around.report(_finding(kinds.OWNER_DIFFERS, card, ours, theirs))
    around.gone(TYPE, [method_id])


def _finding(kind: Kind, card: SavedCard, ours: dict[str, str], customer: str = "") -> Finding:
    """With the session that comes next of those that need it."""
    needing = card.payments.filter(status__in=NEEDS_ITS_CARD).order_by("service_ends_at", "pk")
    payment = needing.first()
    whose = (payment.pk, payment.coach_id) if payment else (None, None)
    return Finding(kind, TYPE, card.stripe_payment_method_id, dict(ours), {"customer": customer}, *whose)
