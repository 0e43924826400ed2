"""Errors on Stripe's side: objects falsified, gone, there twice, or made by nobody we know."""

from functools import partial

from payments.models import PayoutAccount
from payments.reconcile import kinds
from payments.tests import seeded_errors as table
from payments.tests import stage
from payments.tests.seeded_scene import DAY, Found, Scene, found, repaired

seeded = partial(table.seeded, side="stripes")
INTENT, ENTRY = "payment_intent", "balance_transaction"
EARLIER = 1_700_000_000  # November 2023
NEVER_SEEN = "ch_neverSeenByAnybody00000"


# --- missing: what we have booked is not on Stripe's balance -----------------------------------------


@seeded(table.MISSING)
def the_entry_of_a_capture_is_gone(scene: Scene) -> Found:
    return _erased_entry(scene, scene.paid.charge_id)


@seeded(table.MISSING)
def the_entry_of_a_refund_is_gone(scene: Scene) -> Found:
    return _erased_entry(scene, str(scene.refund.stripe_refund_id))


@seeded(table.MISSING)
def the_entry_of_a_transfer_is_gone(scene: Scene) -> Found:
    return _erased_entry(scene, scene.transfer.stripe_transfer_id)


def _erased_entry(scene: Scene, source: str) -> Found:
    entry = scene.entry(source)
    scene.erase(entry)
    return found(kinds.BOOKED_WITHOUT_STRIPE, ENTRY, entry)


# --- double -----------------------------------------------------------------------------------------


@seeded(table.DOUBLE)
def a_line_is_transferred_twice(scene: Scene) -> Found:
    transfer = scene.transfer.stripe_transfer_id
    new = scene.copy(transfer)
    return found(kinds.TRANSFERRED_TWICE, "transfer", new[transfer]) | _not_booked(scene, new[transfer])


@seeded(table.DOUBLE)
def a_lesson_is_held_twice(scene: Scene) -> Found:
    intent = str(scene.held.payment_intent_id)
    return found(kinds.HELD_TWICE, INTENT, scene.copy(intent)[intent])


@seeded(table.DOUBLE)
def a_refund_is_made_twice(scene: Scene) -> Found:
    refund = str(scene.refund.stripe_refund_id)
    new = scene.copy(refund)
    return found(kinds.REFUNDED_TWICE, "refund", new[refund]) | _not_booked(scene, new[refund])


def _not_booked(scene: Scene, source: str) -> Found:
    return found(kinds.NOT_BOOKED, ENTRY, scene.entry(source))


# --- wrong amount -----------------------------------------------------------------------------------


@seeded(table.AMOUNT)
def a_hold_is_over_more(scene: Scene) -> Found:
    return _falsified(scene, kinds.AMOUNT_DIFFERS, INTENT, str(scene.held.payment_intent_id), amount=20_000)


@seeded(table.AMOUNT)
def a_transfer_is_over_less(scene: Scene) -> Found:
    return _falsified(scene, kinds.AMOUNT_DIFFERS, "transfer", scene.transfer.stripe_transfer_id, amount=1)


@seeded(table.AMOUNT)
def an_entry_is_over_less(scene: Scene) -> Found:
    return _falsified(scene, kinds.BOOKED_AMOUNT_DIFFERS, ENTRY, scene.fee, amount=-199)


def _falsified(scene: Scene, kind: kinds.Kind, object_type: str, stripe_id: str, **fields: object) -> Found:
    scene.falsify(stripe_id, fields)
    return found(kind, object_type, stripe_id)


# --- wrong currency ---------------------------------------------------------------------------------


@seeded(table.CURRENCY)
def a_hold_is_in_another_currency(scene: Scene) -> Found:
    return _falsified(scene, kinds.CURRENCY_DIFFERS, INTENT, str(scene.held.payment_intent_id), currency="eur")


@seeded(table.CURRENCY)
def a_refund_is_in_another_currency(scene: Scene) -> Found:
    return _falsified(scene, kinds.CURRENCY_DIFFERS, "refund", str(scene.refund.stripe_refund_id), currency="eur")


@seeded(table.CURRENCY)
def an_entry_is_in_another_currency(scene: Scene) -> Found:
    return _falsified(scene, kinds.BOOKED_CURRENCY_DIFFERS, ENTRY, scene.fee, currency="eur")


# --- wrong owner ------------------------------------------------------------------------------------


@seeded(table.OWNER)
def a_transfer_went_to_another_coach(scene: Scene) -> Found:
    other = PayoutAccount.objects.get(coach=scene.direct).stripe_account_id
    return _falsified(scene, kinds.OWNER_DIFFERS, "transfer", scene.transfer.stripe_transfer_id, destination=other)


@seeded(table.OWNER)
def a_hold_is_on_another_students_card(scene: Scene) -> Found:
    intent = str(scene.held.payment_intent_id)
    return _falsified(scene, kinds.OWNER_DIFFERS, INTENT, intent, customer="cus_other000000000")


@seeded(table.OWNER)
def a_refund_is_of_another_payment(scene: Scene) -> Found:
    other = str(scene.sent.payment_intent_id)
    return _falsified(scene, kinds.OWNER_DIFFERS, "refund", str(scene.refund.stripe_refund_id), payment_intent=other)


# --- wrong sign -------------------------------------------------------------------------------------


@seeded(table.SIGN)
def a_fee_was_given_instead_of_taken(scene: Scene) -> Found:
    return _falsified(scene, kinds.BOOKED_SIGN_DIFFERS, ENTRY, scene.fee, amount=200)


@seeded(table.SIGN)
def a_transfer_came_instead_of_going(scene: Scene) -> Found:
    return _turned(scene, scene.transfer.stripe_transfer_id, scene.transfer.amount)


@seeded(table.SIGN)
def a_refund_came_instead_of_going(scene: Scene) -> Found:
    return _turned(scene, str(scene.refund.stripe_refund_id), scene.refund.amount)


def _turned(scene: Scene, source: str, amount: int) -> Found:
    return _falsified(scene, kinds.BOOKED_SIGN_DIFFERS, ENTRY, scene.entry(source), amount=amount)


# --- wrong period -----------------------------------------------------------------------------------


@seeded(table.PERIOD)
def a_capture_was_years_ago(scene: Scene) -> Found:
    return _falsified(scene, kinds.BOOKED_PERIOD_DIFFERS, ENTRY, scene.entry(scene.sent.charge_id), created=EARLIER)


@seeded(table.PERIOD)
def a_transfer_was_a_day_before(scene: Scene) -> Found:
    entry = scene.entry(scene.transfer.stripe_transfer_id)
    before = stage.at_stripe(scene.sandbox, f"/v1/balance_transactions/{entry}")["created"] - DAY
    return _falsified(scene, kinds.BOOKED_PERIOD_DIFFERS, ENTRY, entry, created=before)


@seeded(table.PERIOD)
def a_fee_is_of_another_year(scene: Scene) -> Found:
    return _falsified(scene, kinds.BOOKED_PERIOD_DIFFERS, ENTRY, scene.fee, created=EARLIER)


# --- wrong state ------------------------------------------------------------------------------------


@seeded(table.STATE)
def a_hold_has_ended(scene: Scene) -> Found:
    intent = str(scene.held.payment_intent_id)
    scene.falsify(intent, {"status": "canceled", "amount_capturable": 0, "canceled_at": EARLIER})
    return repaired(kinds.STATE_DIFFERS, INTENT, intent)


@seeded(table.STATE)
def a_payout_has_failed(scene: Scene) -> Found:
    scene.falsify(scene.payout, {"status": "failed", "failure_code": "account_closed"})
    return repaired(kinds.STATE_DIFFERS, "payout", scene.payout)


@seeded(table.STATE)
def a_capture_was_never_made(scene: Scene) -> Found:
    return _falsified(
        scene, kinds.STATE_DIFFERS, INTENT, str(scene.sent.payment_intent_id), status="requires_payment_method"
    )


# --- orphans ----------------------------------------------------------------------------------------


@seeded(table.ORPHAN_AT_STRIPE)
def a_transfer_that_nobody_here_made(scene: Scene) -> Found:
    account = PayoutAccount.objects.get(coach=scene.monthly).stripe_account_id
    form = {"amount": 700, "currency": "usd", "destination": account}
    made = str(stage.post_at_stripe(scene.sandbox, "/v1/transfers", form)["id"])
    return found(kinds.ORPHAN_AT_STRIPE, "transfer", made) | _not_booked(scene, made)


@seeded(table.ORPHAN_AT_STRIPE)
def a_charge_that_nobody_here_made(scene: Scene) -> Found:
    card = {"payment_method": "pm_card_visa", "payment_method_types[]": "card", "confirm": "true"}
    made = stage.post_at_stripe(scene.sandbox, "/v1/payment_intents", {"amount": 900, "currency": "usd", **card})
    return found(kinds.ORPHAN_AT_STRIPE, INTENT, made["id"]) | _not_booked(scene, made["latest_charge"])


@seeded(table.ORPHAN_AT_STRIPE)
def money_for_an_object_that_was_never_seen(scene: Scene) -> Found:
    return found(kinds.NOT_BOOKED, ENTRY, scene.move(type="charge", amount=5_000, fee=175, source=NEVER_SEEN))


@seeded(table.ORPHAN_WITH_US)
def a_hold_is_not_at_stripe(scene: Scene) -> Found:
    return _erased(scene, INTENT, str(scene.held.payment_intent_id))


@seeded(table.ORPHAN_WITH_US)
def a_transfer_is_not_at_stripe(scene: Scene) -> Found:
    return _erased(scene, "transfer", scene.transfer.stripe_transfer_id)


@seeded(table.ORPHAN_WITH_US)
def a_dispute_is_not_at_stripe(scene: Scene) -> Found:
    return _erased(scene, "dispute", scene.dispute.stripe_dispute_id)


def _erased(scene: Scene, object_type: str, stripe_id: str) -> Found:
    scene.erase(stripe_id)
    return found(kinds.ORPHAN_WITH_US, object_type, stripe_id)
