"""Everything the sandbox knows: the stored objects, the clock and what falls due, in one place and in memory.

One event loop handles one request at a time without interruption, so nothing in here is locked.
"""

import asyncio
import heapq
import pickle
import random
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import ids, shapes
from .errors import Json, no_such
from .limits import Limits

API_VERSION = "2026-08-26.dahlia"
MAX_REQUESTS = 20_000

Job = Callable[..., None]
_JOBS: dict[str, Job] = {}


class Resource(dict[str, Any]):
    """A stored object: the mapping is what Stripe would send; `hidden` is what only the sandbox knows about it."""

    __slots__ = ("account", "hidden", "sequence")

    def __init__(self, fields: Json, *, account: str, sequence: int, hidden: Json | None = None) -> None:
        super().__init__(fields)
        self.account = account
        self.sequence = sequence
        self.hidden: Json = hidden or {}

    @property
    def id(self) -> str:
        return str(self["id"])


@dataclass
class Settings:
    """What the command line decides; a reset keeps it."""

    platform: str = "acct_1SandboxPlatform"
    country: str = "US"
    currency: str = "usd"
    seed: int | None = None
    platform_payouts: str = "manual"
    rate_limit: int = 0
    endpoint_rate_limit: int = 0
    endpoints: list[Json] = field(default_factory=list)


@dataclass
class State:
    """All that a restart must find again. Only plain values, so that it can be pickled."""

    random: random.Random
    clock_offset: int = 0
    sequence: int = 0
    objects: dict[str, Resource] = field(default_factory=dict)
    lists: dict[tuple[str, str], list[Resource]] = field(default_factory=dict)
    jobs: list[tuple[int, int, str, Json]] = field(default_factory=list)
    balances: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    settling: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    idempotency: dict[tuple[str, str], Any] = field(default_factory=dict)
    requests: deque[Json] = field(default_factory=lambda: deque(maxlen=MAX_REQUESTS))
    deliveries: list[Json] = field(default_factory=list)
    links: dict[str, Json] = field(default_factory=dict)
    faults: list[Json] = field(default_factory=list)
    webhook_controls: Json = field(default_factory=dict)
    accounts_v1_refused: bool = False
    limits: tuple[int, int] | None = None  # of account and endpoint, where a control call has set them


@dataclass(slots=True)
class RequestInfo:
    """The API request being handled, for the events it causes."""

    id: str
    idempotency_key: str | None


class World:
    """The stored state with the operations that every resource needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.request: RequestInfo | None = None
        self.on_delivery: Callable[[Json], None] = lambda _: None
        self.on_schedule: Callable[[], None] = lambda: None
        self.base_url = "http://127.0.0.1:12111"
        self.unsaved = False
        self.destination: int | None = None  # the clock's offset at the end of a move in steps, while there is one
        self._pinned: int | None = None
        self._released = asyncio.Event()
        self.state = self._fresh()
        self.limits = self._no_requests_yet()

    def _fresh(self) -> State:
        return State(random=random.Random(self.settings.seed))

    def reset(self) -> None:
        """Forgets everything, the clock's offset included."""
        self.destination = None
        self.state = self._fresh()
        self.limits = self._no_requests_yet()

    def _no_requests_yet(self) -> Limits:
        return Limits(*(self.state.limits or (self.settings.rate_limit, self.settings.endpoint_rate_limit)))

    def limit(self, account: int, endpoint: int) -> None:
        """Requests a second until the next reset, in place of the command line's; 0 for no limit."""
        self.state.limits = account, endpoint
        self.limits = self._no_requests_yet()

    # Silence

    async def wait(self, seconds: float) -> None:
        """So long, or until everybody who waits here is released."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), seconds)

    def release(self) -> None:
        """Whoever waits goes on at once; who comes later waits as ever."""
        self._released.set()
        self._released = asyncio.Event()

    # Time

    def now(self) -> int:
        """Unix seconds on the sandbox clock. While something due is handled, the moment it fell due."""
        return self._pinned if self._pinned is not None else int(time.time()) + self.state.clock_offset

    def schedule(self, due: int, job: str, /, **arguments: Any) -> None:
        """Has the named job run with these arguments when the clock reaches `due`."""
        self.state.sequence += 1
        heapq.heappush(self.state.jobs, (due, self.state.sequence, job, arguments))
        self.on_schedule()

    def next_due(self) -> int | None:
        return self.state.jobs[0][0] if self.state.jobs else None

    def run_due(self) -> None:
        """Does all that has fallen due, in order, each at its own time."""
        jobs = self.state.jobs
        if not jobs or jobs[0][0] > self.now():
            return
        limit, request, self.request = self.now(), self.request, None
        try:
            while jobs and jobs[0][0] <= limit:
                due, _, name, arguments = heapq.heappop(jobs)
                self.unsaved = True
                self._pinned = due
                try:
                    _JOBS[name](self, **arguments)
                except Exception:  # one broken rule must not stop the clock for all others
                    traceback.print_exc(file=sys.stderr)
        finally:
            self._pinned, self.request = None, request

    def set_offset(self, offset: int) -> None:
        """Moves the clock, seconds away from the machine's, and does what falls due on the way when it moves forward."""
        self.state.clock_offset = offset
        self.run_due()
        self.on_schedule()  # the next thing is due sooner now, or later

    def jump(self, offset: int) -> None:
        """Moves the clock in one go; a move in steps that is under way ends there."""
        self.destination = None
        self.set_offset(offset)

    def offset_ahead(self) -> int:
        """Where the clock is, or is on its way to."""
        return self.state.clock_offset if self.destination is None else self.destination

    # Objects

    def new_id(self, kind: str) -> str:
        return ids.new_id(self.state.random, kind)

    def token(self, length: int) -> str:
        return ids.token(self.state.random, length)

    def create(
        self, kind: str, account: str, fields: Json, *, id_kind: str | None = None, hidden: Json | None = None
    ) -> Resource:
        """Stores a new object of the account: the given fields over the type's null skeleton."""
        common = {"id": fields.get("id") or self.new_id(id_kind or kind), "object": kind}
        known = shapes.skeleton(kind)
        if "created" in known:
            common["created"] = self.now()
        if "livemode" in known:
            common["livemode"] = False
        if "metadata" in known:
            common["metadata"] = {}
        if "application" in known and not self.is_platform(account):
            common["application"] = self.application()
        self.state.sequence += 1
        resource = Resource({**known, **common, **fields}, account=account, sequence=self.state.sequence, hidden=hidden)
        self.state.objects[resource.id] = resource
        self.state.lists.setdefault((account, kind), []).append(resource)
        return resource

    def forget(self, resource: Resource) -> None:
        """Takes a deleted object out of its list; the object itself stays, marked as deleted."""
        self.state.lists[(resource.account, resource["object"])].remove(resource)
        resource.hidden["deleted"] = True

    def all(self, kind: str, account: str) -> list[Resource]:
        """The account's objects of one type, oldest first."""
        return self.state.lists.get((account, kind), [])

    def get(self, id: str) -> Resource:
        """An object that is known to exist."""
        return self.state.objects[id]

    def find(self, kind: str, id: str, account: str) -> Resource | None:
        found = self.state.objects.get(id)
        if found is None or found["object"] != kind or found.account != account or found.hidden.get("deleted"):
            return None
        return found

    def require(
        self, kind: str, id: str, account: str, *, param: str, status: int = 400, label: str | None = None
    ) -> Resource:
        """The object, or Stripe's `No such ...`. `label` is the kind as Stripe words it."""
        found = self.find(kind, id, account)
        if found is None:
            raise no_such(label or kind, id, param=param, status=status)
        return found

    def connected(self, id: str) -> Resource | None:
        """A connected account of the platform; neither the platform itself nor one that has left."""
        return None if self.is_platform(id) else self.find("account", id, self.settings.platform)

    def application(self) -> str:
        """The id of the platform's application: what it makes for a connected account names it."""
        return str(self.get(self.settings.platform).hidden["application"])

    def is_platform(self, account: str) -> bool:
        return account == self.settings.platform

    # Persistence

    def save(self, file: Path) -> None:
        """Writes the state so that a crash leaves either the old file or the new one."""
        draft = file.with_name(file.name + ".new")
        draft.write_bytes(pickle.dumps(self.state, protocol=pickle.HIGHEST_PROTOCOL))
        draft.replace(file)
        self.unsaved = False

    def load(self, file: Path) -> None:
        loaded = pickle.loads(file.read_bytes())  # noqa: S301 - the user's own file, written by us
        self.state = self._fresh()
        vars(self.state).update(vars(loaded))  # a file of an older version lacks what was added since
        unfinished = [scoped for scoped, record in self.state.idempotency.items() if record.status is None]
        for scoped in unfinished:
            del self.state.idempotency[scoped]
        self.limits = self._no_requests_yet()


def job(function: Job) -> Job:
    """Registers a function that `World.schedule` can name."""
    _JOBS[function.__name__] = function
    return function
