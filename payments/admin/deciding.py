"""What the small desks share: facts, a reason, and one of a few decisions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.widgets import UnfoldAdminTextareaWidget

from marketplace.admin_desks import decisions_of, desk_page, require_right
from marketplace.lib.errors import DomainError


class NotAsShown(DomainError):
    code = "not_as_shown"
    message = "Something has changed since you saw this. Nothing is decided; please look at it again."


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Why",
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="For staff alone; it is kept in the log of decisions.",
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: its name in the form, its words, what it does with the reason, and what is said when it is done."""

    name: str
    words: str
    act: Callable[[str], object]
    done: str
    # One that does not fit any more is refused in words when a form was sent late, and not shown.
    offered: bool = True


def decide(
    request: HttpRequest,
    subject: Model,
    choices: list[Choice],
    *,
    right: str,
    title: str,
    meaning: str,
    facts: list[tuple[str, Any]],
    back: str,
    shown: str = "",
) -> HttpResponse:
    """The page, or the decision. Reading needs what the caller has asked for, deciding `right`.

    Without choices, or without the right, it is read only. What a decision refuses is said on the page. `shown` is what
    it depends on, an amount for example: a form that was made for another one decides nothing.
    """
    form = ReasonForm(request.POST or None)
    status = 200
    if request.method == "POST":
        require_right(request, right)
        chosen = next((choice for choice in choices if choice.name in request.POST), None)
        if chosen is None:
            raise Http404
        if form.is_valid():
            try:
                _require_as_shown(request, shown)
                chosen.act(form.cleaned_data["reason"])
            except DomainError as error:
                form.add_error(None, str(error))
                status = error.status
            else:
                messages.success(request, chosen.done)
                return redirect(back)
    may = request.user.has_perm(right)
    return desk_page(
        request,
        "admin/desks/decide.html",
        title=title,
        status=status,
        meaning=meaning,
        facts=facts,
        form=form,
        choices=[(choice.name, choice.words) for choice in choices if choice.offered] if may else [],
        back=back,
        shown=shown,
        decisions=decisions_of(subject),
    )


def _require_as_shown(request: HttpRequest, shown: str) -> None:
    if request.POST.get("shown", "") != shown:
        raise NotAsShown
