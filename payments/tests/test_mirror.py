"""dj-stripe's tables follow Stripe, a step behind, without ever asking it themselves or holding up money."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
import stripe
from djstripe import models as mirrored
from djstripe.exceptions import ImpossibleAPIRequest

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, mirror, operations, payouts, services, webhooks
from payments.gateway import GatewayError
from payments.models import Payment, PayoutAccount, StripeEvent, Transfer
from payments.tests import reports, stage

MirrorState = StripeEvent.MirrorState
PATHS = {
    mirrored.Account: "/v1/accounts/",
    mirrored.Customer: "/v1/customers/",
    mirrored.Session: "/v1/checkout/sessions/",
    mirrored.PaymentIntent: "/v1/payment_intents/",
    mirrored.PaymentMethod: "/v1/payment_methods/",
    mirrored.Charge: "/v1/charges/",
    mirrored.BalanceTransaction: "/v1/balance_transactions/",
    mirrored.Transfer: "/v1/transfers/",
}
NOT_KEPT = ("external_accounts", "individual", "company")
PATHS_OF_SAVED_CARDS = {**PATHS, mirrored.SetupIntent: "/v1/setup_intents/"}


def deliver_all(sandbox: Sandbox) -> None:
    """Whatever the sandbox has to report and we have not heard yet; worked and mirrored."""
    known = set(StripeEvent.objects.values_list("event_id", flat=True))
    reports.deliver_and_work(event for event in reports.events(sandbox) if event["id"] not in known)
    mirror.mirror_events(now=clock.now())


def assert_equal_to_stripe(sandbox: Sandbox, model: Any) -> None:
    rows = list(model.objects.all())
    assert rows != []
    for row in rows:
        at_stripe = stage.at_stripe(sandbox, f"{PATHS_OF_SAVED_CARDS[model]}{row.id}")
        if model is mirrored.Customer:
            at_stripe["deleted"] = False  # dj-stripe adds this of its own
        if model is mirrored.Account:
            at_stripe = {name: value for name, value in at_stripe.items() if name not in NOT_KEPT}
        for name in at_stripe.keys() | row.stripe_data.keys():
            assert row.stripe_data.get(name) == at_stripe.get(name), f"{model.__name__} {row.id}: {name}"


@pytest.mark.django_db
@pytest.mark.embedded
def test_after_the_main_path_every_row_equals_stripes_object(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    payment = stage.open_page(student, payable_coach)
    stage.pay(sandbox, payment)
    deliver_all(sandbox)
    payment.refresh_from_db()
    stage.request_capture(payment, clock.now())
    operations.sweep(now=clock.now())
    deliver_all(sandbox)
    sandbox.advance(45 * 86_400)
    payouts.run_due(clock.now())
    deliver_all(sandbox)

    for model in PATHS:
        assert_equal_to_stripe(sandbox, model)

    account = PayoutAccount.objects.get()
    platform = mirrored.Account.objects.get(id="acct_1SandboxPlatform")
    assert set(mirrored.Account.objects.values_list("id", flat=True)) == {platform.id, account.stripe_account_id}
    customer = mirrored.Customer.objects.get()
    intent = mirrored.PaymentIntent.objects.get(id=payment.payment_intent_id)
    assert intent.customer == customer
    assert intent.stripe_data["status"] == "succeeded"
    session = mirrored.Session.objects.get(id=payment.checkout_session_id)
    assert (session.customer, session.payment_intent) == (customer, intent)
    charge = mirrored.Charge.objects.get()
    assert (charge.customer, charge.payment_intent) == (customer, intent)
    assert charge.payment_method == mirrored.PaymentMethod.objects.get()
    assert charge.balance_transaction.stripe_data["status"] == "available"
    transfer = mirrored.Transfer.objects.get()
    assert transfer.id == Transfer.objects.get().stripe_transfer_id
    assert transfer.balance_transaction.net == -8_000
    for model in PATHS:
        for row in model.objects.all():
            assert row.djstripe_owner_account == platform, row
    assert set(StripeEvent.objects.values_list("mirror_state", flat=True)) == {MirrorState.DONE, MirrorState.SKIPPED}


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_saved_card_its_hold_and_its_removal_are_mirrored(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    payment = stage.save_card(sandbox, student, payable_coach)
    deliver_all(sandbox)
    stage.request_hold(payment, clock.now())
    operations.sweep(now=clock.now())
    deliver_all(sandbox)
    payment.refresh_from_db()
    stage.give_back(payment, clock.now())
    operations.sweep(now=clock.now())
    assert payment.card is not None
    services.remove_card(user=student, card_id=payment.card.pk, now=clock.now())
    operations.sweep(now=clock.now())
    deliver_all(sandbox)

    for model in (mirrored.SetupIntent, mirrored.PaymentMethod, mirrored.PaymentIntent, mirrored.Session):
        assert_equal_to_stripe(sandbox, model)
    setup = mirrored.SetupIntent.objects.get()
    assert (setup.id, setup.stripe_data["status"]) == (payment.setup_intent_id, "succeeded")
    assert mirrored.PaymentMethod.objects.get().customer is None
    assert set(StripeEvent.objects.values_list("mirror_state", flat=True)) == {MirrorState.DONE, MirrorState.SKIPPED}


@pytest.mark.django_db
def test_per_session_the_transfer_is_mirrored_as_well(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: Any
) -> None:
    PayoutAccount.objects.update(settlement_mode="per_session")
    payment = stage.hold(sandbox, student, payable_coach)
    stage.request_capture(payment, clock.now())
    operations.sweep(now=clock.now())
    deliver_all(sandbox)
    for model in (mirrored.Transfer, mirrored.Charge, mirrored.BalanceTransaction):
        assert_equal_to_stripe(sandbox, model)
    assert mirrored.Transfer.objects.get().id == Transfer.objects.get().stripe_transfer_id
    row = StripeEvent.objects.get(type="transfer.created")
    assert (row.state, row.mirror_state) == ("done", MirrorState.DONE)


@pytest.mark.django_db
def test_djstripe_itself_never_asks_stripe_and_keeps_no_key(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    deliver_all(sandbox)
    asked_as = {row["account"] for row in sandbox.get("/_sandbox/requests")["data"]}
    assert asked_as == {None}  # dj-stripe names an account on nearly every call
    assert mirrored.APIKey.objects.count() == 0
    for model in PATHS:
        with pytest.raises(ImpossibleAPIRequest):
            model(id="x").api_retrieve()


@pytest.mark.django_db
@pytest.mark.embedded
def test_one_read_serves_all_events_about_one_object(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    for event in reports.events(sandbox, "charge.succeeded", "charge.captured"):
        reports.deliver(event)
    webhooks.sweep_events(now=clock.now())
    before = len(stage.calls(sandbox, "/v1/charges/", "GET"))
    assert mirror.mirror_events(now=clock.now()) == 1
    assert len(stage.calls(sandbox, "/v1/charges/", "GET")) == before + 1
    assert list(StripeEvent.objects.values_list("mirror_state", flat=True)) == [MirrorState.DONE] * 2


@pytest.mark.django_db(transaction=True)
def test_two_mirrors_at_once_do_not_meet(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    for event in reports.events(sandbox):
        reports.deliver(event)
    webhooks.sweep_events(now=clock.now())
    now = clock.now()
    stage.at_once([lambda: mirror.mirror_events(now=now)] * 3)
    mirror.mirror_events(now=now)
    for model in (mirrored.Account, mirrored.Customer, mirrored.Session, mirrored.PaymentIntent, mirrored.Charge):
        assert_equal_to_stripe(sandbox, model)
    assert not StripeEvent.objects.filter(mirror_state__in=(MirrorState.NEW, MirrorState.FAILED)).exists()


@pytest.mark.django_db
def test_an_event_that_is_not_worked_yet_is_not_mirrored(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    reports.deliver(reports.events(sandbox, "charge.succeeded")[0])
    assert mirror.mirror_events(now=clock.now()) == 0
    assert mirrored.Charge.objects.count() == 0
    assert StripeEvent.objects.get().mirror_state == MirrorState.NEW


@pytest.mark.django_db
def test_what_is_set_aside_is_not_mirrored(sandbox: Sandbox) -> None:
    event = {
        "id": "evt_1", "object": "event", "type": "charge.succeeded", "livemode": False,
        "data": {"object": {"id": "ch_1", "object": "charge", "payment_intent": None}},
    }  # fmt: skip
    reports.deliver_and_work([event])
    assert mirror.mirror_events(now=clock.now()) == 0
    assert StripeEvent.objects.get().mirror_state == MirrorState.SKIPPED
    assert sandbox.get("/_sandbox/requests")["data"] == []


@pytest.mark.django_db
def test_an_event_set_aside_keeps_no_other_about_its_object_from_being_mirrored(
    sandbox: Sandbox, held: Payment, heard: Any
) -> None:
    [hold] = reports.events(sandbox, "payment_intent.amount_capturable_updated")
    reports.deliver_and_work([{**hold, "id": "evt_unhandled", "type": "payment_intent.created"}, hold])
    assert mirror.mirror_events(now=clock.now()) == 1
    assert mirrored.PaymentIntent.objects.get().id == held.payment_intent_id


@pytest.mark.django_db
def test_what_was_parked_is_mirrored_once_it_is_worked(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    row = reports.deliver(reports.events(sandbox, "charge.succeeded")[0])
    StripeEvent.objects.filter(pk=row.pk).update(state=StripeEvent.State.PARKED)
    assert mirror.mirror_events(now=clock.now()) == 0
    webhooks.replay(event=row, now=clock.now())
    webhooks.sweep_events(now=clock.now())
    assert mirror.mirror_events(now=clock.now()) == 1
    assert mirrored.Charge.objects.count() == 1


@pytest.mark.django_db
def test_while_stripe_is_away_the_mirror_waits_and_money_does_not(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    [row] = reports.deliver_and_work(reports.events(sandbox, "charge.succeeded"))
    fault = {"method": "GET", "path": "/v1/charges/*", "times": 0, "action": "rate_limit"}
    sandbox.post("/_sandbox/faults", fault)
    mirror.mirror_events(now=clock.now())
    row.refresh_from_db()
    assert (row.state, row.mirror_state, row.mirror_tries) == ("done", MirrorState.NEW, 1)
    assert "busy" in row.mirror_error
    stage.mend(sandbox)
    assert mirror.mirror_events(now=clock.now()) == 0  # not hot
    StripeEvent.objects.update(lease_until=clock.wall() - timedelta(seconds=1))
    assert mirror.mirror_events(now=clock.now()) == 1
    row.refresh_from_db()
    assert (row.mirror_state, row.mirror_error) == (MirrorState.DONE, "")


@pytest.mark.django_db
def test_what_fails_each_time_is_given_up_and_named(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    [row] = reports.deliver_and_work(reports.events(sandbox, "charge.succeeded"))
    # A body that dj-stripe can't take for a charge.
    body = {"id": row.object_id, "object": "not_a_charge", "livemode": False}
    sandbox.post(
        "/_sandbox/faults",
        {"method": "GET", "path": "/v1/charges/*", "times": 0, "action": "respond", "status": 200, "body": body},
    )
    for _ in range(mirror.TRIES):
        mirror.mirror_events(now=clock.now())
        StripeEvent.objects.update(lease_until=None)
    row.refresh_from_db()
    assert (row.mirror_state, row.mirror_tries) == (MirrorState.FAILED, mirror.TRIES)
    assert row.mirror_error.startswith("ValueError")
    assert mirror.mirror_events(now=clock.now()) == 0
    assert row.state == "done"


@pytest.mark.django_db
def test_a_missing_object_is_given_up_at_once(sandbox: Sandbox, held: Payment, heard: Any) -> None:
    [event] = reports.events(sandbox, "customer.created")
    event["data"]["object"]["id"] = "cus_gone"
    [row] = reports.deliver_and_work([event])
    mirror.mirror_events(now=clock.now())
    row.refresh_from_db()
    assert (row.mirror_state, row.mirror_tries) == (MirrorState.FAILED, 1)
    assert "resource_missing" in row.mirror_error


@pytest.mark.django_db
def test_an_object_in_someone_elses_hands_is_left_until_they_are_done(
    sandbox: Sandbox, held: Payment, heard: Any
) -> None:
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    theirs, _ours = reports.deliver_and_work(reports.events(sandbox, "charge.succeeded", "charge.captured"))
    StripeEvent.objects.filter(pk=theirs.pk).update(
        lease_token=uuid.uuid4(), lease_until=clock.wall() + timedelta(minutes=1)
    )
    assert mirror.mirror_events(now=clock.now()) == 0
    StripeEvent.objects.filter(pk=theirs.pk).update(lease_until=clock.wall() - timedelta(seconds=1))
    assert mirror.mirror_events(now=clock.now()) == 1


@pytest.mark.django_db
def test_an_account_with_a_logo_is_mirrored_without_the_file(sandbox: Sandbox, payable_coach: Coach) -> None:
    mirror.mirror_object("account", PayoutAccount.objects.get().stripe_account_id)
    row = mirrored.Account.objects.get(id=PayoutAccount.objects.get().stripe_account_id)
    with_logo = json.loads(json.dumps(row.stripe_data))
    with_logo["settings"]["branding"] = {"icon": "file_1", "logo": "file_2"}
    mirrored.Account.sync_from_stripe_data(stripe.convert_to_stripe_object(with_logo))
    row.refresh_from_db()
    assert row.stripe_data["settings"]["branding"]["icon"] == "file_1"
    assert mirrored.File.objects.count() == 0


@pytest.mark.django_db
def test_it_reads_with_a_key_of_its_own(sandbox: Sandbox, payable_coach: Coach, settings: Any) -> None:
    account = PayoutAccount.objects.get(coach=payable_coach)
    mirror.mirror_object("account", account.stripe_account_id)
    settings.STRIPE_MIRROR_KEY = "pk_test_000000000000000000000001"  # no secret key: it may read nothing

    with pytest.raises(GatewayError):
        mirror.mirror_object("account", account.stripe_account_id)

    assert gateway.retrieve_account(account.stripe_account_id).id == account.stripe_account_id
