"""What the tests of the platform's own payouts share: one session earned, and who asks for what."""

from typing import Any

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, services
from payments.models import Payout
from payments.services import platform_payout
from payments.stripe_payouts import PayoutFacts
from payments.tests import bankside, money_back

# Of a price of 100.00 the coach is owed 80.00; Stripe's fee is 3.20. The platform has put in 200.00 of its own.
TOP_UP, PRICE, SHARE, FEE = 20_000, 10_000, 8_000, 320
OWN = TOP_UP + PRICE - SHARE - FEE


def funds(currency: str = "usd") -> platform_payout.PlatformFunds:
    return platform_payout.available(currency)


def ask(actor: User, amount: int = OWN, **facts: Any) -> Payout:
    facts = {"reason": "Rent", "now": clock.now(), **facts}
    return platform_payout.request(money=Money(amount, facts.pop("currency", "usd")), actor=actor, **facts)


def at_bank() -> int:
    """The top-up came from there."""
    return money_back.books("bank") + TOP_UP


def made(sandbox: Sandbox) -> list[int]:
    return [payout["amount"] for payout in bankside.at_stripe(sandbox, None)]


def read(payout: Payout) -> PayoutFacts:
    return gateway.retrieve_payout(str(payout.stripe_payout_id), account_id="")


def record(facts: PayoutFacts) -> None:
    services.record_payout(facts=facts, account=None, now=clock.now())
