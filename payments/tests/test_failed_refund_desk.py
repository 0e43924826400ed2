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
from payments.owed import owed_of_refund
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
    """On a page that was loaded just now."""
    refund = Refund.objects.select_related("payment").get(pk=refund.pk)
    shown = str(owed_of_refund(refund))
    return client.post(desk_of(refund), {**WHY, "shown": shown, **more, button: "yes"}, follow=True)


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
    assert second.context["choices"] == []
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
    assert "of this refund we owe nothing" in finance.get(desk_of(failed)).content.decode()
    assert offered(finance, failed) == []
    refused = press(finance, failed, "again")
    assert refused.status_code == 409
    assert Refund.objects.count() == 1


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_what_a_lost_dispute_made_good_in_part_leaves_the_rest_to_pay_by_other_means(
    sandbox: Sandbox, taken: Payment
) -> None:
    failed = come_back(sandbox, given_back(taken, 6_000))
    first, other = browser_of(member_of("finance")), browser_of(member_of("finance"))
    stale = {**WHY, "shown": "$60.00", "otherwise": "yes"}
    bank.decide(sandbox, bank.disputed(sandbox, taken, amount=6_000), "lost")
    page = first.get(desk_of(failed)).content.decode()
    assert "we still owe $40.00 of this refund" in page
    assert 'name="shown" value="$40.00"' in page
    assert "The student was paid $40.00 by other means" in page
    assert offered(first, failed) == ["otherwise"]

    late = first.post(desk_of(failed), stale)
    assert (late.status_code, "Something has changed since you saw this" in late.content.decode()) == (409, True)
    failed.refresh_from_db()
    assert failed.otherwise_by is None

    press(first, failed, "otherwise")
    assert "the student has $40.00 from our bank account" in other.get(desk_of(failed)).content.decode()
    press(other, failed, "confirm")
    failed.refresh_from_db()
    assert failed.status == Status.OTHERWISE
    assert_agreed(sandbox)


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_a_word_that_a_lost_dispute_has_overtaken_can_only_be_taken_back(sandbox: Sandbox, taken: Payment) -> None:
    failed = come_back(sandbox, given_back(taken, 6_000))
    first, other = browser_of(member_of("finance")), browser_of(member_of("finance"))
    press(first, failed, "again")
    sweep()
    again = come_back(sandbox, Refund.objects.select_related("payment").get(replaces=failed))
    press(first, again, "otherwise")
    bank.decide(sandbox, bank.disputed(sandbox, taken, amount=6_000), "lost")
    assert offered(other, again) == ["deny"]
    page = other.get(desk_of(again)).content.decode()
    assert "has $60.00 from our bank account, but by now we owe $40.00" in page
    refused = press(other, again, "confirm")
    assert (refused.status_code, "is not what it was" in refused.content.decode()) == (409, True)
    press(other, again, "deny")
    assert offered(first, again) == ["otherwise"]
