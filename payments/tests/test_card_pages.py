"""The page of saved cards: one's own, what needs each, and the removal of what nothing needs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace import clock
from payments.models import Operation, Payment, SavedCard
from payments.tests import stage

pytestmark = [pytest.mark.django_db, pytest.mark.embedded]

Status = Payment.Status
PAGE = reverse("payments:cards")


def card_of(user, last4="4242"):
    return SavedCard.objects.create(
        user=user,
        stripe_payment_method_id=f"pm_{user.pk}_{last4}",
        brand="visa",
        last4=last4,
        exp_month=3,
        exp_year=2031,
        saved_at=clock.now(),
    )


def removal(card_id):
    return reverse("payments:remove_card", args=[card_id])


def page_of(client):
    answer = client.get(PAGE)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


@pytest.fixture
def needed(sandbox, student, payable_coach, heard):
    """The payment of a coming session, whose card is saved."""
    return stage.save_card(sandbox, student, payable_coach)


def test_a_card_is_shown_with_what_needs_it(client, student, needed):
    client.force_login(student)
    page = page_of(client)
    assert "Visa ending in 4242" in page
    assert f"expires {needed.card.exp_month:02}/{needed.card.exp_year}" in page
    assert needed.description in page
    assert str(needed.money) in page
    assert removal(needed.card.pk) not in page


def test_a_card_that_is_needed_is_kept_and_the_reason_told(client, student, needed):
    client.force_login(student)
    answer = client.post(removal(needed.card.pk), follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "This card is needed for a session that is booked." in answer.content.decode()
    needed.card.refresh_from_db()
    assert needed.card.removed_at is None
    assert not Operation.objects.filter(kind=Operation.Kind.REMOVE_CARD).exists()


def test_a_card_that_nothing_needs_is_removed(client, sandbox, student):
    card = card_of(student)
    client.force_login(student)
    page = page_of(client)
    assert "No session needs it." in page
    assert removal(card.pk) in page
    answer = client.post(removal(card.pk), follow=True)
    assert "The card is removed. We can&#x27;t charge it any more." in answer.content.decode()
    assert "No card is saved" in page_of(client)
    card.refresh_from_db()
    assert card.removed_at is not None
    assert Operation.objects.get(kind=Operation.Kind.REMOVE_CARD).params == {
        "payment_method": card.stripe_payment_method_id
    }


def test_what_is_settled_needs_no_card(client, student, needed):
    Payment.objects.update(status=Status.CAPTURED)
    client.force_login(student)
    page = page_of(client)
    assert "No session needs it." in page
    assert needed.description not in page


def test_other_peoples_cards_do_not_exist(client, sandbox, student, stranger):
    card = card_of(student)
    client.force_login(stranger)
    assert "4242" not in page_of(client)
    for unknown in (card.pk, card.pk + 1, 10**30):
        assert client.post(removal(unknown)).status_code == 404
    card.refresh_from_db()
    assert card.removed_at is None


def test_removing_takes_a_post_and_a_login(client, sandbox, student):
    card = card_of(student)
    for answer in (client.get(PAGE), client.post(removal(card.pk))):
        assert answer.status_code == 302
        assert reverse("account_login") in answer["Location"]
    client.force_login(student)
    assert client.get(removal(card.pk)).status_code == 405
    card.refresh_from_db()
    assert card.removed_at is None


def test_many_cards_cost_no_more_queries_than_one(client, sandbox, student):
    client.force_login(student)
    card_of(student)
    page_of(client)
    with CaptureQueriesContext(connection) as one:
        page_of(client)
    for number in range(20):
        card_of(student, f"{number:04}")
    with CaptureQueriesContext(connection) as many:
        assert "ending in 0019" in page_of(client)
    assert len(many) == len(one)


def test_the_account_pages_lead_here(client, student):
    client.force_login(student)
    assert f'href="{PAGE}"' in client.get(reverse("account_details")).content.decode()
