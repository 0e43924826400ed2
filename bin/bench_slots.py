"""`bin/bench slots`: free times of one busy coach among 10,000 in PostgreSQL, and a race of fifty for one of them.

Prints how long the reading of free times takes beside its bare queries, and how long the fifty wait for their answer.
Exit status 1 where a target is missed.
"""

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from threading import Event
from typing import TYPE_CHECKING, Any

from bin.bench_intake import KEY, SECRETS, machine, migrate, postgres, say

if TYPE_CHECKING:
    from django.db.models import Model

    from coaches.models import Offering
    from marketplace.models import User

# Clocks change in New York within the 31 days that are asked for.
NOW = datetime(2026, 10, 20, 12, tzinfo=UTC)
DAYS = 31
BOOKED = 200  # of the one coach, in these days
ROUNDS = 500
STUDENTS, THREADS = 50, 20
# What is to hold; times in milliseconds.
MOST_QUERIES, MOST_P99, MOST_OF_BARE, LONGEST_ANSWER = 3, 25, 2.0, 2000


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench slots", description=__doc__.partition("\n")[0])
    parser.add_argument("--bookings", type=int, default=1_000_000)
    parser.add_argument("--coaches", type=int, default=10_000)
    asked = parser.parse_args()
    with postgres() as database:
        set_environment(database)
        migrate()
        import django

        django.setup()
        offering, student = fill(asked.coaches, asked.bookings)
        print(
            f"\n{machine()}\n{asked.bookings} bookings of {asked.coaches} coaches, "
            f"{BOOKED} of one of them in the {DAYS} days asked for\n"
        )
        missed = [*measure_reading(offering, student), *measure_race(offering)]
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


def set_environment(database: str) -> None:
    from marketplace.tests.environment import TEST_SETTINGS

    # Nobody listens at that Redis: booking must not need a broker.
    bench = {"DATABASE_URL": database, "REDIS_URL": "redis://127.0.0.1:1/0", "LOG_LEVEL": "ERROR"}
    bench |= {"STRIPE_SECRET_KEY": KEY, "STRIPE_SANDBOX_URL": "http://127.0.0.1:1", **SECRETS}
    os.environ.update(TEST_SETTINGS | bench | {"DJANGO_SETTINGS_MODULE": "bin.bench_settings"})


# --- the data -----------------------------------------------------------------------------------


def fill(coaches: int, bookings: int) -> tuple["Offering", "User"]:
    """Returns what is asked for, and a student who has sessions of their own.

    Rows are multiplied inside the database. The constraints against double booking stay in place, and no two bookings
    of a person overlap; only the checks of foreign keys are left out while the million is written.
    """
    from django.db import connection

    from bookings.models import Student
    from marketplace.tests.factories import OfferingFactory, UserFactory

    say("Writing coaches and students ...")
    offering = OfferingFactory.create(coach=busy_coach(), buffer_before_minutes=5, buffer_after_minutes=10)
    first_student = Student.objects.create(user=UserFactory.create())
    first_user = multiply(first_student.user, coaches, email="'learns' || n || '@example.com'")
    first = multiply(first_student, coaches, user_id=f"{first_user} + n")
    first_user = multiply(offering.coach.user, coaches, email="'teaches' || n || '@example.com'")
    first_coach = multiply(offering.coach, coaches, user_id=f"{first_user} + n", slug="'teaches-' || n")
    say(f"Writing {bookings} bookings ...")
    begin = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
    write_bookings(offering, first_student, Crowd(coaches, bookings, first_coach, first))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("VACUUM ANALYZE")
    say(f"... in {time.perf_counter() - begin:.0f} s")
    return offering, Student.objects.select_related("user").get(pk=first + 1).user


def busy_coach() -> Any:
    """Open around the clock, with holidays, an outside calendar and a most in a day."""
    from bookings.tests.factories import payable
    from coaches.models import BusyTime, CalendarFeed, DateOverride, Weekday
    from marketplace.tests.factories import CoachFactory, WeeklyHoursFactory

    midnight, noon = clock_time(0), clock_time(12)
    coach = payable(CoachFactory.create(step_minutes=15, furthest_days=90, most_a_day=20))
    for weekday in Weekday:
        WeeklyHoursFactory.create(coach=coach, weekday=weekday, starts=midnight, ends=noon)
        WeeklyHoursFactory.create(coach=coach, weekday=weekday, starts=noon, ends=midnight, ends_next_day=True)
    feed = CalendarFeed.objects.create(
        coach=coach, address="https://example.com/a.ics", next_read_at=NOW, created_at=NOW
    )
    for index in range(20):
        day = NOW + timedelta(days=index)
        BusyTime.objects.create(feed=feed, coach=coach, starts_at=day, ends_at=day + timedelta(hours=1))
    for index in range(10):
        day = NOW + timedelta(days=40 + 3 * index)
        DateOverride.objects.create(coach=coach, first_day=day.date(), last_day=day.date())
    return coach


@dataclass
class Crowd:
    """So many coaches and as many students; ids count up from behind these."""

    size: int
    bookings: int
    coach: int
    student: int


def write_bookings(offering: "Offering", student: Any, crowd: Crowd) -> None:
    """Each coach has one session a day with another student: mostly past ones, and those of the next twenty days."""
    from bookings.models import Booking

    one = Booking.objects.create(
        student=student,
        coach=offering.coach,
        offering=offering,
        title=offering.title,
        starts_at=NOW + timedelta(hours=1),
        ends_at=NOW + timedelta(hours=2),
        blocked_from=NOW + timedelta(minutes=55),
        blocked_until=NOW + timedelta(minutes=130),
        agreed_zone="UTC",
        price_amount=10_000,
        currency="usd",
        instant=False,
        status=Booking.Status.ACCEPTED,
        payment_due_at=NOW,
        created_at=NOW,
    )
    apart = timedelta(days=DAYS) / BOOKED
    multiply(one, BOOKED - 1, **moved(f"n * interval '{apart.total_seconds()} seconds'"))
    # In the n-th row: the day, and the coach of that day.
    day, coach = f"((n - 1) / {crowd.size})", f"((n - 1) % {crowd.size})"
    past_days = max(crowd.bookings // crowd.size - 20, 0)
    multiply(
        one,
        crowd.bookings - BOOKED,
        coach_id=f"{crowd.coach} + 1 + {coach}",
        student_id=f"{crowd.student} + 1 + ({coach} + 37 * {day}) % {crowd.size}",
        status=f"CASE WHEN {day} < {past_days} THEN 'completed' ELSE 'accepted' END",
        **moved(f"({day} - {past_days}) * interval '1 day' + ({coach} % 8) * interval '1 hour'"),
    )


def moved(by: str) -> dict[str, str]:
    return {column: f"t.{column} + {by}" for column in ("starts_at", "ends_at", "blocked_from", "blocked_until")}


def multiply(row: "Model", count: int, **changed: str) -> int:
    """Copies a row n = 1 .. count times, with these columns by SQL over `n` and the row `t`. Returns the id before."""
    from django.db import connection

    meta = row._meta  # noqa: SLF001  # Django's own name for it, and documented
    columns = [str(field.column) for field in meta.concrete_fields if not field.primary_key]
    values = [changed.get(column, f"t.{column}") for column in columns]
    table = meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM {table}")  # noqa: S608  # our own names
        before = int(cursor.fetchone()[0])
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "  # noqa: S608
            f"FROM {table} t CROSS JOIN generate_series(1, {count}) n WHERE t.id = {row.pk} ORDER BY n"
        )
    return before


# --- reading ------------------------------------------------------------------------------------


def measure_reading(offering: "Offering", student: "User") -> list[str]:
    from django.db import connection

    from bookings import selectors
    from coaches.slots import Range

    within = Range(NOW, NOW + timedelta(days=DAYS))
    missed = []
    print(
        "| who asks | free slots | queries | p50 ms | p99 | bare p50 | bare p99 | CPU p50 | CPU p99 | p50 / bare p50 |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, user in (("anybody", None), ("a student with sessions", student)):

        def read(user: "User | None" = user) -> list[datetime]:
            return selectors.open_slots(offering=offering, now=NOW, user=user, within=within)

        with caught() as queries:
            slots = read()

        def bare(queries: list[tuple[str, Any]] = queries) -> None:
            with connection.cursor() as cursor:
                for sql, params in queries:
                    cursor.execute(sql, params)
                    cursor.fetchall()

        ours, plain = in_turns(read, bare)
        ratio = statistics.median(ours.wall) / statistics.median(plain.wall)
        columns = [figure(times) for times in (ours.wall, plain.wall, ours.cpu) for figure in (statistics.median, p99)]
        figures = [*columns, ratio]
        print(f"| {name} | {len(slots)} | {len(queries)} | {' | '.join(f'{each:.2f}' for each in figures)} |")
        missed += missed_by_reading(len(queries), p99(ours.wall), ratio)
        if any("Seq Scan on bookings_booking" in line for line in plans(queries)):
            missed.append("a query walks through all bookings")
    print()
    return missed


def missed_by_reading(queries: int, p99_ms: float, ratio: float) -> list[str]:
    missed = []
    if queries > MOST_QUERIES:
        missed.append(f"{queries} queries, not {MOST_QUERIES}")
    if p99_ms >= MOST_P99:
        missed.append(f"p99 of {p99_ms:.1f} ms, not below {MOST_P99}")
    if ratio >= MOST_OF_BARE:
        missed.append(f"{ratio:.2f} times the bare queries, not below {MOST_OF_BARE}")
    return missed


@contextmanager
def caught() -> Iterator[list[tuple[str, Any]]]:
    """The queries of the block, as they are sent."""
    from django.db import connection

    queries: list[tuple[str, Any]] = []

    def catch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        queries.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(catch):
        yield queries


def in_turns(*acts: Callable[[], object]) -> "list[Times]":
    """Milliseconds of each call but the first few; the acts take turns, so that they share the machine's moods."""
    times = [Times([], []) for _ in acts]
    for number in range(ROUNDS + 20):
        for act, taken in zip(acts, times, strict=True):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            act()
            if number >= 20:
                taken.wall.append((time.perf_counter() - begin) * 1000)
                taken.cpu.append((time.process_time() - begin_cpu) * 1000)
    return times


@dataclass
class Times:
    """Milliseconds by the clock on the wall, and of them those that the processor worked in this process."""

    wall: list[float]
    cpu: list[float]


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def plans(queries: list[tuple[str, Any]]) -> list[str]:
    from django.db import connection

    lines = []
    with connection.cursor() as cursor:
        for sql, params in queries:
            cursor.execute(f"EXPLAIN {sql}", params)
            lines += [str(row[0]) for row in cursor.fetchall()]
    return lines


# --- the race -----------------------------------------------------------------------------------


def measure_race(offering: "Offering") -> list[str]:
    """Fifty students want the same time at once, twenty of them at a time."""
    from django.db import connections

    from bookings import selectors
    from bookings.tests.factories import book, many_students
    from marketplace.lib.errors import DomainError

    start = selectors.open_slots(offering=offering, now=NOW)[100]
    begun = Event()

    def ask(user: "User") -> tuple[str, float]:
        begun.wait()
        begin = time.perf_counter()
        try:
            book(user, offering, starts_at=start, now=NOW)
            answer = "booked"
        except DomainError as error:
            answer = error.code
        return answer, (time.perf_counter() - begin) * 1000

    students = many_students(STUDENTS)
    with ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(ask, user) for user in students]
        begin = time.perf_counter()
        begun.set()
        answers = [each.result() for each in asked]
        whole = (time.perf_counter() - begin) * 1000
        list(pool.map(lambda _: connections.close_all(), range(THREADS)))
    counts, longest = Counter(answer for answer, _ in answers), max(took for _, took in answers)
    print(f"{STUDENTS} students, {THREADS} threads, one time: {dict(counts)}")
    print(f"longest answer {longest:.0f} ms; all answered in {whole:.0f} ms")
    missed = [] if counts == {"booked": 1, "slot_unavailable": STUDENTS - 1} else [f"the race ended as {dict(counts)}"]
    return (
        missed
        if longest < LONGEST_ANSWER
        else [*missed, f"an answer took {longest:.0f} ms, not below {LONGEST_ANSWER}"]
    )


if __name__ == "__main__":
    sys.exit(main())
