"""Threads that begin together."""

from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

from django.db import connections

from marketplace.lib.errors import DomainError


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Runs all at the same time, each on a connection of its own; returns results or DomainErrors in their order."""
    outcomes: list[Any] = [None] * len(acts)
    gate = Barrier(len(acts))

    def run(index: int, act: Callable[[], Any]) -> None:
        gate.wait()
        try:
            outcomes[index] = act()
        except Exception as error:  # noqa: BLE001 (a thread's error is looked at below)
            outcomes[index] = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=(index, act)) for index, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bugs = [outcome for outcome in outcomes if isinstance(outcome, Exception) and not isinstance(outcome, DomainError)]
    assert bugs == []
    return outcomes


def refusals(outcomes: list[Any]) -> list[type]:
    return [type(outcome) for outcome in outcomes if isinstance(outcome, DomainError)]
