"""Every kind of difference between our books and Stripe's: what it means, and what is to be done, for finance."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What is wrong, whatever it is wrong with."""

    MISSING = "Missing"
    DOUBLE = "Double"
    AMOUNT = "Wrong amount"
    CURRENCY = "Wrong currency"
    OWNER = "Wrong owner"
    SIGN = "Wrong sign"
    PERIOD = "Wrong period"
    STATE = "Wrong state"
    ORPHAN_AT_STRIPE = "Unknown to us"
    ORPHAN_WITH_US = "Unknown to Stripe"
    SUMS = "Sums differ"
    UNEXPLAINED = "Not explained"
    NOT_COMPARED = "Not compared"


@dataclass(frozen=True, slots=True)
class Kind:
    """`code` is stable and at most 40 characters; the rest is for people."""

    code: str
    family: Family
    title: str
    meaning: str
    what_to_do: str


NOT_COMPARED = Kind(
    "not_compared",
    Family.NOT_COMPARED,
    "A step that was not compared",
    "This step of the comparison did not come to its end, so nobody knows whether our books agree with Stripe's in it, "
    "nor in those that wait for it. The other steps were compared.",
    "The next comparison tries it again. Where it stays, read below why: a silence of Stripe's ends by itself "
    "(status.stripe.com), a refusal is about our key and its rights, anything else is for whoever looks after the "
    "program.",
)

# --- objects ------------------------------------------------------------------------------------

MISSING_HERE = Kind(
    "missing_here",
    Family.MISSING,
    "Missing with us",
    "Stripe has an object of one of our payments, lines or accounts, and we have no record of it.",
    "Usually it is recorded by the next comparison. Where it stays, read below why it could not be, put that right, "
    "and compare again.",
)
ORPHAN_AT_STRIPE = Kind(
    "orphan_at_stripe",
    Family.ORPHAN_AT_STRIPE,
    "Unknown to us",
    "Stripe has an object that bears our marks or moves our balance, and that belongs to nothing we know.",
    "Find out who made it: somebody in Stripe's dashboard, another program with our key, or ourselves before this "
    "database was restored from a backup. Undo it at Stripe (refund, reverse, cancel), or explain it.",
)
ORPHAN_WITH_US = Kind(
    "orphan_with_us",
    Family.ORPHAN_WITH_US,
    "Unknown to Stripe",
    "We have a record of an object, and Stripe knows no such object.",
    "Check that the Stripe key is the right one. If it is, nothing of this happened at Stripe: look how the row came "
    "to be before anything is paid on its ground.",
)
LOST_CHANGE = Kind(
    "lost_change",
    Family.ORPHAN_AT_STRIPE,
    "Done by us, and lost",
    "We made or changed this at Stripe, and this database does not know of it: it was restored from a backup, or an "
    "older copy took its place, or another installation uses the same Stripe account. It could not be taken over.",
    "Read below why. Settle it in Stripe's dashboard (cancel the hold, refund, reverse) or leave it as it is, and "
    "explain it here: sending to Stripe goes on only then. Nothing is sent meanwhile, and nothing gets lost.",
)
OUT_OF_REACH = Kind(
    "out_of_reach",
    Family.ORPHAN_WITH_US,
    "An account out of reach",
    "Stripe does not let us read this coach's account any more: they have cut the connection, or our key is another "
    "platform's. Nothing is paid to it meanwhile; what is due waits.",
    "Where it is about one coach, ask them whether they meant it. Where it is about all, check the Stripe key.",
)
TRANSFERRED_TWICE = Kind(
    "transferred_twice",
    Family.DOUBLE,
    "Transferred twice",
    "Stripe has two transfers for one payout line or one payment: the coach has got the money twice.",
    "Reverse the transfer that we don't know in Stripe's dashboard, after a word with the coach.",
)
REFUNDED_TWICE = Kind(
    "refunded_twice",
    Family.DOUBLE,
    "Refunded twice",
    "Stripe has two refunds for one of ours: the student has got the money twice.",
    "Talk with the student, or bear it: a refund can't be fetched back. Find out who repeated ours.",
)
HELD_TWICE = Kind(
    "held_twice",
    Family.DOUBLE,
    "Two payments for one thing",
    "Stripe holds or has taken money twice for the same thing: the student pays twice.",
    "Cancel the hold that we don't know in Stripe's dashboard, or refund it if it was taken.",
)
AMOUNT_DIFFERS = Kind(
    "amount_differs",
    Family.AMOUNT,
    "Another amount",
    "The same object is over another amount with us than at Stripe.",
    "Stripe's amount is what was moved. Find out why ours differs, and settle the difference with a refund, a reversal "
    "or the next payout.",
)
CURRENCY_DIFFERS = Kind(
    "currency_differs",
    Family.CURRENCY,
    "Another currency",
    "The same object is in another currency with us than at Stripe.",
    "Stripe's currency is what was moved. Undo it at Stripe and let it be made anew.",
)
OWNER_DIFFERS = Kind(
    "owner_differs",
    Family.OWNER,
    "Another owner",
    "The object belongs to somebody else at Stripe than with us: another student, another coach's account, another "
    "payment.",
    "Nothing is paid out on its ground before this is clear. A transfer to the wrong account is reversed, a charge of "
    "the wrong card refunded, in Stripe's dashboard.",
)
STATE_DIFFERS = Kind(
    "state_differs",
    Family.STATE,
    "Another state",
    "Stripe says that the object is in another state than we do: held, captured, refunded, disputed, paid, failed; of "
    "an account, whether and when it can be paid.",
    "Usually the next comparison brings our state to Stripe's. Where it stays, read below why it could not be.",
)

REQUIREMENTS_DIFFER = Kind(
    "requirements_differ",
    Family.STATE,
    "Other details are asked for",
    "Stripe asks this coach for other details, or by another day, than we show them: they can't see what pauses them.",
    "What Stripe asks is taken over by the comparison. Where it stays, read below why it could not be; tell the coach "
    "to open Stripe's own page meanwhile.",
)
MIRROR_DIFFERS = Kind(
    "mirror_differs",
    Family.STATE,
    "The copy of an account is old",
    "What the admin shows of this account under dj-stripe is not what Stripe has. Our own row decides who is paid, and "
    "is compared by itself.",
    "The comparison reads the account again for the copy. Where it stays, read below why it could not, and look at "
    "Stripe's Dashboard instead of the copy meanwhile.",
)
BANK_DIFFERS = Kind(
    "bank_differs",
    Family.STATE,
    "A bank is called otherwise",
    "A bank account or card that this coach is paid out to has another name, last four digits or state at Stripe than "
    "with us, or another is the default: the coach may not know it again, or wait for payouts that can't be made.",
    "Stripe's words are taken over by the comparison. Where it stays, read below why. Where the last four digits are "
    "others, ask the coach whether they changed their bank.",
)
CARD_DETACHED = Kind(
    "card_detached",
    Family.STATE,
    "A card that is saved no more",
    "We offer a student a saved card, or count on it for a coming session, and Stripe has let go of it: it can't be "
    "charged any more.",
    "It is removed here by the comparison. A coming session that needs it is not held: the student is asked for "
    "another card then, so write to them where there is little time.",
)

# --- the books, balance transaction by balance transaction ---------------------------------------

NOT_BOOKED = Kind(
    "not_booked",
    Family.MISSING,
    "Not in our books",
    "Stripe has moved our balance, and our books have no entry for it.",
    "Look at the object behind it first: once that is recorded here, the entry comes with it.",
)
BOOKED_WITHOUT_STRIPE = Kind(
    "booked_without_stripe",
    Family.ORPHAN_WITH_US,
    "Booked, and not at Stripe",
    "Our books name a balance transaction that Stripe does not know.",
    "Check that the Stripe key is the right one. If it is, the entry is wrong: have it undone by a reversing entry.",
)
BOOKED_TWICE = Kind(
    "booked_twice",
    Family.DOUBLE,
    "Booked twice",
    "Two transactions in our books are about the same balance transaction.",
    "One of them is wrong: have it undone by a reversing entry, the same lines with the opposite signs.",
)
BOOKED_AMOUNT_DIFFERS = Kind(
    "booked_amount_differs",
    Family.AMOUNT,
    "Booked with another amount",
    "What our books have on the Stripe balance for a balance transaction is not its net amount.",
    "Stripe's amount is what was moved. Have the entry corrected by a reversing one.",
)
BOOKED_CURRENCY_DIFFERS = Kind(
    "booked_currency_differs",
    Family.CURRENCY,
    "Booked in another currency",
    "A balance transaction is in our books in another currency than its own.",
    "Have the entry corrected by a reversing one.",
)
BOOKED_SIGN_DIFFERS = Kind(
    "booked_sign_differs",
    Family.SIGN,
    "Booked the wrong way round",
    "A balance transaction is in our books with the opposite sign: what came in went out, or the other way round.",
    "Have the entry corrected by a reversing one.",
)
BOOKED_PERIOD_DIFFERS = Kind(
    "booked_period_differs",
    Family.PERIOD,
    "Booked at another time",
    "The date in our books is not the balance transaction's, and its month was not closed when it was booked.",
    "Where both dates lie in one month, it harms no statement: explain it. Else tell whoever keeps the books.",
)
BOOKED_OWNER_DIFFERS = Kind(
    "booked_owner_differs",
    Family.OWNER,
    "Booked to another owner",
    "A balance transaction is booked for another object, another payment, or on an account that is not this coach's "
    "or student's.",
    "Nothing is paid to either coach before this is clear. Have the entry corrected by a reversing one.",
)
SETTLED_IN_ANOTHER_CURRENCY = Kind(
    "settled_in_another_currency",
    Family.CURRENCY,
    "Settled in another currency",
    "Stripe has converted the money: our balance got another currency than the student paid. Both sides are in "
    "suspense.",
    "Add a bank account in the student's currency at Stripe, so that it settles in it; then move what is on suspense, "
    "in each of the two currencies, to the account of our own that bears it.",
)
REVERSED_WITHOUT_SESSION = Kind(
    "reversed_without_session",
    Family.UNEXPLAINED,
    "Taken back from a coach without sessions",
    "Somebody has reversed in Stripe's dashboard a transfer to a coach whom nobody has ever paid for a session: it had "
    "paid a correction. It is in the books, on suspense.",
    "Propose to move it from suspense: to the coach's account, where the next run is to pay it to them again, else to "
    "our losses. Once another person has agreed and nothing of it is left there, it is explained.",
)
UNKNOWN_TYPE = Kind(
    "unknown_type",
    Family.UNEXPLAINED,
    "Not known what it is",
    "Stripe has moved our balance by a transaction of a type that we don't know. It is in the books, on suspense.",
    "Read at Stripe what it is, and propose to move it from suspense to where it belongs. Once another person has "
    "agreed and nothing of it is left there, it is explained.",
)

# --- sums ---------------------------------------------------------------------------------------

BALANCE_DIFFERS = Kind(
    "balance_differs",
    Family.SUMS,
    "The balances differ",
    "What our books have on the Stripe balance is not what Stripe has, available and pending together.",
    "The other differences in this list say which transactions it comes from. Without any, run the full comparison.",
)
RESERVE_DIFFERS = Kind(
    "reserve_differs",
    Family.SUMS,
    "The reserves differ",
    "Stripe keeps another amount back for coaches whose balance is below zero than our books have on reserves.",
    "Look at Stripe which coaches' balances are below zero. It comes right when theirs do; if it stays, ask Stripe.",
)
STATEMENT_CHANGED = Kind(
    "statement_changed",
    Family.UNEXPLAINED,
    "A closed statement has changed",
    "A coach's statement of a closed month, computed again, is not the one that they were given.",
    "A closed month can't change: somebody has changed rows past the program. Compare with a backup.",
)
TOTALS_CHANGED = Kind(
    "totals_changed",
    Family.UNEXPLAINED,
    "The sums of a closed month have changed",
    "What was summed up of a closed month for the totals of its year is not what our books say of it.",
    "A closed month can't change, nor its sums: somebody has changed rows past the program. Compare with a backup; "
    "declare nothing of that year before this is clear.",
)
CLEARING_TOO_OLD = Kind(
    "clearing_too_old",
    Family.STATE,
    "Too long on its way",
    "Money has been on its way in our books for longer than it ever takes.",
    "Look at the payment: a refund or dispute that does not end is for Stripe's support.",
)
BOOKS_DO_NOT_ADD_UP = Kind(
    "books_do_not_add_up",
    Family.SUMS,
    "Our books contradict themselves",
    "Our own rows and entries don't agree with each other, whatever Stripe says.",
    "Runs leave out the coach that it is about, or wait for all. The message says which rows to look at.",
)

ALL: tuple[Kind, ...] = (
    NOT_COMPARED,
    MISSING_HERE,
    ORPHAN_AT_STRIPE,
    ORPHAN_WITH_US,
    OUT_OF_REACH,
    LOST_CHANGE,
    TRANSFERRED_TWICE,
    REFUNDED_TWICE,
    HELD_TWICE,
    AMOUNT_DIFFERS,
    CURRENCY_DIFFERS,
    OWNER_DIFFERS,
    STATE_DIFFERS,
    REQUIREMENTS_DIFFER,
    MIRROR_DIFFERS,
    BANK_DIFFERS,
    CARD_DETACHED,
    NOT_BOOKED,
    BOOKED_WITHOUT_STRIPE,
    BOOKED_TWICE,
    BOOKED_AMOUNT_DIFFERS,
    BOOKED_CURRENCY_DIFFERS,
    BOOKED_SIGN_DIFFERS,
    BOOKED_PERIOD_DIFFERS,
    BOOKED_OWNER_DIFFERS,
    SETTLED_IN_ANOTHER_CURRENCY,
    REVERSED_WITHOUT_SESSION,
    UNKNOWN_TYPE,
    BALANCE_DIFFERS,
    RESERVE_DIFFERS,
    STATEMENT_CHANGED,
    TOTALS_CHANGED,
    CLEARING_TOO_OLD,
    BOOKS_DO_NOT_ADD_UP,
)
KINDS: dict[str, Kind] = {kind.code: kind for kind in ALL}
# What may be no difference at all where an earlier step of the same comparison did not come to its end.
MAY_FOLLOW = (
    MISSING_HERE,
    ORPHAN_AT_STRIPE,
    STATE_DIFFERS,
    NOT_BOOKED,
    BALANCE_DIFFERS,
    RESERVE_DIFFERS,
    CLEARING_TOO_OLD,
)
