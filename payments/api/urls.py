"""The endpoints of payments."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from payments.api import account, billing, fees, payouts, reporting

router = SimpleRouter()
router.register("payouts", payouts.PayoutViewSet, basename="api_payouts")

urlpatterns = [
    *router.urls,
    path("fees/", fees.FeesView.as_view(), name="api_fees"),
    path("account/", account.AccountView.as_view(), name="api_account"),
    path("account/balance/", payouts.BalanceView.as_view(), name="api_balance"),
    path("account/banks/", payouts.BanksView.as_view(), name="api_banks"),
    path("account/banks/<int:bank_id>/", payouts.BankView.as_view(), name="api_bank"),
    path("account/banks/<int:bank_id>/default/", payouts.DefaultBankView.as_view(), name="api_default_bank"),
    path("account/schedule/", payouts.ScheduleView.as_view(), name="api_schedule"),
    path("account/preferences/", payouts.PreferencesView.as_view(), name="api_preferences"),
    path("account/billing/", billing.BillingView.as_view(), name="api_billing"),
    path("reporting/months/", reporting.MonthsView.as_view(), name="api_months"),
    path("reporting/months/<str:month>/<str:currency>/lines/", reporting.LinesView.as_view(), name="api_month_lines"),
    path("reporting/years/<int:year>/", reporting.YearView.as_view(), name="api_year"),
]
