"""dj-stripe's tables against Stripe's objects, field by field."""

from typing import Any

from djstripe import models as mirrored

from marketplace.tests.main_path.product import Product

# dj-stripe's model -> where its objects are read.
MIRRORED: dict[Any, str] = {
    mirrored.Account: "accounts",
    mirrored.Customer: "customers",
    mirrored.Session: "checkout/sessions",
    mirrored.PaymentIntent: "payment_intents",
    mirrored.Charge: "charges",
    mirrored.BalanceTransaction: "balance_transactions",
    mirrored.Transfer: "transfers",
}
# Of an account: details of a person or a bank, which we do not keep.
LEFT_OUT = frozenset({"external_accounts", "individual", "company"})


def differences(product: Product) -> list[str]:
    """In words; empty where every object is mirrored as it is, and nothing else is."""
    found = []
    for model, path in MIRRORED.items():
        rows = {row.id: row.stripe_data for row in model.objects.all()}
        objects = {each["id"]: each for each in product.stripe_list(path)}
        if path == "accounts":  # the list has the connected ones
            platform = product.stripe_read("account")
            objects[platform["id"]] = platform
            objects = {key: _without_details(each) for key, each in objects.items()}
        if rows.keys() != objects.keys():
            found.append(f"{path}: mirrored {sorted(rows)}, at Stripe {sorted(objects)}")
        for key in rows.keys() & objects.keys():
            found += [f"{key}: {difference}" for difference in _different(rows[key], objects[key])]
    return found


def _without_details(account: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in account.items() if name not in LEFT_OUT}


def _different(row: dict[str, Any], at_stripe: dict[str, Any]) -> list[str]:
    # dj-stripe notes of a customer that it is not deleted; Stripe says so of deleted ones only.
    ours = {name: value for name, value in row.items() if (name, value) != ("deleted", False)}
    return [
        f"{name} is {ours.get(name)!r}, at Stripe {at_stripe.get(name)!r}"
        for name in sorted(ours.keys() | at_stripe.keys())
        if ours.get(name) != at_stripe.get(name)
    ]
