"""What is there from the beginning, before any request and after each reset."""

from .resources import accounts, payouts, webhook_endpoints
from .world import World


def prepare(world: World) -> None:
    """Gives a world the platform's account, the command line's endpoints and the payout schedule, where missing."""
    accounts.ensure_platform(world)
    webhook_endpoints.ensure_configured(world)
    payouts.ensure_schedule(world)
