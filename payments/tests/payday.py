"""What the tests of the monthly run share."""

from collections.abc import Callable
from datetime import UTC, datetime

from coaches.models import Coach
from marketplace.tests.sandbox import Sandbox
from payments.models import PayoutLine
from payments.tests import stage

MONTH = "2026-10"
END = datetime(2026, 11, 1, tzinfo=UTC)
MakeCoach = Callable[[], Coach]


def fund(sandbox: Sandbox, amount: int, currency: str = "usd") -> None:
    """Money on the platform's available balance."""
    sandbox.post("/_sandbox/balance", {"amount": amount, "currency": currency})


def transfers_made(sandbox: Sandbox) -> int:
    return stage.effects(sandbox, "/v1/transfers")


def only_line() -> PayoutLine:
    return PayoutLine.objects.get()
