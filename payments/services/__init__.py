"""What payments do: requests, which change what we want, and `record_*`, one for each fact that Stripe tells.

The modules that carry out operations register themselves when this package is imported.
"""

from payments.errors import (
    CardNeeded,
    CheckoutClosed,
    CoachNotPayable,
    CountryNotOffered,
    HoldUnderWay,
    NoSavedCard,
    NoSuchCard,
    NotStaff,
    NotYetError,
    OwnMoney,
    PaymentNotHeld,
    PaymentNotSaved,
    PaymentsUnavailable,
    PayoutsUnavailable,
    RefundDecided,
    RefundUnderWay,
    RefundWhileDisputed,
    SecondPersonNeeded,
    StripeMismatchError,
)
from payments.services import answers_at_stripe, checkout_page  # noqa: F401  # they register their kinds
from payments.services.accounts import (
    choose_settlement_mode,
    create_payout_account,
    onboarding_link,
    record_account,
    record_deauthorised,
    refresh_payout_account,
)
from payments.services.answering import (
    AnswerUnderWay,
    DeadlinePassed,
    DisputeOver,
    FileRefused,
    FileStaged,
    NotAnswerable,
    StaleVersion,
    WordsWrong,
    accept_dispute,
    attach_file,
    choose_bearer,
    coach_says,
    detach_file,
    keep_evidence,
    stage_evidence,
    submit_evidence,
)
from payments.services.capture import record_capture, request_capture, request_capture_kept_back, set_aside_capture
from payments.services.cards import record_card_removed, record_card_saved, remove_card
from payments.services.checkout import checkout_url, close_checkout, request_close, start_checkout
from payments.services.customers import ensure_customer
from payments.services.disputes import record_dispute, refresh_dispute
from payments.services.endings import give_back, move_service_end, write_off
from payments.services.fraud_warnings import WarningSettled, record_fraud_warning, settle_fraud_warning
from payments.services.freezing import freeze_earnings, unfreeze_earnings
from payments.services.holds import (
    record_checkout_expired,
    record_hold,
    record_hold_lost,
    record_hold_refused,
    record_refusal,
)
from payments.services.locks import lock_payments
from payments.services.off_session import keep_card, renew_hold, request_hold
from payments.services.on_the_money import ask_anew
from payments.services.opening import open_payment
from payments.services.refunding import approve_refund, dismiss_refund, request_refund
from payments.services.refunds_at_stripe import record_refund, refresh_refund
from payments.services.release import record_release, request_release
from payments.services.reversed_at_stripe import ReversalDecided, record_any_reversal
from payments.services.reversing import record_reversal
from payments.services.truth import (
    Page,
    read_page,
    record_checkout,
    record_intent,
    record_setup,
    refresh_payment,
)

__all__ = [
    "AnswerUnderWay",
    "CardNeeded",
    "CheckoutClosed",
    "CoachNotPayable",
    "CountryNotOffered",
    "DeadlinePassed",
    "DisputeOver",
    "FileRefused",
    "FileStaged",
    "HoldUnderWay",
    "NoSavedCard",
    "NoSuchCard",
    "NotAnswerable",
    "NotStaff",
    "NotYetError",
    "OwnMoney",
    "Page",
    "PaymentNotHeld",
    "PaymentNotSaved",
    "PaymentsUnavailable",
    "PayoutsUnavailable",
    "RefundDecided",
    "RefundUnderWay",
    "RefundWhileDisputed",
    "ReversalDecided",
    "SecondPersonNeeded",
    "StaleVersion",
    "StripeMismatchError",
    "WarningSettled",
    "WordsWrong",
    "accept_dispute",
    "approve_refund",
    "ask_anew",
    "attach_file",
    "checkout_url",
    "choose_bearer",
    "choose_settlement_mode",
    "close_checkout",
    "coach_says",
    "create_payout_account",
    "detach_file",
    "dismiss_refund",
    "ensure_customer",
    "freeze_earnings",
    "give_back",
    "keep_card",
    "keep_evidence",
    "lock_payments",
    "move_service_end",
    "onboarding_link",
    "open_payment",
    "read_page",
    "record_account",
    "record_any_reversal",
    "record_capture",
    "record_card_removed",
    "record_card_saved",
    "record_checkout",
    "record_checkout_expired",
    "record_deauthorised",
    "record_dispute",
    "record_fraud_warning",
    "record_hold",
    "record_hold_lost",
    "record_hold_refused",
    "record_intent",
    "record_refund",
    "record_refusal",
    "record_release",
    "record_reversal",
    "record_setup",
    "refresh_dispute",
    "refresh_payment",
    "refresh_payout_account",
    "refresh_refund",
    "remove_card",
    "renew_hold",
    "request_capture",
    "request_capture_kept_back",
    "request_close",
    "request_hold",
    "request_refund",
    "request_release",
    "set_aside_capture",
    "settle_fraud_warning",
    "stage_evidence",
    "start_checkout",
    "submit_evidence",
    "unfreeze_earnings",
    "write_off",
]
