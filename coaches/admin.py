"""Coaches, for staff: who they are, what they sell, and what was changed by whom."""

from django.contrib import admin
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin, TabularInline

from coaches.models import Coach, Offering, WeeklyHours


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
    fields = ("weekday", "starts", "ends")
    readonly_fields = fields
    extra = 0
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
    inlines = (OfferingInline, WeeklyHoursInline)

    def has_delete_permission(self, *_: object) -> bool:
        # A coach's bookings, payments and books point here.
        return False


@admin.register(Offering)
class OfferingAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]  # neither ships types
    list_display = ("title", "coach", "minutes", "price", "instant", "active")
    list_filter = ("active", "instant", "currency")
    list_select_related = ("coach",)
    search_fields = ("title", "coach__display_name", "coach__user__email")
    fields = ("coach", "title", "description", "minutes", "price", "instant", "active", "created_at")
    readonly_fields = ("coach", "price", "created_at")

    def has_delete_permission(self, *_: object) -> bool:
        return False
