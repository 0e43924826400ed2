"""What the tests of payments share. Imported before Django is set up, hence the imports inside."""

import socket
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pytest_django import Settings

    from coaches.models import Coach
    from marketplace.models import User
    from marketplace.tests.sandbox import Sandbox
    from payments.facts import Fact
    from payments.models import Payment, PayoutAccount
    from payments.tests.backups import Backup


@pytest.fixture
def payable_coach(sandbox: "Sandbox", coach: "Coach") -> "Coach":
    """Onboarded at Stripe, and able to receive transfers."""
    from payments.tests import stage

    stage.onboard(sandbox, coach)
    coach.refresh_from_db()
    return coach


@pytest.fixture
def account(sandbox: "Sandbox", coach: "Coach") -> "PayoutAccount":
    """With 120.00 USD available at Stripe."""
    from payments.tests import payout_scene

    return payout_scene.account_with(sandbox, coach)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> "list[tuple[Fact, int]]":
    """The facts that were announced, in order, in place of all other listeners."""
    from payments import facts

    announced: list[tuple[Fact, int]] = []

    def note(fact: "Fact", payment: "Payment", now: "datetime") -> None:
        announced.append((fact, payment.pk))

    monkeypatch.setattr(facts, "_listeners", defaultdict(list))
    for fact in facts.Fact:
        facts.listen(fact, partial(note, fact))
    return announced


@pytest.fixture
def held(sandbox: "Sandbox", student: "User", payable_coach: "Coach", heard: "list[tuple[Fact, int]]") -> "Payment":
    """100.00 USD held on the student's card."""
    from payments.tests import stage

    return stage.hold(sandbox, student, payable_coach)


@pytest.fixture
def unused_port() -> int:
    """One on which nobody listens: it was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def paid(sandbox: "Sandbox", student: "User", payable_coach: "Coach", heard: "list[tuple[Fact, int]]") -> "Payment":
    """The student has paid on Stripe's page, and we have heard nothing of it."""
    from payments.tests import stage

    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    return payment


@pytest.fixture
def make_coach(sandbox: "Sandbox") -> "Callable[[], Coach]":
    """Makes coaches onboarded at Stripe. The platform has money there, as if the captures of `earn` had brought it."""
    from marketplace.tests.factories import CoachFactory
    from payments.tests import payday, stage

    def make() -> "Coach":
        coach = CoachFactory.create()
        stage.onboard(sandbox, coach)
        return coach

    payday.fund(sandbox, 1_000_000)
    return make


@pytest.fixture
def save(
    sandbox: "Sandbox", student: "User", payable_coach: "Coach", heard: "list[tuple[Fact, int]]"
) -> "Callable[..., Payment]":
    """Saves a card for a payment; what was announced so far is forgotten."""
    from payments.tests import stage

    def make(card: str = "pm_card_visa", **facts: object) -> "Payment":
        payment = stage.save_card(sandbox, student, payable_coach, card=card, **facts)
        heard.clear()
        return payment

    return make


@pytest.fixture
def saved(save: "Callable[..., Payment]") -> "Payment":
    """100.00 USD to be held on a card that is saved."""
    return save()


# --- two people of finance, who correct the books -----------------------------------------------


@pytest.fixture
def ada(db: None) -> "User":
    from payments.tests.correcting import of_finance

    return of_finance("Ada")


@pytest.fixture
def bo(db: None) -> "User":
    from payments.tests.correcting import of_finance

    return of_finance("Bo")


# --- a restored backup --------------------------------------------------------------------------


@pytest.fixture
def backup(settings: "Settings") -> "Iterator[Backup]":
    from payments.tests.backups import Backup

    settings.STRIPE_LOOK_OUT_SECONDS = 120
    made = Backup()
    yield made
    made.drop()


@pytest.fixture
def before(
    sandbox: "Sandbox", student: "User", payable_coach: "Coach", heard: "list[tuple[Fact, int]]", backup: "Backup"
) -> "dict[str, Payment]":
    """What there is when the backup is taken."""
    from payments.tests import restored

    found = restored.what_there_is(sandbox, student, payable_coach)
    heard.clear()
    backup.take()
    return found


# --- the platform's own payouts -----------------------------------------------------------------


@pytest.fixture
def finance(db: None) -> "User":
    from marketplace.tests.staff import member_of

    return member_of("finance")


@pytest.fixture
def earned(sandbox: "Sandbox", student: "User", payable_coach: "Coach", heard: "list[tuple[Fact, int]]") -> "Coach":
    """One session, taken and available at Stripe, and its coach not paid yet."""
    from payments.tests import money_back

    money_back.captured(sandbox, student, payable_coach)
    sandbox.advance(3 * 86_400)
    return payable_coach


@pytest.fixture
def disagrees() -> None:
    """In this test Stripe has money that nobody has told us of, or the books were broken on purpose."""


@pytest.fixture
def agreed_at_the_end(sandbox: "Sandbox", request: pytest.FixtureRequest) -> "Iterator[None]":
    """Once all is sent and heard of, our books are good, and the same as Stripe's."""
    from datetime import timedelta

    from marketplace import clock
    from payments import operations, payout_pollers
    from payments.tests import money_back

    yield
    if "disagrees" not in request.fixturenames:
        operations.sweep(now=clock.now() + timedelta(minutes=10))
        payout_pollers.find_platform_payouts(now=clock.now())
        money_back.assert_agreed(sandbox)
