"""What the pages refuse: in plain words, with nothing lost and nothing made."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from bookings import policy, services
from bookings.models import Booking
from bookings.tests.pages import form_of, free, post_booking, text
from coaches.models import Offering
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import services as payment_services
from payments.models import Customer

pytestmark = pytest.mark.django_db

Status = Booking.Status


def test_a_time_just_taken_keeps_the_words_and_offers_the_nearest(
    browser_of_student: Client, offering: Offering, stranger: User
) -> None:
    start = free(offering)
    services.book(
        student_user=stranger,
        offering=offering,
        starts_at=start,
        expected_price=offering.price,
        expected_minutes=offering.minutes,
        expected_policy=policy.current(offering.cancellation),
        agreed_zone="UTC",
        note="",
        now=clock.now(),
    )
    answer = post_booking(browser_of_student, offering, start, note="My own words")
    assert answer.status_code == 409
    assert "This time has just been taken. Nothing was charged." in text(answer)
    assert "My own words" in text(answer)
    nearest = answer.context["nearest"]
    assert len(nearest) == 3
    assert Booking.objects.count() == 1

    # Its button sends the other time after the one in the form, and the words along with it.
    both = [start.isoformat(), nearest[0].isoformat()]
    post_booking(browser_of_student, offering, start, start=both, note="My own words")
    assert Booking.objects.filter(note="My own words").get().starts_at == nearest[0]


def test_changed_terms_are_shown_before_they_are_agreed_to(browser_of_student: Client, offering: Offering) -> None:
    start = free(offering)
    Offering.objects.update(cancellation=Offering.Cancellation.STRICT)
    answer = post_booking(browser_of_student, offering, start, note="My own words")
    assert answer.status_code == 409
    assert "The cancellation terms have changed since you saw them." in text(answer)
    assert "Up to 48 hours before the start you can cancel and pay nothing." in text(answer)
    assert 'name="policy" value="strict"' in text(answer)
    assert "My own words" in text(answer)
    assert not Booking.objects.exists()
    assert post_booking(browser_of_student, offering, start, policy="strict").status_code == 302
    assert Booking.objects.get().policy == "strict"


@pytest.mark.parametrize("sent", [{"policy": "kind"}, {"policy_version": 2}, {"policy_version": "x"}, {"policy": ""}])
def test_terms_that_never_were_are_refused(
    browser_of_student: Client, offering: Offering, sent: dict[str, object]
) -> None:
    answer = post_booking(browser_of_student, offering, free(offering), **sent)
    assert answer.status_code == 400
    assert "Please look at the cancellation terms again." in text(answer)
    assert not Booking.objects.exists()


def test_a_changed_price_is_shown_before_it_is_agreed_to(browser_of_student: Client, offering: Offering) -> None:
    start = free(offering)
    Offering.objects.update(price_amount=12_000)
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 409
    assert "The price has changed since you saw it." in text(answer)
    assert "$120.00" in text(answer)
    assert 'value="12000"' in text(answer)
    assert not Booking.objects.exists()
    assert post_booking(browser_of_student, offering, start, price_amount=12_000).status_code == 302


def test_a_changed_length_is_shown_before_it_is_agreed_to(browser_of_student: Client, offering: Offering) -> None:
    start = free(offering)
    Offering.objects.update(minutes=45)
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 409
    assert "The length has changed since you saw it." in text(answer)
    assert 'name="minutes" value="45"' in text(answer)
    assert not Booking.objects.exists()
    assert post_booking(browser_of_student, offering, start, minutes=45).status_code == 302


def test_stripe_being_down_at_the_first_step_loses_nothing(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/customers", "action": "refuse", "times": 0})
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 503
    assert "You have not been charged." in text(answer)
    assert "Scales." in text(answer)
    assert not Booking.objects.exists()


def test_stripe_being_down_at_the_checkout_keeps_the_time(
    browser_of_student: Client, buyer: User, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    payment_services.ensure_customer(user=buyer, now=clock.now())
    sandbox.post(
        "/_sandbox/faults", {"method": "POST", "path": "/v1/checkout/sessions", "action": "refuse", "times": 0}
    )
    answer = browser_of_student.post(
        reverse("bookings:book", args=[offering.pk]), form_of(offering, start), follow=True
    )
    booking = Booking.objects.get()
    assert answer.redirect_chain == [(f"/sessions/{booking.pk}/", 302)]
    assert "We can&#x27;t reach our payment provider just now." in text(answer)
    assert "The time is kept for you" in text(answer)
    assert (booking.status, booking.note) == (Status.AWAITING_PAYMENT, "Scales.")


def test_a_click_sent_twice_goes_to_one_checkout(
    browser_of_student: Client, offering: Offering, sandbox: Sandbox
) -> None:
    start = free(offering)
    first = post_booking(browser_of_student, offering, start)
    second = post_booking(browser_of_student, offering, start)
    assert first["Location"] == second["Location"]
    made = [row for row in sandbox.get("/_sandbox/requests")["data"] if row["method"] == "POST"]
    assert sorted(row["path"] for row in made) == ["/v1/checkout/sessions", "/v1/customers"]


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    "start",
    [
        "", "now", "2026-11-25T10:00:00", "2026-11-25", "2026-02-30T10:00:00+00:00", "2026-11-25T25:61:00+00:00",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+00:00", "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:00+00:00",
        "2026-11-25T10:00:00+00:00\x00", "'; DROP TABLE bookings_booking; --", "{{7*7}}", "9" * 5000,
    ],
)  # fmt: skip
def test_a_start_that_is_no_instant_leads_back_to_the_times(
    browser_of_student: Client, offering: Offering, start: str
) -> None:
    answer = post_booking(browser_of_student, offering, start)
    assert answer.status_code == 400
    assert "Please choose a time from the list." in text(answer)
    looked = browser_of_student.get(reverse("bookings:review", args=[offering.pk]), {"start": start})
    assert looked.status_code == 400
    assert not Booking.objects.exists()


@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"zone": "Mars/Olympus"}, 400),
        ({"zone": "../../etc/passwd"}, 400),
        ({"price_amount": "-1"}, 409),
        ({"price_amount": "1e12"}, 400),
        ({"price_amount": "10,00"}, 400),
        ({"price_amount": "NaN"}, 400),
        ({"price_amount": "9" * 40}, 409),
        ({"minutes": ""}, 400),
        ({"minutes": "600"}, 409),
        ({"minutes": "9" * 40}, 400),
        ({"currency": "USD"}, 400),
        ({"currency": "us"}, 400),
        ({"currency": "eur"}, 409),
        ({"note": "a" * 1001}, 400),
        ({"note": "a\x00b"}, 400),
        ({"note": "My card is 4242 4242 4242 4242."}, 400),
    ],
)
def test_bad_fields_are_refused_and_nothing_is_made(
    browser_of_student: Client, offering: Offering, change: dict[str, str], status: int
) -> None:
    answer = post_booking(browser_of_student, offering, free(offering), **change)
    assert answer.status_code == status
    assert not Booking.objects.exists()
    assert not Customer.objects.filter(user__email="student@example.com").exists()


def test_what_the_browser_adds_is_not_read(browser_of_student: Client, offering: Offering) -> None:
    extra = {"amount": 1, "platform_fee": 0, "coach_share": 99_999, "status": "accepted", "student": 1, "ends_at": "x"}
    post_booking(browser_of_student, offering, free(offering), **extra)
    booking = Booking.objects.select_related("payment").get()
    assert booking.payment
    assert (booking.status, booking.price_amount, booking.payment.platform_fee) == ("awaiting_payment", 10_000, 2_000)
    assert booking.ends_at - booking.starts_at == timedelta(hours=1)


def test_a_note_is_shown_as_it_was_written(browser_of_student: Client, offering: Offering) -> None:
    note = "<script>alert(1)</script> {{7*7}} \u202eabc 🎹 Z̷͎a̸lgo 1234 5678"
    post_booking(browser_of_student, offering, free(offering), note=note)
    booking = Booking.objects.get()
    assert booking.note == note
    page = text(browser_of_student.get(reverse("bookings:session", args=[booking.pk])))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{7*7}}" in page
    assert "<script>alert" not in page
