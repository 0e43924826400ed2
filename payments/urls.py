"""The pages of payments, and where Stripe reports."""

from django.urls import path

from payments import card_views, dispute_views, intake, payout_views, receipt_views, views

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
