"""Why a payout did not arrive, in words for whoever waits for it."""

import pytest

from payments import payout_failures

STRIPES_CODES = """
    account_closed account_frozen bank_account_restricted bank_ownership_changed could_not_process debit_not_authorized
    declined incorrect_account_holder_address incorrect_account_holder_name incorrect_account_holder_tax_id
    incorrect_account_type insufficient_funds invalid_account_number invalid_account_number_length invalid_currency
    no_account unsupported_card
""".split()


@pytest.mark.parametrize("code", STRIPES_CODES)
def test_each_reason_of_a_bank_has_words_and_a_way_out(code: str) -> None:
    words = payout_failures.FAILURES[code]
    assert words.what
    assert words.way_out
    assert payout_failures.failure_words(code) == words


@pytest.mark.parametrize("code", STRIPES_CODES)
def test_no_way_out_asks_again_of_a_bank_that_stripe_pays_no_more(code: str) -> None:
    """Whatever the reason: Stripe sends nothing there until the bank account was added again, or another one."""
    assert "add" in payout_failures.failure_words(code).way_out.lower()
    assert "once more" not in payout_failures.failure_words(code).way_out


@pytest.mark.parametrize("code", ["", "something_new"])
def test_a_reason_that_nobody_knows_has_words_too(code: str) -> None:
    assert payout_failures.failure_words(code).way_out
