"""Typed readers of the environment. A wrong value stops the start and names the setting, never its value.

Order: the process's environment, then `.env`, then `var/demo.env` (written by `bin/start`). `ENV_FILES` names
other files, with commas; empty, it names none.
"""

import os
import re
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


def load_files() -> None:
    """Read the settings files; what is already in the environment wins."""
    for name in words("ENV_FILES", ".env,var/demo.env"):
        path = BASE_DIR / name
        if path.is_file():
            environ.Env.read_env(path)


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def required(name: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set.")
    return value


def yes_no(name: str, default: bool) -> bool:
    value = text(name, "true" if default else "false").lower()
    if value not in {"true", "false", "1", "0", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be true or false.")
    return value in {"true", "1", "yes"}


def whole_number(name: str, default: int, lowest: int, highest: int) -> int:
    value = text(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,18}", value) or not lowest <= int(value) <= highest:
        raise ImproperlyConfigured(f"{name} must be a whole number from {lowest} to {highest}.")
    return int(value)


def words(name: str, default: str = "") -> list[str]:
    """A comma-separated list; empty items are dropped."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def files(name: str) -> list[str]:
    """A comma-separated list of paths, each of a file that is there."""
    paths = words(name)
    for path in paths:
        if not Path(path).is_file():
            raise ImproperlyConfigured(f"{name} names {path}, and there is no such file.")
    return paths


def addresses(name: str) -> list[str]:
    """E-mail addresses, with commas."""
    found = words(name)
    if not all(re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+", word) for word in found):
        raise ImproperlyConfigured(f"{name} must be a list of e-mail addresses.")
    return found


def matching(name: str, pattern: str, meaning: str, default: str = "") -> str:
    """A text of a known form, or empty."""
    value = text(name, default)
    if value and not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name} is not {meaning}.")
    return value


def amounts(name: str) -> dict[str, int]:
    """Minor units by currency: "usd:1000, jpy:2000"."""
    found: dict[str, int] = {}
    for word in words(name):
        if not re.fullmatch(r"[a-z]{3}:[0-9]{1,12}", word.lower()):
            raise ImproperlyConfigured(f"{name} must be a list of currencies with minor units, such as usd:1000.")
        currency, _, amount = word.lower().partition(":")
        found[currency] = int(amount)
    return found


def one_of(name: str, choices: set[str], default: str) -> str:
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of: {', '.join(sorted(choices))}.")
    return value


def with_prefix(prefix: str) -> dict[str, str]:
    """All variables whose name begins so, without the prefix."""
    return {name.removeprefix(prefix): value.strip() for name, value in os.environ.items() if name.startswith(prefix)}
