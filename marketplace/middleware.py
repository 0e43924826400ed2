"""Two small rules for every answer and every member of staff."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from marketplace.models import User
from marketplace.second_factor import lacks_second_factor

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
    """Staff reach nothing but the account pages until they have set up a second factor; the demo's staff excepted.

    Who calls the API by a token is known only there: see `marketplace.second_factor.StaffHaveSecondFactor`.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        if _needs_second_factor(request):
            return redirect("mfa_index")
        return get_response(request)

    return handle


def _needs_second_factor(request: HttpRequest) -> bool:
    if not request.path.startswith(("/admin/", "/api/")):
        return False
    user = request.user
    return isinstance(user, User) and lacks_second_factor(user)
