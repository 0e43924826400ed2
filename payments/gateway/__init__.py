"""Every call to Stripe. Amounts in minor units, times in UTC; a call that fails raises GatewayError.

`calls` says how a call is made, and is alone in knowing Stripe's library; the others say what is asked.
"""

from payments.gateway.calls import (
    NetworkInTransactionError,
)
from payments.gateway.disputes import (
    close_dispute,
    find_evidence_file,
    list_disputes,
    list_fraud_warnings,
    retrieve_dispute,
    retrieve_fraud_warning,
    update_dispute,
    upload_evidence,
)
from payments.gateway.payments import (
    EXPAND_INTENT,
    EXPAND_SETUP,
    cancel_payment_intent,
    capture_payment_intent,
    create_checkout_session,
    create_payment_intent,
    detach_payment_method,
    expire_checkout_session,
    find_checkout_session,
    find_payment_intent,
    retrieve_checkout_session,
    retrieve_payment_intent,
    retrieve_payment_method,
    retrieve_setup_intent,
)
from payments.gateway.payouts import (
    retrieve_balance,
)
from payments.gateway.people import (
    create_account_link,
    create_customer,
    create_express_account,
    find_account,
    find_customer,
    retrieve_account,
)
from payments.gateway.platform import (
    create_webhook_endpoint,
    list_webhook_endpoints,
    retrieve_balance_settings,
    retrieve_platform,
    retrieve_raw,
    update_balance_settings,
    update_webhook_endpoint,
)
from payments.gateway.refunds import (
    EXPAND_REFUND,
    create_refund,
    find_refund,
    list_refunds,
    retrieve_refund,
)
from payments.gateway.transfers import (
    EXPAND_REVERSAL,
    EXPAND_TRANSFER,
    create_reversal,
    create_transfer,
    find_reversal,
    find_transfer,
    list_reversals,
    retrieve_transfer,
)
from payments.stripe_failures import GatewayError

__all__ = [
    "EXPAND_INTENT",
    "EXPAND_REFUND",
    "EXPAND_REVERSAL",
    "EXPAND_SETUP",
    "EXPAND_TRANSFER",
    "GatewayError",
    "NetworkInTransactionError",
    "cancel_payment_intent",
    "capture_payment_intent",
    "close_dispute",
    "create_account_link",
    "create_checkout_session",
    "create_customer",
    "create_express_account",
    "create_payment_intent",
    "create_refund",
    "create_reversal",
    "create_transfer",
    "create_webhook_endpoint",
    "detach_payment_method",
    "expire_checkout_session",
    "find_account",
    "find_checkout_session",
    "find_customer",
    "find_evidence_file",
    "find_payment_intent",
    "find_refund",
    "find_reversal",
    "find_transfer",
    "list_disputes",
    "list_fraud_warnings",
    "list_refunds",
    "list_reversals",
    "list_webhook_endpoints",
    "retrieve_account",
    "retrieve_balance",
    "retrieve_balance_settings",
    "retrieve_checkout_session",
    "retrieve_dispute",
    "retrieve_fraud_warning",
    "retrieve_payment_intent",
    "retrieve_payment_method",
    "retrieve_platform",
    "retrieve_raw",
    "retrieve_refund",
    "retrieve_setup_intent",
    "retrieve_transfer",
    "update_balance_settings",
    "update_dispute",
    "update_webhook_endpoint",
    "upload_evidence",
]
