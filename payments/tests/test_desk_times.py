"""Staff's desks write a time in one way, with the day of the week, as our own pages do."""

import pytest
from django.urls import reverse

from marketplace.admin_desks import decisions_of
from marketplace.models import StaffDecision
from marketplace.tests.factories import UserFactory
from marketplace.tests.staff import as_role
from payments import problems
from payments.models import OperatorMail, Problem, Reconciliation
from payments.tests.wrong import NOW, differ, stand_still

pytestmark = pytest.mark.django_db
SAID, AS_KEPT = "Fri 20 Nov 2026, 12:00 UTC", "2026-11-20 12:00"


def test_when_operators_were_told() -> None:
    differ()
    problems.look(NOW)
    mail = OperatorMail.objects.create(number=1, written_at=NOW)
    Problem.objects.update(begun_mail=mail, ended_mail=mail)
    address = reverse("admin:payments_problem_change", args=[Problem.objects.get().pk])
    page = as_role("finance").get(address).content.decode()
    assert page.count(SAID) == 2
    assert AS_KEPT not in page


def test_since_when_sending_is_stopped() -> None:
    """On the banner of every page, and on the page of its own."""
    stand_still()
    page = as_role("finance").get(reverse("admin:payments_standstill_now")).content.decode()
    assert page.count(SAID) == 2
    assert AS_KEPT not in page


def test_when_staff_decided() -> None:
    difference = differ()
    StaffDecision.objects.create(
        actor=UserFactory.create(name="Ada"),
        decision="explain",
        reason="It is so.",
        at=NOW,
        subject_type="payments.Difference",
        subject_id=str(difference.pk),
    )
    assert decisions_of(difference) == f"{SAID}, Ada: explain (It is so.)"


def test_when_a_comparison_began() -> None:
    row = Reconciliation.objects.create(scope="full", began_at=NOW)
    page = as_role("finance").get(reverse("admin:payments_reconciliation_change", args=[row.pk])).content.decode()
    assert f"reconciliation of {SAID}" in page
    assert AS_KEPT not in page
