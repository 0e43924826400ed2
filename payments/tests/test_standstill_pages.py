"""The stop of all sending, as staff and machines see it."""

import pytest
from django.urls import reverse

from marketplace import clock
from marketplace.models import StaffDecision
from marketplace.tasks import beat_heartbeat
from marketplace.tests.health import ask
from marketplace.tests.staff import as_role, browser_of, member_of
from payments.models import Standstill
from payments.services import standstill

pytestmark = pytest.mark.django_db

NOW = "admin:payments_standstill_now"


@pytest.mark.parametrize("role", ["finance", "admin"])
def test_finance_stops_all_sending_and_lets_it_go_on(role):
    person = member_of(role)
    client = browser_of(person)
    assert "Stop all sending" in client.get(reverse(NOW)).content.decode()

    client.post(reverse(NOW), {"begin": "yes", "reason": "The key is rolled."})
    page = client.get(reverse("admin:index")).content.decode()
    assert "Nothing is sent to Stripe since" in page
    assert "The key is rolled." in page

    client.post(reverse(NOW), {"end": "yes", "reason": "It is rolled."})
    standing = Standstill.objects.get()
    assert (standing.began_by, standing.ended_by, standing.ended_reason) == (person, person, "It is rolled.")
    assert "Nothing is sent" not in client.get(reverse("admin:index")).content.decode()
    assert StaffDecision.objects.filter(actor=person).count() == 2


def test_finance_says_that_a_backup_was_restored():
    as_role("finance").post(reverse(NOW), {"restored": "yes", "reason": "The disk broke."})
    standing = Standstill.objects.get()
    assert (standing.behind, standing.reason) == (True, "The disk broke.")


def test_it_needs_a_reason():
    answer = as_role("finance").post(reverse(NOW), {"begin": "yes", "reason": ""})
    assert answer.status_code == 200
    assert Standstill.objects.count() == 0


def test_support_sees_that_it_stands_and_can_do_nothing_about_it():
    standstill.begin(reason="The key is rolled.", actor=None, now=clock.now())
    client = as_role("support")
    page = client.get(reverse("admin:index")).content.decode()
    assert "Nothing is sent to Stripe since" in page
    assert reverse(NOW) not in page
    assert client.post(reverse(NOW), {"end": "yes", "reason": "I want to."}).status_code == 403
    assert Standstill.objects.filter(ended_at=None).exists()


def test_what_keeps_it_from_ending_is_said_on_the_page():
    Standstill.objects.create(reason="An older database.", began_at=clock.now(), behind=True)
    client = as_role("finance")
    assert "reconcile --full" in client.get(reverse(NOW)).content.decode()
    answer = client.post(reverse(NOW), {"end": "yes", "reason": "I want to."})
    assert answer.status_code == 409
    assert "reconcile --full" in answer.content.decode()
    assert Standstill.objects.filter(ended_at=None).exists()


def test_the_way_there_is_among_the_desks():
    assert reverse(NOW) in as_role("finance").get(reverse("admin:index")).content.decode()
    assert as_role("finance").get(reverse("admin:payments_standstill_changelist")).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_health_mentions_it_and_is_well(client):
    beat_heartbeat()
    assert ask(client, "/health/").json()["SendingToStripe()"] == "OK"
    standstill.begin(reason="The key is rolled.", actor=None, now=clock.now())
    answer = ask(client, "/health/")
    assert answer.status_code == 200
    # Anybody may read it, and staff write what they like.
    assert answer.json()["SendingToStripe()"] == "Nothing is sent to Stripe; the admin says why"
    assert "SendingToStripe()" not in ask(client, "/health/ready/").json()
