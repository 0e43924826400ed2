from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MarketplaceConfig(AppConfig):
    name = "marketplace"

    def ready(self) -> None:
        from marketplace import checks  # noqa: F401, PLC0415  # it registers its checks
        from marketplace.rights import grant_rights  # noqa: PLC0415  # models are not there before

        post_migrate.connect(grant_rights, dispatch_uid="roles of the staff")
