"""Nobody is removed while money of theirs is on its way; and who is, leaves the books as they were."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from bookings import removal
from bookings.models import Booking, CalendarAddress, Claim
from bookings.tests.factories import accepted, payment_of
from coaches.models import BillingDetails, CalendarFeed, Coach, Offering, WeeklyHours
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role
from payments import ledger, operations
from payments.models import (
    Dispute,
    Earning,
    LedgerEntry,
    Payment,
    Payout,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Refund,
    SavedCard,
)
from payments.tests import stage
from payments.tests.factories_books import PaymentFactory, earn

pytestmark = pytest.mark.django_db


def page_of(person: User) -> str:
    return reverse("admin:marketplace_user_delete", args=[person.pk])


def remove(person: User, staff: User) -> None:
    removal.remove_person(user=person, actor=staff, reason="They asked for it.", now=clock.now())


# --- refused ------------------------------------------------------------------------------------


def account_of(coach: Coach, **facts: Any) -> PayoutAccount:
    return PayoutAccount.objects.update_or_create(
        coach=coach, defaults={"stripe_account_id": "acct_1", "country": "US", **facts}
    )[0]


def line_of(coach: Coach, **facts: Any) -> None:
    run = PayoutRun.objects.create(month="2026-10", opened_at=clock.now())
    PayoutLine.objects.create(run=run, coach=coach, amount=8_000, currency="usd", **facts)


def disputed(coach: Coach) -> None:
    Dispute.objects.create(
        stripe_dispute_id="dp_1", payment=PaymentFactory.create(coach=coach), charge_id="ch_1", amount=10_000,
        currency="usd", reason="fraudulent", status="needs_response", opened_at=clock.now(),
    )  # fmt: skip


def refunded(coach: Coach) -> None:
    Refund.objects.create(
        payment=PaymentFactory.create(coach=coach), amount=2_500, currency="usd", coach_part=2_000, fee_part=500,
        loss_part=0, bearer="shared", reason="problem", status="to_approve", created_at=clock.now(),
    )  # fmt: skip


def owing(coach: Coach) -> None:
    payment = PaymentFactory.create(coach=coach)
    Earning.objects.create(
        payment=payment, kind="taken_back", coach=coach, amount=-900, currency="usd", release_at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip


def paid_to_bank(coach: Coach) -> None:
    Payout.objects.create(
        account=account_of(coach), amount=4_200, currency="usd", status="in_transit", created_at=clock.now(),
        recorded_at=clock.now(),
    )  # fmt: skip


PENDING: dict[str, tuple[Any, str]] = {
    "what they earned is not paid": (earn, "They have earned $80.00 that is not paid out yet."),
    "they owe us": (owing, "They owe us $9.00."),
    "a line is planned": (line_of, "The payout of $80.00 for 2026-10 is not paid: planned."),
    "finance holds a line": (
        lambda coach: line_of(coach, status="held", held_at=clock.now()),
        "The payout of $80.00 for 2026-10 is not paid: held by finance.",
    ),
    "a dispute is open": (disputed, "Disputes over $100.00 are open."),
    "a refund waits for a second person": (refunded, "Refunds of $25.00 are under way."),
    "money is on its way to their bank": (paid_to_bank, "$42.00 is on its way to their bank."),
    "their balance at Stripe is not empty": (
        lambda coach: account_of(coach, balance={"available": {"usd": 1_200}, "pending": {"usd": 300}}),
        "Their balance at Stripe is $15.00: it has to reach their bank first.",
    ),
}


@pytest.mark.parametrize("case", PENDING)
def test_a_coach_stays_while(case: str, staff: User) -> None:
    coach = CoachFactory.create()
    make_pending, words = PENDING[case]
    make_pending(coach)

    with pytest.raises(removal.StillPending) as refused:
        remove(coach.user, staff)

    assert words in refused.value.reasons
    before = (coach.user.email, coach.display_name)
    coach.refresh_from_db()
    assert (User.objects.get(pk=coach.user_id).email, coach.display_name) == before
    assert StaffDecision.objects.count() == 0


def test_both_sides_stay_while_a_session_is_to_come(
    sandbox: Sandbox, student: User, offering: Offering, staff: User
) -> None:
    booking = accepted(student, offering)
    for person in (student, offering.coach.user):
        with pytest.raises(removal.StillPending) as refused:
            remove(person, staff)
        assert refused.value.reasons[0].startswith(f"Session {booking.pk} on ")
        assert "1 payment(s) are under way: a hold, a saved card or an open payment page." in refused.value.reasons


def test_both_sides_stay_while_a_claim_is_not_decided(student: User, offering: Offering, staff: User) -> None:
    booking = accepted(student, offering)
    Booking.objects.update(status="completed")
    Payment.objects.update(status="released")
    now = clock.now()
    Claim.objects.create(booking=booking, kind="no_show_coach", side="student", opened_at=now, answer_due_at=now)
    for person in (student, offering.coach.user):
        assert removal.hindrances(person) == ["1 claim(s) about their sessions are not decided."]


def test_members_of_the_staff_are_not_removed(staff: User) -> None:
    assert removal.hindrances(staff) == ["They are on the staff: take that from them first."]


def test_the_reasons_take_a_fixed_number_of_queries(django_assert_max_num_queries: Any) -> None:
    coach = CoachFactory.create()
    for _ in range(5):
        earn(coach)
    with django_assert_max_num_queries(20):
        removal.hindrances(coach.user)


# --- removed ------------------------------------------------------------------------------------


@pytest.fixture
def settled(student: User, offering: Offering) -> Booking:
    """A session long ago, with words in it, and nothing left to do."""
    booking = accepted(student, offering)
    Booking.objects.update(status="completed", note="I am afraid of my teacher.")
    Payment.objects.update(status="released")
    return booking


def test_a_student_goes_and_what_they_paid_stays(
    sandbox: Sandbox, settled: Booking, student: User, staff: User
) -> None:
    payment = payment_of(settled)
    card = SavedCard.objects.create(
        user=student, stripe_payment_method_id="pm_1", brand="visa", last4="4242", exp_month=1, exp_year=2031,
        saved_at=clock.now(),
    )  # fmt: skip
    EmailAddress.objects.create(user=student, email=student.email, verified=True, primary=True)
    CalendarAddress.objects.create(user=student, token="secret", created_at=clock.now())

    remove(student, staff)

    student.refresh_from_db()
    assert (student.name, student.email) == ("A former member", f"removed-{student.pk}@removed.invalid")
    assert not student.is_active
    assert not student.has_usable_password()
    assert not EmailAddress.objects.filter(user=student).exists()
    assert not CalendarAddress.objects.exists()
    card.refresh_from_db()
    assert card.removed_at is not None
    asked = student.stripe_operations.filter(kind="remove_card").values_list("params", flat=True)
    assert {"payment_method": "pm_1"} in asked
    payment.refresh_from_db()
    assert (payment.payer, payment.reference) == (student, settled.reference)
    assert Booking.objects.get().note == ""
    decision = StaffDecision.objects.get()
    assert (decision.decision, decision.actor, decision.reason) == ("person_removed", staff, "They asked for it.")


def test_a_coach_goes_and_the_books_stay(settled: Booking, coach: Coach, staff: User) -> None:
    coach.bio = "I live in Elm Street."
    coach.save(update_fields=["bio"])
    BillingDetails.objects.create(coach=coach, address="1 Elm Street")
    CalendarFeed.objects.create(
        coach=coach, name="Mine", address="https://example.com/mine.ics", next_read_at=clock.now(),
        created_at=clock.now(),
    )  # fmt: skip
    entries = list(LedgerEntry.objects.values_list("pk", "amount"))

    remove(coach.user, staff)

    coach.refresh_from_db()
    assert (coach.display_name, coach.slug, coach.bio) == ("A former coach", f"removed-{coach.pk}", "")
    assert "Elm Street" not in "".join(coach.history.values_list("bio", flat=True))
    assert not WeeklyHours.objects.filter(coach=coach).exists()
    assert not CalendarFeed.objects.exists()
    assert not BillingDetails.objects.exists()
    assert not Offering.objects.filter(active=True).exists()
    assert not coach.user.__class__.objects.get(pk=coach.user_id).is_active
    assert list(LedgerEntry.objects.values_list("pk", "amount")) == entries
    assert Payment.objects.get().coach == coach
    assert ledger.check() == []


def test_a_card_is_let_go_of_at_stripe(sandbox: Sandbox, staff: User, buyer: User) -> None:
    coach = CoachFactory.create()
    stage.onboard(sandbox, coach)
    payment = stage.save_card(sandbox, buyer, coach, reference="order:1")
    Payment.objects.update(status="released")
    remove(buyer, staff)
    operations.sweep(now=clock.now() + timedelta(minutes=1))
    assert payment.card is not None
    method = stage.at_stripe(sandbox, f"/v1/payment_methods/{payment.card.stripe_payment_method_id}")
    assert method["customer"] is None


# --- in the admin -------------------------------------------------------------------------------


def test_the_admins_page_says_why_not() -> None:
    coach = CoachFactory.create()
    earn(coach)
    client = as_role("admin")
    page = client.get(page_of(coach.user)).content.decode()
    assert "They have earned $80.00 that is not paid out yet." in page
    assert "Remove this person" not in page
    answer = client.post(page_of(coach.user), {"remove": "yes", "reason": "They asked for it."})
    assert answer.status_code == 409
    assert User.objects.get(pk=coach.user_id).is_active


def test_the_admins_button_removes_with_a_reason(student: User) -> None:
    client = as_role("admin")
    page = client.get(page_of(student)).content.decode()
    assert "be merged" in page
    assert client.post(page_of(student), {"remove": "yes", "reason": ""}).status_code == 200
    student.refresh_from_db()
    assert student.is_active
    client.post(page_of(student), {"remove": "yes", "reason": "They asked for it."})
    student.refresh_from_db()
    assert not student.is_active


@pytest.mark.parametrize("role", ["support", "finance"])
def test_others_on_the_staff_remove_nobody(role: str, student: User) -> None:
    assert as_role(role).post(page_of(student), {"remove": "yes", "reason": "Why not."}).status_code == 403
    student.refresh_from_db()
    assert student.is_active


def test_nobody_is_removed_in_bulk_or_by_the_row(student: User, coach: Coach) -> None:
    client = as_role("admin")
    chosen = {"action": "delete_selected", "_selected_action": [student.pk], "post": "yes"}
    client.post(reverse("admin:marketplace_user_changelist"), chosen)
    assert User.objects.filter(pk=student.pk).exists()
    with pytest.raises(ProtectedError):
        coach.user.delete()


def test_a_coach_is_given_to_nobody_else(coach: Coach, stranger: User) -> None:
    client: Client = as_role("admin")
    page = client.get(reverse("admin:coaches_coach_change", args=[coach.pk])).content.decode()
    assert "merged" in page
    client.post(reverse("admin:coaches_coach_change", args=[coach.pk]), {"user": stranger.pk})
    coach.refresh_from_db()
    assert coach.user != stranger
