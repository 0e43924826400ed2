"""dj-stripe as it comes out of its package, in a process of its own: our mirror changes its classes in ours.

Run with the address of a Stripe: fetches objects of every kind there is, stores them in SQLite, prints the counts.
"""

import json
import sys
from typing import Any

import django
import stripe
from django.conf import settings
from django.core.management import call_command

KEY = "sk_test_" + "a" * 30
LISTED = (
    "Account Customer PaymentMethod PaymentIntent SetupIntent Charge Refund Dispute Transfer BalanceTransaction Payout "
    "ApplicationFee Session Event"
).split()


def configure(url: str) -> None:
    settings.configure(
        SECRET_KEY="for this process alone",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "djstripe"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        # The tables as the models are now: dj-stripe's migrations take half a minute.
        MIGRATION_MODULES=dict.fromkeys(("auth", "contenttypes", "djstripe")),
        DJSTRIPE_FOREIGN_KEY_TO_FIELD="id",
        STRIPE_TEST_SECRET_KEY=KEY,
        STRIPE_LIVE_MODE=False,
        STRIPE_API_HOST=url,
        STRIPE_API_VERSION="2026-08-26.dahlia",
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def store(model: Any, objects: Any) -> int:
    return len([model.sync_from_stripe_data(each, api_key=KEY) for each in objects])


def main(url: str) -> None:
    configure(url)
    from djstripe import models  # noqa: PLC0415 - needs the settings

    stored = {"Account": store(models.Account, models.Account.api_list(api_key=KEY))}
    # The charge that a fee was taken from is the connected account's. dj-stripe asks the platform for it, where
    # it isn't, and then has nothing for a column that may not be empty: so it must be stored before the fee is.
    for account in stripe.Account.list(api_key=KEY).auto_paging_iter():
        store(models.Charge, models.Charge.api_list(api_key=KEY, stripe_account=account.id))
    for name in LISTED[1:]:
        model = getattr(models, name)
        stored[name] = store(model, model.api_list(api_key=KEY))
    # dj-stripe cannot list these two: it calls what the library has not.
    stored["TransferReversal"] = sum(
        store(models.TransferReversal, stripe.Transfer.list_reversals(each.id, api_key=KEY))
        for each in stripe.Transfer.list(api_key=KEY)
    )
    stored["ApplicationFeeRefund"] = sum(
        store(models.ApplicationFeeRefund, stripe.ApplicationFee.list_refunds(each.id, api_key=KEY))
        for each in stripe.ApplicationFee.list(api_key=KEY)
    )
    fees = [[fee.id, fee.charge_id, fee.account_id] for fee in models.ApplicationFee.objects.order_by("id")]
    sys.stdout.write(json.dumps({"stored": stored, "fees": fees}))


if __name__ == "__main__":
    main(sys.argv[1])
