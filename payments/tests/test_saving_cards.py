"""Saving a card in Checkout for a later hold: by event, by poller, by both, and what is not a saved card."""

from dataclasses import replace
from functools import partial

import pytest

from marketplace import clock
from marketplace.lib.money import Money
from payments import gateway, operations, pollers, selectors, services
from payments.consent import consent_words
from payments.errors import StripeMismatchError
from payments.facts import Fact
from payments.models import Operation, Payment, SavedCard, StripeEvent
from payments.tests import reports, stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded, pytest.mark.thorough]

Status = Payment.Status
SAVE = Payment.Opening.SAVE


@pytest.fixture
def page(student, payable_coach, heard):
    """A page to save a card on, not used yet."""
    return stage.open_page(student, payable_coach, opening=SAVE)


@pytest.fixture
def saved_at_stripe(sandbox, page):
    """The student has saved a card, and we have heard nothing of it."""
    stage.pay(sandbox, page)
    return page


def setup_of(payment):
    return gateway.retrieve_setup_intent(gateway.retrieve_checkout_session(payment.checkout_session_id).setup_intent)


def the_one_card(payment, heard):
    """Saved once, told once."""
    payment.refresh_from_db()
    card = SavedCard.objects.get()
    assert (payment.status, payment.card, payment.payment_intent_id) == (Status.SAVED, card, None)
    assert heard == [(Fact.CARD_SAVED, payment.pk)]
    return card


# --- what Stripe is asked for -------------------------------------------------------------------


def test_the_page_saves_a_card_and_takes_nothing(sandbox, page, student):
    session = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{page.checkout_session_id}?expand[]=setup_intent")
    assert (session["mode"], session["amount_total"], session["payment_method_types"]) == ("setup", None, ["card"])
    assert session["customer"] == student.stripe_customer.stripe_customer_id
    assert session["client_reference_id"] == "booking:1"
    assert session["setup_intent"]["usage"] == "off_session"
    marks = session["setup_intent"]["metadata"]
    assert (marks["payment_id"], marks["booking_id"], marks["session_type"]) == (str(page.pk), "1", "LIVE_SESSION")


@pytest.mark.parametrize("opening", [SAVE, Payment.Opening.HOLD])
def test_both_pages_say_what_the_student_consents_to(opening, sandbox, student, payable_coach):
    payment = stage.open_page(student, payable_coach, opening=opening)
    session = stage.at_stripe(sandbox, f"/v1/checkout/sessions/{payment.checkout_session_id}")
    words = session["custom_text"]["submit"]["message"]
    assert words == consent_words(opening, Money(10_000, "usd"))
    assert "$100.00" in words
    assert "saves this card" in words
    assert len(words) < 1_200


def test_a_page_to_hold_keeps_the_card_for_a_hold_made_anew(sandbox, held, student):
    card = SavedCard.objects.get()
    intent = stage.at_stripe(sandbox, f"/v1/payment_intents/{held.payment_intent_id}")
    assert intent["setup_future_usage"] == "off_session"
    assert (held.card, card.user, card.stripe_payment_method_id) == (card, student, intent["payment_method"])
    assert (card.brand, card.last4, card.exp_month, card.exp_year) == ("visa", "4242", 12, 2034)


def test_a_card_that_was_not_to_be_kept_is_not_kept(sandbox, paid):
    """An intent that was made without the consent."""
    session = gateway.retrieve_checkout_session(paid.checkout_session_id)
    intent = replace(gateway.retrieve_payment_intent(session.payment_intent), saves_card=False)
    services.record_hold(payment=paid, intent=intent, now=clock.now())
    paid.refresh_from_db()
    assert (paid.status, paid.card, SavedCard.objects.count()) == (Status.HELD, None, 0)


# --- saved, by whatever way we hear of it -------------------------------------------------------


def test_without_any_event_the_poller_finds_it(saved_at_stripe, heard, student):
    assert pollers.poll_open_payments(now=clock.now()) == 1
    card = the_one_card(saved_at_stripe, heard)
    assert (card.user, card.brand, card.last4, card.removed_at) == (student, "visa", "4242", None)
    assert list(selectors.cards_of(student)) == [card]


@pytest.mark.parametrize(
    "kinds", [["setup_intent.succeeded"], ["checkout.session.completed"], ["setup_intent.succeeded"] * 3]
)
def test_one_event_alone_tells_it(kinds, sandbox, saved_at_stripe, heard):
    reports.deliver_and_work([event for kind in kinds for event in reports.events(sandbox, kind)])
    the_one_card(saved_at_stripe, heard)


def test_every_event_twice_in_reverse_and_the_poller_tell_it_once(sandbox, saved_at_stripe, heard):
    reports.deliver_and_work(reversed(reports.events(sandbox)))
    pollers.poll_open_payments(now=clock.now())
    services.refresh_payment(payment=saved_at_stripe, now=clock.now())
    reports.deliver_and_work(reports.events(sandbox))
    the_one_card(saved_at_stripe, heard)
    assert not StripeEvent.objects.filter(state=StripeEvent.State.PARKED).exists()


@pytest.mark.django_db(transaction=True)
def test_many_reports_at_once_are_one(saved_at_stripe, heard):
    stage.at_once([lambda: services.refresh_payment(payment=Payment.objects.get(), now=clock.now())] * 6)
    the_one_card(saved_at_stripe, heard)


def test_a_card_saved_on_a_page_that_we_took_for_closed_counts(saved_at_stripe, heard):
    services.record_checkout_expired(payment=saved_at_stripe, now=clock.now())
    services.refresh_payment(payment=saved_at_stripe, now=clock.now())
    saved_at_stripe.refresh_from_db()
    assert saved_at_stripe.status == Status.SAVED
    assert heard == [(Fact.CHECKOUT_EXPIRED, saved_at_stripe.pk), (Fact.CARD_SAVED, saved_at_stripe.pk)]


def test_saving_beats_the_closing_of_its_page(saved_at_stripe, heard):
    """Stripe refuses to close a page that is done, and the card counts."""
    services.close_checkout(payment=saved_at_stripe, now=clock.now())
    the_one_card(saved_at_stripe, heard)


def test_a_late_report_moves_nothing_back(sandbox, saved_at_stripe, heard):
    setup = setup_of(saved_at_stripe)
    services.record_setup(payment=saved_at_stripe, setup=setup, now=clock.now())
    stage.request_hold(saved_at_stripe, clock.now())
    operations.sweep(now=clock.now())
    services.record_setup(payment=saved_at_stripe, setup=setup, now=clock.now())
    saved_at_stripe.refresh_from_db()
    assert saved_at_stripe.status == Status.HELD
    assert heard == [(Fact.CARD_SAVED, saved_at_stripe.pk), (Fact.HOLD_RECORDED, saved_at_stripe.pk)]


# --- not saved ----------------------------------------------------------------------------------


def test_a_refusal_on_the_page_is_kept_and_the_page_stays_open(sandbox, page, heard):
    with pytest.raises(Exception, match="402"):
        stage.pay(sandbox, page, card="pm_card_visa_chargeDeclined")
    reports.deliver_and_work(reports.events(sandbox, "setup_intent.setup_failed"))
    page.refresh_from_db()
    assert (page.status, page.last_refusal, page.card) == (Status.OPEN, "Your card was declined.", None)
    assert (heard, SavedCard.objects.count()) == ([], 0)


def test_a_page_left_alone_lapses(sandbox, page, heard):
    sandbox.advance(41 * 60)
    pollers.poll_open_payments(now=clock.now())
    page.refresh_from_db()
    assert (page.status, heard) == (Status.LAPSED, [(Fact.CHECKOUT_EXPIRED, page.pk)])


@pytest.mark.parametrize(
    "forged",
    [
        {"customer": "cus_someoneelse"},
        {"customer": ""},
        {"livemode": True},
        {"metadata": {}},
        {"metadata": {"payment_id": "424242"}},
    ],
    ids=str,
)
def test_a_setup_that_is_not_the_one_we_asked_for_is_refused(forged, saved_at_stripe, heard):
    setup = replace(setup_of(saved_at_stripe), **forged)
    with pytest.raises(StripeMismatchError):
        services.record_setup(payment=saved_at_stripe, setup=setup, now=clock.now())
    assert (Payment.objects.get().status, SavedCard.objects.count(), heard) == (Status.OPEN, 0, [])


@pytest.mark.parametrize("status", ["requires_action", "processing", "requires_confirmation", "canceled"])
def test_only_succeeded_is_saved(status, saved_at_stripe, heard):
    setup = replace(setup_of(saved_at_stripe), status=status)
    services.record_setup(payment=saved_at_stripe, setup=setup, now=clock.now())
    assert (Payment.objects.get().status, heard) == (Status.OPEN, [])


def test_a_card_that_is_someone_elses_is_set_aside(saved_at_stripe, stranger, heard):
    setup = setup_of(saved_at_stripe)
    SavedCard.objects.create(
        user=stranger,
        stripe_payment_method_id=setup.card.payment_method,
        brand="visa",
        last4="4242",
        exp_month=1,
        exp_year=2030,
        saved_at=clock.now(),
    )
    with pytest.raises(StripeMismatchError):
        services.record_setup(payment=saved_at_stripe, setup=setup, now=clock.now())
    assert (Payment.objects.get().status, heard) == (Status.OPEN, [])


# --- the end without money ----------------------------------------------------------------------


def test_a_saved_card_that_is_not_wanted_is_ended_without_stripe(sandbox, saved_at_stripe, heard):
    services.refresh_payment(payment=saved_at_stripe, now=clock.now())
    asked_before = len(sandbox.get("/_sandbox/requests")["data"])
    for _ in range(2):
        stage.give_back(saved_at_stripe, clock.now())
    assert saved_at_stripe.status == Status.RELEASED
    assert len(sandbox.get("/_sandbox/requests")["data"]) == asked_before
    with pytest.raises(services.PaymentNotSaved):
        stage.request_hold(saved_at_stripe, clock.now())
    assert not Operation.objects.filter(kind=Operation.Kind.HOLD).exists()


@pytest.mark.django_db(transaction=True)
def test_of_a_hold_and_an_end_at_once_one_is_the_case(sandbox, saved_at_stripe, heard):
    services.refresh_payment(payment=saved_at_stripe, now=clock.now())
    refused = []

    def hold():
        try:
            stage.request_hold(Payment.objects.get(), clock.now())
        except services.PaymentNotSaved:
            refused.append(hold)

    stage.at_once([hold, partial(stage.give_back, Payment.objects.get(), clock.now()), hold])
    saved_at_stripe.refresh_from_db()
    begun = Operation.objects.filter(kind=Operation.Kind.HOLD).count()
    assert (saved_at_stripe.status, begun, len(refused)) in [
        (Status.RELEASED, 0, 2),
        (Status.AUTHORISING, 1, 1),
    ]
