"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from marketplace.lib.zones import viewer_zone


def site(request: HttpRequest) -> dict[str, Any]:
    return {
        "SITE_NAME": settings.SITE_NAME,
        "SITE_URL": settings.SITE_URL,
        "SUPPORT_EMAIL": settings.SUPPORT_EMAIL,
        "DEBUG": settings.DEBUG,
        "DEMO": settings.DEMO,
        "SANDBOX": bool(settings.STRIPE_SANDBOX_URL),
        "SANDBOX_URL": settings.STRIPE_SANDBOX_URL,
        "zone": viewer_zone(request),
    }
