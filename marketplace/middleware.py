"""Two small rules for every answer and every member of staff."""

from collections.abc import Callable

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

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
    """Staff reach nothing but the account pages until they have set up a second factor; the demo's staff excepted."""

    def handle(request: HttpRequest) -> HttpResponse:
        if _needs_second_factor(request):
            return redirect("mfa_index")
        return get_response(request)

    return handle


def _needs_second_factor(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or not user.is_staff or user.email == settings.DEMO_STAFF_EMAIL:
        return False
    if not request.path.startswith(("/admin/", "/api/")):
        return False
    return not Authenticator.objects.filter(user=user).exists()
