"""Who is asking."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from marketplace.models import User


def signed_in(request: HttpRequest) -> User:
    """The person behind a page that requires login."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
