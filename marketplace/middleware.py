"""Two small rules for every answer and every member of staff."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from marketplace.models import User
from marketplace.second_factor import has_confirmed, has_second_factor, must_have_second_factor

Handler = Callable[[HttpRequest], HttpResponse]


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
