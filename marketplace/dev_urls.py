"""Pages that exist in development only."""

from django.conf import settings
from django.urls import path

from marketplace import dev_views

app_name = "dev"

urlpatterns = [
    path("mail/", dev_views.mailbox, name="mailbox"),
    path("mail/<str:key>/", dev_views.mail, name="mail"),
    path("mail/<str:key>/html/", dev_views.mail_html, name="mail_html"),
]

if settings.STRIPE_SANDBOX_URL:
    urlpatterns.append(path("clock/", dev_views.move_clock, name="clock"))
