"""Stripe's resources, one module each. Importing a module puts its endpoints into the routing table."""

from importlib import import_module

MODULES = (
    "accounts",
    "account_links",
    "application_fees",
    "balance",
    "capabilities",
    "charges",
    "checkout_sessions",
    "customers",
    "disputes",
    "early_fraud_warnings",
    "events",
    "files",
    "payment_intents",
    "payment_methods",
    "payouts",
    "refunds",
    "setup_intents",
    "transfers",
    "webhook_endpoints",
)


def load() -> None:
    for name in MODULES:
        import_module(f"{__name__}.{name}")
