"""Why a payout did not reach a bank, and why Stripe would not make one: in words, each with the way out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailureWords:
    """For the person whose money it is: what happened, and what they can do about it."""

    what: str
    way_out: str


ANOTHER_BANK = "Add another bank account, or this one again with its details corrected; the money is then sent there."
# Stripe pays nothing more to a bank account that has sent a payout back, whatever the reason was.
ADD_IT_AGAIN = "Add the bank account again, or another one; the money is then sent there."
ASK_YOUR_BANK = "Ask your bank what has to be changed there, then add the account again; or add another one."

# No failure: the account has left us while it was on its way.
OUT_OF_SIGHT = FailureWords(
    "This Stripe account is not connected with us any more, so we can't see whether this payout arrived.",
    "The money is yours, at Stripe: Stripe's support can say where it is.",
)

# Stripe's failure codes of payouts (https://docs.stripe.com/api/payouts/failures).
FAILURES = {
    "account_closed": FailureWords("The bank account has been closed.", ANOTHER_BANK),
    "account_frozen": FailureWords("The bank account is frozen.", ASK_YOUR_BANK),
    "bank_account_restricted": FailureWords(
        "The bank account does not take this kind of payment, or not this much of it.", ASK_YOUR_BANK
    ),
    "bank_ownership_changed": FailureWords("The bank account belongs to someone else now.", ANOTHER_BANK),
    "could_not_process": FailureWords("The bank could not process the payment.", ADD_IT_AGAIN),
    "debit_not_authorized": FailureWords("The bank account does not allow this kind of payment.", ASK_YOUR_BANK),
    "declined": FailureWords("The bank has declined the payment.", ASK_YOUR_BANK),
    "incorrect_account_holder_address": FailureWords(
        "The address of the account's holder is not the one that the bank has.", ANOTHER_BANK
    ),
    "incorrect_account_holder_name": FailureWords(
        "The name of the account's holder is not the one that the bank has.", ANOTHER_BANK
    ),
    "incorrect_account_holder_tax_id": FailureWords(
        "The tax number of the account's holder is not the one that the bank has.", ANOTHER_BANK
    ),
    "incorrect_account_type": FailureWords("The bank account is of another type than was given.", ANOTHER_BANK),
    "insufficient_funds": FailureWords("There was not enough money in the balance that this came from.", ADD_IT_AGAIN),
    "invalid_account_number": FailureWords("The bank has no account with this number.", ANOTHER_BANK),
    "invalid_account_number_length": FailureWords("The account number is too long or too short.", ANOTHER_BANK),
    "invalid_currency": FailureWords("The bank account does not take this currency.", ANOTHER_BANK),
    "no_account": FailureWords("The bank could not find the account.", ANOTHER_BANK),
    "unsupported_card": FailureWords("The bank does not take payments to this card.", ANOTHER_BANK),
}

# Stripe's error codes when it would not make a payout.
REFUSALS = {
    "balance_insufficient": FailureWords(
        "There is not that much available at Stripe.", "Look at the balance again and ask for less."
    ),
    "payouts_not_allowed": FailureWords(
        "Stripe has paused payouts from this account.", "Give Stripe the details that it asks for."
    ),
    "bank_account_unusable": FailureWords("Stripe can't use this bank account any more.", ANOTHER_BANK),
    "instant_payouts_unsupported": FailureWords(
        "This bank account or card can't be paid within minutes.",
        "Ask for a standard payout, or add a debit card that can.",
    ),
    "instant_payouts_limit_exceeded": FailureWords(
        "Stripe pays out no more within minutes today.", "Ask for a standard payout, or try again tomorrow."
    ),
    "instant_payouts_currency_disabled": FailureWords(
        "Stripe does not pay this currency out within minutes.", "Ask for a standard payout."
    ),
    "instant_payouts_config_disabled": FailureWords(
        "Stripe does not pay out within minutes from this account.", "Ask for a standard payout."
    ),
    "amount_too_small": FailureWords("Stripe does not pay out so little.", "Wait until there is more."),
    "amount_too_large": FailureWords("Stripe does not pay out so much at once.", "Ask for less."),
    "account_invalid": FailureWords(
        "This Stripe account is not connected with us any more.", "Stripe itself pays out what is left there."
    ),
}
UNKNOWN = FailureWords(
    "The payment did not reach the bank.",
    "Look whether Stripe asks you for something, ask your bank, or add another bank account.",
)


def failure_words(code: str) -> FailureWords:
    """For the code of a payout that has failed or was refused, known or not."""
    return FAILURES.get(code) or REFUSALS.get(code) or UNKNOWN
