"""Where machines ask whether this one is well."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from marketplace import clock
from marketplace.tasks import HEARTBEAT_KEY, beat_heartbeat
from marketplace.tests.health import ask

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]


def test_it_is_live_without_asking_anything(client: Client, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/health/live/")
    assert (answer.status_code, answer.json()) == (200, {"status": "OK"})


def test_it_is_ready_without_a_worker(client: Client) -> None:
    answer = ask(client, "/health/ready/")
    assert answer.status_code == 200
    assert set(answer.json().values()) == {"OK"}
    assert len(answer.json()) == 2


def test_it_is_not_ready_without_the_cache(client: Client, settings) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    answer = ask(client, "/health/ready/")
    assert answer.status_code == 500
    assert [text for text in answer.json().values() if text != "OK"] != []


def test_it_is_well_with_a_heartbeat(client: Client) -> None:
    beat_heartbeat()
    answer = ask(client, "/health/")
    assert answer.status_code == 200
    assert len(answer.json()) == 5


def test_it_is_not_well_without_a_heartbeat(client: Client) -> None:
    answer = ask(client, "/health/")
    assert answer.status_code == 500
    assert re.search("no heartbeat", answer.json()["WorkerAndBeat()"])


def test_an_old_heartbeat_is_none(client: Client) -> None:
    cache.set(HEARTBEAT_KEY, clock.wall().timestamp() - 61)
    assert ask(client, "/health/").status_code == 500


@pytest.mark.parametrize("accept", ["text/html", "*/*", "application/json"])
def test_it_answers_in_json_whatever_is_asked_for(client: Client, accept: str) -> None:
    assert ask(client, "/health/ready/", HTTP_ACCEPT=accept)["Content-Type"] == "application/json"
