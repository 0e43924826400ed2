"""The map of the product."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from marketplace import views

urlpatterns = [
    # Public pages.
    path("", views.home, name="home"),
    path("", include("coaches.urls")),
    # Sessions: choosing a time, paying, what follows.
    path("", include("bookings.urls")),
    # Payouts, and where Stripe reports.
    path("", include("payments.urls")),
    # The account: sign-up, login, second factor; the same for mobile clients.
    path("accounts/details/", views.account_details, name="account_details"),
    path("accounts/", include("allauth.urls")),
    path("_allauth/app/v1/account/phone", views.no_phones),
    path("_allauth/", include("allauth.headless.urls")),
    # The API.
    path("api/v1/", include("marketplace.api_urls")),
    # Staff, and machines that watch.
    path("admin/", admin.site.urls),
    path("health/", include("marketplace.health_urls")),
]

if settings.DEVELOPMENT_PAGES:
    urlpatterns.append(path("dev/", include("marketplace.dev_urls")))

handler400 = "marketplace.views.bad_request"
handler403 = "marketplace.views.forbidden"
handler404 = "marketplace.views.not_found"
handler500 = "marketplace.views.server_error"
