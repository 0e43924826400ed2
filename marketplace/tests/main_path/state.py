"""What a run leaves behind, in our books and at Stripe, in a form that two runs can be compared by.

Without times, surrogate ids, and how often anything was tried.
"""

import re
from collections import Counter
from typing import Any

from django.conf import settings

from bookings.models import Booking
from coaches.models import Coach
from marketplace.tests.main_path.product import Product
from payments import ledger
from payments.models import (
    Customer,
    Earning,
    LedgerEntry,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    StripeEvent,
    Transfer,
)

Facts = dict[str, Any]


def state(product: Product) -> Facts:
    return {**_bookings(), **_money(), **_books(), **_stripe(product)}


# --- ours ---------------------------------------------------------------------------------------


def _bookings() -> Facts:
    return {
        "coaches": list(Coach.objects.order_by("slug").values_list("slug", "payable")),
        "bookings": [_booking(booking) for booking in Booking.objects.order_by("starts_at")],
    }


# Whether one was still in time depends on how soon a timer ran after the clock had leapt.
REMINDERS = ("remind_to_answer", "remind_day_before", "remind_hour_before")


def _booking(booking: Booking) -> Facts:
    # In the order of their writing: two processes may notice a moved clock one after the other.
    events = booking.events.exclude(transition__in=REMINDERS).order_by("pk")
    # Those of an earlier state are not sent any more where the next state came first.
    told = events.filter(status_after=booking.status).exclude(notices=None)
    notices = told.values_list("notices__recipient", "notices__template")
    return {
        "status": booking.status,
        "price": [booking.price_amount, booking.currency],
        "room": hasattr(booking, "live_session"),
        "events": list(events.values_list("transition", "actor_role", "status_before", "status_after", "reason")),
        "mails sent": sorted(notices.filter(notices__sent_at__isnull=False)),
        "mails owed": sorted(notices.filter(notices__sent_at=None)),
    }


def _money() -> Facts:
    accounts = PayoutAccount.objects.values_list(
        *("coach__slug", "country", "default_currency", "details_submitted", "charges_enabled", "payouts_enabled"),
        *("transfers_active", "disabled_reason", "settlement_mode"),
    )
    # A run for a month in which nobody earned anything may be there or not.
    runs = PayoutRun.objects.exclude(lines=None).order_by("month")
    return {
        "payout accounts": sorted(accounts),
        "customers": sorted(Customer.objects.values_list("user__email", flat=True)),
        "payments": [_payment(payment) for payment in Payment.objects.order_by("service_ends_at")],
        "operations": sorted(map(_operation, Operation.objects.all())),
        "earnings": sorted(Earning.objects.values_list("coach__slug", "amount", "currency", "frozen", "line__status")),
        "runs": list(runs.values_list("month", "status")),
        "lines": sorted(PayoutLine.objects.values_list("coach__slug", "amount", "currency", "status", "waiting_for")),
        "transfers": sorted(
            (each.coach.slug, each.amount, each.currency, each.line is not None, each.payment is not None)
            for each in Transfer.objects.all()
        ),
    }


def _payment(payment: Payment) -> Facts:
    return {
        "amount": [payment.amount, payment.currency, payment.fee_bps, payment.platform_fee],
        "mode": payment.settlement_mode,
        "status": payment.status,
        "captured": payment.captured_amount,
        "times": [
            getattr(payment, name) is not None for name in ("capture_before", "held_at", "captured_at", "released_at")
        ],
        "at stripe": [
            bool(getattr(payment, name))
            for name in ("checkout_session_id", "payment_intent_id", "charge_id", "destination")
        ],
    }


def _operation(operation: Operation) -> tuple[str, ...]:
    about = operation.payment.service_ends_at.isoformat() if operation.payment else ""
    return (operation.kind, about, operation.state, _kind_of_id(operation.result_id), operation.error_code)


def _kind_of_id(stripe_id: str) -> str:
    return stripe_id.partition("_")[0]


def _books() -> Facts:
    return {"ledger": sorted(map(_posting, LedgerTransaction.objects.prefetch_related("entries__account")))}


def _posting(posting: LedgerTransaction) -> tuple[Any, ...]:
    about = posting.payment.service_ends_at.isoformat() if posting.payment else ""
    return (posting.kind, _kind_of_id(posting.reference), about, sorted(map(_entry, posting.entries.all())))


def _entry(entry: LedgerEntry) -> tuple[Any, ...]:
    account = re.sub(r":\d+$", ":coach", entry.account.code)
    return (account, entry.account.currency, entry.amount, bool(entry.balance_transaction_id))


# --- Stripe's -----------------------------------------------------------------------------------

SHOWN = {
    "accounts": ("country", "details_submitted", "charges_enabled", "payouts_enabled", "capabilities"),
    "customers": ("email", "name"),
    "checkout/sessions": ("amount_total", "currency", "status", "payment_status", "client_reference_id"),
    "payment_intents": ("amount", "amount_received", "currency", "status", "application_fee_amount"),
    "charges": ("amount", "amount_captured", "amount_refunded", "captured", "refunded", "status"),
    "transfers": ("amount", "amount_reversed", "currency", "transfer_group"),
    "application_fees": ("amount", "amount_refunded", "currency"),
    "refunds": ("amount", "status"),
    "balance_transactions": ("type", "amount", "fee", "net", "currency"),
}


def _stripe(product: Product) -> Facts:
    listed = {f"stripe {path}": _listed(product, path, names) for path, names in SHOWN.items()}
    accounts = product.stripe_list("accounts")
    return {
        **listed,
        "stripe platform": stripe_balance(product),
        "stripe coaches": [received_by(product, account["id"]) for account in accounts],
    }


def _listed(product: Product, path: str, names: tuple[str, ...]) -> list[str]:
    """Sorted, since which of two came first is no matter, and without the ids of other objects."""
    rows = ([_without_id(each[name]) for name in names] for each in product.stripe_list(path))
    return sorted(map(repr, rows))


def _without_id(value: Any) -> Any:
    return re.sub(r"_pi_\w+", "_pi", value) if isinstance(value, str) else value


def stripe_balance(product: Product, account: str = "") -> Counter[str]:
    """Available and pending together, by currency; what is nothing is not there."""
    balance = product.stripe_read("balance", account)
    total: Counter[str] = Counter()
    for part in balance["available"] + balance["pending"]:
        total[part["currency"]] += part["amount"]
    return Counter({currency: amount for currency, amount in total.items() if amount})


def received_by(product: Product, account: str) -> Counter[str]:
    """All that has come to a connected account: what is there, and what Stripe has paid out to its bank."""
    total = stripe_balance(product, account)
    for payout in product.stripe_list("payouts", account):
        total[payout["currency"]] += payout["amount"]
    return total


# --- what must be true of every state -----------------------------------------------------------


def assert_sound(product: Product) -> None:
    """The books balance and agree with Stripe to the cent; nothing was asked of Stripe but what was written down."""
    assert ledger.check() == []
    for currency in settings.CURRENCIES:
        assert ledger.balance("stripe_balance", currency).amount == stripe_balance(product)[currency]
    assert _booked() == Counter(row["id"] for row in product.stripe_list("balance_transactions"))
    assert list(StripeEvent.objects.filter(state=StripeEvent.State.PARKED).values_list("type", "reason")) == []
    failed = StripeEvent.objects.filter(mirror_state=StripeEvent.MirrorState.FAILED)
    assert list(failed.values_list("type", "mirror_error")) == []
    _assert_keys_are_sound(product)


def _booked() -> Counter[str]:
    entries = LedgerEntry.objects.exclude(balance_transaction_id="")
    return Counter(entries.values_list("balance_transaction_id", flat=True))


def _assert_keys_are_sound(product: Product) -> None:
    """Each change bears the key of an Operation that was there before it, and a key means one thing for ever."""
    meaning: dict[str, Any] = {}
    operations = {str(operation.pk): operation for operation in Operation.objects.all()}
    for row in changes(product):
        key = row["idempotency_key"]
        assert key, f"{row['path']} was sent without a key"
        if row["params"] is not None:  # else a fault came before it was read
            assert meaning.setdefault(key, (row["path"], row["params"])) == (row["path"], row["params"])
        if row["path"] != "/v1/account_links":  # it makes nothing that lasts
            assert key.rpartition("-")[0] in operations, f"{row['path']} was sent without an operation"


def changes(product: Product) -> list[Facts]:
    """The sandbox's log of requests that change something, tried again or not, oldest first."""
    log: list[Facts] = product.stripe_control("GET", "requests")["data"]
    return [row for row in log if row["method"] != "GET"]
