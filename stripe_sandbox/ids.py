"""Ids and secrets in Stripe's shapes, drawn from one seeded source so that a seed repeats a run exactly."""

import random

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Object type -> (what the id begins with, how many random characters follow).
_SHAPES: dict[str, tuple[str, int]] = {
    "account": ("acct_1", 15),
    "account_token": ("ct_1", 23),
    "application": ("ca_", 32),
    "application_fee": ("fee_1", 23),
    "balance_transaction": ("txn_3", 23),
    "bank_account": ("ba_1", 23),
    "bank_account_token": ("btok_1", 23),
    "card": ("card_1", 23),
    "card_token": ("tok_1", 23),
    "charge": ("ch_3", 23),
    "checkout.session": ("cs_test_a1", 56),
    "customer": ("cus_", 14),
    "cvc_update_token": ("cvctok_1", 23),
    "dispute": ("dp_1", 23),
    "ephemeral_key": ("ephkey_1", 23),
    "event": ("evt_1", 23),
    "fee_refund": ("fr_1", 23),
    "file": ("file_1", 23),
    "item": ("li_1", 23),
    "payment": ("py_1", 23),
    "payment_refund": ("pyr_1", 23),
    "payment_intent": ("pi_3", 23),
    "payment_method": ("pm_1", 23),
    "payout": ("po_1", 23),
    "person": ("person_1", 23),
    "person_token": ("cpt_1", 23),
    "pii_token": ("pii_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
    "refund": ("re_3", 23),
    "radar.early_fraud_warning": ("issfr_1", 23),
    "request": ("req_", 14),
    "setup_attempt": ("setatt_1", 23),
    "setup_intent": ("seti_1", 23),
    "transfer": ("tr_1", 23),
    "transfer_reversal": ("trr_1", 23),
    "webhook_endpoint": ("we_1", 23),
}


def new_id(source: random.Random, kind: str) -> str:
    prefix, length = _SHAPES[kind]
    return prefix + token(source, length)


def token(source: random.Random, length: int) -> str:
    """Random letters and digits, for ids and client secrets."""
    return "".join(source.choices(_ALPHABET, k=length))
