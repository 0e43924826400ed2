"""The claims desk: both sides beside each other, and the money of each outcome as it then comes to be."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import services
from bookings.models import Booking, Claim
from bookings.services import claim_desk
from bookings.tests.factories import fresh, payment_of
from bookings.tests.pages import request_session, seconds_until
from bookings.tests.reporting import MINUTE, student_reports, wait_in_the_room
from coaches.models import Offering
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of
from payments import operations
from payments.models import Refund

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

WISH = {"outcome": "no_show_coach", "back": "", "reason": "The log shows it."}


@pytest.fixture
def booking(browser_of_student: Client, bookable: Offering, sandbox: Sandbox) -> Booking:
    """100.00 USD held, and the session is over."""
    made = request_session(browser_of_student, bookable, sandbox)
    sandbox.advance(seconds_until(made.ends_at))
    return fresh(made)


@pytest.fixture
def claim(booking: Booking) -> Claim:
    """Contradicted."""
    made = student_reports(booking, now=clock.now(), words="I sat there alone.")
    services.contradict(claim=made, actor=booking.coach.user, words="I was there, look.", now=clock.now())
    return made


@pytest.fixture
def taken(claim: Claim, booking: Booking, sandbox: Sandbox) -> Claim:
    """The hold was about to end, so that the money was taken and kept back."""
    capture_before = payment_of(booking).capture_before
    assert capture_before
    sandbox.advance(seconds_until(capture_before - 5 * 60 * MINUTE))
    services.run_due_transitions(now=clock.now())
    operations.sweep(now=clock.now())
    assert payment_of(booking).status == "captured"
    return claim


def desk_of(claim: Claim) -> str:
    return reverse("admin:bookings_claim_decide", args=[claim.pk])


def version_of(claim: Claim) -> str:
    return str(Claim.objects.get(pk=claim.pk).version)


def preview(client: Client, claim: Claim, **wish: str) -> Any:
    return client.post(desk_of(claim), {"version": version_of(claim), **WISH, **wish})


def confirm(client: Client, claim: Claim, shown: str, **wish: str) -> Any:
    return client.post(desk_of(claim), {"version": version_of(claim), **WISH, "shown": shown, **wish})


def decide(claim: Claim, **wish: str) -> dict[str, str]:
    """Through both pages; what the first one said."""
    client = as_role("support")
    page = preview(client, claim, **wish)
    assert confirm(client, claim, page.context["shown"], **wish).status_code == 302
    operations.sweep(now=clock.now())
    return dict(page.context["facts"])


def state(claim: Claim) -> str:
    return Claim.objects.get(pk=claim.pk).state


def test_both_sides_and_who_was_there_are_beside_each_other(claim: Claim) -> None:
    page = as_role("support").get(desk_of(claim)).content.decode()
    for words in (
        "I sat there alone.",
        "I was there, look.",
        "Nobody&#x27;s arrival was recorded.",
        "undecided, it is taken and kept back at",
    ):
        assert words in page


def test_nobody_is_said_to_have_contradicted_what_the_record_of_the_room_speaks_against(booking: Booking) -> None:
    wait_in_the_room(booking, start=booking.starts_at)
    claim = student_reports(booking, now=clock.now())
    assert services.settle_due_claims(now=claim.answer_due_at) == 1
    page = as_role("support").get(desk_of(claim))
    facts, sides = dict(page.context["facts"]), dict(page.context["sides"])
    said = "Our record of the session's room says that the coach was there, so our team decides."
    assert (facts["State of the claim"], facts["Nobody has contradicted"]) == ("Staff decide", said)
    assert sides["The coach says"] == "Has not answered."


def test_what_was_contradicted_is_not_said_to_go_by_the_record(claim: Claim) -> None:
    assert "Nobody has contradicted" not in dict(as_role("support").get(desk_of(claim)).context["facts"])


def test_each_outcomes_money_is_told_before_anything_is_chosen(claim: Claim) -> None:
    told = dict(as_role("support").get(desk_of(claim)).context["consequences"])
    assert dict(told["The coach did not come"]) == {
        "Released to the student": "$100.00", "Taken": "nothing", "Stripe's fee": "none",
    }  # fmt: skip
    assert dict(told["The student did not come"]) == {
        "Released to the student": "$50.00",
        "Taken now": "$50.00",
        "Of that, the coach's": "$40.00",
        "Of that, our fee": "$10.00",
    }
    assert dict(told["The session counts as held"])["The student gets back"] == "nothing"
    assert state(claim) == Claim.State.CONTRADICTED


@pytest.mark.parametrize(
    ("wish", "status", "captured"),
    [
        ({"outcome": "no_show_coach"}, "released", 0),
        ({"outcome": "no_show_student"}, "captured", 5_000),
        ({"outcome": "refunded", "back": "30"}, "captured", 7_000),
        ({"outcome": "refunded", "back": "99.80"}, "released", 0),
        ({"outcome": "nothing"}, "held", 0),
    ],
)
def test_of_a_hold_what_was_shown_is_what_happens(
    claim: Claim, booking: Booking, wish: dict[str, str], status: str, captured: int
) -> None:
    told = decide(claim, **wish)
    payment = payment_of(booking)
    assert (payment.status, payment.captured_amount, Refund.objects.count()) == (status, captured, 0)
    if "Taken now" in told:
        assert told["Taken now"] == f"${captured / 100:.2f}"
    assert state(claim) == Claim.State.DECIDED


@pytest.mark.parametrize(
    ("wish", "parts"),
    [
        ({"outcome": "no_show_coach"}, (10_000, 8_000, 2_000)),
        ({"outcome": "no_show_student"}, (5_000, 4_000, 1_000)),
        ({"outcome": "refunded", "back": "30"}, (3_000, 2_400, 600)),
    ],
)
def test_of_what_was_taken_the_refund_is_as_shown(
    taken: Claim, wish: dict[str, str], parts: tuple[int, int, int]
) -> None:
    told = decide(taken, **wish)
    refund = Refund.objects.get()
    assert (refund.amount, refund.coach_part, refund.fee_part) == parts
    assert [told[name] for name in ("The student gets", "The coach bears", "We return of our fee")] == [
        f"${part / 100:.2f}" for part in parts
    ]


def test_a_refund_above_the_limit_is_told_to_wait_and_waits(taken: Claim, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = 1_000
    assert "A second person" in decide(taken)
    assert Refund.objects.get().status == Refund.Status.TO_APPROVE


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"outcome": ""}, "This field is required."),
        ({"outcome": "refunded"}, "Say how much."),
        ({"outcome": "nothing", "back": "5"}, "Nothing to say here"),
        ({"outcome": "refunded", "back": "-5"}, "greater than or equal to"),
        ({"outcome": "refunded", "back": "5.001"}, "Amounts in USD come in steps of $0.01."),
        ({"outcome": "refunded", "back": "100.01"}, "At most $100.00 can be given back."),
        ({"reason": ""}, "This field is required."),
    ],
)
def test_a_wrong_decision_is_shown_again_with_all_that_was_typed(
    claim: Claim, wish: dict[str, str], words: str
) -> None:
    page = preview(as_role("support"), claim, **wish)
    assert words in page.content.decode()
    assert {name: page.context["form"].data[name] for name in WISH} == {**WISH, **wish}
    assert state(claim) == Claim.State.CONTRADICTED


def test_whoever_has_read_an_older_state_is_told_and_keeps_their_words(claim: Claim) -> None:
    client, old = as_role("support"), version_of(claim)
    shown = preview(client, claim).context["shown"]
    Claim.objects.filter(pk=claim.pk).update(version=int(old) + 1)

    page = confirm(client, claim, shown, version=old)
    assert page.status_code == 409
    assert "Somebody else has worked on this report meanwhile." in page.content.decode()
    assert page.context["form"]["reason"].value() == "The log shows it."
    assert state(claim) == Claim.State.CONTRADICTED


def test_the_second_of_two_colleagues_sees_what_the_first_decided(claim: Claim) -> None:
    second = as_role("support")
    seen = preview(second, claim)
    version = version_of(claim)
    decide(claim, outcome="nothing")
    page = confirm(second, claim, seen.context["shown"], version=version)
    assert page.status_code == 409
    assert "The session counts as held" in page.content.decode()
    assert StaffDecision.objects.count() == 1


def test_money_that_moved_meanwhile_is_shown_again(claim: Claim, booking: Booking, sandbox: Sandbox) -> None:
    client = as_role("support")
    shown = preview(client, claim).context["shown"]
    capture_before = payment_of(booking).capture_before
    assert capture_before
    sandbox.advance(seconds_until(capture_before - 5 * 60 * MINUTE))
    services.run_due_transitions(now=clock.now())
    operations.sweep(now=clock.now())

    page = confirm(client, claim, shown)
    assert page.status_code == 409
    assert dict(page.context["facts"])["The student gets"] == "$100.00"
    assert not Refund.objects.exists()
    assert confirm(client, claim, page.context["shown"]).status_code == 302


@pytest.mark.parametrize("version", ["", "x", "-1", "9" * 40, "²"])
def test_a_version_that_is_none_decides_nothing(claim: Claim, version: str) -> None:
    client = as_role("support")
    shown = preview(client, claim).context["shown"]
    assert confirm(client, claim, shown, version=version).status_code == 409
    assert state(claim) == Claim.State.CONTRADICTED


def test_finance_reads_the_case_and_does_not_decide(claim: Claim) -> None:
    client = as_role("finance")
    assert client.get(reverse("admin:bookings_claim_change", args=[claim.pk])).status_code == 200
    case = client.get(desk_of(claim)).content.decode()
    assert "I was there, look." in case
    assert "See what it means" not in case
    assert preview(client, claim).status_code == 403
    assert confirm(client, claim, "x").status_code == 403
    assert state(claim) == Claim.State.CONTRADICTED


def test_a_coach_on_the_staff_does_not_decide_about_themselves(claim: Claim, booking: Booking) -> None:
    insider = booking.coach.user
    User.objects.filter(pk=insider.pk).update(is_staff=True)
    insider.refresh_from_db()
    insider.groups.set(Group.objects.filter(name="support"))
    client = browser_of(insider)
    page = confirm(client, claim, preview(client, claim).context["shown"])
    assert page.status_code in (403, 409)
    assert state(claim) == Claim.State.CONTRADICTED


def test_the_list_comes_by_deadline_at_a_constant_price(claim: Claim) -> None:
    client = as_role("support")
    address = reverse("admin:bookings_claim_changelist")
    client.get(address)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page = client.get(address)
        assert desk_of(claim) in page.content.decode()
        counts.append(len(queries))
        Claim.objects.create(
            booking=claim.booking, kind=claim.kind, side="student", state=Claim.State.WITHDRAWN,
            opened_at=claim.opened_at, answer_due_at=claim.answer_due_at,
        )  # fmt: skip
    assert counts[0] == counts[1]


def test_the_decision_is_in_the_log_and_on_the_claims_page(claim: Claim) -> None:
    decide(claim)
    assert StaffDecision.objects.get().decision == "claim_decided"
    page = as_role("support").get(reverse("admin:bookings_claim_change", args=[claim.pk])).content.decode()
    assert "claim decided (The log shows it.)" in page


def test_the_words_of_an_outcome_are_one_text(claim: Claim) -> None:
    assert claim_desk.summary([("A", "1"), ("B", "2")]) == "A: 1; B: 2"


def test_staff_without_any_right_see_no_case(claim: Claim) -> None:
    assert as_role().get(desk_of(claim)).status_code == 403
    assert confirm(as_role(), claim, "x").status_code == 403


def test_a_session_with_a_claim_leads_to_the_desk_and_to_no_shortcut_around_it(claim: Claim, booking: Booking) -> None:
    client = as_role("support")
    page = client.get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()
    assert desk_of(claim) in page
    for name in ("no_show_student", "no_show_coach", "dismiss_report", "complete_reduced"):
        shortcut = reverse("admin:bookings_booking_do", args=[booking.pk, name])
        assert shortcut not in page
        assert client.post(shortcut, {"reason": "So."}).status_code == 404
    assert state(claim) == Claim.State.CONTRADICTED
