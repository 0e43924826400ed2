"""The list of what is wrong with the product as a whole, and of what was."""

from django.contrib import admin
from django.utils.safestring import SafeString

from marketplace.templatetags.ui import plain_time
from payments.admin.base import ReadOnlyAdmin, link_to
from payments.models import Problem


@admin.register(Problem)
class ProblemAdmin(ReadOnlyAdmin):
    list_display = ("what", "began_at", "ended_at", "leads_on")
    list_filter = ("ended_at", "kind")
    ordering = ("-began_at",)
    fields = ("what", "meaning", "leads_on", "began_at", "seen_at", "ended_at", "told_at", "told_over_at")
    readonly_fields = ("leads_on", "told_at", "told_over_at")

    @admin.display(description="Page")
    def leads_on(self, problem: Problem) -> SafeString:
        return link_to(problem.page, "Look")

    @admin.display(description="Mail sent")
    def told_at(self, problem: Problem) -> str:
        return plain_time(problem.begun_mail.written_at, "UTC") if problem.begun_mail else "-"

    @admin.display(description="Mail of the end sent")
    def told_over_at(self, problem: Problem) -> str:
        return plain_time(problem.ended_mail.written_at, "UTC") if problem.ended_mail else "-"
