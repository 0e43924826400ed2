"""Small rules for every request, every answer and every member of staff."""

import json
import re
from collections.abc import Callable
from datetime import MAXYEAR

from django.conf import settings
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, JsonResponse, UnreadablePostError
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from marketplace.models import User
from marketplace.second_factor import has_confirmed, has_second_factor, must_have_second_factor

Handler = Callable[[HttpRequest], HttpResponse]

# Look-ups that no list of the admin offers and that Django doesn't check: two values, or an expression.
_NEVER_OFFERED = {"range", "regex", "iregex"}
_ROW = re.compile(r"[0-9]{1,18}")


def response_policies(get_response: Handler) -> Handler:
    """The admin's own content policy, and one Permissions-Policy for all."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith("/admin/"):
            # django-csp reads this attribute: https://django-csp.readthedocs.io/en/latest/decorators.html
            setattr(response, "_csp_replace", settings.ADMIN_CONTENT_SECURITY_POLICY)  # noqa: B010 (not a field of the class)
        response.setdefault("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=()")
        return response

    return handle


def refuse_unreadable(get_response: Handler) -> Handler:
    """400 for what the packages that we serve answer with a 500.

    Sessions and the admin's filters pass a NUL on to PostgreSQL, which has no text with one; the admin's search does
    not. allauth's JSON endpoints read bodies nested thousands deep, and half characters that no text column takes.
    The admin's filters take years that no date has, and its actions rows that have no number.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        try:
            refusal = _refusal(request)
        except UnreadablePostError:  # who sent it has gone
            return HttpResponseBadRequest()
        return get_response(request) if refusal is None else refusal

    return handle


def _refusal(request: HttpRequest) -> HttpResponse | None:
    if "\x00" in request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""):
        return HttpResponseBadRequest()
    if request.path.startswith("/admin/") and not _is_readable_list(request):
        raise BadRequest("No list of the admin asks for this.")
    if request.path.startswith("/_allauth/") and request.body and not _is_readable_json(request.body):
        return JsonResponse({"status": 400}, status=400)
    if request.path == reverse("headless:app:account:reset_password") and _names_nobody(request):
        return JsonResponse({"status": 400}, status=400)
    return None


def _is_readable_list(request: HttpRequest) -> bool:
    rows = request.POST.getlist(ACTION_CHECKBOX_NAME)
    filters = ((name, value) for name, values in request.GET.lists() for value in values if name != "q")
    return all(map(_ROW.fullmatch, rows)) and all(_is_readable_filter(name, value) for name, value in filters)


def _is_readable_filter(name: str, value: str) -> bool:
    lookups = set(name.split("__")[1:])
    if "\x00" in f"{name}{value}" or lookups & _NEVER_OFFERED:
        return False
    if lookups & {"year", "iso_year"}:
        # Up to the last year that has a next one.
        return bool(re.fullmatch(r"[0-9]{1,4}", value)) and 1 <= int(value) < MAXYEAR
    return not lookups & {"month", "day"} or bool(re.fullmatch(r"[0-9]{1,2}", value))


def _is_readable_json(body: bytes) -> bool:
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # an encoding error is a ValueError too
        return False
    return True


def _names_nobody(request: HttpRequest) -> bool:
    """A key to a new password without the person before its hyphen, whom allauth looks up all the same."""
    body = json.loads(request.body or b"{}")
    keys = request.headers.get("X-Password-Reset-Key", ""), body.get("key", "") if isinstance(body, dict) else ""
    return any(str(key).lstrip().startswith("-") for key in keys)


def staff_second_factor(get_response: Handler) -> Handler:
    """Staff reach nothing but the account pages until they have set up a second factor and used it in this session.

    The demo's staff are excepted. Who calls the API by a token is known only there: see
    `marketplace.second_factor.StaffHaveSecondFactor`.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        user = request.user
        guarded = request.path.startswith(("/admin/", "/api/"))
        if guarded and isinstance(user, User) and must_have_second_factor(user):
            if not has_second_factor(user):
                return redirect("mfa_index")
            if not has_confirmed(request.session):
                return redirect(f"{reverse('mfa_reauthenticate')}?{urlencode({'next': request.get_full_path()})}")
        return get_response(request)

    return handle
