"""Coaches, for staff: who they are, what they sell and when, and what was changed by whom."""

from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline

from coaches.feeds.addresses import shortened
from coaches.models import BillingDetails, BusyTime, CalendarFeed, Coach, DateOverride, Offering, WeeklyHours
from coaches.selectors import override_windows
from coaches.windows import days_in_words, span_in_words
from marketplace.lib.admin import ReadOnly


class OfferingInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    model = Offering
    fields = ("title", "minutes", "price", "instant", "active")
    readonly_fields = fields
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, *_: object) -> bool:
        return False


class WeeklyHoursInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    model = WeeklyHours
    fields = ("weekday", "starts", "ends", "ends_next_day")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, *_: object) -> bool:
        return False


class BillingDetailsInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    model = BillingDetails
    fields = ("name", "address", "country", "tax_id")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, *_: object) -> bool:
        return False


@admin.register(Coach)
class CoachAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]  # neither ships types
    list_display = ("display_name", "subject", "user", "time_zone", "payable", "created_at")
    list_filter = ("payable", "subject")
    list_select_related = ("user",)
    search_fields = ("display_name", "slug", "user__email", "subject")
    readonly_fields = ("user", "payable", "created_at")
    inlines = (OfferingInline, WeeklyHoursInline, BillingDetailsInline)
    # The way to what they were paid, for those who may see it.
    change_form_before_template = "admin/statements/coach_link.html"
    fieldsets = (
        (
            None,
            {
                "fields": ("user", "slug", "display_name", "headline", "bio", "subject", "time_zone"),
                "description": (
                    "Two coaches can't be merged, and a coach can't be given to another person: what was earned and "
                    "agreed is one person's. To remove a coach, remove the person, once their money is settled."
                ),
            },
        ),
        (
            "How their time is offered",
            {
                "fields": (
                    ("buffer_before_minutes", "buffer_after_minutes"),
                    ("notice_minutes", "furthest_days", "step_minutes"),
                    ("most_a_day", "most_a_week"),
                ),
            },
        ),
        (None, {"fields": ("payable", "created_at")}),
    )

    def has_delete_permission(self, *_: object) -> bool:
        # A coach's bookings, payments and books point here.
        return False


@admin.register(Offering)
class OfferingAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]  # neither ships types
    list_display = ("title", "coach", "minutes", "price", "instant", "cancellation", "active")
    list_filter = ("active", "instant", "cancellation", "currency")
    list_select_related = ("coach",)
    search_fields = ("title", "coach__display_name", "coach__user__email")
    fields = (
        *("coach", "title", "description", "minutes", "price", "instant", "cancellation", "active"),
        ("buffer_before_minutes", "buffer_after_minutes"),
        ("notice_minutes", "step_minutes"),
        "created_at",
    )
    readonly_fields = ("coach", "price", "created_at")

    def has_delete_permission(self, *_: object) -> bool:
        return False


@admin.register(DateOverride)
class DateOverrideAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("days", "coach", "hours")
    list_select_related = ("coach",)
    search_fields = ("coach__display_name", "coach__user__email")
    date_hierarchy = "first_day"
    ordering = ("-first_day",)
    fields = ("coach", "days", "hours")

    @admin.display(ordering="first_day")
    def days(self, override: DateOverride) -> str:
        return days_in_words(override.first_day, override.last_day)

    @admin.display
    def hours(self, override: DateOverride) -> str:
        return ", ".join(span_in_words(window) for window in override_windows(override)) or "not available"


@admin.register(CalendarFeed)
class CalendarFeedAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Whoever has its address can read the coach's calendar: here is its host alone."""

    list_display = ("name", "coach", "host", "read_at", "failures", "trouble")
    list_select_related = ("coach",)
    search_fields = ("coach__display_name", "coach__user__email")
    ordering = ("-created_at",)
    fields = ("coach", "name", "host", "read_at", "tried_at", "failures", "trouble", "next_read_at", "created_at")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Without this, ?address__startswith=... would tell it letter by letter."""
        if lookup.startswith("address"):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    @admin.display
    def host(self, feed: CalendarFeed) -> str:
        return shortened(feed.address)


@admin.register(BusyTime)
class BusyTimeAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    list_display = ("coach", "starts_at", "ends_at", "feed")
    list_select_related = ("coach", "feed")
    search_fields = ("coach__display_name", "coach__user__email")
    ordering = ("starts_at",)
    fields = ("coach", "feed", "starts_at", "ends_at")
