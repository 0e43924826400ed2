"""What is kept of outside calendars: their last good word, however often and by however many workers they are read."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog
from django.db import connection

from coaches import tasks
from coaches.feeds import keeping
from coaches.feeds.addresses import AddressRefused
from coaches.feeds.keeping import FeedAlreadyThere, TooManyFeeds, add_feed, read_due, read_feed, remove_feed
from coaches.models import BusyTime, CalendarFeed, Coach
from coaches.tests.calendars import SECRET, CalendarServer, answered, calendar, calendar_server, event, on_this_machine
from marketplace import clock
from marketplace.tests.factories import CoachFactory

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PATH = f"/{SECRET}.ics"
MINUTE = timedelta(minutes=1)


def at(day: int, hour: int = 10) -> tuple[datetime, datetime]:
    start = datetime(2026, 6, day, hour, tzinfo=UTC)
    return start, start + timedelta(hours=1)


def busy_on(*days: int) -> bytes:
    return answered(
        calendar(*(event(f"DTSTART:202606{day:02}T100000Z", "DURATION:PT1H", uid=f"on-{day}") for day in days))
    )


def busy_times(feed: CalendarFeed) -> list[tuple[datetime, datetime]]:
    return list(BusyTime.objects.filter(feed=feed).order_by("starts_at").values_list("starts_at", "ends_at"))


@pytest.fixture
def server() -> Iterator[CalendarServer]:
    with calendar_server() as running:
        running.answers[PATH] = busy_on(2)
        yield running


@pytest.fixture
def feed(server: CalendarServer, coach: Coach) -> CalendarFeed:
    """Due now, and never read."""
    return CalendarFeed.objects.create(
        coach=coach, name="Family", address=server.address(), next_read_at=NOW, created_at=NOW
    )


def another(feed: CalendarFeed, path: str) -> CalendarFeed:
    return CalendarFeed.objects.create(
        coach=feed.coach, name=path, address=feed.address.replace(PATH, path), next_read_at=NOW, created_at=NOW
    )


# --- reading ------------------------------------------------------------------------------------


def test_what_a_calendar_says_is_kept(server: CalendarServer, feed: CalendarFeed) -> None:
    assert read_due(now=NOW, reach=on_this_machine(server)) == 1
    assert busy_times(feed) == [at(2)]
    assert set(BusyTime.objects.values_list("coach", flat=True)) == {feed.coach_id}
    feed.refresh_from_db()
    assert (feed.read_at, feed.tried_at, feed.next_read_at) == (NOW, NOW, NOW + 10 * MINUTE)
    assert (feed.trouble, feed.failures, feed.lease_until) == ("", 0, None)


def test_what_it_said_before_is_replaced_and_no_other_calendar_is_touched(
    server: CalendarServer, feed: CalendarFeed
) -> None:
    other = another(feed, "/other")
    server.answers["/other"] = busy_on(2, 9)
    read_due(now=NOW, reach=on_this_machine(server))
    server.answers[PATH] = busy_on(3, 4)
    read_feed(pk=feed.pk, now=NOW + 10 * MINUTE, reach=on_this_machine(server))
    assert busy_times(feed) == [at(3), at(4)]
    assert busy_times(other) == [at(2), at(9)]


def test_it_is_read_for_a_year_however_far_the_coach_can_be_booked(server: CalendarServer, feed: CalendarFeed) -> None:
    Coach.objects.update(furthest_days=7)
    late = event("DTSTART:20270601T230000Z", "DURATION:PT1H", uid="late")
    server.answers[PATH] = answered(calendar(late))
    read_due(now=NOW, reach=on_this_machine(server))
    assert len(busy_times(feed)) == 1


def test_it_is_not_read_before_it_is_due(server: CalendarServer, feed: CalendarFeed) -> None:
    read_due(now=NOW, reach=on_this_machine(server))
    assert read_due(now=NOW + 10 * MINUTE - timedelta(seconds=1), reach=on_this_machine(server)) == 0
    assert read_due(now=NOW + 10 * MINUTE, reach=on_this_machine(server)) == 1
    assert len(server.requests) == 2


def test_events_that_were_not_understood_are_told(server: CalendarServer, feed: CalendarFeed) -> None:
    server.answers[PATH] = answered(calendar(event("DTSTART:never"), event("DTSTART:20260602T100000Z", uid="b")))
    read_due(now=NOW, reach=on_this_machine(server))
    feed.refresh_from_db()
    assert feed.trouble == "1 event in it could not be understood: students may be able to book that time."
    assert (feed.read_at, feed.failures) == (NOW, 0)


# --- trouble ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [answered(b"", status="500 Oh"), answered(b"<html>"), answered(calendar()[:-10]), b"", answered(calendar("X\r\n"))],
)
def test_trouble_opens_no_time(server: CalendarServer, feed: CalendarFeed, answer: bytes) -> None:
    read_due(now=NOW, reach=on_this_machine(server))
    server.answers[PATH] = answer
    later = NOW + 10 * MINUTE
    assert read_due(now=later, reach=on_this_machine(server)) == 1
    feed.refresh_from_db()
    assert (feed.read_at, feed.tried_at, feed.failures, feed.lease_until) == (NOW, later, 1, None)
    assert feed.trouble
    assert busy_times(feed) == [at(2)]


def test_after_trouble_it_waits_longer_each_time_and_begins_anew_when_it_is_over(
    server: CalendarServer, feed: CalendarFeed
) -> None:
    server.answers[PATH] = answered(b"", status="503 Later")
    now, pauses = NOW, []
    for _ in range(8):
        read_due(now=now, reach=on_this_machine(server))
        feed.refresh_from_db()
        pauses.append((feed.next_read_at - now) // MINUTE)
        now = feed.next_read_at
    assert pauses == [10, 20, 40, 80, 160, 320, 360, 360]
    server.answers[PATH] = busy_on(2)
    read_due(now=now, reach=on_this_machine(server))
    feed.refresh_from_db()
    assert (feed.failures, feed.trouble, feed.next_read_at) == (0, "", now + 10 * MINUTE)


def test_one_calendar_in_trouble_keeps_no_other_waiting(server: CalendarServer, feed: CalendarFeed) -> None:
    other = another(feed, "/other")
    server.answers[PATH] = b""
    server.answers["/other"] = busy_on(5)
    assert read_due(now=NOW, reach=on_this_machine(server)) == 2
    assert busy_times(other) == [at(5)]


def test_a_bug_is_reported_without_the_address_and_counts_as_trouble(
    server: CalendarServer, feed: CalendarFeed, coach: Coach
) -> None:
    def trips(_address: object) -> bool:
        raise RuntimeError(feed.address)

    with structlog.testing.capture_logs() as lines:
        assert read_due(now=NOW, reach=on_this_machine(server, may_connect=trips)) == 1
    (line,) = lines
    assert (line["event"], line["feed"], line["error"]) == ("feed_not_read_by_a_bug", feed.pk, "RuntimeError")
    assert SECRET not in str(lines)
    feed.refresh_from_db()
    assert (feed.trouble, feed.failures, feed.lease_until) == (keeping.BUG, 1, None)


def test_neither_logs_nor_words_hold_the_address(
    server: CalendarServer, feed: CalendarFeed, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers[PATH] = answered(SECRET.encode(), status=f"404 {SECRET}")
    with structlog.testing.capture_logs() as lines, caplog.at_level("DEBUG"):
        read_due(now=NOW, reach=on_this_machine(server))
    feed.refresh_from_db()
    assert lines
    assert SECRET not in f"{lines} {feed.trouble} {feed} {feed!r}"
    ours = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
    assert SECRET not in str(ours)


# --- several workers ----------------------------------------------------------------------------


def test_a_calendar_that_somebody_reads_is_left_to_them_until_their_lease_is_over(
    server: CalendarServer, feed: CalendarFeed
) -> None:
    CalendarFeed.objects.update(lease_until=clock.wall() + MINUTE)
    assert read_due(now=NOW, reach=on_this_machine(server)) == 0
    assert server.requests == []
    CalendarFeed.objects.update(lease_until=clock.wall() - MINUTE)
    assert read_due(now=NOW, reach=on_this_machine(server)) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_reads_it(server: CalendarServer, feed: CalendarFeed) -> None:
    reach, together, tried = on_this_machine(server), threading.Barrier(2), []

    def work() -> None:
        try:
            together.wait()
            tried.append(read_feed(pk=feed.pk, now=NOW, reach=reach))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(tried) == [False, True]
    assert len(server.requests) == 1
    assert busy_times(feed) == [at(2)]


def while_it_is_read(server: CalendarServer, happens: threading.Event, goes_on: threading.Event) -> None:
    """The server's answer waits in the middle, for what a test does meanwhile."""
    answer = server.answers[PATH]

    def wait_in_the_middle(wire: socket.socket) -> None:
        happens.set()
        goes_on.wait(60)
        wire.sendall(answer)  # type: ignore[arg-type]  # bytes, as the fixture has it

    server.answers[PATH] = wait_in_the_middle


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meanwhile", ["somebody else has it", "it is removed"])
def test_a_worker_that_comes_too_late_writes_nothing(
    server: CalendarServer, feed: CalendarFeed, meanwhile: str
) -> None:
    asked, goes_on = threading.Event(), threading.Event()
    while_it_is_read(server, asked, goes_on)

    def work() -> None:
        try:
            read_feed(pk=feed.pk, now=NOW, reach=on_this_machine(server))
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    assert asked.wait(60)
    if meanwhile == "it is removed":
        remove_feed(feed=feed)
    else:
        CalendarFeed.objects.update(lease_until=clock.wall() + 2 * MINUTE)
    goes_on.set()
    worker.join()
    assert BusyTime.objects.count() == 0
    assert not CalendarFeed.objects.exclude(read_at=None).exists()


# --- what the coach decides ---------------------------------------------------------------------


def test_a_new_calendar_is_due_at_once(coach: Coach) -> None:
    feed = add_feed(coach=coach, name="Family", address="webcal://Calendar.example/a.ics", now=NOW)
    assert (feed.address, feed.next_read_at) == ("https://calendar.example/a.ics", NOW)
    assert (feed.read_at, feed.tried_at) == (None, None)


def test_it_refuses_an_address_twice_but_not_for_two_coaches(coach: Coach) -> None:
    add_feed(coach=coach, name="Family", address="https://calendar.example/a.ics", now=NOW)
    with pytest.raises(FeedAlreadyThere):
        add_feed(coach=coach, name="Again", address="webcal://calendar.example/a.ics#x", now=NOW)
    add_feed(coach=CoachFactory.create(), name="Family", address="https://calendar.example/a.ics", now=NOW)
    assert CalendarFeed.objects.count() == 2


def test_it_refuses_a_private_address_and_a_sixth_calendar(coach: Coach) -> None:
    with pytest.raises(AddressRefused):
        add_feed(coach=coach, name="Inside", address="http://10.0.0.1/a.ics", now=NOW)
    for number in range(5):
        add_feed(coach=coach, name="One", address=f"https://calendar.example/{number}", now=NOW)
    with pytest.raises(TooManyFeeds):
        add_feed(coach=coach, name="Six", address="https://calendar.example/6", now=NOW)
    assert CalendarFeed.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_added_at_once_they_are_still_five_at_most(coach: Coach) -> None:
    together, refused = threading.Barrier(7), []

    def add(number: int) -> None:
        try:
            together.wait()
            add_feed(coach=coach, name="One", address=f"https://calendar.example/{number}", now=NOW)
        except TooManyFeeds as error:
            refused.append(error)
        finally:
            connection.close()

    people = [threading.Thread(target=add, args=[number]) for number in range(7)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert CalendarFeed.objects.count() == 5
    assert len(refused) == 2


def test_asked_for_it_is_read_now_whatever_pause_it_is_in(feed: CalendarFeed) -> None:
    CalendarFeed.objects.update(tried_at=NOW - MINUTE, next_read_at=NOW + timedelta(hours=6), failures=9)
    assert keeping.ask_for_reading(feed=feed, now=NOW)
    feed.refresh_from_db()
    assert (feed.next_read_at, feed.failures) == (NOW, 9)


def test_it_is_not_read_again_within_a_minute(feed: CalendarFeed) -> None:
    CalendarFeed.objects.update(tried_at=NOW - timedelta(seconds=59), next_read_at=NOW + 10 * MINUTE)
    assert not keeping.ask_for_reading(feed=feed, now=NOW)
    feed.refresh_from_db()
    assert feed.next_read_at == NOW + 10 * MINUTE


def test_a_removed_calendar_takes_its_busy_times_along(server: CalendarServer, feed: CalendarFeed) -> None:
    read_due(now=NOW, reach=on_this_machine(server))
    remove_feed(feed=feed)
    remove_feed(feed=feed)  # twice does no harm
    assert (CalendarFeed.objects.count(), BusyTime.objects.count()) == (0, 0)


def test_the_task_reaches_the_public_internet_alone(server: CalendarServer, feed: CalendarFeed) -> None:
    inside = feed.address.replace("calendar.example", "127.0.0.1").replace(f":{server.port}", "")
    CalendarFeed.objects.update(address=inside, next_read_at=clock.now() - MINUTE)
    tasks.read_calendars()
    feed.refresh_from_db()
    assert feed.trouble == "Only calendars on the public internet are read."
    assert server.requests == []
