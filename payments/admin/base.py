"""What the admin pages of payments share."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from marketplace.lib.admin import ReadOnly
from marketplace.lib.money import Money


class ShowsMoney:
    """For rows with an amount in minor units and its currency."""

    @admin.display(description="Amount")
    def money(self, row: Any) -> str:
        return money(row.amount, row.currency)


class ReadOnlyAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    pass


class ReadOnlyInline(ReadOnly, TabularInline):  # type: ignore[misc]  # unfold ships no types
    extra = 0
    show_change_link = True

    def get_readonly_fields(self, *_: Any) -> Any:
        """Django asks for the fields that a model doesn't let be edited, even where none is."""
        return self.fields


def link(row: Model | None) -> str | SafeString:
    """To the row's own page, where it has one."""
    if row is None:
        return "-"
    if not admin.site.is_registered(type(row)):
        return str(row)
    meta = row._meta  # noqa: SLF001  # Django's documented way to a model's names
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, row)


def money(amount: int, currency: str) -> str:
    return str(Money(amount, currency))


def link_to(address: str, words: str) -> SafeString:
    return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, words)
