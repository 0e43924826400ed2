"""The Stripe sandbox as a process, and how tests speak to its control plane."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import Any

import requests
from django.conf import settings

from bin import _servers
from marketplace import clock

START_SECONDS = 180
# A Friday noon on which nothing is special: no month ends, no clock is changed. So no test depends on when it is run.
BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Sandbox:
    """A running `python -m stripe_sandbox`. Paths are those of its control plane (its README lists them)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._http = requests.Session()
        command = [sys.executable, "-m", "stripe_sandbox", "--port", str(port)]
        self._process = subprocess.Popen(_servers.leashed(command), cwd=_servers.ROOT)
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/_sandbox/clock")
            except requests.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("The Stripe sandbox did not start.") from None
                time.sleep(0.05)
            else:
                return

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET; raises requests.HTTPError on a 4xx or 5xx."""
        return self._json(self._http.get(self.url + path, params=params, timeout=30))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON that a POST of JSON is answered with; raises requests.HTTPError on a 4xx or 5xx."""
        return self._json(self._http.post(self.url + path, json=body or {}, timeout=30))

    def _json(self, answer: requests.Response) -> Any:
        answer.raise_for_status()
        return answer.json()

    def reset(self) -> None:
        """An empty world at the machine's own time."""
        self.post("/_sandbox/reset")
        clock.forget_offset()

    def begin(self) -> None:
        """An empty world in which it is BEGIN."""
        self.reset()
        self.post("/_sandbox/clock", {"set": int(BEGIN.timestamp())})
        clock.forget_offset()

    def advance(self, seconds: int) -> None:
        """Moves the clock of the sandbox and so of the product."""
        self.post("/_sandbox/clock", {"advance": seconds})
        clock.forget_offset()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.get("/_sandbox/clock")["now"], UTC)

    def register_webhook(self, url: str, *, connect: bool) -> str:
        """Registers an endpoint for all events as a platform would; returns its signing secret."""
        answer = self._http.post(
            f"{self.url}/v1/webhook_endpoints",
            auth=(settings.STRIPE_SECRET_KEY, ""),
            data={
                "url": url,
                "connect": str(connect).lower(),
                "enabled_events[]": "*",
                "api_version": settings.STRIPE_API_VERSION,
            },
            timeout=30,
        )
        return str(self._json(answer)["secret"])

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait()
