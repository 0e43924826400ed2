"""Who is asking."""

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest

from marketplace.models import User


def signed_in(request: HttpRequest) -> User:
    """The person behind a page that requires login."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def network_address(request: HttpRequest) -> str | None:
    """Where the request came from, past as many proxies as are trusted (TRUSTED_PROXY_COUNT). None where not known."""
    try:
        address = str(get_adapter().get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):
        return None  # it is evidence, and never a reason to refuse
    return address.partition("%")[0]  # a link's own name of an IPv6 address is nobody else's
