"""A coach's month as a CSV file: amounts in minor units, times in UTC. A closed month gives the same bytes for ever."""

import hashlib
from collections.abc import Iterator

from marketplace.lib.months import end_of, start_of
from marketplace.lib.tables import Row, csv_text
from payments.statements.books import BankPayout, CoachMonth

# The digests of all statements are made of this header and of the rows below it: neither may ever change.
HEADER = (
    "kind", "at", "reference", "description", "session_ends_at", "currency", "gross", "fee", "borne_by_us",
    "in_dispute", "amount", "balance", "bank", "source", "ledger_transaction",
)  # fmt: skip


def statement_csv(found: CoachMonth) -> str:
    return csv_text(HEADER, _rows(found))


def digest_of(found: CoachMonth) -> str:
    """SHA-256 of its CSV file, in hexadecimal digits."""
    return hashlib.sha256(statement_csv(found).encode()).hexdigest()


def _rows(found: CoachMonth) -> Iterator[Row]:
    """`amount` adds up from the first balance to the last; `bank` is apart, from the coach's own balance at Stripe."""
    nothing, currency = (None,) * 5, found.currency
    yield ("carried_in", start_of(found.month), "", "", "", currency, *nothing, found.opening, None, "", None)
    for line, balance in found.running():
        yield (
            line.kind.value,
            line.at,
            line.reference,
            line.description,
            line.service_ends_at,
            currency,
            line.gross,
            line.fee,
            line.borne_by_us,
            line.in_dispute,
            line.amount,
            balance,
            None,
            line.source,
            line.transaction_id,
        )
    yield ("carried_out", end_of(found.month), "", "", "", currency, *nothing, found.closing, None, "", None)
    for payout in found.payouts:
        kind = _kind_of(payout)
        yield (kind, payout.at, "", "", "", currency, *nothing, None, payout.amount, payout.stripe_payout_id, None)


def _kind_of(payout: BankPayout) -> str:
    if not payout.amount:
        return "bank_payout_untracked"
    return "bank_payout" if payout.amount > 0 else "bank_payout_returned"
