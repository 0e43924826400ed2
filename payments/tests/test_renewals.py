"""One hold takes over from another: never none where there was one, never two for long, and one capture at most."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from marketplace import clock
from marketplace.lib.money import Money
from payments import gateway, ledger, operations, pollers, services
from payments.facts import Fact, listen
from payments.models import Earning, Operation, Payment, SettlementMode
from payments.tests import reports, stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Kind = Operation.Kind
Status = Payment.Status
INTENTS = "/v1/payment_intents"


def work() -> None:
    """All that is written down is carried out, and what follows from it as well."""
    for _ in range(3):
        operations.sweep(now=clock.now() + timedelta(seconds=1))


def statuses(*payments):
    for payment in payments:
        payment.refresh_from_db()
    return [Status(payment.status) for payment in payments]


def at_stripe(sandbox, payment):
    return stage.at_stripe(sandbox, f"{INTENTS}/{payment.payment_intent_id}")["status"]


def cancel_behind_our_back(payment):
    gateway.cancel_payment_intent(str(payment.payment_intent_id), params={}, key=f"dashboard-{payment.pk}")


# --- taken over ---------------------------------------------------------------------------------


def test_the_old_hold_is_released_once_the_new_one_is_there(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    assert statuses(held, renewal) == [Status.HELD, Status.AUTHORISING]
    assert not Operation.objects.filter(kind=Kind.RELEASE).exists()
    work()
    assert statuses(held, renewal) == [Status.RELEASED, Status.HELD]
    assert (at_stripe(sandbox, held), at_stripe(sandbox, renewal)) == ("canceled", "requires_capture")
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.HOLD_RECORDED, renewal.pk), (Fact.RELEASED, held.pk)]
    assert [call["path"] for call in stage.calls(sandbox, INTENTS)] == [
        INTENTS,
        f"{INTENTS}/{held.payment_intent_id}/cancel",
    ]


def test_price_fee_card_and_end_are_those_of_the_old_one(held, settings):
    settings.PLATFORM_FEE_BPS = 9_000
    renewal = stage.renew_hold(held, clock.now())
    for name in ("reference", "amount", "currency", "fee_bps", "platform_fee", "card", "service_ends_at", "payer"):
        assert getattr(renewal, name) == getattr(held, name), name
    assert (renewal.opening, renewal.replaces, renewal.checkout_ends_at) == (Payment.Opening.CARD, held, None)


def test_it_is_settled_as_the_coach_is_paid_now(held, payable_coach):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    renewal = stage.renew_hold(held, clock.now())
    assert (renewal.settlement_mode, bool(renewal.destination)) == (SettlementMode.PER_SESSION, True)


@pytest.mark.parametrize("first", ["the answer", "an event", "the poller"])
def test_whoever_reports_the_new_hold_first_releases_the_old_one_once(first, sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    if first != "the answer":
        stage.break_next(sandbox, "reset_after_effect", INTENTS)
    operations.run_operation(renewal.operations.get().pk, now=clock.now())
    if first == "an event":
        reports.deliver_and_work(reports.events(sandbox, "payment_intent.amount_capturable_updated"))
    pollers.poll_open_payments(now=clock.now())
    work()
    reports.deliver_and_work(reports.events(sandbox))
    assert statuses(held, renewal) == [Status.RELEASED, Status.HELD]
    assert Operation.objects.filter(kind=Kind.RELEASE).count() == 1
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.HOLD_RECORDED, renewal.pk), (Fact.RELEASED, held.pk)]


def test_a_renewal_can_be_renewed(sandbox, held):
    first = stage.renew_hold(held, clock.now())
    work()
    first.refresh_from_db()
    second = stage.renew_hold(first, clock.now())
    work()
    assert statuses(held, first, second) == [Status.RELEASED, Status.RELEASED, Status.HELD]


def test_a_link_takes_over_from_a_hold_as_a_renewal_does(sandbox, held, student, payable_coach, settings):
    """The student pays for another time that the hold can't reach."""
    settings.PLATFORM_FEE_BPS = 9_000
    link = stage.open_page(student, payable_coach, replaces=held, price=Money(1, "usd"))
    assert (link.amount, link.platform_fee) == (held.amount, held.platform_fee)
    stage.pay(sandbox, link)
    services.refresh_payment(payment=link, now=clock.now())
    work()
    assert statuses(held, link) == [Status.RELEASED, Status.HELD]


def test_a_student_can_pay_by_link_while_the_coach_can_not_be_paid(sandbox, student, payable_coach, heard):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    held = stage.hold(sandbox, student, payable_coach)
    sandbox.post(f"/_sandbox/accounts/{held.destination}/restrict")
    services.refresh_payout_account(account=payable_coach.payout_account, now=clock.now())
    link = stage.open_page(student, payable_coach, replaces=held)
    assert (link.settlement_mode, link.destination) == (SettlementMode.MONTHLY, "")
    stage.pay(sandbox, link)
    services.refresh_payment(payment=link, now=clock.now())
    work()
    assert statuses(held, link) == [Status.RELEASED, Status.HELD]


# --- not taken over -----------------------------------------------------------------------------


@pytest.fixture
def held_on_a_fickle_card(sandbox, student, payable_coach, heard):
    """Held while the student was present; off-session the bank would want them again."""
    return stage.hold(sandbox, student, payable_coach, card="pm_card_authenticationRequired")


def test_a_refused_renewal_leaves_the_old_hold(sandbox, held_on_a_fickle_card, heard):
    held = held_on_a_fickle_card
    renewal = stage.renew_hold(held, clock.now())
    work()
    assert statuses(held, renewal) == [Status.HELD, Status.REFUSED]
    assert at_stripe(sandbox, held) == "requires_capture"
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.HOLD_REFUSED, renewal.pk)]
    stage.request_capture(held, clock.now())
    work()
    assert statuses(held) == [Status.CAPTURED]


def test_only_one_is_under_way(held, student, payable_coach):
    stage.renew_hold(held, clock.now())
    with pytest.raises(services.HoldUnderWay):
        stage.renew_hold(held, clock.now())
    with pytest.raises(services.HoldUnderWay):
        stage.write_down_payment(student, payable_coach, replaces=held)
    assert Payment.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_renewals_at_once_one_is_begun(sandbox, held):
    refused = []

    def renew():
        try:
            stage.renew_hold(Payment.objects.get(pk=held.pk), clock.now())
        except services.HoldUnderWay:
            refused.append(renew)

    stage.at_once([renew] * 5)
    work()
    assert len(refused) == 4
    assert stage.effects(sandbox, INTENTS) == 2  # held anew, and the old one released
    assert sorted(Payment.objects.values_list("status", flat=True)) == [Status.HELD, Status.RELEASED]


def test_without_a_card_there_is_no_renewal(held):
    Payment.objects.update(card=None)
    held.refresh_from_db()
    with pytest.raises(services.NoSavedCard):
        stage.renew_hold(held, clock.now())
    assert Payment.objects.count() == 1


# --- both orders: the old hold ends, the new one comes ------------------------------------------


def test_the_old_hold_ends_before_the_new_one_comes(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    services.refresh_payment(payment=held, now=clock.now())
    work()
    assert statuses(held, renewal) == [Status.LOST, Status.HELD]
    assert heard[1:] == [(Fact.HOLD_LOST, held.pk), (Fact.HOLD_RECORDED, renewal.pk)]
    assert stage.calls(sandbox, "/cancel") == []


def test_the_old_hold_ends_while_it_is_being_released(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    operations.run_operation(renewal.operations.get().pk, now=clock.now())
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    services.refresh_payment(payment=held, now=clock.now())
    work()
    assert statuses(held, renewal) == [Status.RELEASED, Status.HELD]
    assert heard[1:] == [(Fact.HOLD_RECORDED, renewal.pk), (Fact.RELEASED, held.pk)]


def test_a_lost_hold_is_made_anew(sandbox, held, heard):
    cancel_behind_our_back(held)
    pollers.poll_open_payments(now=clock.now() + timedelta(hours=2))
    assert statuses(held) == [Status.LOST]
    renewal = stage.renew_hold(held, clock.now())
    work()
    assert statuses(held, renewal) == [Status.LOST, Status.HELD]
    assert heard[1:] == [(Fact.HOLD_LOST, held.pk), (Fact.HOLD_RECORDED, renewal.pk)]


def test_the_booking_ended_meanwhile_and_the_new_hold_is_told_of_all_the_same(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    stage.give_back(held, clock.now())
    stage.give_back(renewal, clock.now())
    work()
    assert statuses(held, renewal) == [Status.RELEASED, Status.HELD]
    assert (Fact.HOLD_RECORDED, renewal.pk) in heard  # whoever hears of it gives it back
    stage.give_back(renewal, clock.now())
    work()
    assert statuses(renewal) == [Status.RELEASED]
    assert (at_stripe(sandbox, held), at_stripe(sandbox, renewal)) == ("canceled", "canceled")


# --- a capture races a renewal ------------------------------------------------------------------


def test_what_is_being_captured_makes_the_new_hold_one_too_many(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    stage.request_capture(held, clock.now())
    operations.run_operation(renewal.operations.get().pk, now=clock.now())
    assert statuses(held, renewal) == [Status.CAPTURING, Status.RELEASING]
    work()
    assert statuses(held, renewal) == [Status.CAPTURED, Status.RELEASED]
    assert stage.effects(sandbox, "/capture") == 1
    assert (Fact.HOLD_RECORDED, renewal.pk) not in heard
    assert ledger.check() == []


def test_what_was_captured_makes_the_new_hold_one_too_many(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    stage.request_capture(held, clock.now())
    operations.run_operation(held.operations.get(kind=Kind.CAPTURE).pk, now=clock.now())
    work()
    assert statuses(held, renewal) == [Status.CAPTURED, Status.RELEASED]
    assert (at_stripe(sandbox, held), at_stripe(sandbox, renewal)) == ("succeeded", "canceled")


def test_a_hold_that_is_taken_over_can_not_be_captured_any_more(sandbox, held):
    renewal = stage.renew_hold(held, clock.now())
    operations.run_operation(renewal.operations.get().pk, now=clock.now())
    with pytest.raises(services.PaymentNotHeld):
        stage.request_capture(held, clock.now())
    work()
    assert stage.effects(sandbox, "/capture") == 0


@pytest.mark.django_db(transaction=True)
def test_a_capture_and_a_new_hold_at_the_same_moment_are_one_capture(sandbox, held, heard):
    renewal = stage.renew_hold(held, clock.now())
    asked = renewal.operations.get()

    def complete():
        """As a completed session does: what is held by now is taken."""
        current = Payment.objects.get(reference=held.reference, status=Status.HELD)
        try:
            stage.request_capture(current, clock.now())
        except services.PaymentNotHeld:
            stage.request_capture(Payment.objects.get(pk=renewal.pk), clock.now())

    stage.at_once([lambda: operations.run_operation(asked.pk, now=clock.now()), complete])
    work()
    pollers.poll_open_payments(now=clock.now() + timedelta(hours=2))
    assert sorted(statuses(held, renewal)) == [Status.CAPTURED, Status.RELEASED]
    assert stage.effects(sandbox, "/capture") == 1
    assert Earning.objects.count() == 1
    assert ledger.check() == []


def test_captured_at_the_dashboard_before_we_knew_of_the_new_hold(sandbox, held, heard):
    """The new hold's answer is lost, and someone has taken it: the old one is given back all the same."""
    renewal = stage.renew_hold(held, clock.now())
    stage.break_next(sandbox, "reset_after_effect", INTENTS)
    operations.run_operation(renewal.operations.get().pk, now=clock.now())
    newest = stage.at_stripe(sandbox, f"{INTENTS}?limit=1")["data"][0]["id"]
    gateway.capture_payment_intent(newest, params={}, key="dashboard")
    pollers.poll_open_payments(now=clock.now())
    work()
    assert statuses(held, renewal) == [Status.RELEASED, Status.CAPTURED]
    assert heard[1:3] == [(Fact.HOLD_RECORDED, renewal.pk), (Fact.CAPTURED, renewal.pk)]
    assert ledger.check() == []


# --- noticed without any event ------------------------------------------------------------------


def test_a_hold_cancelled_at_the_dashboard_is_noticed_within_the_hour(sandbox, held, heard):
    pollers.poll_open_payments(now=clock.now())
    cancel_behind_our_back(held)
    sandbox.advance(3700)
    pollers.poll_open_payments(now=clock.now())
    assert statuses(held) == [Status.LOST]
    assert heard[-1] == (Fact.HOLD_LOST, held.pk)


def test_an_off_session_hold_that_runs_out_is_noticed(sandbox, student, payable_coach, heard):
    payment = stage.save_card(sandbox, student, payable_coach)
    stage.request_hold(payment, clock.now())
    work()
    sandbox.advance((4 * 24 + 18) * 3600 + 60)
    pollers.poll_open_payments(now=clock.now())
    assert statuses(payment) == [Status.LOST]
    assert heard[-1] == (Fact.HOLD_LOST, payment.pk)


# --- moved to a later time ----------------------------------------------------------------------


def test_a_session_moved_far_ahead_keeps_the_card_and_not_the_hold(sandbox, held, heard):
    later = held.service_ends_at + timedelta(days=30)
    kept = services.keep_card(payment=held, service_ends_at=later, now=clock.now())
    work()
    assert statuses(held, kept) == [Status.RELEASED, Status.SAVED]
    assert (kept.card, kept.amount, kept.platform_fee) == (held.card, held.amount, held.platform_fee)
    assert (kept.service_ends_at, kept.replaces) == (later, None)
    stage.request_hold(kept, clock.now())
    work()
    assert statuses(held, kept) == [Status.RELEASED, Status.HELD]
    assert at_stripe(sandbox, held) == "canceled"


def test_nothing_is_given_up_where_there_is_no_card_to_hold_on_later(held):
    Payment.objects.update(card=None)
    held.refresh_from_db()
    with pytest.raises(services.NoSavedCard):
        services.keep_card(payment=held, service_ends_at=held.service_ends_at, now=clock.now())
    assert statuses(held) == [Status.HELD]
    assert not Operation.objects.filter(kind=Kind.RELEASE).exists()


def test_nothing_is_given_up_while_another_hold_is_under_way(held):
    renewal = stage.renew_hold(held, clock.now())
    with pytest.raises(services.HoldUnderWay):
        services.keep_card(payment=held, service_ends_at=held.service_ends_at, now=clock.now())
    assert statuses(held, renewal) == [Status.HELD, Status.AUTHORISING]


def test_a_card_is_kept_only_of_a_hold(sandbox, student, payable_coach, heard):
    saved = stage.save_card(sandbox, student, payable_coach)
    with pytest.raises(services.PaymentNotHeld):
        services.keep_card(payment=saved, service_ends_at=saved.service_ends_at, now=clock.now())
    assert Payment.objects.count() == 1


def test_a_session_moved_a_little_takes_its_earning_along(held):
    later = held.service_ends_at + timedelta(days=1)
    services.move_service_end(payment=held, service_ends_at=later)
    stage.request_capture(held, clock.now())
    work()
    assert Earning.objects.get().release_at == later + timedelta(days=7)


def test_a_hold_that_is_under_way_moves_with_the_one_it_takes_over_from(held):
    renewal = stage.renew_hold(held, clock.now())
    later = held.service_ends_at + timedelta(days=1)
    services.move_service_end(payment=held, service_ends_at=later)
    renewal.refresh_from_db()
    assert renewal.service_ends_at == later


def test_a_bug_of_a_listener_gives_no_hold_up(sandbox, held, heard):
    """It breaks a rule of the database: that is loud, and comes round again, with both holds in place."""

    def trip(payment, now):
        raise IntegrityError("a rule of the listener's own")

    renewal = stage.renew_hold(held, clock.now())
    listen(Fact.HOLD_RECORDED, trip)
    with pytest.raises(IntegrityError):
        operations.run_operation(renewal.operations.get().pk, now=clock.now())
    assert statuses(held, renewal) == [Status.HELD, Status.AUTHORISING]
    assert not Operation.objects.filter(kind=Kind.RELEASE).exists()
