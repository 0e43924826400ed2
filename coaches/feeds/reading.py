"""Has a calendar read by the program that does it, `coaches.feeds.reader`, and takes its answer."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.conf import settings

from coaches.feeds.addresses import FeedTrouble

# What the largest calendar that is read needs is a few seconds; on a busy machine they take longer.
CPU_SECONDS = 20
LONGEST_SECONDS = 60
# All of our environment that it gets, and only to be started: there are secrets in the rest.
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH")
TOO_LONG = "The calendar takes too long to read: something in it repeats without an end."
BROKEN = "The calendar can't be read: it is too large, or broken."


@dataclass(frozen=True, slots=True)
class Reading:
    """Half-open ranges in UTC, in order and apart from each other, and how many events were not understood."""

    busy: list[tuple[datetime, datetime]]
    unclear: int


def read(content: bytes, *, zone: str, since: datetime, until: datetime, cpu_seconds: int = CPU_SECONDS) -> Reading:
    """When the calendar is busy within [since, until). Raises FeedTrouble."""
    window = [str(int(since.timestamp())), str(int(until.timestamp()))]
    own_host = urlsplit(settings.SITE_URL).hostname or ""
    try:
        done = subprocess.run(  # noqa: S603  # our own program; the calendar comes on its standard input
            [sys.executable, "-m", "coaches.feeds.reader", zone, *window, own_host, str(cpu_seconds)],
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=settings.BASE_DIR,
            env={name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ},
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FeedTrouble(TOO_LONG) from None
    if done.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise FeedTrouble(TOO_LONG)
    if done.returncode:
        raise FeedTrouble(BROKEN)
    answer = json.loads(done.stdout)
    if "trouble" in answer:
        raise FeedTrouble(answer["trouble"])
    return Reading([(_utc(start), _utc(end)) for start, end in answer["busy"]], answer["unclear"])


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
