"""What the platform sees of a person: all, until Stripe collects the details by itself; then who they are and how the checks stand.

The package's class marks the names and the e-mail address as readable then. Of the others Stripe documents nothing;
those that say what the person is to the account and what is asked of them stay.
"""

from typing import Any

from stripe_sandbox import events
from stripe_sandbox.errors import Json
from stripe_sandbox.world import Resource, World

MARKED = (
    "email first_name first_name_kana first_name_kanji full_name_aliases last_name last_name_kana last_name_kanji"
).split()
ABOUT = "account created future_requirements id metadata object relationship requirements verification".split()
READABLE = frozenset((*MARKED, *ABOUT))


def seen(world: World, person: Resource) -> Json:
    if not world.get(person.account).hidden.get("opened"):
        return person
    return {name: value for name, value in person.items() if name in READABLE}


def changed(world: World, person: Resource, **changes: Any) -> None:
    """Applies changes and tells of them in `person.updated`, without the old values that the platform must not see."""
    previous = events.previous_values(person, changes)
    if not previous:
        return
    person.update(changes)
    shown = seen(world, person)
    told = {name: value for name, value in previous.items() if name in shown}
    events.emit(world, person.account, "person.updated", shown, told)


def mark(world: World, persons: list[Resource], status: str) -> None:
    """What the checks of these persons have come to."""
    for person in persons:
        changed(world, person, verification={**person["verification"], "status": status})
