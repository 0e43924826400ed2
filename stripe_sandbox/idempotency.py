"""Idempotency keys: the first result of a key is remembered for a day and given again."""

from dataclasses import dataclass

from .errors import Json, StripeError, validation
from .world import World, job

RETENTION = 24 * 3600
MAX_LENGTH = 255


@dataclass(slots=True)
class Record:
    """What a key was used for, and the answer once there is one."""

    fingerprint: tuple[str, str, Json]
    request_id: str
    created: int
    status: int | None = None
    body: str = ""


def begin(world: World, account: str, key: str, fingerprint: tuple[str, str, Json], request_id: str) -> Record | None:
    """Reserves the key for this request. Returns the earlier record when its answer must be given again.

    Raises StripeError: the key is empty or too long, was used with other parameters, or is in use right now.
    A key belongs to one account; with another path or other parameters it is refused (Stripe documents the
    parameters only; that a path counts too is the safe reading).
    """
    if not key:
        raise validation("Idempotency Key must be a non-empty string.")
    if len(key) > MAX_LENGTH:
        raise validation(f"Idempotency Key must be at most {MAX_LENGTH} characters.")
    known = world.state.idempotency.get((account, key))
    if known is None:
        world.state.idempotency[(account, key)] = Record(fingerprint, request_id, world.now())
        return None
    if known.fingerprint != fingerprint:
        raise StripeError(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other "
            f"than '{key}' if you meant to execute a different request.",
            type="idempotency_error",
        )
    if known.status is None:
        raise in_use(key)
    assert isinstance(known, Record)
    return known


def in_use(key: str) -> StripeError:
    return StripeError(
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the "
        f"other request is still going through): {key}. Please try again later.",
        status=409,
        type="idempotency_error",
        code="idempotency_key_in_use",
    )


def finish(world: World, account: str, key: str, status: int, body: str) -> None:
    record = world.state.idempotency[(account, key)]
    record.status, record.body = status, body
    world.schedule(record.created + RETENTION, "prune_key", account=account, key=key, created=record.created)


def release(world: World, account: str, key: str) -> None:
    """Forgets a key whose request never began to work."""
    world.state.idempotency.pop((account, key), None)


def prune_all(world: World) -> int:
    """Forgets every finished key; returns how many."""
    finished = [scoped for scoped, record in world.state.idempotency.items() if record.status is not None]
    for scoped in finished:
        del world.state.idempotency[scoped]
    return len(finished)


@job
def prune_key(world: World, *, account: str, key: str, created: int) -> None:
    record = world.state.idempotency.get((account, key))
    if record is not None and record.created == created:
        del world.state.idempotency[(account, key)]
