from django.apps import AppConfig


class BookingsConfig(AppConfig):
    name = "bookings"

    def ready(self) -> None:
        # Bookings listen to what payments learn about money: the one arrow that points back.
        from bookings import facts  # noqa: PLC0415  # models are not there before

        facts.register()
