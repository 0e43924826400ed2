"""How tests ask whether this machine is well."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections
from django.test import Client


def ask(client: Client, address: str, **headers: Any) -> Any:
    """In a thread of its own: an earlier test's browser may have left its event loop running in this one, and the
    checks start a loop themselves, which no thread has twice.
    """
    with ThreadPoolExecutor(1) as apart:
        try:
            return apart.submit(client.get, address, **headers).result()
        finally:
            apart.submit(connections.close_all).result()
