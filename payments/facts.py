"""Facts about a payment, told to whoever listens: how payments speak to code that they may not import.

A listener runs inside the transaction that records the fact, so that both are committed or neither is.
It must not touch the network.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from payments.models import Payment


class Fact(StrEnum):
    HOLD_RECORDED = "hold_recorded"
    CARD_SAVED = "card_saved"
    HOLD_REFUSED = "hold_refused"  # off-session: the bank has said no, or wants the student
    CHECKOUT_EXPIRED = "checkout_expired"  # closed at Stripe, or never opened there: it can't be paid any more
    HOLD_LOST = "hold_lost"  # the hold is gone at Stripe, and not by our doing
    CAPTURED = "captured"
    RELEASED = "released"
    REFUNDED = "refunded"  # a refund, of all or of a part, has reached the student
    PAID_OTHERWISE = "paid_otherwise"  # one that had failed was paid by other means, as two people say
    DISPUTE_OPENED = "dispute_opened"  # the student's bank disputes it, or asks about it
    DISPUTE_CLOSED = "dispute_closed"


Listener = Callable[[Payment, datetime], None]

_listeners: dict[Fact, list[Listener]] = defaultdict(list)


def listen(fact: Fact, listener: Listener) -> None:
    if listener not in _listeners[fact]:
        _listeners[fact].append(listener)


def announce(fact: Fact, payment: Payment, now: datetime) -> None:
    for listener in _listeners[fact]:
        listener(payment, now)
