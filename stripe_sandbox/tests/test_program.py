"""The program itself: the clock, restarts, seeds, the command line, misuse of the control plane."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Receiver, Refused, Sandbox, checkout, hold, pay, start, stop, until

DAY = 86400


def test_the_clock_runs_is_set_and_moved(sandbox: Sandbox) -> None:
    begun = time.time()
    sandbox.post("reset")
    assert begun - 1 < sandbox.get("clock")["now"] <= time.time()

    since = time.monotonic()
    assert 0 <= sandbox.post("clock", set=1800000000)["now"] - 1800000000 <= time.monotonic() - since + 1
    assert 0 <= sandbox.post("clock", advance=3600)["now"] - 1800003600 <= time.monotonic() - since + 1

    sandbox.post("reset")
    assert begun - 1 < sandbox.get("clock")["now"] <= time.time()


def test_what_falls_due_happens_in_order_and_at_its_own_time(api: Any, sandbox: Sandbox) -> None:
    session, intent = checkout(api), hold(api)
    pay(api, 500)
    sandbox.advance(30 * DAY)
    late = sandbox.get("events")["data"][-4:]
    assert [event["type"] for event in late] == [
        "checkout.session.expired",
        "balance.available",
        "charge.expired",
        "payment_intent.canceled",
    ]
    assert [event["created"] for event in late] == sorted(event["created"] for event in late)
    assert late[0]["created"] == session.expires_at
    assert api.payment_intents.retrieve(intent.id).canceled_at == late[2]["created"]


def test_time_passes_by_itself_too(api: Any, sandbox: Sandbox) -> None:
    session = checkout(api, expires_at=sandbox.get("clock")["now"] + 3600)
    sandbox.post("clock", set=session.expires_at - 2)
    until(lambda: sandbox.get("events")["data"])  # real seconds, of which there are at most three
    assert api.checkout.sessions.retrieve(session.id).status == "expired"


def test_a_request_that_was_being_worked_during_a_save_is_saved_too(tmp_path: Path) -> None:
    file = str(tmp_path / "state")
    sandbox = start("--state", file, "--latency-ms", "2500")  # longer than from one save to the next
    customer = sandbox.client().v1.customers.create({}).id
    assert stop(sandbox) == 0

    again = start("--state", file)
    try:
        assert again.client().v1.customers.retrieve(customer).id == customer
    finally:
        stop(again)


def test_a_retry_that_fell_due_while_stopped_is_sent_once(tmp_path: Path, receiver: Receiver) -> None:
    file = str(tmp_path / "state")
    sandbox = start("--state", file)
    api: Any = sandbox.client().v1
    api.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
    receiver.status = 500
    api.customers.create({})
    sandbox.post("webhooks/settle")
    due = sandbox.get("deliveries")["data"][0]["next_attempt_at"]
    sandbox.post("clock", set=due - 2)
    assert stop(sandbox) == 0
    time.sleep(2.5)  # real seconds, in which the retry falls due

    again = start("--state", file)
    try:
        again.post("webhooks/settle")
        assert len(receiver.received) == 2
    finally:
        stop(again)


def test_a_killed_sandbox_finds_what_it_saved(tmp_path: Path) -> None:
    file = tmp_path / "state"
    sandbox = start("--state", str(file))
    api: Any = sandbox.client().v1
    customer = api.customers.create({}).id
    until(file.exists)
    os.kill(sandbox.process.pid, signal.SIGKILL)
    sandbox.process.wait()
    assert sandbox.process.stdout is not None
    sandbox.process.stdout.close()
    again = start("--state", str(file))
    try:
        api = again.client().v1
        assert api.customers.retrieve(customer).id == customer
    finally:
        stop(again)


def test_a_seed_repeats_the_ids() -> None:
    sandbox = start("--seed", "5")
    found = []
    for _ in range(2):
        sandbox.post("reset")
        api: Any = sandbox.client().v1
        found.append((api.customers.create({}).id, pay(api).latest_charge))
    assert stop(sandbox) == 0
    assert found[0] == found[1]


def test_a_state_that_cannot_be_kept_is_a_clear_message(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "state"
    done = subprocess.run(
        [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--die-with-parent", "--state", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"stripe_sandbox: cannot write the state to {file}.\n")


def test_it_saves_again_when_the_folder_is_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    sandbox = start("--state", str(folder / "state"))
    folder.rename(away)
    customer = sandbox.client().v1.customers.create({}).id
    said = ""
    while "cannot write the state" not in said:
        time.sleep(0.1)
        said += capfd.readouterr().err
    away.rename(folder)
    assert stop(sandbox) == 0

    again = start("--state", str(folder / "state"))
    try:
        assert again.client().v1.customers.retrieve(customer).id == customer
    finally:
        stop(again)


def test_a_taken_port_is_a_clear_message() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "stripe_sandbox", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == f"stripe_sandbox: port {port} on 127.0.0.1 is taken; choose another with --port.\n"


def test_it_ends_with_its_parent() -> None:
    script = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-m', 'stripe_sandbox', '--port', '0', '--die-with-parent'],"
        " stdout=subprocess.PIPE, text=True); print(child.pid, child.stdout.readline(), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    line = parent.stdout.readline()
    child, address = int(line.split()[0]), re.search(r"http://127.0.0.1:(\d+)", line)
    assert address is not None
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: not _alive(child))


def _alive(process: int) -> bool:
    """Running, and not merely waiting to be reaped."""
    stat = Path(f"/proc/{process}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends between the opening and the reading
        return False


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "clock", {}, 400),
        ("POST", "clock", {"advance": "soon"}, 400),
        ("POST", "clock", {"advance": 1, "set": 1}, 400),
        ("POST", "nowhere", {}, 404),
        ("POST", "clock", [1], 400),
        ("POST", "checkout/cs_x/pay", {}, 404),
        ("POST", "accounts/acct_x/onboard", {}, 404),
        ("POST", "balance", {"amount": "much"}, 400),
        ("POST", "webhooks/release", {"order": "random"}, 400),
        ("POST", "webhooks/tamper", {"what": "x"}, 400),
        ("POST", "payouts/po_x/fail", {}, 404),
        ("POST", "webhooks/drop", {"types": "charge.*"}, 400),
    ],
)
def test_misuse_of_the_control_plane_is_told(sandbox: Sandbox, method: str, path: str, body: Any, status: int) -> None:
    with pytest.raises(Refused) as caught:
        sandbox.control(method, path, body)
    assert caught.value.status == status
    assert caught.value.body["error"]


def test_health_lists_what_is_built(sandbox: Sandbox) -> None:
    health = sandbox.get("health")
    assert (health["status"], health["balance_errors"]) == ("ok", [])
    assert "POST /v1/transfers" in health["endpoints"]
