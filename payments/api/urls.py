"""The endpoints of payments."""

from django.urls import path

from payments.api import account, fees

urlpatterns = [
    path("fees/", fees.FeesView.as_view(), name="api_fees"),
    path("account/", account.AccountView.as_view(), name="api_account"),
]
