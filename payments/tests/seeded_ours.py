"""Errors on our side, past all guards of the program and the database: rows changed, gone, there twice, or made up."""

from datetime import timedelta
from functools import partial

from django.db.models import F

from marketplace import clock
from marketplace.tests.factories import UserFactory
from payments import ledger
from payments.models import (
    BankAccount,
    Customer,
    Dispute,
    Earning,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Operation,
    Payment,
    Payout,
    PayoutAccount,
    Refund,
    Transfer,
)
from payments.reconcile import kinds
from payments.tests import seeded_errors as table
from payments.tests.seeded_scene import Found, Scene, found, guards_off, repaired

seeded = partial(table.seeded, side="ours")
INTENT, ENTRY = "payment_intent", "balance_transaction"


# --- missing ----------------------------------------------------------------------------------------


@seeded(table.MISSING)
def the_row_of_a_transfer_is_gone(scene: Scene) -> Found:
    with guards_off():
        Transfer.objects.filter(pk=scene.transfer.pk).delete()
    return repaired(kinds.MISSING_HERE, "transfer", scene.transfer.stripe_transfer_id)


@seeded(table.MISSING)
def the_row_of_a_payout_is_gone(scene: Scene) -> Found:
    with guards_off():
        Payout.objects.filter(stripe_payout_id=scene.payout).delete()
    return repaired(kinds.MISSING_HERE, "payout", scene.payout)


@seeded(table.MISSING)
def a_capture_is_not_booked(scene: Scene) -> Found:
    entry = scene.entry(scene.sent.charge_id)
    with guards_off():
        _forget_booking(scene.booked(entry))
    return found(kinds.NOT_BOOKED, ENTRY, entry)


def _forget_booking(booked: LedgerTransaction) -> None:
    booked.entries.all().delete()
    booked.delete()


# --- double -----------------------------------------------------------------------------------------


@seeded(table.DOUBLE)
def a_capture_is_booked_twice(scene: Scene) -> Found:
    return _booked_twice(scene, scene.entry(scene.paid.charge_id))


@seeded(table.DOUBLE)
def a_refund_is_booked_twice(scene: Scene) -> Found:
    """So there seems to be money on its way for longer than that ever takes."""
    on_its_way = found(kinds.CLEARING_TOO_OLD, "clearing_account", f"refunds_in_flight:{scene.paid.pk}:usd")
    return _booked_twice(scene, scene.entry(str(scene.refund.stripe_refund_id))) | on_its_way


@seeded(table.DOUBLE)
def a_transfer_is_booked_twice(scene: Scene) -> Found:
    return _booked_twice(scene, scene.entry(scene.transfer.stripe_transfer_id))


def _booked_twice(scene: Scene, entry: str) -> Found:
    booked = scene.booked(entry)
    lines = list(booked.entries.all())
    with guards_off():
        booked.pk, booked.reference, booked._state.adding = None, f"{booked.reference}-again", True
        booked.save(force_insert=True)
        for line in lines:
            line.pk, line.transaction, line._state.adding = None, booked, True
            line.save(force_insert=True)
    return found(kinds.BOOKED_TWICE, ENTRY, entry)


# --- wrong amount -----------------------------------------------------------------------------------


@seeded(table.AMOUNT)
def a_transfer_is_written_down_over_more(scene: Scene) -> Found:
    with guards_off():
        Transfer.objects.filter(pk=scene.transfer.pk).update(amount=F("amount") + 1)
    return found(kinds.AMOUNT_DIFFERS, "transfer", scene.transfer.stripe_transfer_id)


@seeded(table.AMOUNT)
def a_refund_is_written_down_over_less(scene: Scene) -> Found:
    with guards_off():
        Refund.objects.filter(pk=scene.refund.pk).update(amount=F("amount") - 1, coach_part=F("coach_part") - 1)
    return found(kinds.AMOUNT_DIFFERS, "refund", str(scene.refund.stripe_refund_id))


@seeded(table.AMOUNT)
def a_capture_is_booked_over_more(scene: Scene) -> Found:
    """By one line against another, so that the transaction adds up."""
    entry = scene.entry(scene.paid.charge_id)
    lines = scene.booked(entry).entries
    with guards_off():
        lines.filter(balance_transaction_id=entry).update(amount=F("amount") + 7)
        lines.filter(account__code="platform_revenue").update(amount=F("amount") - 7)
    return found(kinds.BOOKED_AMOUNT_DIFFERS, ENTRY, entry)


# --- wrong currency ---------------------------------------------------------------------------------


@seeded(table.CURRENCY)
def a_hold_is_written_down_in_another_currency(scene: Scene) -> Found:
    with guards_off():
        Payment.objects.filter(pk=scene.held.pk).update(currency="eur")
    return found(kinds.CURRENCY_DIFFERS, INTENT, str(scene.held.payment_intent_id))


@seeded(table.CURRENCY)
def a_transfer_is_written_down_in_another_currency(scene: Scene) -> Found:
    with guards_off():
        Transfer.objects.filter(pk=scene.transfer.pk).update(currency="eur")
    return found(kinds.CURRENCY_DIFFERS, "transfer", scene.transfer.stripe_transfer_id)


@seeded(table.CURRENCY)
def a_fee_is_booked_in_another_currency(scene: Scene) -> Found:
    with guards_off():
        for line in scene.booked(scene.fee).entries.select_related("account"):
            euros, _ = LedgerAccount.objects.get_or_create(code=line.account.code, currency="eur")
            LedgerEntry.objects.filter(pk=line.pk).update(account=euros)
    return found(kinds.BOOKED_CURRENCY_DIFFERS, ENTRY, scene.fee)


# --- wrong owner ------------------------------------------------------------------------------------


@seeded(table.OWNER)
def a_transfer_is_written_down_for_another_account(scene: Scene) -> Found:
    other = PayoutAccount.objects.get(coach=scene.direct).stripe_account_id
    with guards_off():
        Transfer.objects.filter(pk=scene.transfer.pk).update(destination=other)
    return found(kinds.OWNER_DIFFERS, "transfer", scene.transfer.stripe_transfer_id)


@seeded(table.OWNER)
def a_hold_is_written_down_for_another_student(scene: Scene) -> Found:
    other = UserFactory.create()
    Customer.objects.create(user=other, stripe_customer_id="cus_other000000000")
    with guards_off():
        Payment.objects.filter(pk=scene.held.pk).update(payer=other)
    return found(kinds.OWNER_DIFFERS, INTENT, str(scene.held.payment_intent_id))


@seeded(table.OWNER)
def a_transfer_is_booked_for_another_coach(scene: Scene) -> Found:
    entry = scene.entry(scene.transfer.stripe_transfer_id)
    other, _ = LedgerAccount.objects.get_or_create(code=ledger.coach_payable(scene.direct.pk), currency="usd")
    with guards_off():
        scene.booked(entry).entries.filter(balance_transaction_id="").update(account=other)
    return found(kinds.BOOKED_OWNER_DIFFERS, ENTRY, entry)


# --- wrong sign -------------------------------------------------------------------------------------


@seeded(table.SIGN)
def a_capture_is_booked_the_wrong_way_round(scene: Scene) -> Found:
    return _turned(scene, scene.entry(scene.sent.charge_id))


@seeded(table.SIGN)
def a_transfer_is_booked_the_wrong_way_round(scene: Scene) -> Found:
    return _turned(scene, scene.entry(scene.transfer.stripe_transfer_id))


@seeded(table.SIGN)
def a_fee_is_booked_the_wrong_way_round(scene: Scene) -> Found:
    return _turned(scene, scene.fee)


def _turned(scene: Scene, entry: str) -> Found:
    with guards_off():
        scene.booked(entry).entries.update(amount=-F("amount"))
    return found(kinds.BOOKED_SIGN_DIFFERS, ENTRY, entry)


# --- wrong period -----------------------------------------------------------------------------------


@seeded(table.PERIOD)
def a_capture_is_booked_a_month_late(scene: Scene) -> Found:
    return _dated(scene, scene.entry(scene.paid.charge_id), timedelta(days=31))


@seeded(table.PERIOD)
def a_refund_is_booked_a_year_early(scene: Scene) -> Found:
    return _dated(scene, scene.entry(str(scene.refund.stripe_refund_id)), timedelta(days=-365))


@seeded(table.PERIOD)
def a_fee_is_booked_a_day_early(scene: Scene) -> Found:
    return _dated(scene, scene.fee, timedelta(days=-1))


def _dated(scene: Scene, entry: str, by: timedelta) -> Found:
    booked = scene.booked(entry)
    with guards_off():
        LedgerTransaction.objects.filter(pk=booked.pk).update(occurred_at=booked.occurred_at + by)
    return found(kinds.BOOKED_PERIOD_DIFFERS, ENTRY, entry)


# --- wrong state ------------------------------------------------------------------------------------


@seeded(table.STATE)
def a_hold_is_believed_to_be_released(scene: Scene) -> Found:
    with guards_off():
        Payment.objects.filter(pk=scene.held.pk).update(status=Payment.Status.RELEASED)
    return found(kinds.STATE_DIFFERS, INTENT, str(scene.held.payment_intent_id))


@seeded(table.STATE)
def a_refund_is_believed_to_be_on_its_way(scene: Scene) -> Found:
    with guards_off():
        Refund.objects.filter(pk=scene.refund.pk).update(status=Refund.Status.PENDING, settled_at=None)
    return repaired(kinds.STATE_DIFFERS, "refund", str(scene.refund.stripe_refund_id))


@seeded(table.STATE)
def a_dispute_is_believed_to_be_an_inquiry(scene: Scene) -> Found:
    with guards_off():
        Dispute.objects.filter(pk=scene.dispute.pk).update(status=Dispute.Status.WARNING_NEEDS_RESPONSE)
    return repaired(kinds.STATE_DIFFERS, "dispute", scene.dispute.stripe_dispute_id)


# --- orphans ----------------------------------------------------------------------------------------


@seeded(table.ORPHAN_AT_STRIPE)
def a_hold_is_forgotten(scene: Scene) -> Found:
    with guards_off():
        _forget_payment(scene.held)
    return found(kinds.ORPHAN_AT_STRIPE, INTENT, str(scene.held.payment_intent_id))


@seeded(table.ORPHAN_AT_STRIPE)
def a_captured_payment_is_forgotten(scene: Scene) -> Found:
    """With the coach's share in it, our fee, and all that was booked of it."""
    fee = str(LedgerTransaction.objects.get(kind="application_fee", payment=scene.sent).reference)
    transfer = Transfer.objects.get(payment=scene.sent)
    sources = (scene.sent.charge_id, transfer.stripe_transfer_id, fee)
    entries = [scene.entry(source) for source in sources]
    with guards_off():
        transfer.delete()
        _forget_payment(scene.sent)
    expected = found(kinds.ORPHAN_AT_STRIPE, INTENT, str(scene.sent.payment_intent_id))
    expected |= found(kinds.ORPHAN_AT_STRIPE, "transfer", sources[1])
    expected |= found(kinds.ORPHAN_AT_STRIPE, "application_fee", fee)
    for entry in entries:
        expected |= found(kinds.NOT_BOOKED, ENTRY, entry)
    return expected


@seeded(table.ORPHAN_AT_STRIPE)
def an_account_is_forgotten(scene: Scene) -> Found:
    account = PayoutAccount.objects.get(coach=scene.direct)
    with guards_off():
        Payout.objects.filter(account=account).delete()
        BankAccount.objects.filter(account=account).delete()
        Operation.objects.filter(coach=scene.direct).delete()
        PayoutAccount.objects.filter(pk=account.pk).delete()
    return found(kinds.ORPHAN_AT_STRIPE, "account", account.stripe_account_id)


def _forget_payment(payment: Payment) -> None:
    for booked in LedgerTransaction.objects.filter(payment=payment):
        _forget_booking(booked)
    Earning.objects.filter(payment=payment).delete()
    Operation.objects.filter(payment=payment).delete()
    Payment.objects.filter(pk=payment.pk).delete()


@seeded(table.ORPHAN_WITH_US)
def a_payout_is_made_up(scene: Scene) -> Found:
    Payout.objects.create(
        account=PayoutAccount.objects.get(coach=scene.monthly),
        stripe_payout_id="po_madeUp",
        amount=5,
        currency="usd",
        status=Payout.Status.PAID,
        created_at=clock.now(),
        recorded_at=clock.now(),
    )
    return found(kinds.ORPHAN_WITH_US, "payout", "po_madeUp")


@seeded(table.ORPHAN_WITH_US)
def a_dispute_is_made_up(scene: Scene) -> Found:
    Dispute.objects.create(
        stripe_dispute_id="dp_madeUp",
        payment=scene.sent,
        charge_id=scene.sent.charge_id,
        amount=5,
        currency="usd",
        reason="fraudulent",
        status=Dispute.Status.LOST,
        opened_at=clock.now(),
        closed_at=clock.now(),
    )
    return found(kinds.ORPHAN_WITH_US, "dispute", "dp_madeUp")


@seeded(table.ORPHAN_WITH_US)
def a_booking_is_made_up(scene: Scene) -> Found:
    booked = scene.booked(scene.fee)
    with guards_off():
        made_up = LedgerTransaction.objects.create(
            kind=booked.kind, reference="txn_madeUp", occurred_at=booked.occurred_at, recorded_at=booked.recorded_at
        )
        for line in booked.entries.all():
            named = "txn_madeUp" if line.balance_transaction_id else ""
            LedgerEntry.objects.create(
                transaction=made_up, account=line.account, amount=line.amount, balance_transaction_id=named
            )
    return found(kinds.BOOKED_WITHOUT_STRIPE, ENTRY, "txn_madeUp")
