"""Why banks refuse payouts. Stripe documents the codes; of the messages only some, the others are in its manner."""

# Test bank accounts and debit cards that refuse a payout, by number.
BY_NUMBER = {
    "4000056655665572": "could_not_process",
    "000111111116": "no_account",
    "000111111113": "account_closed",
    "000222222227": "insufficient_funds",
    "000333333335": "debit_not_authorized",
    "000444444440": "invalid_currency",
}
MESSAGES = {
    "account_closed": "The bank account has been closed.",
    "account_frozen": "The bank account has been frozen.",
    "bank_account_restricted": "The bank account has restrictions on either the type, or the number, of payouts allowed.",
    "bank_ownership_changed": "The destination bank account is no longer valid because its branch has changed ownership.",
    "could_not_process": "The bank could not process this payout.",
    "debit_not_authorized": "Debit transactions are not approved on your bank account.",
    "declined": "The bank has declined this transfer.",
    "incorrect_account_holder_address": "Your bank notified us that the bank account holder address on file is incorrect.",
    "incorrect_account_holder_name": "Your bank notified us that the bank account holder name on file is incorrect.",
    "incorrect_account_holder_tax_id": "Your bank notified us that the bank account holder tax ID on file is incorrect.",
    "incorrect_account_type": "Your bank notified us that the bank account type on file is incorrect.",
    "insufficient_funds": "Your Stripe account has insufficient funds to cover the payout.",
    "invalid_account_number": "The routing number seems correct, but the account number is invalid.",
    "invalid_account_number_length": "Your bank notified us that the bank account number is too long.",
    "invalid_currency": "The bank was unable to process this payout because of its currency.",
    "no_account": "The bank account details on file are probably incorrect. No bank account could be located with those details.",
    "unsupported_card": "The bank no longer supports payouts to this card.",
}
