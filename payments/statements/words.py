"""What the lines of a month are called, for people. Files have codes instead, which never change."""

from dataclasses import dataclass

from marketplace.lib.money import Money
from payments.statements.books import CoachMonth, Kind, Line

WORDS = {
    Kind.SESSION: "Session",
    Kind.PAID_BY_US: "Session paid by us",
    Kind.REFUND: "Refund",
    Kind.REFUND_UNDONE: "Refund taken back",
    Kind.REFUND_MADE_GOOD: "Refund covered by the dispute",
    Kind.DISPUTE_OPENED: "Disputed by the student's bank",
    Kind.DISPUTE_WON: "Dispute won",
    Kind.DISPUTE_LOST: "Dispute lost",
    Kind.TRANSFER: "Transfer to Stripe account",
    Kind.TRANSFER_WITH_CAPTURE: "Transfer with the session",
    Kind.FEE_KEPT: "Kept from that transfer",
    Kind.REVERSAL: "Fetched back from Stripe account",
    Kind.REVERSAL_KEPT: "Kept after a transfer was taken back",
    Kind.ADJUSTMENT: "Adjustment",
}
# What the sums of a month are made of, in the order in which they are told.
GROUPS = (
    ("Sessions, less our fee", (Kind.SESSION, Kind.PAID_BY_US)),
    ("Refunds", (Kind.REFUND, Kind.REFUND_UNDONE, Kind.REFUND_MADE_GOOD)),
    ("Disputes", (Kind.DISPUTE_OPENED, Kind.DISPUTE_WON, Kind.DISPUTE_LOST)),
    ("Adjustments", (Kind.ADJUSTMENT, Kind.REVERSAL_KEPT)),
    ("Transferred to Stripe account", (Kind.TRANSFER, Kind.TRANSFER_WITH_CAPTURE, Kind.FEE_KEPT)),
    ("Fetched back from it", (Kind.REVERSAL,)),
)


def sums_of(found: CoachMonth) -> list[tuple[str, Money]]:
    """From what was carried in to what is carried out; groups that moved nothing are left out."""
    rows = [("Carried in", Money(found.opening, found.currency))]
    for words, kinds in GROUPS:
        amounts = [line.amount for line in found.lines if line.kind in kinds]
        if any(amounts):
            rows.append((words, Money(sum(amounts), found.currency)))
    return [*rows, ("Carried out", Money(found.closing, found.currency))]


def explain(line: Line, currency: str) -> str:
    """Why the amount is what it is; empty where there is nothing to add."""
    if line.kind == Kind.SESSION:
        paid_before = ". The share had been paid by us before" if line.borne_by_us < 0 else ""
        return f"Paid {Money(line.gross, currency)}, fee {Money(line.fee, currency)}{paid_before}"
    if line.kind in (Kind.REFUND, Kind.DISPUTE_LOST):
        return _back_words(line, currency)
    in_dispute = Money(abs(line.in_dispute), currency)
    return {
        Kind.PAID_BY_US: "The student has not paid, so the share is paid by us",
        Kind.REFUND_UNDONE: f"{Money(line.gross, currency)} was not refunded after all",
        Kind.REFUND_MADE_GOOD: f"{Money(line.gross, currency)} of a refund came by the lost dispute instead",
        Kind.DISPUTE_OPENED: f"The bank has {in_dispute} until it decides; the balance stays the same",
        Kind.DISPUTE_WON: f"{in_dispute} came back",
        Kind.FEE_KEPT: "Our fee, and what is set off or waits for a decision",
        Kind.REVERSAL: "It makes up for a refund or dispute, or waits for a decision",
        Kind.REVERSAL_KEPT: "It was reversed at Stripe, and is not paid again",
    }.get(line.kind, "")


def _back_words(line: Line, currency: str) -> str:
    words = f"{Money(-line.gross, currency)} {'to' if line.kind == Kind.REFUND else 'stays with'} the student"
    if line.fee:
        words += f", {Money(-line.fee, currency)} of it from our fee"
    if line.borne_by_us > 0:
        words += f", {Money(line.borne_by_us, currency)} borne by us"
    return words


@dataclass(frozen=True, slots=True)
class LineRow:
    """One line as people read it, with the balance after it."""

    line: Line
    words: str
    detail: str
    amount: Money
    balance: Money


def rows_of(found: CoachMonth) -> list[LineRow]:
    return [
        LineRow(
            line,
            WORDS[line.kind],
            explain(line, found.currency),
            Money(line.amount, found.currency),
            Money(balance, found.currency),
        )
        for line, balance in found.running()
    ]
