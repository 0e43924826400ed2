"""Lives random lives of the platform's money through the real services and the sandbox: nothing in them is wrong."""

import random

import requests

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.errors import DomainError
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import operations
from payments.errors import NotYetError
from payments.gateway import GatewayError
from payments.models import PayoutAccount
from payments.tests import payday, stage
from payments.tests.random_deeds import DEEDS, FUNDS, PRICES, Deed
from payments.tests.random_life import Life

LEAST_DEEDS, MOST_DEEDS = 10, 60
MODES = ("monthly", "per_session")
# Of all that Stripe tells: nothing, some, or all.
ARRIVING = (0, 0, 0.5, 1)
HOUR = 3600


def live(seed: int, sandbox: Sandbox, student: User) -> Life:
    """A life up to where everything that we asked of Stripe is answered. What Stripe tells may still be unheard."""
    chance = random.Random(seed)
    life = Life(seed, sandbox, student, _coaches(sandbox), chance, arriving=chance.choice(ARRIVING))
    for currency in PRICES:
        payday.fund(sandbox, FUNDS, currency)
    deeds = chance.choices(list(DEEDS), list(DEEDS.values()), k=chance.randint(LEAST_DEEDS, MOST_DEEDS))
    for deed in deeds:
        _do(deed, life)
    settle(life)
    return life


def settle(life: Life) -> None:
    """Nothing breaks any more, and the workers come to the end of their work."""
    stage.mend(life.sandbox)
    for _ in range(4):
        life.sandbox.advance(HOUR)
        operations.sweep(now=clock.now())
    life.schedule.append(f"settled at {life.sandbox.now():%Y-%m-%d %H:%M:%S}")


def _coaches(sandbox: Sandbox) -> list[Coach]:
    """One for each way of being paid."""
    made = []
    for mode in MODES:
        coach = CoachFactory.create()
        stage.onboard(sandbox, coach)
        PayoutAccount.objects.filter(coach=coach).update(settlement_mode=mode)
        made.append(coach)
    return made


def _do(deed: Deed, life: Life) -> None:
    """What our services, Stripe or its lost answers refuse is a part of life; any other error is a bug."""
    try:
        done = deed(life)
    except (DomainError, NotYetError, GatewayError) as error:
        done = f"{deed.__name__}: refused by us, {type(error).__name__} {error}"
    except requests.HTTPError as error:
        if error.response.status_code >= requests.codes.server_error:
            raise
        done = f"{deed.__name__}: refused at Stripe, {error.response.text[:160]}"
    life.schedule.append(done or f"{deed.__name__}: nothing to do it with")
