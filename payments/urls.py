"""The pages of payments, and where Stripe reports."""

from django.urls import path

from payments import (
    billing_views,
    card_views,
    dispute_views,
    intake,
    payout_views,
    receipt_views,
    statement_views,
    views,
)

app_name = "payments"

urlpatterns = [
    # The coach's payout step.
    path("teach/payouts/", payout_views.payouts, name="payouts"),
    path("teach/payouts/start/", views.start_onboarding, name="start_onboarding"),
    path("teach/payouts/return/", views.onboarding_return, name="onboarding_return"),
    path("teach/payouts/refresh/", views.onboarding_refresh, name="onboarding_refresh"),
    path("teach/payouts/preferences/", payout_views.preferences, name="preferences"),
    path("teach/payouts/schedule/", payout_views.schedule, name="schedule"),
    path("teach/payouts/now/", payout_views.pay_out, name="pay_out"),
    path("teach/payouts/bank/", payout_views.change_bank, name="change_bank"),
    path("teach/payouts/balance/", payout_views.read_balance, name="read_balance"),
    path("teach/earnings/", views.earnings, name="earnings"),
    path("teach/disputes/<int:dispute_id>/", dispute_views.coach_dispute, name="coach_dispute"),
    # The coach's months.
    path("teach/statements/", statement_views.months, name="statements"),
    path("teach/statements/<int:year>/", statement_views.year, name="statement_year"),
    path("teach/statements/<str:month>/<str:currency>/", statement_views.month, name="statement"),
    path("teach/statements/<str:month>/<str:currency>.csv", statement_views.month_csv, name="statement_csv"),
    path("teach/statements/<str:month>/<str:currency>.pdf", statement_views.month_pdf, name="statement_pdf"),
    path("teach/billing/", billing_views.billing, name="billing"),
    path("teach/invoices/<int:number>/", statement_views.invoice, name="fee_invoice"),
    path("teach/invoices/<int:number>.pdf", statement_views.invoice_pdf, name="fee_invoice_pdf"),
    # A student's saved cards.
    path("accounts/cards/", card_views.cards, name="cards"),
    path("accounts/cards/<int:card_id>/remove/", card_views.remove_card, name="remove_card"),
    # A student's receipts.
    path("receipts/<int:payment_id>/", receipt_views.receipt, name="receipt"),
    path("receipts/<int:payment_id>.pdf", receipt_views.receipt_file, name="receipt_file"),
    # Stripe.
    path("stripe/webhooks/", intake.stripe_webhook, name="stripe_webhook"),
    path("stripe/webhooks/connect/", intake.stripe_connect_webhook, name="stripe_connect_webhook"),
]
