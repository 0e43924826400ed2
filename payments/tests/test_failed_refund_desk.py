"""The desk of a refund that came back: who may, what is offered, and what is said."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of, member_of
from payments.models import Payment, Refund
from payments.tests import bank
from payments.tests.money_back import assert_agreed, captured, come_back, given_back, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("heard")]

Status = Refund.Status
WHY = {"reason": "The bank asked for it once more."}


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach) -> Payment:
    return captured(sandbox, student, payable_coach)


@pytest.fixture
def failed(sandbox: Sandbox, taken: Payment) -> Refund:
    return come_back(sandbox, given_back(taken, 2_500))


def desk_of(refund: Refund) -> str:
    return reverse("admin:payments_refund_failed", args=[refund.pk])


def press(client: Client, refund: Refund, button: str, **more: str) -> Any:
    return client.post(desk_of(refund), {**WHY, **more, button: "yes"}, follow=True)


def offered(client: Client, refund: Refund) -> list[str]:
    return [name for name, _words in client.get(desk_of(refund)).context["choices"]]


def test_it_is_sent_again_from_the_queue_of_money_at_risk(sandbox: Sandbox, failed: Refund) -> None:
    finance = as_role("finance")
    queue = finance.get(reverse("admin:bookings_at_risk")).content.decode()
    assert f'href="{desk_of(failed)}"' in queue
    shown = finance.get(desk_of(failed)).content.decode()
    assert "$25.00 came back from the student&#x27;s bank" in shown
    assert "expired or canceled card" in shown
    assert offered(finance, failed) == ["again"]

    assert "on its way to the student again" in press(finance, failed, "again").content.decode()
    sweep()
    assert list(Refund.objects.order_by("pk").values_list("status", flat=True)) == [Status.REPLACED, Status.SUCCEEDED]
    assert_agreed(sandbox)
    second = press(finance, failed, "again")
    assert second.status_code == 409
    assert "was sent again, or made good" in second.content.decode()
    assert Refund.objects.count() == 2
    assert desk_of(failed) not in finance.get(reverse("admin:bookings_at_risk")).content.decode()


def test_paid_by_other_means_takes_two_people_and_a_second_failure(sandbox: Sandbox, failed: Refund) -> None:
    first, other = browser_of(member_of("finance")), browser_of(member_of("finance"))
    press(first, failed, "again")
    sweep()
    again = come_back(sandbox, Refund.objects.select_related("payment").get(replaces=failed))
    assert offered(first, again) == ["again", "otherwise"]
    press(first, again, "otherwise", reason="Bank transfer, 20 November.")
    assert (offered(first, again), offered(other, again)) == (["deny"], ["confirm", "deny"])
    assert "Bank transfer, 20 November." in other.get(desk_of(again)).content.decode()
    assert "says it was paid by other means" in other.get(reverse("admin:bookings_at_risk")).content.decode()
    assert press(first, again, "confirm").status_code == 403

    assert "owe the student nothing more" in press(other, again, "confirm").content.decode()
    again.refresh_from_db()
    assert again.status == Status.OTHERWISE
    assert offered(other, again) == []
    assert_agreed(sandbox)


def test_a_reason_is_needed(failed: Refund) -> None:
    assert press(as_role("finance"), failed, "again", reason="").status_code == 200
    failed.refresh_from_db()
    assert (failed.status, Refund.objects.count()) == (Status.FAILED, 1)


def test_support_reads_it_and_does_not_send_it(failed: Refund) -> None:
    support = as_role("support")
    assert offered(support, failed) == []
    assert press(support, failed, "again").status_code == 403
    assert Refund.objects.count() == 1


def test_it_is_nobodys_else_to_see(failed: Refund, student: User) -> None:
    client = Client()
    client.force_login(student)
    assert client.get(desk_of(failed)).status_code in (302, 403)
    assert client.post(desk_of(failed), {**WHY, "again": "yes"}).status_code in (302, 403)
    assert Refund.objects.count() == 1


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_what_a_lost_dispute_made_good_is_said_and_nothing_is_offered(sandbox: Sandbox, failed: Refund) -> None:
    bank.decide(sandbox, bank.disputed(sandbox, failed.payment), "lost")
    finance = as_role("finance")
    assert "of this payment we owe $0.00" in finance.get(desk_of(failed)).content.decode()
    assert offered(finance, failed) == []
    refused = press(finance, failed, "again")
    assert refused.status_code == 409
    assert Refund.objects.count() == 1
