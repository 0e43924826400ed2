"""The refund desk: what it shows is what happens, and only who may gets there."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of
from payments import operations, services
from payments.models import Payment, Refund
from payments.tests import bank, stage

pytestmark = pytest.mark.django_db

WISH = {"amount": "25.00", "percent": "", "reason": "problem", "bearer": "", "note": "The sound was bad."}


@pytest.fixture
def taken(sandbox: Sandbox, held: Payment) -> Payment:
    """100.00 USD, captured."""
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    held.refresh_from_db()
    return held


def desk_of(payment: Payment) -> str:
    return reverse("admin:payments_refund_make", args=[payment.pk])


def preview(client: Client, payment: Payment, **wish: str) -> Any:
    return client.post(desk_of(payment), {**WISH, **wish})


def confirm(client: Client, payment: Payment, shown: str, **wish: str) -> Any:
    return client.post(desk_of(payment), {**WISH, **wish, "shown": shown})


def test_the_preview_is_what_then_happens(taken: Payment) -> None:
    client = as_role("support")
    page = preview(client, taken)
    assert dict(page.context["facts"]) == {
        "The student gets": "$25.00",
        "The coach bears": "$20.00",
        "We return of our fee": "$5.00",
        "Our loss": "$0.00",
        "Stripe's fee, not returned": "$3.20, which we have borne with the payment",
    }
    assert not Refund.objects.exists()

    answer = confirm(client, taken, page.context["shown"])
    assert answer.status_code == 302
    refund = Refund.objects.get()
    assert (refund.amount, refund.coach_part, refund.fee_part, refund.loss_part) == (2_500, 2_000, 500, 0)
    assert (refund.reason, refund.bearer, refund.status, refund.note) == (
        "problem", "shared", "requested", "The sound was bad.",
    )  # fmt: skip


def test_per_cent_and_bearer_are_followed(taken: Payment) -> None:
    client = as_role("finance")
    page = preview(client, taken, amount="", percent="50", bearer="platform")
    assert dict(page.context["facts"])["The coach bears"] == "$0.00"
    confirm(client, taken, page.context["shown"], amount="", percent="50", bearer="platform")
    refund = Refund.objects.get()
    assert (refund.amount, refund.coach_part, refund.fee_part, refund.loss_part) == (5_000, 0, 1_000, 4_000)


def test_goodwill_is_borne_by_the_platform_unless_said_otherwise(taken: Payment) -> None:
    client = as_role("support")
    assert preview(client, taken, reason="goodwill").context["bearer"] == "The platform"
    assert preview(client, taken, reason="goodwill", bearer="coach").context["bearer"] == "The coach"


@pytest.mark.everyday(3)
@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"amount": "-5"}, "greater than or equal to"),
        ({"amount": "0"}, "greater than or equal to"),
        ({"amount": "100.01"}, "At most $100.00 can be given back."),
        ({"amount": "5.005"}, "Amounts in USD come in steps of $0.01."),
        ({"amount": "NaN"}, "Enter a number."),
        ({"amount": "5", "percent": "5"}, "one of the two"),
        ({"amount": "", "percent": ""}, "one of the two"),
        ({"amount": "", "percent": "101"}, "less than or equal to 100"),
        ({"note": " "}, "This field is required."),
        ({"reason": "at_stripe"}, "Select a valid choice"),
        ({"bearer": "student"}, "Select a valid choice"),
    ],
)
def test_a_wrong_wish_is_shown_again_with_all_that_was_typed(taken: Payment, wish: dict[str, str], words: str) -> None:
    page = preview(as_role("support"), taken, **wish)
    assert words in page.content.decode()
    form = page.context["form"]
    assert {name: form.data[name] for name in WISH} == {**WISH, **wish}
    assert not Refund.objects.exists()


def test_what_changed_meanwhile_is_shown_again_and_nothing_is_refunded(taken: Payment) -> None:
    client = as_role("support")
    shown = preview(client, taken, bearer="coach", amount="85").context["shown"]
    services.request_refund(
        payment=taken, amount=Money(1_000, "usd"), reason=Refund.Reason.PROBLEM, actor=None, now=clock.now()
    )
    operations.sweep(now=clock.now())

    # The coach's share no longer covers 80.00 of it.
    page = confirm(client, taken, shown, bearer="coach", amount="85")
    assert page.status_code == 409
    assert "Something has changed since you saw this." in page.content.decode()
    assert page.context["shown"] != shown
    assert Refund.objects.count() == 1


def test_a_confirmation_that_was_made_up_refunds_nothing(taken: Payment) -> None:
    assert confirm(as_role("support"), taken, "captured usd 2500 0 0 2500 320 False").status_code == 409
    assert not Refund.objects.exists()


def test_a_second_confirmation_by_a_double_click_is_not_a_second_refund(taken: Payment) -> None:
    client = as_role("support")
    shown = preview(client, taken).context["shown"]
    confirm(client, taken, shown)
    assert confirm(client, taken, shown).status_code == 409
    assert Refund.objects.count() == 1


def test_going_back_keeps_what_was_typed(taken: Payment) -> None:
    page = as_role("support").post(desk_of(taken), {**WISH, "shown": "x", "change": "yes"})
    assert page.context["form"]["note"].value() == "The sound was bad."
    assert not Refund.objects.exists()


# --- a hold -------------------------------------------------------------------------------------


@pytest.fixture
def over(sandbox: Sandbox, held: Payment) -> Payment:
    """100.00 USD held, for a session that is over."""
    sandbox.advance(int((held.service_ends_at - clock.now()).total_seconds()) + 2)
    return held


def test_while_the_session_is_still_to_come_its_hold_is_not_touched(held: Payment) -> None:
    client = as_role("support")
    for page in (preview(client, held), confirm(client, held, "held usd 2500 2000 500 0 0 False")):
        assert page.status_code == 409
        assert "it has to be cancelled, not refunded" in page.content.decode()
    held.refresh_from_db()
    assert held.status == Payment.Status.HELD
    assert desk_of(held) not in client.get(reverse("admin:payments_payment_changelist")).content.decode()


def test_of_a_hold_less_is_taken(over: Payment) -> None:
    client = as_role("support")
    page = preview(client, over)
    assert dict(page.context["facts"]) == {
        "Released to the student": "$25.00",
        "Taken now": "$75.00",
        "Of that, the coach's": "$60.00",
        "Of that, our fee": "$15.00",
    }
    confirm(client, over, page.context["shown"])
    operations.sweep(now=clock.now())
    over.refresh_from_db()
    assert (over.status, over.captured_amount, Refund.objects.count()) == ("captured", 7_500, 0)


@pytest.mark.parametrize("amount", ["100", "99.80"])
def test_a_hold_of_which_too_little_is_left_is_released(over: Payment, amount: str) -> None:
    client = as_role("support")
    page = preview(client, over, amount=amount)
    assert dict(page.context["facts"]) == {
        "Released to the student": "$100.00", "Taken": "nothing", "Stripe's fee": "none",
    }  # fmt: skip
    confirm(client, over, page.context["shown"], amount=amount)
    operations.sweep(now=clock.now())
    over.refresh_from_db()
    assert (over.status, over.captured_amount) == ("released", 0)


def test_a_hold_that_was_taken_meanwhile_is_shown_again(over: Payment) -> None:
    client = as_role("support")
    shown = preview(client, over).context["shown"]
    stage.request_capture(over, clock.now())
    operations.sweep(now=clock.now())
    page = confirm(client, over, shown)
    assert page.status_code == 409
    assert dict(page.context["facts"])["The student gets"] == "$25.00"
    assert not Refund.objects.exists()


def test_what_the_bank_disputes_is_not_refunded_too(taken: Payment, sandbox: Sandbox) -> None:
    bank.disputed(sandbox, taken)
    client = as_role("support")
    page = confirm(client, taken, preview(client, taken).context["shown"])
    assert page.status_code == 409
    assert "a refund now would give the money back twice" in page.content.decode()
    assert page.context["form"]["note"].value() == "The sound was bad."
    assert not Refund.objects.exists()


# --- two people ---------------------------------------------------------------------------------


@pytest.fixture
def waiting(taken: Payment, settings: Any) -> Refund:
    """Asked for by support, above the limit."""
    settings.REFUND_APPROVAL_LIMIT = 2_000
    client = as_role("support")
    page = preview(client, taken)
    assert page.context["waits"]
    confirm(client, taken, page.context["shown"])
    refund = Refund.objects.get()
    assert refund.status == Refund.Status.TO_APPROVE
    return refund


def decide(client: Client, refund: Refund, **what: str) -> Any:
    return client.post(reverse("admin:payments_refund_decide", args=[refund.pk]), what)


def test_a_refund_above_the_limit_waits_for_another_person(waiting: Refund) -> None:
    listed = as_role("finance").get(reverse("admin:payments_refund_changelist") + "?status__exact=to_approve")
    assert reverse("admin:payments_refund_decide", args=[waiting.pk]) in listed.content.decode()

    assert decide(as_role("finance"), waiting, approve="yes").status_code == 302
    waiting.refresh_from_db()
    assert waiting.status == Refund.Status.REQUESTED
    assert waiting.approved_by != waiting.requested_by


def test_support_reads_it_and_can_not_approve(waiting: Refund) -> None:
    page = as_role("support").get(reverse("admin:payments_refund_decide", args=[waiting.pk])).content.decode()
    assert "The sound was bad." in page
    assert "Approve and refund" not in page
    for what in ({"approve": "yes"}, {"dismiss": "yes", "reason": "No."}):
        assert decide(as_role("support"), waiting, **what).status_code == 403
    waiting.refresh_from_db()
    assert waiting.status == Refund.Status.TO_APPROVE


def test_whoever_asked_can_not_approve_it_themselves(taken: Payment, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 2_000
    client = as_role("finance")
    confirm(client, taken, preview(client, taken).context["shown"])
    refund = Refund.objects.get()
    page = decide(client, refund, approve="yes")
    assert page.status_code == 403
    assert "Somebody else than who asked for this refund has to approve it." in page.content.decode()
    refund.refresh_from_db()
    assert refund.status == Refund.Status.TO_APPROVE


def test_dismissing_needs_a_reason_and_refunds_nothing(waiting: Refund) -> None:
    client = as_role("finance")
    assert "Say why" in decide(client, waiting, dismiss="yes").content.decode()
    decide(client, waiting, dismiss="yes", reason="Twice the same.")
    waiting.refresh_from_db()
    waiting.payment.refresh_from_db()
    assert (waiting.status, waiting.payment.refunded_amount) == ("dismissed", 0)
    assert decide(client, waiting, approve="yes").status_code == 409


def test_every_step_is_in_the_log_and_on_the_payments_page(waiting: Refund) -> None:
    decide(as_role("finance"), waiting, approve="yes")
    assert list(StaffDecision.objects.order_by("pk").values_list("decision", flat=True)) == [
        "refund_requested", "refund_approved",
    ]  # fmt: skip
    page = as_role("support").get(reverse("admin:payments_payment_change", args=[waiting.payment_id]))
    assert "refund requested (The sound was bad.)" in page.content.decode()


# --- who may ------------------------------------------------------------------------------------


def test_staff_without_the_right_reach_neither_form_nor_refund(taken: Payment) -> None:
    client = as_role()
    assert client.get(desk_of(taken)).status_code == 403
    assert confirm(client, taken, "x").status_code == 403
    assert not Refund.objects.exists()


def test_a_coach_on_the_staff_does_not_refund_their_own_session(taken: Payment) -> None:
    insider = taken.coach.user
    User.objects.filter(pk=insider.pk).update(is_staff=True)
    insider.refresh_from_db()
    insider.groups.add(Group.objects.get(name="finance"))
    client = browser_of(insider)
    page = confirm(client, taken, preview(client, taken).context["shown"])
    assert page.status_code == 403
    assert "You are the student or the coach of this payment" in page.content.decode()
    assert not Refund.objects.exists()


def test_neither_student_nor_stranger_gets_in(taken: Payment, student: User, stranger: User) -> None:
    for user in (student, stranger):
        client = Client()
        client.force_login(user)
        assert confirm(client, taken, "x").status_code == 302
    assert not Refund.objects.exists()
