"""People, for staff; and the admin's door."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from marketplace.lib.admin import ReadOnly
from marketplace.models import StaffDecision, User

# Staff sign in where everybody does: with its rate limits and its second step.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # as allauth documents it


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # unfold ships no types
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("-date_joined",)
    list_display = ("email", "name", "time_zone", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    filter_horizontal = ()
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "time_zone", "password")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("When", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "password1", "password2")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        # People change their address themselves: it counts for signing in once they have confirmed it.
        kept = (*self.readonly_fields, "email") if obj else self.readonly_fields
        # Nobody makes themselves, or anybody else, more than they are.
        return kept if request.user.is_superuser else (*kept, "is_superuser", *_own(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        above = obj is not None and obj.is_superuser and not request.user.is_superuser
        return not above and super().has_change_permission(request, obj)


def _own(request: HttpRequest, person: User | None) -> tuple[str, ...]:
    return ("is_staff", "groups") if person is not None and person.pk == request.user.pk else ()


@admin.register(StaffDecision)
class StaffDecisionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """The audit log: who decided what, about what and why, and what was before and after. Nobody changes it."""

    list_display = ("at", "actor", "decision", "subject", "reason")
    list_filter = ("decision",)
    list_select_related = ("actor",)
    search_fields = ("actor__email", "=subject_id", "subject", "reason")
    date_hierarchy = "at"
    ordering = ("-at", "-pk")
    fields = ("at", "actor", "decision", "subject", "subject_type", "subject_id", "reason", "before", "after")
