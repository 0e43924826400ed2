"""Lists of money: with the sums of the rows that are chosen, and the same rows as a file."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import structlog
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from marketplace.lib.access import signed_in
from marketplace.lib.money import Money, to_decimal
from marketplace.lib.tables import Cell, csv_response
from payments.admin.base import ReadOnlyAdmin

log = structlog.get_logger(__name__)

Columns = dict[str, Callable[[Any], Cell]]
# A file is whole or not made at all: one that broke off would be summed up all the same.
MOST_ROWS = 100_000


class ListedAdmin(ReadOnlyAdmin):
    """`summed` is a field of minor units, and `currency` where its currency is; `columns` are those of the file."""

    list_before_template = "admin/books/list_head.html"
    summed = "amount"
    currency = "currency"
    sums_mean = ""
    columns: ClassVar[Columns] = {}

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        export = path("export/", self.admin_site.admin_view(self.export_view), name=name)
        return [export, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        chosen = context.get("cl")
        if chosen is not None:
            context["sums"] = self.sums(chosen.queryset) if _is_narrowed(chosen) else []
            export = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_export")
            context["export"] = export + chosen.get_query_string(remove=[PAGE_VAR])
        return response

    def sums(self, rows: QuerySet[Any]) -> list[Money]:
        """Of each currency. One query."""
        # The list's own query may carry joins and sums of its own.
        chosen = self.model._default_manager.filter(pk__in=rows.order_by().values("pk"))  # noqa: SLF001  # Django's name
        totals = chosen.values_list(self.currency).annotate(total=Sum(self.summed)).order_by(self.currency)
        return [Money(total, currency) for currency, total in totals]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """What the list shows with the same filters, search and order."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        try:
            chosen: ChangeList = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            messages.error(request, "Nothing was exported: these filters can't be read.")
            return redirect(back)
        if chosen.result_count > MOST_ROWS:
            messages.error(
                request, f"{chosen.result_count:,} rows are too many for a file of {MOST_ROWS:,}: narrow them."
            )
            return redirect(back + chosen.get_query_string())
        log.info(
            "rows_exported",
            user=signed_in(request).pk,
            model=self.opts.label,
            filters=chosen.get_filters_params(),
            searched=bool(chosen.query),  # what for may be a person's name
            rows=chosen.result_count,
        )
        name = str(self.opts.verbose_name_plural).replace(" ", "-")
        return csv_response(f"{name}.csv", list(self.columns), self._cells(chosen.queryset))

    def _cells(self, rows: QuerySet[Any]) -> Iterator[list[Cell]]:
        for row in rows.iterator(chunk_size=2_000):
            yield [column(row) for column in self.columns.values()]


def decimal(amount: str) -> Callable[[Any], Cell]:
    """A column of this field of minor units, in the currency's own unit as a plain number."""
    return lambda row: to_decimal(Money(getattr(row, amount), row.currency))


def _is_narrowed(chosen: ChangeList) -> bool:
    """Of all rows of all times nobody asks the sum."""
    return bool(chosen.query or chosen.get_filters_params())
