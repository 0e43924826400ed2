"""Housekeeping of the whole project."""

from celery import shared_task
from django.core.cache import cache

from marketplace import clock

HEARTBEAT_KEY = "beat-heartbeat"


@shared_task(name="marketplace.tasks.beat_heartbeat")
def beat_heartbeat() -> None:
    """Shows the health page that beat and at least one worker are alive."""
    cache.set(HEARTBEAT_KEY, clock.wall().timestamp(), timeout=120)
