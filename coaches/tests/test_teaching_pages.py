"""Where a coach sets up: from "become a coach" to bookable hours, with what people really type."""

from datetime import time

import pytest
from django.test import Client
from django.urls import reverse

from coaches import selectors
from coaches.models import Coach, Offering
from coaches.slots import Window
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.factories import CoachFactory, OfferingFactory, WeeklyHoursFactory

pytestmark = pytest.mark.django_db

PROFILE = {
    "display_name": "Ada Byron",
    "subject": "Maths",
    "headline": "Numbers made plain",
    "bio": "I teach.",
    "time_zone": "Asia/Kathmandu",
}
OFFERING = {
    "title": "First steps",
    "description": "",
    "minutes": "45",
    "price": "25.50",
    "currency": "usd",
    "instant": "no",
    "cancellation": "flexible",
}

SETTING_UP = ["offerings", "new_offering", "hours", "rules", "overrides", "new_override"]


@pytest.fixture
def newcomer(client: Client, student: User) -> Client:
    """A signed-in person without a profile."""
    client.force_login(student)
    return client


@pytest.fixture
def beginner(client: Client, student: User) -> Client:
    """A signed-in person with a profile, and nothing else."""
    CoachFactory.create(user=student, payable=False)
    client.force_login(student)
    return client


# --- the steps ----------------------------------------------------------------------------------


def test_the_way_from_newcomer_to_payouts(newcomer: Client, student: User) -> None:
    start = newcomer.get(reverse("coaches:teach")).content.decode()
    assert "Become a coach" in start

    answer = newcomer.post(reverse("coaches:edit_profile"), PROFILE)
    assert answer["Location"] == reverse("coaches:new_offering")
    answer = newcomer.post(reverse("coaches:new_offering"), OFFERING)
    assert answer["Location"] == reverse("coaches:hours")
    answer = newcomer.post(reverse("coaches:hours"), {"monday-0-starts": "09:00", "monday-0-ends": "12:00"})
    assert answer["Location"] == reverse("payments:payouts")

    coach = Coach.objects.get(user=student)
    assert coach.time_zone == "Asia/Kathmandu"
    assert coach.offerings.get().price == Money(2_550, "usd")
    assert selectors.windows_of(coach) == [Window(0, time(9), time(12))]
    assert not selectors.is_bookable(coach)  # not before payouts are ready


def test_the_start_page_names_what_is_missing(beginner: Client, student: User) -> None:
    WeeklyHoursFactory.create(coach=student.coach)
    page = beginner.get(reverse("coaches:teach"))
    assert [step.title for step in page.context["missing"]] == ["Something to book", "Payouts"]
    assert "Students can book you when every step is done." in page.content.decode()


def test_the_start_page_says_when_everything_is_in_place(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    page = client.get(reverse("coaches:teach")).content.decode()
    assert "Everything is in place" in page


@pytest.mark.parametrize("name", [*SETTING_UP, "teach", "edit_profile"])
def test_setting_up_needs_a_login(client: Client, name: str) -> None:
    url = reverse(f"coaches:{name}")
    assert client.get(url)["Location"] == f"{reverse('account_login')}?next={url}"


@pytest.mark.parametrize("name", SETTING_UP)
def test_without_a_profile_the_profile_comes_first(newcomer: Client, name: str) -> None:
    for answer in (newcomer.get(reverse(f"coaches:{name}")), newcomer.post(reverse("coaches:hours"), {})):
        assert answer["Location"] == reverse("coaches:edit_profile")
    assert Coach.objects.count() == 0


# --- the profile --------------------------------------------------------------------------------


def test_a_new_profile_begins_with_the_persons_name_and_zone(newcomer: Client, student: User) -> None:
    form = newcomer.get(reverse("coaches:edit_profile")).context["form"]
    assert (form["display_name"].value(), form["time_zone"].value()) == (student.name, student.time_zone)


def test_a_refused_profile_keeps_what_was_typed(newcomer: Client) -> None:
    answer = newcomer.post(reverse("coaches:edit_profile"), {**PROFILE, "headline": ""})
    assert answer.status_code == 200
    assert "headline" in answer.context["form"].errors
    assert answer.context["form"]["bio"].value() == "I teach."
    assert Coach.objects.count() == 0


def test_another_zone_says_what_it_means_for_the_hours(beginner: Client) -> None:
    page = beginner.post(reverse("coaches:edit_profile"), {**PROFILE, "time_zone": "Asia/Tokyo"}, follow=True)
    said = [str(message) for message in page.context["messages"]]
    assert said == [
        "Your profile is saved. Your hours now hold in Tokyo time. Sessions that are booked stay when they were."
    ]


def test_the_same_zone_is_not_mentioned(beginner: Client, student: User) -> None:
    page = beginner.post(
        reverse("coaches:edit_profile"), {**PROFILE, "time_zone": student.coach.time_zone}, follow=True
    )
    assert [str(message) for message in page.context["messages"]] == ["Your profile is saved."]


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", ""),
        ("display_name", "   "),
        ("display_name", "x" * 121),
        ("display_name", "a\x00b"),
        ("headline", "x" * 141),
        ("subject", "x" * 61),
        pytest.param("bio", "x" * 4001, id="bio-long"),
    ],
)
def test_it_refuses_a_profile_with_words_beside_the_field(newcomer: Client, field: str, value: str) -> None:
    answer = newcomer.post(reverse("coaches:edit_profile"), {**PROFILE, field: value})
    assert list(answer.context["form"].errors) == [field]
    assert Coach.objects.count() == 0


def test_what_is_not_asked_for_is_ignored(newcomer: Client, student: User) -> None:
    extra = {"payable": "on", "user": "1", "slug": "mine", "is_staff": "on"}
    newcomer.post(reverse("coaches:edit_profile"), {**PROFILE, **extra})
    coach = Coach.objects.get()
    assert (coach.user, coach.payable, coach.slug) == (student, False, "ada-byron")


@pytest.mark.parametrize("name", ["\u202eada", "😀😀", "Z\u0336a\u0336l\u0336g\u0336o", "Robert'); DROP TABLE--"])
def test_unusual_names_are_kept_as_they_are(newcomer: Client, name: str) -> None:
    newcomer.post(reverse("coaches:edit_profile"), {**PROFILE, "display_name": name})
    assert Coach.objects.get().display_name == name


# --- offerings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "currency", "amount"),
    [("25.50", "usd", 2_550), ("25", "eur", 2_500), ("25.5", "gbp", 2_550), ("0.50", "usd", 50), ("5000", "jpy", 5_000),
     ("999999.99", "usd", 99_999_999)],
)  # fmt: skip
def test_a_price_is_taken_exactly(beginner: Client, price: str, currency: str, amount: int) -> None:
    beginner.post(reverse("coaches:new_offering"), {**OFFERING, "price": price, "currency": currency})
    assert Offering.objects.get().price == Money(amount, currency)


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("price", "currency", "words"),
    [
        ("10,00", "usd", "like 25.00"),
        ("1,000.00", "usd", "like 25.00"),
        ("10.000", "usd", "like 25.00"),
        ("0.001", "usd", "like 25.00"),
        ("10.50", "jpy", "like 25."),
        ("NaN", "usd", "plain digits"),
        ("Infinity", "usd", "plain digits"),
        ("1e12", "usd", "plain digits"),
        ("٢٥", "usd", "plain digits"),
        ("\uff12\uff15", "usd", "plain digits"),
        ("-1", "usd", "plain digits"),
        ("+1", "usd", "plain digits"),
        ("$25", "usd", "plain digits"),
        ("1_000", "usd", "plain digits"),
        ("true", "usd", "plain digits"),
        ("0x10", "usd", "plain digits"),
        ("0", "usd", "lowest price is $0.50"),
        ("0.49", "usd", "lowest price is $0.50"),
        ("0.29", "gbp", "lowest price is £0.30"),
        ("49", "jpy", "lowest price is ¥50"),
        ("1000000", "usd", "highest price is $999,999.99"),
        ("999999999999", "usd", "highest price"),
        ("9" * 41, "usd", "at most 12 characters"),
        ("", "usd", "required"),
    ],
)
def test_it_refuses_a_price_with_words_beside_it(beginner: Client, price: str, currency: str, words: str) -> None:
    answer = beginner.post(reverse("coaches:new_offering"), {**OFFERING, "price": price, "currency": currency})
    assert words in " ".join(answer.context["form"].errors["price"])
    assert answer.context["form"]["price"].value() == price
    assert Offering.objects.count() == 0


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("currency", "chf"),
        ("currency", "USD"),
        ("currency", ""),
        ("minutes", "4"),
        ("minutes", "721"),
        ("minutes", "1.5"),
        pytest.param("minutes", "9" * 5000, id="minutes-endless"),
        ("instant", "perhaps"),
        ("cancellation", "lenient"),
        ("cancellation", ""),
        ("buffer_before_minutes", "-5"),
        ("buffer_after_minutes", "241"),
        ("notice_minutes", "20161"),
        ("notice_minutes", "soon"),
        ("step_minutes", "7"),
        ("title", ""),
        ("title", "x" * 121),
        pytest.param("description", "x" * 2001, id="description-long"),
    ],
)
def test_it_refuses_an_offering_with_words_beside_the_field(beginner: Client, field: str, value: str) -> None:
    answer = beginner.post(reverse("coaches:new_offering"), {**OFFERING, field: value})
    assert list(answer.context["form"].errors) == [field]
    assert Offering.objects.count() == 0


def test_an_offering_is_edited_in_place(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    url = reverse("coaches:edit_offering", args=[offering.pk])
    assert client.get(url).context["form"]["price"].value() == "100.00"
    answer = client.post(url, {**OFFERING, "instant": "yes"})
    assert answer["Location"] == reverse("coaches:offerings")
    offering.refresh_from_db()
    assert (offering.title, offering.price, offering.instant) == ("First steps", Money(2_550, "usd"), True)
    assert Offering.objects.count() == 1


def test_an_offering_has_its_own_rules_where_they_differ(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    url = reverse("coaches:edit_offering", args=[offering.pk])
    own = {"buffer_before_minutes": "0", "buffer_after_minutes": "", "notice_minutes": "1440", "step_minutes": "60"}
    client.post(url, {**OFFERING, **own, "cancellation": "moderate"})
    offering.refresh_from_db()
    assert (offering.buffer_before_minutes, offering.buffer_after_minutes) == (0, None)
    assert (offering.notice_minutes, offering.step_minutes, offering.cancellation) == (1440, 60, "moderate")
    page = client.get(url).content.decode()
    assert '<option value="0" selected>none</option>' in page
    assert '<option value="1440" selected>1 day</option>' in page


def test_an_offering_is_as_all_others_by_default_and_says_how_that_is(client: Client, coach: Coach) -> None:
    Coach.objects.update(buffer_after_minutes=90)
    client.force_login(coach.user)
    page = client.get(reverse("coaches:new_offering")).content.decode()
    assert "As for all my sessions (1 hour 30 minutes)" in page
    assert "As for all my sessions (every 30 minutes)" in page
    client.post(reverse("coaches:new_offering"), OFFERING)
    offering = Offering.objects.get()
    assert (offering.buffer_after_minutes, offering.notice_minutes, offering.step_minutes) == (None, None, None)
    assert offering.cancellation == "flexible"


def test_an_offering_is_switched_off_and_on_again(client: Client, offering: Offering) -> None:
    client.force_login(offering.coach.user)
    client.post(reverse("coaches:deactivate_offering", args=[offering.pk]))
    assert not Offering.objects.get().active
    assert not selectors.is_bookable(offering.coach)
    client.post(reverse("coaches:activate_offering", args=[offering.pk]))
    assert Offering.objects.get().active


@pytest.mark.parametrize("name", ["edit_offering", "activate_offering", "deactivate_offering"])
def test_another_coachs_offering_is_not_found(client: Client, offering: Offering, name: str) -> None:
    thief = CoachFactory.create()
    OfferingFactory.create(coach=thief)
    client.force_login(thief.user)
    assert client.post(reverse(f"coaches:{name}", args=[offering.pk]), OFFERING).status_code == 404
    before = (offering.title, offering.active)
    offering.refresh_from_db()
    assert (offering.title, offering.active) == before


@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 40])
def test_an_offering_that_does_not_exist_is_not_found(client: Client, coach: Coach, number: str) -> None:
    client.force_login(coach.user)
    assert client.get(f"/teach/offerings/{number}/").status_code == 404


@pytest.mark.parametrize("name", ["activate_offering", "deactivate_offering"])
def test_a_visit_switches_nothing(client: Client, offering: Offering, name: str) -> None:
    client.force_login(offering.coach.user)
    assert client.get(reverse(f"coaches:{name}", args=[offering.pk])).status_code == 405
    assert Offering.objects.get().active


def test_a_form_from_another_site_is_refused(offering: Offering) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(offering.coach.user)
    assert guarded.post(reverse("coaches:deactivate_offering", args=[offering.pk])).status_code == 403
    assert Offering.objects.get().active
