"""Faults on order: rules that make matching API requests go wrong in a chosen way."""

import re
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from .errors import Json
from .world import World

# Action -> does the request take effect, and is there an answer?
ACTIONS = {
    "refuse": "no effect; the connection is closed before anything is read as done",
    "reset_before_effect": "no effect; TCP reset",
    "reset_after_effect": "takes effect; TCP reset instead of the answer",
    "timeout_before": "no effect; silence for delay_ms, then the connection closes",
    "timeout_after": "takes effect at once; silence for delay_ms, then the connection closes",
    "delay_before": "silence for delay_ms, then handled and answered as always",
    "delay_after": "handled at once, answered after delay_ms",
    "respond": "no effect; answers `status` and `body` (an idempotency key remembers it unless `stored` is false)",
    "respond_after_effect": "takes effect; answers `status` and `body` (remembered likewise)",
    "truncate_body": "takes effect; half of the answer, then the connection closes",
    "garbage_body": "takes effect; 200 with a body that is not JSON",
    "slow_drip": "takes effect; the answer trickles over delay_ms",
    "conflict": "no effect; 409 idempotency_key_in_use",
    "rate_limit": "no effect; 429 rate_limit",
    "lock_timeout": "no effect; 429 lock_timeout",
    "prune_keys": "forgets every idempotency key, then handled as always",
}

# Whole numbers of a rule -> the least and the most.
NUMBERS = {"nth": (0, 10**9), "times": (0, 10**9), "status": (200, 599), "delay_ms": (0, 86_400_000)}
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")


@dataclass
class Fault:
    """Which requests it matches, from which match on (`nth`), how often (`times`, 0 for ever), and what happens."""

    action: str
    method: str | None = None
    path: str = "/v1/*"
    account: str | None = None
    idempotency_key: str | None = None
    nth: int = 1
    times: int = 1
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    stored: bool = True
    delay_ms: int = 2000
    seen: int = 0
    hits: list[str] = field(default_factory=list)


# What a rule is given by; the rest is counted.
NAMES = tuple(name for name in Fault.__dataclass_fields__ if name not in ("seen", "hits"))


def add(world: World, rule: Json) -> Json:
    """Adds a rule of these names; raises ValueError with words for the control plane when it is not one."""
    if not isinstance(rule.get("action"), str) or rule["action"] not in ACTIONS:
        raise ValueError(f"action must be one of {', '.join(ACTIONS)}")
    for name, (low, high) in NUMBERS.items():
        if name in rule and not (type(rule[name]) is int and low <= rule[name] <= high):
            raise ValueError(f"{name} must be a whole number between {low} and {high}")
    if type(rule.get("stored", True)) is not bool:
        raise ValueError("stored must be true or false")
    for name in ("method", "path", "account", "idempotency_key"):
        if not isinstance(rule.get(name), str) and (rule.get(name) is not None or (name == "path" and name in rule)):
            raise ValueError(f"{name} must be a string")
    headers = rule.get("headers", {})
    if not isinstance(headers, dict) or not all(_is_header(*each) for each in headers.items()):
        raise ValueError("headers must be an object of strings, each on one line")
    fault = asdict(Fault(**rule))
    world.state.faults.append(fault)
    return fault


def _is_header(name: str, value: object) -> bool:
    return bool(_HEADER_NAME.fullmatch(name)) and isinstance(value, str) and value.isprintable()


def strike(
    world: World, *, method: str, path: str, account: str | None, key: str | None, request_id: str
) -> Json | None:
    """The rule that this request falls under, counted as hit."""
    for fault in world.state.faults:
        if not _matches(fault, method, path, account, key):
            continue
        fault["seen"] += 1
        if fault["seen"] >= fault["nth"] and (fault["times"] == 0 or len(fault["hits"]) < fault["times"]):
            fault["hits"].append(request_id)
            return fault
    return None


def _matches(fault: Json, method: str, path: str, account: str | None, key: str | None) -> bool:
    return (
        (fault["method"] is None or fault["method"].upper() == method)
        and fnmatchcase(path, fault["path"])
        and (fault["account"] is None or fault["account"] == account)
        and (fault["idempotency_key"] is None or fnmatchcase(key or "", fault["idempotency_key"]))
    )
