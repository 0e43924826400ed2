"""The money in plain words."""

from datetime import UTC, datetime, timedelta

import pytest

from marketplace.lib.money import Money
from payments import selectors
from payments.models import Payment

Status = Payment.Status
NOON = datetime(2026, 10, 20, 12, 0, tzinfo=UTC)
NEVER = ("Taken", "undone")
NOT_HELD = (Status.OPEN, Status.SAVED, Status.AUTHORISING, Status.REFUSED, Status.LAPSED)
AHEAD = [("The session ends", "next"), ("Taken", "next")]


def payment(status: Payment.Status, **fields: object) -> Payment:
    return Payment(
        status=status,
        amount=10_000,
        currency="usd",
        held_at=None if status in NOT_HELD else NOON,
        checkout_ends_at=NOON,
        service_ends_at=NOON + timedelta(days=1),
        capture_before=NOON + timedelta(days=7),
        **fields,
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (Status.OPEN, "PENDING"),
        (Status.SAVED, "PENDING"),
        (Status.AUTHORISING, "PENDING"),
        (Status.HELD, "PENDING"),
        (Status.CAPTURING, "PENDING"),
        (Status.RELEASING, "PENDING"),
        (Status.CAPTURED, "CAPTURED"),
        (Status.RELEASED, "REFUNDED"),
        (Status.LAPSED, "FAILED"),
        (Status.REFUSED, "FAILED"),
        (Status.LOST, "FAILED"),
    ],
)
def test_the_api_knows_four_words(status, word):
    assert selectors.payment_status(payment(status)) == word


def test_every_state_has_its_word_and_its_timeline():
    for status in Status:
        assert selectors.payment_status(payment(status))
        steps = selectors.timeline(payment(status))
        assert steps
        assert len([step for step in steps if step.state == "now"]) <= 1


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            payment(Status.OPEN),
            [("Waiting for payment", "now"), ("The session ends", "next"), ("Taken", "next")],
        ),
        (payment(Status.SAVED), [("Card saved", "now"), *AHEAD]),
        (payment(Status.AUTHORISING), [("Being held", "now"), *AHEAD]),
        (payment(Status.REFUSED), [("Not held", "now"), *AHEAD]),
        (payment(Status.LAPSED), [("Not paid", "done"), NEVER]),
        (payment(Status.HELD), [("Held on the card", "now"), *AHEAD]),
        (payment(Status.CAPTURING), [("Held on the card", "done"), ("Being taken", "now")]),
        (payment(Status.CAPTURED, captured_amount=10_000), [("Held on the card", "done"), ("Taken", "done")]),
        (payment(Status.RELEASING), [("Held on the card", "done"), ("Being released", "now"), NEVER]),
        (payment(Status.RELEASED), [("Held on the card", "done"), ("Released", "done"), NEVER]),
        (payment(Status.LOST), [("Held on the card", "done"), ("Hold ended", "now"), *AHEAD]),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Payment) else "",
)
def test_the_line_says_what_was_held_then_taken_or_released(made, line):
    assert [(step.label, step.state) for step in selectors.timeline(made)] == line


def test_what_was_taken_in_part_says_what_was_given_back():
    steps = selectors.timeline(payment(Status.CAPTURED, captured_amount=2_500, captured_at=NOON))
    assert [(step.label, step.money) for step in steps[1:]] == [
        ("Taken", Money(2_500, "usd")),
        ("Released", Money(7_500, "usd")),
    ]


def test_a_card_that_was_saved_and_not_needed_was_never_held():
    unused = payment(Status.RELEASED, released_at=NOON)
    unused.held_at = None
    assert [(step.label, step.state) for step in selectors.timeline(unused)] == [("Card not needed", "done"), NEVER]


def test_without_a_payment_there_is_no_line():
    assert selectors.timeline(None) == []
    assert selectors.payment_status(None) == "PENDING"
