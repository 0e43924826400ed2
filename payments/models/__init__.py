"""Money, and all that touches Stripe. A payment knows its opaque `reference`, never what was bought."""

from payments.models.corrections import Correction
from payments.models.disputes import Dispute, EvidenceFile, FraudWarning
from payments.models.events import StripeEvent
from payments.models.ledger import ClosedMonth, LedgerAccount, LedgerEntry, LedgerTransaction
from payments.models.operations import Operation
from payments.models.parties import AccountType, Customer, PayoutAccount, PayoutMethod, SavedCard, SettlementMode
from payments.models.payments import Earning, Payment, Transfer
from payments.models.payouts import BankAccount, Payout, PayoutLine, PayoutRun
from payments.models.problems import OperatorMail, Problem, PutOff, Watch
from payments.models.reconciliation import Difference, LookOut, Reconciliation, Standstill
from payments.models.refunds import Refund, Reversal
from payments.models.statements import FeeInvoice, MonthTotals, Statement

__all__ = [
    "AccountType",
    "BankAccount",
    "ClosedMonth",
    "Correction",
    "Customer",
    "Difference",
    "Dispute",
    "Earning",
    "EvidenceFile",
    "FeeInvoice",
    "FraudWarning",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "LookOut",
    "MonthTotals",
    "Operation",
    "OperatorMail",
    "Payment",
    "Payout",
    "PayoutAccount",
    "PayoutLine",
    "PayoutMethod",
    "PayoutRun",
    "Problem",
    "PutOff",
    "Reconciliation",
    "Refund",
    "Reversal",
    "SavedCard",
    "SettlementMode",
    "Standstill",
    "Statement",
    "StripeEvent",
    "Transfer",
    "Watch",
]
