"""bin/start and what it stands on: parts that end with their parent, and refusals in one sentence."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bin._servers import ROOT, leashed

# A part such as Celery's: a leader, and a child of its own. Both say who they are.
PART = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "300"])
print(os.getpid(), child.pid, flush=True)
time.sleep(300)
"""
# The process that starts it and is then killed.
STARTER = "import subprocess, sys; subprocess.Popen({command!r}).wait()"


def is_alive(pid: int) -> bool:
    """A zombie, which only waits to be read, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends between the opening and the reading
        return False


def wait_for_the_end_of(pids: list[int]) -> list[int]:
    """Which of them are still there after a minute, which a machine that does much else may need."""
    deadline = time.monotonic() + 60
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM], ids=lambda ending: ending.name)
def test_a_part_and_its_children_end_with_the_process_that_started_them(ending: signal.Signals) -> None:
    command = leashed([sys.executable, "-c", PART])
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER.format(command=command)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    assert [is_alive(pid) for pid in pids] == [True, True]
    starter.send_signal(ending)
    starter.wait()
    starter.stdout.close()
    assert wait_for_the_end_of(pids) == []


def test_children_end_when_the_part_itself_ends() -> None:
    part = PART.replace("time.sleep(300)", "sys.exit(3)")
    done = subprocess.run(leashed([sys.executable, "-c", part]), capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert wait_for_the_end_of([int(done.stdout.split()[1])]) == []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with the commands alone, so that one that runs here is not disturbed."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    return tmp_path


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def start(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    own = {"PATH": os.environ["PATH"], "PORT": "0", **environment}
    command = [sys.executable, "-m", "bin._start", *arguments]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False, timeout=60)


def test_a_taken_port_is_one_clear_sentence(elsewhere: Path, taken_port: int) -> None:
    done = start(elsewhere, PORT=str(taken_port))
    assert done.stderr == f"bin/start: port {taken_port} is taken; choose another with PORT=... bin/start\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert not (elsewhere / "var" / "demo.env").exists()


@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1"])
def test_a_port_is_a_number(elsewhere: Path, value: str) -> None:
    done = start(elsewhere, PORT=value)
    assert (done.returncode, done.stderr) == (1, "bin/start: PORT must be a number from 1 to 65535.\n")


def test_fresh_spares_a_database_that_is_not_the_demos(elsewhere: Path, unused_port: str) -> None:
    kept = elsewhere / "var" / "sandbox.state"
    kept.parent.mkdir()
    kept.touch()
    done = start(
        elsewhere, "--fresh", PORT=unused_port, STRIPE_SECRET_KEY="sk", DATABASE_URL="postgres://x@127.0.0.1:1/x"
    )
    assert done.returncode == 1
    assert "DATABASE_URL names a database of yours" in done.stderr
    assert kept.exists()


@pytest.fixture
def unused_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_it_runs_once_in_a_folder(elsewhere: Path) -> None:
    (elsewhere / "var").mkdir()
    with (elsewhere / "var" / "start.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = start(elsewhere)
    assert (done.returncode, done.stderr) == (
        1,
        "bin/start: it is already running in this folder; end that one first.\n",
    )


def test_no_proxy_is_asked_for_this_machine(unused_port: str) -> None:
    ask = f"from urllib.request import urlopen; urlopen('http://127.0.0.1:{unused_port}')"
    ours = f"from bin._start import reach_this_machine_itself; reach_this_machine_itself(); {ask}"
    proxy = {"PATH": os.environ["PATH"], "http_proxy": "http://proxy.invalid:3128", "no_proxy": "intranet.example"}

    def said(code: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=proxy, capture_output=True, text=True, check=False
        ).stderr

    assert "Connection refused" not in said(ask)
    assert "Connection refused" in said(ours)


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "stripe_sandbox/requirements"])
def test_a_lock_pins_all_that_is_required_by_hash(name: str) -> None:
    lock = (ROOT / f"{name}.lock").read_text()
    pinned = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==\S+", lock, re.MULTILINE)
    lines = (ROOT / f"{name}.txt").read_text().splitlines()
    required = [re.split(r"[\[<>=~ ]", line)[0] for line in lines if line and line[0] not in "#-"]
    assert {package.lower() for package in required} <= set(pinned)
    assert lock.count("--hash=sha256:") >= len(pinned)
    assert "http://" not in lock
    assert "https://" not in lock
