"""Two halves of the drain's measurement, each its own process: `prepare N` payments, and `work` off their events."""

import os
import sys
import uuid
from typing import Any

import django
import requests
from django.conf import settings


class StandIn:
    """As much of the sandbox as paying on its page needs."""

    url = os.environ["STRIPE_SANDBOX_URL"]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(self.url + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()


def prepare(count: int) -> None:
    """Students have paid on Stripe's page, and we have not heard of it."""
    from marketplace.tests.factories import CoachFactory, UserFactory
    from payments.tests import stage

    stand_in: Any = StandIn()
    name = uuid.uuid4().hex
    student = UserFactory.create(email=f"student-{name}@example.com")
    coach = CoachFactory.create(user=UserFactory.create(email=f"coach-{name}@example.com"), slug=name)
    stage.onboard(stand_in, coach)
    for number in range(count):
        stage.pay(stand_in, stage.open_page(student, coach, reference=f"{name[:8]}:{number}"))


def work() -> None:
    """What the worker's task does each second, until nothing is left. Begins when told to."""
    from marketplace import clock
    from payments import webhooks

    print("ready", flush=True)
    sys.stdin.readline()
    while webhooks.sweep_events(now=clock.now()):
        pass


if __name__ == "__main__":
    django.setup()
    settings.DEBUG = False  # the sandbox's address needs it at the start; it would log every query
    if sys.argv[1] == "prepare":
        prepare(int(sys.argv[2]))
    else:
        work()
