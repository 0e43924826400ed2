"""`python bin/_leash.py COMMAND ...` runs a command that ends, with all it has started, when whoever started it ends.

The kernel tells this process of its parent's end, even by `kill -9` (Linux: PR_SET_PDEATHSIG); on any end signal the
command's whole process group is asked to end, and killed after some seconds. Nothing is imported that takes time.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 8


def die_with_parent(by: signal.Signals) -> None:
    """Has the kernel send us `by` when our parent ends. Does nothing where the kernel can't."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:  # it ended while we asked
        os.kill(os.getpid(), by)


def main(command: list[str]) -> int:
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _end)
    die_with_parent(signal.SIGTERM)
    child: subprocess.Popen[bytes] | None = None
    try:
        child = subprocess.Popen(command, start_new_session=True)
        return child.wait()
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM
    finally:
        if child:
            _end_group(child)


def _end(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # The leader alone: servers end their own workers in order, and a worker told twice may drop its work.
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_SECONDS)
        os.killpg(child.pid, signal.SIGTERM)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            os.killpg(child.pid, 0)
            time.sleep(0.05)
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
