"""Money, and all that touches Stripe. A payment knows its opaque `reference`, never what was bought."""

from payments.models.disputes import Dispute, EvidenceFile, FraudWarning
from payments.models.events import StripeEvent
from payments.models.ledger import LedgerAccount, LedgerEntry, LedgerTransaction
from payments.models.operations import Operation
from payments.models.parties import Customer, PayoutAccount, SavedCard, SettlementMode
from payments.models.payments import Earning, Payment, Transfer
from payments.models.payouts import PayoutLine, PayoutRun
from payments.models.refunds import Refund, Reversal

__all__ = [
    "Customer",
    "Dispute",
    "Earning",
    "EvidenceFile",
    "FraudWarning",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "Operation",
    "Payment",
    "PayoutAccount",
    "PayoutLine",
    "PayoutRun",
    "Refund",
    "Reversal",
    "SavedCard",
    "SettlementMode",
    "StripeEvent",
    "Transfer",
]
