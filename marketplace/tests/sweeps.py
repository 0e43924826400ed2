"""Long tables of cases, of which every day tries the first."""

from collections.abc import Iterable
from typing import Any

import pytest


def sweep(cases: Iterable[Any], *, everyday: int = 1) -> list[Any]:
    """For `parametrize`: all but the first ones are thorough."""
    found = list(cases)
    return [*found[:everyday], *(pytest.param(case, marks=pytest.mark.thorough) for case in found[everyday:])]
