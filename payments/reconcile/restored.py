"""Before anything is compared: whether this database is older than what Stripe knows, and if so, what it has lost."""

from django.conf import settings

from payments import adoption, lookout
from payments.reconcile.findings import Round


def take_over(around: Round) -> None:
    """First of all, since what is compared afterwards is recorded type by type, and this has to come in Stripe's
    order. Raises GatewayError.
    """
    if settings.STRIPE_LOOK_OUT_SECONDS:
        lookout.look(around.now)
    if lookout.is_behind():
        around.count("lost_change", adoption.adopt(now=around.now).taken)
