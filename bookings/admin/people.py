"""People who want to be removed: the reasons against it, or the button. In place of Django's page, which lists rows."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from bookings import removal
from marketplace import clock
from marketplace.admin import PersonAdmin
from marketplace.admin_desks import require_right
from marketplace.lib.access import signed_in
from marketplace.models import User
from payments.admin.deciding import Choice, decide

# No row is deleted: it is changed until it says nothing of the person.
RIGHT = "marketplace.change_user"
MEANING = (
    "Their name, address and words go, their saved cards are forgotten, and nobody signs in as them any more. "
    "Payments, the books and statements stay: they know a person by a number. This can't be undone. Two accounts can't "
    "be merged, and a coach can't be given to another person: what was earned and agreed is one person's."
)
NOT_YET = "They can't be removed yet. Settle each of these first."

admin.site.unregister(User)


@admin.register(User)
class RemovablePersonAdmin(PersonAdmin):
    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def delete_view(self, request: HttpRequest, object_id: str, *_: Any, **__: Any) -> HttpResponse:
        require_right(request, RIGHT)
        person = get_object_or_404(User, pk=object_id)
        reasons = removal.hindrances(person)
        return decide(
            request,
            person,
            [_remove(request, person)] if not reasons or request.method == "POST" else [],
            right=RIGHT,
            title=f"Remove {person}?",
            meaning=NOT_YET if reasons else MEANING,
            facts=[("Person", str(person)), *(("To be settled", reason) for reason in reasons)],
            back=reverse("admin:marketplace_user_changelist"),
        )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None that removes many at once."""
        return {name: act for name, act in super().get_actions(request).items() if name != "delete_selected"}


def _remove(request: HttpRequest, person: User) -> Choice:
    actor, now = signed_in(request), clock.now()
    return Choice(
        "remove",
        "Remove this person",
        lambda reason: removal.remove_person(user=person, actor=actor, reason=reason, now=now),
        "They are removed.",
    )
