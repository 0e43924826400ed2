"""The cast: people, coaches and what they sell. Anything that Stripe knows of is made through services instead."""

from datetime import time

import factory

from coaches.models import Coach, Offering, Weekday, WeeklyHours
from marketplace.models import User

PASSWORD = "a-good-long-password"


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.com")
    name = factory.Sequence(lambda n: f"Person {n}")
    time_zone = "Europe/Berlin"

    @factory.post_generation
    def password(self: User, create: bool, extracted: str | None, **_: object) -> None:
        """Only where a test logs in by the form: hashing takes its time. `client.force_login` needs none."""
        if extracted:
            self.set_password(extracted)
            self.save(update_fields=["password"])


class CoachFactory(factory.django.DjangoModelFactory[Coach]):
    """A coach as the product shows them, but not yet known to Stripe: `payable` says what payments would have said."""

    class Meta:
        model = Coach

    user = factory.SubFactory(UserFactory)
    slug = factory.Sequence(lambda n: f"coach-{n}")
    display_name = factory.LazyAttribute(lambda coach: coach.user.name)
    headline = "Clear lessons for busy people"
    bio = "Twenty years of teaching."
    subject = "Piano"
    time_zone = "America/New_York"
    payable = True


class OfferingFactory(factory.django.DjangoModelFactory[Offering]):
    class Meta:
        model = Offering

    coach = factory.SubFactory(CoachFactory)
    title = "One hour of piano"
    minutes = 60
    price_amount = 10_000
    currency = "usd"


class WeeklyHoursFactory(factory.django.DjangoModelFactory[WeeklyHours]):
    class Meta:
        model = WeeklyHours

    coach = factory.SubFactory(CoachFactory)
    weekday = Weekday.MONDAY
    starts = time(9)
    ends = time(17)


def open_all_week(coach: Coach) -> None:
    """Hours on every day, all day, so that a test may choose any time."""
    for weekday in Weekday:
        WeeklyHoursFactory.create(coach=coach, weekday=weekday, starts=time(0), ends=time(23, 59))
