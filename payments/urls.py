"""The pages of payments, and where Stripe reports."""

from django.urls import URLPattern, path

from payments import intake

app_name = "payments"

urlpatterns: list[URLPattern] = [
    path("stripe/webhooks/", intake.stripe_webhook, name="stripe_webhook"),
    path("stripe/webhooks/connect/", intake.stripe_connect_webhook, name="stripe_connect_webhook"),
]
