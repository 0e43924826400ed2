"""A few of dj-stripe's tables, to be read. Its own pages call Stripe and show keys, so they are taken away."""

import json
from typing import Any

import djstripe.admin  # noqa: F401  # registers its pages, which are taken away below
from django.apps import apps
from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from djstripe import models as mirrored

from payments.admin.base import ReadOnlyAdmin

SHOWN = (
    mirrored.Account,
    mirrored.Customer,
    mirrored.PaymentMethod,
    mirrored.Session,
    mirrored.PaymentIntent,
    mirrored.Charge,
    mirrored.BalanceTransaction,
    mirrored.Transfer,
)


class MirroredAdmin(ReadOnlyAdmin):
    list_display = ("id", "created", "livemode", "djstripe_updated")
    search_fields = ("=id",)
    ordering = ("-djstripe_id",)
    fields = ("id", "djstripe_owner_account", "livemode", "created", "djstripe_updated", "as_at_stripe")
    readonly_fields = ("as_at_stripe",)

    @admin.display(description="As at Stripe")
    def as_at_stripe(self, row: Any) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(row.stripe_data, indent=2, ensure_ascii=False))


for model in apps.get_app_config("djstripe").get_models():
    if admin.site.is_registered(model):
        admin.site.unregister(model)
admin.site.register(SHOWN, MirroredAdmin)
