"""Where machines ask whether this one is well. What each address is for is in docs/operating.md."""

import dataclasses
from typing import Any

from django.core.cache import cache
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from health_check.base import HealthCheck
from health_check.checks import Cache, Database
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView

from marketplace import clock
from marketplace.tasks import HEARTBEAT_KEY
from payments import problems
from payments.services import standstill

# Beat sends the task every 2 s; a worker busy with long tasks may run it later.
LONGEST_SILENCE_SECONDS = 60


@dataclasses.dataclass
class WorkerAndBeat(HealthCheck):  # type: ignore[misc]  # ships no types
    """Beat has sent its heartbeat, and a worker has run it, within the last minute."""

    def run(self) -> None:
        last = cache.get(HEARTBEAT_KEY)
        if last is None or clock.wall().timestamp() - last > LONGEST_SILENCE_SECONDS:
            raise ServiceUnavailable("no heartbeat")


@dataclasses.dataclass
class SendingToStripe(HealthCheck):  # type: ignore[misc]  # ships no types
    """Says whether it is stopped: no fault of this machine's, and restarting it mends nothing. Why is for staff alone:
    some of it is in their own words, and anybody may read this.
    """

    said: str = dataclasses.field(default="OK", init=False, repr=False)

    def run(self) -> None:
        # In a thread of its own, with a connection of its own.
        try:
            standing = standstill.current()
        except Error as error:
            raise ServiceUnavailable("the database does not answer") from error
        finally:
            connection.close()
        if standing:
            self.said = "Nothing is sent to Stripe; the admin says why"


@dataclasses.dataclass
class Problems(HealthCheck):  # type: ignore[misc]  # ships no types
    """Says what is wrong with the product as a whole: for a person, and restarting mends nothing of it."""

    said: str = dataclasses.field(default="OK", init=False, repr=False)

    def run(self) -> None:
        # In a thread of its own, with a connection of its own.
        try:
            counts = problems.counts()
        except Error as error:
            raise ServiceUnavailable("the database does not answer") from error
        finally:
            connection.close()
        if counts:
            self.said = "; ".join(f"{title} ({number})" for title, number in counts.items())


class JsonHealthView(HealthCheckView):  # type: ignore[misc]  # ships no types
    """200 or 500 with a line for each check; JSON whatever is asked for, since the package's page has inline styles."""

    def render_to_response(self, _context: dict[str, Any], status: int) -> HttpResponse:
        return self.render_to_response_json(status)

    def render_to_response_json(self, status: int) -> HttpResponse:
        said = {
            repr(each.check): str(each.error) if each.error else getattr(each.check, "said", "OK")
            for each in self.results
        }
        return JsonResponse(said, status=status)


def live(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "OK"})


urlpatterns = [
    # This process answers. Restart it when it does not.
    path("live/", live, name="health_live"),
    # It can serve people: send it requests.
    path("ready/", JsonHealthView.as_view(checks=[Database, Cache]), name="health_ready"),
    # The whole product is at work, the worker and beat too. Wake somebody when it is not.
    path("", JsonHealthView.as_view(checks=[Database, Cache, WorkerAndBeat, SendingToStripe, Problems]), name="health"),
]
