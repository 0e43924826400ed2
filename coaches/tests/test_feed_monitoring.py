"""What monitoring hears of a calendar: never its address."""

import subprocess
import sys

import pytest
from django.conf import settings

pytestmark = pytest.mark.thorough

# In a process of its own: monitoring hooks into the libraries of the whole process, and stays there.
PROGRAM = """
import sentry_sdk
from coaches.feeds.addresses import FeedTrouble
from coaches.feeds.fetching import fetch
from coaches.tests.calendars import SECRET, calendar_server, on_this_machine, sent_on
from sentry_sdk.transport import Transport

heard = []

class Kept(Transport):
    def capture_envelope(self, envelope):
        heard.append(envelope.serialize())

sentry_sdk.init("http://key@127.0.0.1:1/1", transport=Kept, traces_sample_rate=1.0, include_local_variables=False)
with calendar_server() as server, sentry_sdk.start_transaction(name="reading"):
    server.answers[f"/{SECRET}.ics"] = sent_on(f"/{SECRET}")
    server.answers[f"/{SECRET}"] = b"nothing that is known"
    try:
        fetch(server.address(), reach=on_this_machine(server))
    except FeedTrouble as trouble:
        sentry_sdk.capture_exception(trouble)
sentry_sdk.flush()
print(b"FeedTrouble" in b"".join(heard), SECRET.encode() in b"".join(heard))
"""


def test_a_report_of_trouble_does_not_hold_the_address() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]
