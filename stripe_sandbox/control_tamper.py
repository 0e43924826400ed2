"""The control calls that falsify the world behind everybody's back: nothing is told of it, and no rule is asked.

For tests of who compares their own books with Stripe's. Balances still are the sums of their transactions.
"""

import copy
from typing import Any

from . import money
from .control import LARGEST_AMOUNT, MisuseError, action, flag, integer, stored, text
from .errors import Json, StripeError
from .webhooks import Courier
from .world import Resource, World

MOST_COPIES = 10_000
# What a copied object takes along, so that its copies move money as it did; and a charge its refunds.
TAKEN_ALONG = ("latest_charge", "balance_transaction", "transfer", "application_fee", "destination_payment")
FIXED = ("id", "object")
# They follow from other fields, or from the clock.
FIXED_OF_TRANSACTIONS = (*FIXED, "net", "status", "available_on")
TRANSACTION = "balance_transaction"


@action("POST", "objects/*/tamper", "set")
async def tamper(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Changes fields of a stored object: `set` maps their paths (`metadata.order`) to values of the type they had, or null."""
    found, wanted = _object(world, ids[0]), body.get("set")
    if not isinstance(wanted, dict) or not wanted:
        raise MisuseError("set must map the paths of fields to their values.")
    for path, value in wanted.items():
        _check_field(found, path, value)
    changed = copy.deepcopy(dict(found))
    for path, value in wanted.items():
        _put(changed, path.split("."), value)
    if found["object"] == TRANSACTION:
        changed["net"] = changed["amount"] - changed["fee"]
        _count(world, found, -1)
    found.update(changed)
    if found["object"] == TRANSACTION:
        _count(world, found, 1)
    return found


@action("POST", "objects/*/erase")
async def erase(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """As if the object had never been; what it points to, and what points to it, stays."""
    found = _object(world, ids[0])
    if world.is_platform(found.id):
        raise MisuseError("The platform's own account can't be erased.")
    if found["object"] == TRANSACTION:
        _count(world, found, -1)
        if found["status"] == "pending":
            _settling(world, found).remove(found.id)
    world.forget(found)
    return {"id": found.id, "erased": True}


@action("POST", "objects/*/copy", "count", "numbered")
async def multiply(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Makes the object again, `count` times, with its charge and refunds, its transfer, and what they moved on balances.

    `numbered` maps paths of texts to numbers from which they count up in the copies. Answers, for each copy, with the new
    id of each old one. Nothing that is timed is repeated: a copied hold never lapses.
    """
    found, numbered = _object(world, ids[0]), body.get("numbered", {})
    if not isinstance(numbered, dict):
        raise MisuseError("numbered must map the paths of fields to the number that each begins with.")
    for path in numbered:
        integer(numbered, path)
        _check_field(found, path, "")
    originals = _with_what_it_moved(world, found)
    count = integer(body, "count", 1, low=1, high=MOST_COPIES)
    return {
        "data": [
            _copied(world, originals, {path: str(first + number) for path, first in numbered.items()})
            for number in range(count)
        ]
    }


@action(
    "POST", "balance_transactions", "account", "type", "amount", "fee", "currency", "source", "created", "available"
)
async def book(world: World, courier: Courier, ids: list[str], body: Json) -> Json:
    """Moves money on a balance for any reason: of whatever type, for whatever object, known or not."""
    account = text(body, "account", world.settings.platform)
    stored(world, "account", account)
    type, currency = text(body, "type", "adjustment"), money.check_currency(text(body, "currency", "usd"))
    fee = integer(body, "fee", 0, low=-LARGEST_AMOUNT, high=LARGEST_AMOUNT)
    created = integer(body, "created", world.now())
    made = money.post(
        world,
        account,
        type=type,
        category=type,
        amount=integer(body, "amount", low=-LARGEST_AMOUNT, high=LARGEST_AMOUNT),
        currency=currency,
        source=text(body, "source", "") or None,
        fees=[money.stripe_fee(fee, currency)] if fee else [],
        available_on=None if flag(body, "available", True) else money.funds_available_on(world, account),
    )
    made["created"] = created
    return made


def _object(world: World, id: str) -> Resource:
    found = world.state.objects.get(id)
    if found is None or found.hidden.get("deleted"):
        raise StripeError(f"No such object: '{id}'", status=404, code="resource_missing")
    return found


def _check_field(found: Resource, path: str, value: Any) -> None:
    """Raises MisuseError where the object has no such field, or one of another type; keys of metadata are free."""
    fixed = FIXED_OF_TRANSACTIONS if found["object"] == TRANSACTION else FIXED
    if path in fixed:
        raise MisuseError(f"{path} of a {found['object']} can't be changed.")
    holder, name = _holder(found, path), path.rpartition(".")[2]
    if holder is None or (name not in holder and path != f"metadata.{name}"):
        raise MisuseError(f"There is no field {path} in this {found['object']}.")
    now = holder.get(name)
    if isinstance(now, (dict, list)) or isinstance(value, (dict, list, float)):
        raise MisuseError(f"{path} can't be changed as a whole: name a field within it, and one plain value.")
    if now is not None and value is not None and type(now) is not type(value):
        raise MisuseError(f"{path} must be of the type that it was: {type(now).__name__}.")
    if now is not None and value is None and found["object"] == TRANSACTION and path != "source":
        raise MisuseError(f"{path} of a {TRANSACTION} can't be null.")
    if path == "currency":
        money.check_currency(str(value))


def _holder(found: Json, path: str) -> Json | None:
    """The object, or the hash within it, whose field the path names; nothing where there is none."""
    holder: Any = found
    for part in path.split(".")[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None


def _put(holder: Json, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    if path[:-1] == ["metadata"] and value is None:
        del holder[path[-1]]


def _count(world: World, transaction: Resource, sign: int) -> None:
    """Adds the transaction to its balance, or takes it out."""
    pending = transaction["status"] == "pending"
    money.move(world, transaction.account, transaction["currency"], sign * transaction["net"], pending=pending)


def _settling(world: World, transaction: Resource) -> list[str]:
    """Those that become available together with a pending one."""
    return world.state.settling[(transaction.account, transaction["available_on"])]


def _with_what_it_moved(world: World, found: Resource) -> list[Resource]:
    chosen = [found]
    for each in chosen:  # grows on the way
        ids = [each[name] for name in TAKEN_ALONG if isinstance(each.get(name), str)]
        linked = [world.state.objects.get(id) for id in ids + each.hidden.get("refunds", [])]
        chosen += [other for other in linked if other is not None and other not in chosen]
    return chosen


def _copied(world: World, originals: list[Resource], texts: dict[str, str]) -> Json:
    names = {each.id: each.id[:-14] + world.token(14) for each in originals}
    for each in originals:
        fields = _renamed(dict(each), names)
        for path, numbered in texts.items():
            if path.rpartition(".")[2] in (_holder(fields, path) or {}):
                _put(fields, path.split("."), numbered)
        made = world.create(each["object"], each.account, fields, hidden=_renamed(each.hidden, names))
        if made["object"] == TRANSACTION:
            _count(world, made, 1)
            if made["status"] == "pending":
                _settling(world, made).append(made.id)
    return names


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """A deep copy that says the new ids, in client secrets and addresses too."""
    if isinstance(value, dict):
        return {key: _renamed(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, str) and len(value) >= 14:
        for old, new in names.items():
            value = value.replace(old, new)
    return value
