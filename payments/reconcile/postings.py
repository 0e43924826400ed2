"""What Stripe does to our balance by itself: its fees, top-ups, reserves. Booked from the balance transaction alone.

What moves for an object of ours is booked with that object. What we have never heard of goes to suspense, and is
shown to staff: nothing is dropped.
"""

from datetime import datetime

import structlog
from django.db import transaction

from marketplace.lib.money import Money
from payments import ledger
from payments.ledger import Line
from payments.postings import BANK, PLATFORM_LOSSES, STRIPE_FEES, SUSPENSE
from payments.stripe_objects import BalanceTransactionFacts

log = structlog.get_logger(__name__)

RESERVES = "reserves"
UNKNOWN = "unknown"
# What Stripe keeps back for coaches whose balance is below zero; other reserves are not part of that sum.
CONNECT_RESERVE = "connect_reserve"

# Stripe's `type` -> what it is called in our books, and the account beside the Stripe balance.
# https://docs.stripe.com/reports/balance-transaction-types
OWN: dict[str, tuple[str, str]] = {
    "stripe_fee": ("stripe_fee", STRIPE_FEES),
    "stripe_fx_fee": ("stripe_fee", STRIPE_FEES),
    "tax_fee": ("stripe_fee", STRIPE_FEES),
    "network_cost": ("stripe_fee", STRIPE_FEES),
    # Of no object: Stripe corrects itself.
    "adjustment": ("stripe_fee", STRIPE_FEES),
    "topup": ("top_up", BANK),
    "topup_reversal": ("top_up", BANK),
    "reserve_transaction": (CONNECT_RESERVE, RESERVES),
    "reserved_funds": (CONNECT_RESERVE, RESERVES),
    # The negative balance of a coach's account that is given up after half a year.
    "connect_collection_transfer": ("connect_collection", PLATFORM_LOSSES),
    "reserve_hold": ("reserve", RESERVES),
    "reserve_release": ("reserve", RESERVES),
    "risk_reserved_funds": ("reserve", RESERVES),
    "payment_network_reserve_hold": ("reserve", RESERVES),
    "payment_network_reserve_release": ("reserve", RESERVES),
    "payout_minimum_balance_hold": ("reserve", RESERVES),
    "payout_minimum_balance_release": ("reserve", RESERVES),
}
# They move for an object, which books them; Stripe's fees do so for disputes.
OF_OBJECTS = frozenset(
    {
        "application_fee", "charge", "payment", "payment_refund", "payout", "payout_cancel", "payout_failure", "refund",
        "refund_failure", "transfer", "transfer_refund",
    }
)  # fmt: skip
DISPUTES = ("dp_", "du_")


def is_own(booked: BalanceTransactionFacts) -> bool:
    """Nothing of ours will ever book it."""
    return booked.type not in OF_OBJECTS and not booked.source.startswith(DISPUTES)


def post_own(booked: BalanceTransactionFacts, now: datetime) -> bool:
    """Books it once, by its own id; False where it is booked already, or comes to nothing."""
    kind, account = _place_of(booked)
    net, fee = Money(booked.net, booked.currency), Money(booked.fee, booked.currency)
    lines = [
        Line(ledger.STRIPE_BALANCE, net, booked.id, booked.created),
        Line(STRIPE_FEES, fee),
        Line(account, -(net + fee)),
    ]
    moved = [line for line in lines if line.money.amount]
    if not net.amount:
        return False
    if kind == UNKNOWN:
        log.critical("balance_moved_by_unknown_type", balance_transaction=booked.id, type=booked.type)
    with transaction.atomic():
        return ledger.post(kind=kind, reference=booked.id, lines=moved, now=now)


def _place_of(booked: BalanceTransactionFacts) -> tuple[str, str]:
    """A correction of something is not known before somebody has looked at it."""
    if booked.type == "adjustment" and booked.source:
        return UNKNOWN, SUSPENSE
    return OWN.get(booked.type, (UNKNOWN, SUSPENSE))
