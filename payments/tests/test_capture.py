"""Taking the money: once, booked to the cent in both modes, and true to whatever Stripe says."""

from dataclasses import replace
from functools import partial

import pytest

from marketplace import clock
from marketplace.lib.money import Money
from payments import earnings, gateway, ledger, operations, pollers, services
from payments.errors import NotYetError, StripeMismatchError
from payments.facts import Fact
from payments.models import Earning, LedgerEntry, LedgerTransaction, Operation, Payment, SettlementMode, Transfer
from payments.stripe_objects import BalanceTransactionFacts, IntentFacts
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Payment.Status


def books(currency: str = "usd") -> dict[str, int]:
    """Each account's balance, zeros left out, as the ledger has it."""
    codes = LedgerEntry.objects.values_list("account__code", flat=True).distinct()
    balances = {code.partition(":")[0]: ledger.balance(code, currency).amount for code in codes}
    return {code: amount for code, amount in balances.items() if amount}


def capture(payment: Payment) -> None:
    stage.request_capture(payment, clock.now())
    operations.sweep(now=clock.now())
    payment.refresh_from_db()


def capture_behind_our_back(payment: Payment, **params: int) -> None:
    """Someone at Stripe's dashboard."""
    gateway.capture_payment_intent(str(payment.payment_intent_id), params=params, key="dashboard")


def with_balance_transaction(payment: Payment, booked: BalanceTransactionFacts | None) -> IntentFacts:
    """The payment's intent, as if Stripe showed this in place of its balance transaction."""
    intent = gateway.retrieve_payment_intent(str(payment.payment_intent_id))
    assert intent.charge is not None
    return replace(intent, charge=replace(intent.charge, balance_transaction=booked))


# --- the two modes ------------------------------------------------------------------------------


def test_monthly_leaves_an_earning_and_moves_nothing(sandbox, held, heard):
    capture(held)
    assert held.status == Status.CAPTURED
    assert (held.captured_amount, heard[-1]) == (10_000, (Fact.CAPTURED, held.pk))
    assert books() == {
        "stripe_balance": 9_680,
        "stripe_fees": 320,
        "coach_payable": -8_000,
        "platform_revenue": -2_000,
    }
    earning = Earning.objects.get()
    assert (earning.amount, earning.currency, earning.frozen, earning.line) == (8_000, "usd", False, None)
    assert (earning.release_at - held.service_ends_at).days == 7
    assert Transfer.objects.count() == 0
    assert ledger.check() == []


def test_per_session_moves_the_coachs_share_at_once(sandbox, student, payable_coach, heard):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = stage.hold(sandbox, student, payable_coach)
    capture(payment)
    assert payment.status == Status.CAPTURED
    assert books() == {"stripe_balance": 1_680, "stripe_fees": 320, "platform_revenue": -2_000}
    assert list(LedgerTransaction.objects.order_by("pk").values_list("kind", flat=True)) == [
        "capture",
        "destination_transfer",
        "application_fee",
    ]
    transfer = Transfer.objects.get()
    assert (transfer.amount, transfer.destination, transfer.payment) == (10_000, payment.destination, payment)
    assert Earning.objects.count() == 0
    assert ledger.check() == []


@pytest.mark.parametrize("mode", SettlementMode)
def test_each_entry_on_our_balance_is_one_of_stripes(mode, sandbox, student, payable_coach, heard):
    services.choose_settlement_mode(coach=payable_coach, mode=mode, now=clock.now())
    capture(stage.hold(sandbox, student, payable_coach))
    ours = set(
        LedgerEntry.objects.filter(account__code="stripe_balance").values_list("balance_transaction_id", "amount")
    )
    theirs = stage.at_stripe(sandbox, "/v1/balance_transactions?limit=100")["data"]
    assert ours == {(row["id"], row["net"]) for row in theirs}


@pytest.mark.parametrize("mode", SettlementMode)
@pytest.mark.parametrize(("fee_bps", "share"), [(0, 10_000), (10_000, 0), (3_333, 6_667)])
def test_the_platform_may_keep_all_or_nothing(mode, fee_bps, share, sandbox, student, payable_coach, heard, settings):
    settings.PLATFORM_FEE_BPS = fee_bps
    services.choose_settlement_mode(coach=payable_coach, mode=mode, now=clock.now())
    payment = stage.hold(sandbox, student, payable_coach)
    capture(payment)
    assert payment.status == Status.CAPTURED
    assert books().get("platform_revenue", 0) == share - 10_000
    assert sum(Earning.objects.values_list("amount", flat=True)) == (share if mode == SettlementMode.MONTHLY else 0)
    assert ledger.check() == []


def test_what_was_settled_in_another_currency_waits_in_suspense(sandbox, student, payable_coach, heard, caplog):
    """The platform's balance is in dollars only: Stripe converts the euros, and staff are called."""
    payment = stage.hold(sandbox, student, payable_coach, price=Money(10_000, "eur"))
    capture_behind_our_back(payment)
    converted = BalanceTransactionFacts("txn_converted", amount=11_000, fee=350, net=10_650, currency="usd")
    services.record_capture(payment=payment, intent=with_balance_transaction(payment, converted), now=clock.now())
    assert books("usd") == {"stripe_balance": 10_650, "stripe_fees": 350, "suspense": -11_000}
    assert books("eur") == {"suspense": 10_000, "coach_payable": -8_000, "platform_revenue": -2_000}
    assert "stripe_settled_in_another_currency" in caplog.text
    assert Earning.objects.get().currency == "eur"


# --- once ---------------------------------------------------------------------------------------


def test_only_what_is_held_can_be_taken(sandbox, student, payable_coach):
    payment = stage.open_page(student, payable_coach)
    with pytest.raises(services.PaymentNotHeld):
        stage.request_capture(payment, clock.now())
    assert Operation.objects.filter(kind=Operation.Kind.CAPTURE).count() == 0


@pytest.mark.django_db(transaction=True)
def test_of_a_capture_and_a_release_at_once_one_is_begun(sandbox, held):
    refused = []

    def attempt(request):
        try:
            request(Payment.objects.get(), clock.now())
        except services.PaymentNotHeld:
            refused.append(request)

    stage.at_once([lambda: attempt(stage.request_capture), lambda: attempt(stage.request_release)] * 2)
    assert len(refused) == 3
    assert Operation.objects.filter(kind__in=Operation.MONEY_KINDS).count() == 1


@pytest.mark.django_db(transaction=True)
def test_our_call_and_the_poller_at_once_book_it_once(sandbox, held, heard):
    stage.request_capture(held, clock.now())
    capture_behind_our_back(held)
    operation = Operation.objects.get(kind=Operation.Kind.CAPTURE)
    stage.at_once(
        [
            lambda: operations.run_operation(operation.pk, now=clock.now()),
            lambda: services.refresh_payment(payment=Payment.objects.get(), now=clock.now()),
            lambda: services.refresh_payment(payment=Payment.objects.get(), now=clock.now()),
        ]
    )
    assert heard.count((Fact.CAPTURED, held.pk)) == 1
    assert LedgerTransaction.objects.filter(kind="capture").count() == 1
    assert Earning.objects.count() == 1
    operation.refresh_from_db()
    assert operation.state == Operation.State.DONE
    assert ledger.check() == []


# --- what others did at Stripe ------------------------------------------------------------------


def test_a_capture_at_the_dashboard_is_adopted(sandbox, held, heard):
    capture_behind_our_back(held)
    services.refresh_payment(payment=held, now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.CAPTURED
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.CAPTURED, held.pk)]
    assert ledger.check() == []


def test_our_capture_finds_it_captured_already(sandbox, held, heard):
    stage.request_capture(held, clock.now())
    capture_behind_our_back(held)
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert (held.status, heard.count((Fact.CAPTURED, held.pk))) == (Status.CAPTURED, 1)
    assert Operation.objects.get(kind=Operation.Kind.CAPTURE).state == Operation.State.DONE


def test_a_part_captured_at_the_dashboard_is_shared_in_proportion(sandbox, held, heard):
    capture_behind_our_back(held, amount_to_capture=5_001)
    services.refresh_payment(payment=held, now=clock.now())
    held.refresh_from_db()
    assert (held.status, held.captured_amount) == (Status.CAPTURED, 5_001)
    assert books()["platform_revenue"] == -1_000
    assert Earning.objects.get().amount == 4_001
    assert ledger.check() == []


def test_of_a_part_captured_per_session_the_rest_of_the_coachs_share_is_owed(sandbox, student, payable_coach, heard):
    """Stripe keeps the fee of the whole: what it takes too much, the monthly run gives the coach."""
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = stage.hold(sandbox, student, payable_coach)
    capture_behind_our_back(payment, amount_to_capture=5_000)
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    assert (payment.captured_amount, Transfer.objects.get().amount) == (5_000, 5_000)
    assert Earning.objects.get().amount == 1_000
    assert books()["coach_payable"] == -1_000
    assert ledger.check() == []
    assert earnings.earning_row(payment, clock.now()).share == Money(4_000, "usd")


def test_captured_before_we_knew_of_the_hold_both_facts_are_told(sandbox, student, payable_coach, heard):
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    intent_id = gateway.retrieve_checkout_session(str(payment.checkout_session_id)).payment_intent
    gateway.capture_payment_intent(intent_id, params={}, key="dashboard")
    services.refresh_payment(payment=payment, now=clock.now())
    assert Payment.objects.get().status == Status.CAPTURED
    assert heard == [(Fact.HOLD_RECORDED, payment.pk), (Fact.CAPTURED, payment.pk)]


def test_a_capture_of_a_hold_that_is_gone_is_a_lost_hold(sandbox, held, heard):
    stage.request_capture(held, clock.now())
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.LOST
    assert heard == [(Fact.HOLD_RECORDED, held.pk), (Fact.HOLD_LOST, held.pk)]
    assert books() == {}


def test_what_stripe_does_not_show_yet_is_not_recorded(sandbox, held, heard):
    capture_behind_our_back(held)
    early = with_balance_transaction(held, None)
    with pytest.raises(NotYetError):
        services.record_capture(payment=held, intent=early, now=clock.now())
    held.refresh_from_db()
    assert (held.status, heard, books()) == (Status.HELD, [(Fact.HOLD_RECORDED, held.pk)], {})


@pytest.mark.parametrize("missing", [partial(replace, transfer=None), partial(replace, application_fee=None)])
def test_a_part_of_a_destination_charge_that_stripe_does_not_show_yet_holds_up_the_whole(
    missing, sandbox, student, payable_coach, heard
):
    services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
    payment = stage.hold(sandbox, student, payable_coach)
    capture_behind_our_back(payment, application_fee_amount=2_000)
    intent = gateway.retrieve_payment_intent(str(payment.payment_intent_id))
    assert intent.charge is not None
    early = replace(intent, charge=missing(intent.charge))
    with pytest.raises(NotYetError):
        services.record_capture(payment=payment, intent=early, now=clock.now())
    assert (books(), Transfer.objects.count()) == ({}, 0)
    services.record_capture(payment=payment, intent=intent, now=clock.now())
    assert books() == {"stripe_balance": 1_680, "stripe_fees": 320, "platform_revenue": -2_000}


@pytest.mark.parametrize("received", [0, 10_001])
def test_more_or_nothing_is_not_a_capture(received, sandbox, held):
    capture_behind_our_back(held)
    intent = replace(gateway.retrieve_payment_intent(held.payment_intent_id), amount_received=received)
    with pytest.raises(StripeMismatchError):
        services.record_capture(payment=held, intent=intent, now=clock.now())
    assert books() == {}


# --- refused while the hold is there ------------------------------------------------------------


def test_what_stripe_refuses_is_asked_anew_an_hour_later_under_a_new_key(sandbox, held, heard, caplog):
    refusal = {"error": {"type": "invalid_request_error", "code": "transfers_not_allowed", "message": "Not now."}}
    stage.break_next(sandbox, "respond", "/v1/payment_intents/*/capture", status=400, body=refusal)
    capture(held)
    assert held.status == Status.CAPTURING
    assert "stripe_refuses_a_held_payment" in caplog.text
    pollers.poll_open_payments(now=clock.now())
    assert Operation.objects.filter(kind=Operation.Kind.CAPTURE).count() == 1
    sandbox.advance(3700)
    for _ in range(2):
        pollers.poll_open_payments(now=clock.now())
        operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert held.status == Status.CAPTURED
    keys = [call["idempotency_key"] for call in stage.calls(sandbox, "/capture")]
    assert len(set(keys)) == len(keys) == 2
    assert ledger.check() == []


# --- the coach's account can't receive it -------------------------------------------------------


@pytest.fixture
def held_per_session(sandbox, student, payable_coach, heard):
    def make(card="pm_card_visa"):
        services.choose_settlement_mode(coach=payable_coach, mode=SettlementMode.PER_SESSION, now=clock.now())
        return stage.hold(sandbox, student, payable_coach, card=card)

    return make


def captured_while_restricted(sandbox, payment, **part):
    sandbox.post(f"/_sandbox/accounts/{payment.destination}/restrict")
    stage.request_capture(payment, clock.now(), **part)
    for _ in range(3):
        operations.sweep(now=clock.now())
    payment.refresh_from_db()


def test_a_coach_who_can_not_be_paid_now_is_paid_monthly_by_a_new_hold(sandbox, held_per_session, heard):
    """The booking is completed, so that whoever hears of the new hold has it taken."""
    held = held_per_session()
    captured_while_restricted(sandbox, held)
    renewal = Payment.objects.exclude(pk=held.pk).get()
    assert (held.status, renewal.status) == (Status.RELEASING, Status.HELD)
    assert (renewal.settlement_mode, renewal.destination) == (SettlementMode.MONTHLY, "")
    assert heard[-1] == (Fact.HOLD_RECORDED, renewal.pk)
    capture(renewal)
    held.refresh_from_db()
    assert (held.status, renewal.status) == (Status.RELEASED, Status.CAPTURED)
    assert (Earning.objects.get().amount, Transfer.objects.count()) == (8_000, 0)
    assert stage.effects(sandbox, "/capture") == 1
    assert ledger.check() == []


def test_where_the_bank_refuses_the_new_hold_the_old_one_is_asked_for_again(sandbox, held_per_session, heard):
    held = held_per_session(card="pm_card_authenticationRequired")
    captured_while_restricted(sandbox, held)
    renewal = Payment.objects.exclude(pk=held.pk).get()
    assert (held.status, renewal.status) == (Status.CAPTURING, Status.REFUSED)
    for _ in range(2):
        sandbox.advance(3700)
        pollers.poll_open_payments(now=clock.now())
        operations.sweep(now=clock.now())
    assert Payment.objects.count() == 2  # the student's bank is not asked each hour
    sandbox.post(f"/_sandbox/accounts/{held.destination}/onboard", {"outcome": "complete"})
    sandbox.advance(3700)
    pollers.poll_open_payments(now=clock.now())
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    assert (held.status, heard.count((Fact.HOLD_REFUSED, renewal.pk))) == (Status.CAPTURED, 1)
    assert ledger.check() == []


@pytest.mark.parametrize("amount", [5_000, 10_000])
def test_for_what_a_cancellation_costs_there_is_no_second_hold(amount, sandbox, held_per_session):
    """It would be a hold for a session that is off, and given back."""
    held = held_per_session()
    captured_while_restricted(sandbox, held, amount=Money(amount, "usd"))
    assert (held.status, Payment.objects.count()) == (Status.CAPTURING, 1)
