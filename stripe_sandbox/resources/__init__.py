"""Stripe's resources, one module each. Importing a module puts its endpoints into the routing table."""

from importlib import import_module

MODULES = (
    "accounts",
    "account_links",
    "account_sessions",
    "account_triggers",
    "application_fees",
    "balance",
    "capabilities",
    "charges",
    "checkout_sessions",
    "customer_sessions",
    "customers",
    "disputes",
    "ephemeral_keys",
    "external_accounts",
    "early_fraud_warnings",
    "events",
    "files",
    "increments",
    "payment_intents",
    "payment_methods",
    "payouts",
    "persons",
    "refunds",
    "searches",
    "setup_attempts",
    "setup_intents",
    "tokens",
    "transfers",
    "webhook_endpoints",
)


def load() -> None:
    for name in MODULES:
        import_module(f"{__name__}.{name}")
