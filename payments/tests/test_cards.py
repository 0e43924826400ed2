"""Cards that are kept: removed by the student where nothing needs them, and noticed when Stripe has let go of them."""

from functools import partial

import pytest

from marketplace import clock
from payments import operations, selectors, services
from payments.models import Operation, Payment, SavedCard, StripeEvent
from payments.tests import reports, stage
from payments.tests.holding import detach

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Kind = Operation.Kind
Status = Payment.Status


def remove(card, user=None):
    services.remove_card(user=user or card.user, card_id=card.pk, now=clock.now())
    operations.sweep(now=clock.now())
    card.refresh_from_db()


def customer_at_stripe(sandbox, card):
    return stage.at_stripe(sandbox, f"/v1/payment_methods/{card.stripe_payment_method_id}")["customer"]


@pytest.mark.parametrize("status", [Status.SAVED, Status.AUTHORISING, Status.HELD])
def test_a_card_that_a_coming_session_needs_stays(status, sandbox, saved, student):
    Payment.objects.update(status=status)
    with pytest.raises(services.CardNeeded):
        remove(saved.card)
    saved.card.refresh_from_db()
    assert (saved.card.removed_at, list(selectors.cards_of(student))) == (None, [saved.card])
    assert not Operation.objects.filter(kind=Kind.REMOVE_CARD).exists()
    assert customer_at_stripe(sandbox, saved.card)


@pytest.mark.parametrize(
    "status", [Status.CAPTURING, Status.CAPTURED, Status.RELEASING, Status.RELEASED, Status.REFUSED, Status.LOST]
)
def test_a_card_that_nothing_needs_is_removed_here_and_at_stripe(status, sandbox, saved, student):
    Payment.objects.update(status=status)
    remove(saved.card)
    assert saved.card.removed_at is not None
    assert (list(selectors.cards_of(student)), customer_at_stripe(sandbox, saved.card)) == ([], None)


def test_removing_twice_is_removing_once(sandbox, saved):
    stage.give_back(saved, clock.now())
    for _ in range(2):
        remove(saved.card)
    assert stage.effects(sandbox, "/detach") == 1
    assert Operation.objects.filter(kind=Kind.REMOVE_CARD).count() == 1


def test_a_card_of_someone_else_is_not_found(saved, stranger):
    stage.give_back(saved, clock.now())
    with pytest.raises(services.NoSuchCard):
        remove(saved.card, user=stranger)
    with pytest.raises(services.NoSuchCard):
        services.remove_card(user=stranger, card_id=424_242, now=clock.now())
    saved.card.refresh_from_db()
    assert saved.card.removed_at is None


def test_two_cards_are_listed_and_removed_each_by_itself(sandbox, student, payable_coach, saved):
    other = stage.save_card(sandbox, student, payable_coach, card="pm_card_mastercard", reference="booking:2")
    assert list(selectors.cards_of(student)) == [other.card, saved.card]
    stage.give_back(other, clock.now())
    remove(other.card)
    assert list(selectors.cards_of(student)) == [saved.card]
    assert customer_at_stripe(sandbox, saved.card)


@pytest.mark.django_db(transaction=True)
def test_of_a_removal_and_a_renewal_at_once_one_is_the_case(sandbox, held, heard):
    """The hold is lost, so that nothing needs its card but a renewal."""
    sandbox.post(f"/_sandbox/payment_intents/{held.payment_intent_id}/lapse")
    services.refresh_payment(payment=held, now=clock.now())
    refused = []

    def attempt(act, *refusals):
        try:
            act()
        except refusals as error:
            refused.append(type(error))

    lost = Payment.objects.get()
    stage.at_once(
        [
            partial(attempt, partial(stage.renew_hold, lost, clock.now()), services.NoSavedCard),
            partial(attempt, partial(remove, SavedCard.objects.get()), services.CardNeeded),
        ]
    )
    removed = SavedCard.objects.get().removed_at is not None
    renewed = Payment.objects.exclude(pk=held.pk).exists()
    assert (removed, renewed) in [(True, False), (False, True)]
    assert refused == [services.NoSavedCard if removed else services.CardNeeded]


# --- at Stripe ----------------------------------------------------------------------------------


def test_a_card_removed_at_the_dashboard_is_not_charged_any_more(sandbox, saved, student):
    detach(saved.card)
    told = reports.events(sandbox, "payment_method.detached")
    reports.deliver_and_work(told)
    assert list(selectors.cards_of(student)) == []
    with pytest.raises(services.NoSavedCard):
        stage.renew_hold(saved, clock.now())
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {StripeEvent.State.DONE}


def test_an_event_that_says_so_of_a_card_that_is_attached_changes_nothing(saved, student):
    card = {"id": saved.card.stripe_payment_method_id, "object": "payment_method", "customer": None}
    reports.deliver_and_work([reports.made_up("payment_method.detached", card)])
    assert list(selectors.cards_of(student)) == [saved.card]


def test_our_removal_finds_it_removed_already(sandbox, saved):
    stage.give_back(saved, clock.now())
    detach(saved.card)
    remove(saved.card)
    operation = Operation.objects.get(kind=Kind.REMOVE_CARD)
    assert (operation.state, operation.result_id) == (Operation.State.DONE, saved.card.stripe_payment_method_id)


def test_a_removal_that_stripe_refuses_calls_staff_and_the_card_is_charged_no_more(sandbox, saved, student, caplog):
    stage.give_back(saved, clock.now())
    refusal = {"error": {"type": "invalid_request_error", "message": "Not now."}}
    stage.break_next(sandbox, "respond", "/v1/payment_methods/*/detach", status=400, body=refusal)
    remove(saved.card)
    assert "stripe_keeps_a_card" in caplog.text
    assert list(selectors.cards_of(student)) == []
