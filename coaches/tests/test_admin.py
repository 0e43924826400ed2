"""Staff look at coaches; what belongs to others is not theirs to rewrite."""

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from coaches.models import Coach, Offering
from marketplace.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(client: Client, staff: User, settings: Settings) -> Client:
    """Staff, excused from the second factor."""
    settings.DEMO_STAFF_EMAIL = staff.email
    client.force_login(staff)
    return client


def test_staff_find_a_coach_and_see_what_they_sell(desk: Client, offering: Offering) -> None:
    found = desk.get(reverse("admin:coaches_coach_changelist"), {"q": offering.coach.user.email})
    assert offering.coach.display_name in found.content.decode()
    page = desk.get(reverse("admin:coaches_coach_change", args=[offering.coach.pk])).content.decode()
    assert offering.title in page
    assert "Monday" in page


def test_staff_see_who_changed_a_coach(desk: Client, coach: Coach) -> None:
    assert desk.get(reverse("admin:coaches_coach_history", args=[coach.pk])).status_code == 200


def test_staff_can_neither_declare_a_coach_payable_nor_change_a_price(desk: Client, offering: Offering) -> None:
    Coach.objects.update(payable=False)
    page = desk.get(reverse("admin:coaches_coach_change", args=[offering.coach.pk])).content.decode()
    assert 'name="payable"' not in page
    page = desk.get(reverse("admin:coaches_offering_change", args=[offering.pk])).content.decode()
    assert 'name="title"' in page
    assert 'name="price_amount"' not in page


def test_nobody_deletes_a_coach(desk: Client, coach: Coach) -> None:
    answer = desk.post(reverse("admin:coaches_coach_delete", args=[coach.pk]), {"post": "yes"})
    assert answer.status_code == 403
    assert Coach.objects.filter(pk=coach.pk).exists()


def test_a_coach_has_no_desk(client: Client, coach: Coach) -> None:
    client.force_login(coach.user)
    assert client.get(reverse("admin:coaches_coach_changelist")).status_code == 302
