"""One process of the product: started, killed as by the machine's end, started again, and its log."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from bin import _servers

END_SECONDS = 60
LOG_LINES_SHOWN = 40


class Process:
    """A program under `bin/_leash.py`, so that it ends with the test run whatever becomes of that.

    `name` is its role; several starts append to one log.
    """

    def __init__(self, name: str, command: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self._command = _servers.leashed(command)
        self._environment = environment
        self._log = folder / f"{name}.log"
        self._leash: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert self._leash is None, f"{self.name} is running already"
        with self._log.open("ab") as log:
            self._leash = subprocess.Popen(
                self._command,
                cwd=_servers.ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        return self._leash is not None and self._leash.poll() is None

    def kill(self) -> None:
        """`kill -9` to the program and to all it has started: nobody in it gets to do another thing."""
        leash = self._running_leash()
        os.killpg(self._program(leash), signal.SIGKILL)
        leash.kill()  # there is nothing left that it would have to end
        leash.wait(END_SECONDS)
        self._leash = None

    def kill_children(self) -> None:
        """`kill -9` to those that do the work; the program that has started them lives on and replaces them."""
        for child in _children_of(self._program(self._running_leash())):
            os.kill(child, signal.SIGKILL)

    def end(self) -> None:
        """Without ceremony: nothing that a test has left in it is worth waiting for."""
        if self.running:
            self.kill()
        self._leash = None

    def holds_connection(self, port: int, server_port: int) -> bool:
        """Whether one of its processes has the TCP connection from the one port of 127.0.0.1 to the other."""
        socket = _client_socket(port, server_port)
        program = self._program(self._running_leash())
        return any(socket in _open_files(pid) for pid in (program, *_children_of(program)))

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return f"--- {self.name}\n" + "\n".join(lines[-LOG_LINES_SHOWN:])

    def _running_leash(self) -> "subprocess.Popen[bytes]":
        assert self._leash is not None, f"{self.name} is not running"
        assert self._leash.poll() is None, f"{self.name} has ended by itself:\n{self.log_tail()}"
        return self._leash

    def _program(self, leash: "subprocess.Popen[bytes]") -> int:
        """The leash takes a moment to start it."""
        deadline = time.monotonic() + END_SECONDS
        while not (children := _children_of(leash.pid)):
            assert time.monotonic() < deadline, f"{self.name} did not start"
            time.sleep(0.01)
        return children[0]


def _client_socket(port: int, server_port: int) -> str:
    """As a process's list of open files names it. Another connection may leave from the same port to elsewhere."""
    ends = [f"0100007F:{port:04X}", f"0100007F:{server_port:04X}"]
    for line in Path("/proc/net/tcp").read_text().splitlines():
        columns = line.split()
        if columns[1:3] == ends:
            return f"socket:[{columns[9]}]"
    raise LookupError(f"nobody is connected from port {port} to {server_port}")


def _open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            found.add(str(link.readlink()))
    return found


def _children_of(pid: int) -> list[int]:
    """Of all its threads: Celery's replacements for dead pool processes are another thread's children."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for children in lists for child in children.read_text().split()]
