"""Who corrects the books: two people of finance, and nobody what is theirs."""

from functools import partial

import pytest
from django.contrib.auth.models import Group

from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import CoachFactory
from payments.errors import NotStaff, OwnMoney
from payments.models import Correction, LedgerTransaction, Payment
from payments.services import corrections
from payments.services.corrections import CorrectionDecided, OwnProposal
from payments.tests.correcting import COACH, approve, on_suspense, propose
from payments.tests.factories_books import earn

pytestmark = pytest.mark.django_db

Status = Correction.Status


def test_nobody_approves_their_own(ada: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    with pytest.raises(OwnProposal):
        approve(proposed, ada)
    assert not LedgerTransaction.objects.exists()


def test_who_proposed_it_may_think_better_of_it(ada: User, bo: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    done = corrections.decline(correction=proposed, actor=ada, reason="A slip.", now=clock.now())
    assert (done.status, done.decision, done.decided_by, done.booked) == (Status.DECLINED, "A slip.", ada, None)
    with pytest.raises(CorrectionDecided):
        approve(proposed, bo)
    assert not LedgerTransaction.objects.exists()


def test_each_step_is_in_the_log_of_decisions(ada: User, bo: User) -> None:
    approve(propose(ada, amount=100, to_account="bank"), bo)
    corrections.decline(correction=propose(bo, amount=50, to_account="bank"), actor=ada, reason="No.", now=clock.now())
    logged = StaffDecision.objects.order_by("pk").values_list("actor__name", "decision", "reason")
    assert list(logged) == [
        ("Ada", "correction_proposed", "Stripe's letter of Monday."),
        ("Bo", "correction_approved", "As the letter says."),
        ("Bo", "correction_proposed", "Stripe's letter of Monday."),
        ("Ada", "correction_declined", "No."),
    ]
    approved = StaffDecision.objects.get(decision="correction_approved")
    assert (approved.before, approved.after["amount"]) == ({"status": "to_approve"}, 100)


@pytest.mark.parametrize("change", [{"is_staff": False}, {"is_active": False}])
def test_rights_count_as_they_are_now(ada: User, bo: User, change: dict[str, bool]) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    User.objects.filter(pk=bo.pk).update(**change)
    with pytest.raises(NotStaff):
        approve(proposed, bo)
    with pytest.raises(NotStaff):
        propose(bo, amount=100, to_account="bank")


def test_only_finance_and_admins_have_the_right(ada: User, bo: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    bo.groups.set([Group.objects.get(name="support")])
    for act in (
        partial(approve, proposed, bo),
        partial(corrections.decline, correction=proposed, actor=bo, reason="No.", now=clock.now()),
        partial(propose, bo, amount=100, to_account="bank"),
    ):
        with pytest.raises(NotStaff):
            act()
    assert Correction.objects.get().status == Status.TO_APPROVE


def test_nobody_corrects_what_is_theirs(ada: User, bo: User) -> None:
    coach = CoachFactory.create(user=bo)
    with pytest.raises(OwnMoney):
        propose(bo, amount=-100, to_account=COACH, coach=coach)
    with pytest.raises(OwnMoney):
        approve(propose(ada, amount=-100, to_account=COACH, coach=coach), bo)
    theirs: Payment = earn(CoachFactory.create()).paid_for
    Payment.objects.filter(pk=theirs.pk).update(payer=bo)
    with pytest.raises(OwnMoney):
        approve(propose(ada, amount=-100, to_account="bank", payment=theirs), bo)


def test_nobody_clears_what_came_of_a_payment_of_theirs(ada: User, bo: User) -> None:
    """Also where the proposal names neither the payment nor the coach."""
    fact = on_suspense(1_000, payment=earn(CoachFactory.create(user=bo)).paid_for)
    with pytest.raises(OwnMoney):
        propose(bo, amount=1_000, clears=fact)
    with pytest.raises(OwnMoney):
        approve(propose(ada, amount=1_000, clears=fact), bo)
