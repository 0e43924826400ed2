"""The product's own WSGI application, and beside it, under /bench/, Django without any middleware: the bare view and
dj-stripe's view are measured there, so that neither pays for what only our pages need.
"""

import json
from typing import Any

import stripe
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

product = get_wsgi_application()

from marketplace import clock  # noqa: E402  # after Django is set up
from payments.models import StripeEvent  # noqa: E402


@csrf_exempt
def bare(request: HttpRequest) -> HttpResponse:
    """The least that a webhook view can do: verify, and insert one row."""
    secret = settings.STRIPE_WEBHOOK_SECRETS[0]
    stripe.WebhookSignature.verify_header(request.body, request.headers["Stripe-Signature"], secret, 300)
    event, now = json.loads(request.body), clock.now()
    row = StripeEvent(
        event_id=event["id"],
        type=event["type"],
        livemode=event["livemode"],
        payload=request.body,
        received_at=now,
        next_try_at=now,
    )
    row.save(force_insert=True)
    return HttpResponse(status=200)


urlpatterns = [
    path("bench/bare/", bare),
    path("bench/djstripe/", include("djstripe.urls", namespace="djstripe")),
]


class BenchRequest(WSGIRequest):
    urlconf = __name__  # Django resolves by the request's own map where it has one


class BenchHandler(WSGIHandler):
    request_class = BenchRequest


with override_settings(MIDDLEWARE=[]):
    without_middleware = BenchHandler()


def application(environ: dict[str, Any], start_response: Any) -> Any:
    handler = without_middleware if environ["PATH_INFO"].startswith("/bench/") else product
    return handler(environ, start_response)
