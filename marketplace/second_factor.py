"""Who still needs a second step to sign in, and the API's answer to them. Pages ask in `marketplace.middleware`."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from marketplace.models import User


def lacks_second_factor(user: User) -> bool:
    """Whether this is a member of staff who signs in by password alone; the demo's staff may."""
    if not user.is_staff or user.email == settings.DEMO_STAFF_EMAIL:
        return False
    return not Authenticator.objects.filter(user=user).exists()


class StaffHaveSecondFactor(BasePermission):
    """For those who come with a token: the middleware knows only whom a cookie names."""

    message = "Staff need a second step to sign in. Please set one up first."

    def has_permission(self, request: Request, _view: object) -> bool:
        return not (isinstance(request.user, User) and lacks_second_factor(request.user))
