"""Profiles, offerings and hours, as the services keep them."""

import threading
from collections.abc import Callable
from datetime import time

import pytest
from django.db import connections
from pytest_django import DjangoAssertNumQueries

from coaches import selectors, services
from coaches.models import Coach, Offering, WeeklyHours
from coaches.slots import Window
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, UserFactory, WeeklyHoursFactory

NINE_TO_NOON = Window(0, time(9), time(12))
OWN_RULES = services.OfferingRules(buffer_after_minutes=0)


def make_profile(user: User, name: str = "Ada Byron", **facts: str) -> Coach:
    words = {"headline": "Numbers made plain", "bio": "I teach.", "subject": "Maths", "time_zone": "Europe/London"}
    return services.create_or_update_profile(user=user, display_name=name, **{**words, **facts})


def at_once(*acts: Callable[[], object]) -> list[BaseException]:
    """Runs the acts in threads that start together; what they raised."""
    barrier, raised = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=60)
            act()
        except BaseException as error:  # noqa: BLE001 (shown to the test, whatever it is)
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return raised


# --- profiles -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_profile_gets_its_address_from_the_name(student: User) -> None:
    assert make_profile(student, "Renée O'Neill").slug == "renee-oneill"


@pytest.mark.django_db
def test_a_name_without_latin_letters_still_gets_an_address(student: User) -> None:
    assert make_profile(student, "山田太郎").slug == "coach"


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_second_coach_of_the_same_name_gets_an_address_of_their_own(student: User, stranger: User) -> None:
    first, second = make_profile(student), make_profile(stranger)
    assert first.slug == "ada-byron"
    assert second.slug.startswith("ada-byron-")


@pytest.mark.django_db
def test_the_longest_name_fits(student: User, stranger: User) -> None:
    make_profile(student, "x" * 120)
    assert len(make_profile(stranger, "x" * 120).slug) <= 80


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_new_name_keeps_the_address(student: User) -> None:
    make_profile(student)
    changed = make_profile(student, "Countess Lovelace")
    assert (changed.display_name, changed.slug) == ("Countess Lovelace", "ada-byron")
    assert Coach.objects.count() == 1


@pytest.mark.django_db
def test_saving_a_profile_unchanged_writes_no_history(student: User) -> None:
    coach = make_profile(student)
    make_profile(student)
    assert coach.history.count() == 1


@pytest.mark.django_db
def test_a_profile_does_not_make_its_coach_payable(student: User) -> None:
    assert make_profile(student).payable is False


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_two_clicks_at_once_make_one_profile() -> None:
    user = UserFactory.create()
    raised = at_once(*[lambda: make_profile(user)] * 4)
    assert raised == []
    assert Coach.objects.filter(user=user).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_namesakes_at_once_get_different_addresses() -> None:
    users = [UserFactory.create() for _ in range(4)]
    raised = at_once(*[lambda user=user: make_profile(user) for user in users])
    assert raised == []
    assert Coach.objects.values("slug").distinct().count() == 4


# --- offerings ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_changing_an_offering_leaves_its_coach_and_state(offering: Offering) -> None:
    services.set_offering_active(offering=offering, active=False)
    services.save_offering(
        coach=offering.coach,
        offering=offering,
        title="Scales",
        description="",
        minutes=30,
        price=Money(5_000, "eur"),
        instant=True,
        cancellation=Offering.Cancellation.STRICT,
        rules=OWN_RULES,
    )
    offering.refresh_from_db()
    assert (offering.title, offering.minutes, offering.price) == ("Scales", 30, Money(5_000, "eur"))
    assert (offering.instant, offering.active) == (True, False)
    assert (offering.cancellation, offering.buffer_after_minutes, offering.step_minutes) == ("strict", 0, None)


@pytest.mark.django_db
def test_it_refuses_to_change_an_offering_of_another_coach(offering: Offering) -> None:
    thief = CoachFactory.create()
    with pytest.raises(ValueError, match="another coach"):
        services.save_offering(
            coach=thief,
            offering=offering,
            title="Mine",
            description="",
            minutes=60,
            price=Money(1_000, "usd"),
            instant=False,
            cancellation=Offering.Cancellation.FLEXIBLE,
            rules=OWN_RULES,
        )
    offering.refresh_from_db()
    assert offering.title != "Mine"


# --- hours --------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_saving_hours_replaces_the_week(coach: Coach) -> None:
    services.save_hours(coach=coach, windows=[Window(2, time(14), time(16)), NINE_TO_NOON])
    assert selectors.windows_of(coach) == [NINE_TO_NOON, Window(2, time(14), time(16))]


@pytest.mark.django_db
def test_windows_that_touch_are_welcome(coach: Coach) -> None:
    touching = [NINE_TO_NOON, Window(0, time(12), time(13))]
    services.save_hours(coach=coach, windows=touching)
    assert selectors.windows_of(coach) == touching


@pytest.mark.django_db
@pytest.mark.parametrize("other", [Window(0, time(11, 59), time(13)), Window(0, time(8), time(18)), NINE_TO_NOON])
def test_it_refuses_windows_that_overlap_and_keeps_the_old_week(coach: Coach, other: Window) -> None:
    before = selectors.windows_of(coach)
    with pytest.raises(services.HoursOverlapError, match="On Monday"):
        services.save_hours(coach=coach, windows=[NINE_TO_NOON, other])
    assert selectors.windows_of(coach) == before


@pytest.mark.django_db
def test_hours_over_midnight_are_kept_as_such(coach: Coach) -> None:
    windows = [Window(0, time(22), time(2), ends_next_day=True), Window(6, time(20), time(0), ends_next_day=True)]
    services.save_hours(coach=coach, windows=windows)
    assert selectors.windows_of(coach) == windows


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_two_saves_at_once_do_not_mix_their_weeks() -> None:
    coach = CoachFactory.create()
    weeks = [[Window(0, time(hour), time(hour + 2)), Window(1, time(hour), time(hour + 2))] for hour in (8, 9, 10)]
    raised = at_once(*[lambda week=week: services.save_hours(coach=coach, windows=week) for week in weeks])
    assert raised == []
    assert selectors.windows_of(coach) in weeks


# --- who can be booked --------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_coach_with_everything_in_place_can_be_booked(offering: Offering) -> None:
    assert list(selectors.bookable_coaches()) == [offering.coach]
    assert selectors.get_bookable_offering(offering.pk) == offering


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["payable", "hours", "offering", "user", "currency"])
def test_a_coach_who_lacks_one_thing_cannot_be_booked(offering: Offering, missing: str) -> None:
    coach = offering.coach
    if missing == "payable":
        services.set_payable(coach=coach, payable=False)
    elif missing == "hours":
        WeeklyHours.objects.all().delete()
    elif missing == "offering":
        services.set_offering_active(offering=offering, active=False)
    elif missing == "user":
        User.objects.filter(pk=coach.user_id).update(is_active=False)
    else:
        Offering.objects.update(currency="chf")  # no longer one that the platform settles in
    assert list(selectors.bookable_coaches()) == []
    with pytest.raises(Offering.DoesNotExist):
        selectors.get_bookable_offering(offering.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, -1, 2**63, 10**40])
def test_an_offering_that_cannot_exist_is_not_found(number: int) -> None:
    with pytest.raises(Offering.DoesNotExist):
        selectors.get_bookable_offering(number)


@pytest.mark.django_db
def test_an_inactive_offering_of_a_bookable_coach_cannot_be_booked(offering: Offering) -> None:
    off = OfferingFactory.create(coach=offering.coach, active=False)
    with pytest.raises(Offering.DoesNotExist):
        selectors.get_bookable_offering(off.pk)


@pytest.mark.django_db
def test_listing_coaches_takes_two_queries_however_many(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(5):
        coach = CoachFactory.create()
        OfferingFactory.create(coach=coach)
        OfferingFactory.create(coach=coach)
        WeeklyHoursFactory.create(coach=coach)
    with django_assert_num_queries(2):
        assert [len(vars(coach)["published"]) for coach in selectors.bookable_coaches()] == [2] * 5


@pytest.mark.django_db
def test_the_steps_name_the_first_that_is_missing(student: User) -> None:
    assert [step.state for step in selectors.setup_steps(None)] == ["now", "next", "next", "next"]
    coach = make_profile(student)
    WeeklyHoursFactory.create(coach=coach)
    assert [step.state for step in selectors.setup_steps(coach)] == ["done", "now", "done", "next"]
