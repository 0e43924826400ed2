from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        """Whatever process runs an operation must know every kind of it, so those who handle them register now."""
        from payments import payouts, services  # noqa: F401, PLC0415  # models are not there before
