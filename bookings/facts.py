"""What a fact about money does to a booking."""


def register() -> None:
    """Told at start-up which facts bookings listen to."""
