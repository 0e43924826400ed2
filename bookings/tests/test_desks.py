"""Money at risk, the front page's figures, and what each role finds there: all of it at a constant price."""

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bookings import at_risk
from bookings.admin.at_risk import KINDS
from bookings.models import Booking, Claim
from bookings.tests.factories import accepted, book, fresh, known_student, paid, payment_of
from coaches.models import Coach, Offering
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.lib.weeks import WEEK, last_weeks
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import UserFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role
from payments import ledger
from payments.models import (
    Correction,
    Dispute,
    FraudWarning,
    LedgerTransaction,
    Operation,
    Payment,
    PayoutLine,
    PayoutRun,
    Refund,
    Reversal,
    StripeEvent,
    Transfer,
)

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def booking(sandbox: Sandbox, student: User, offering: Offering) -> Booking:
    """Accepted for the day after the one in which the sandbox always is."""
    return accepted(student, offering)


def post(
    kind: str, amounts: dict[str, int], *, now: datetime, currency: str = "usd", payment: Payment | None = None
) -> None:
    """A fact in the books."""
    lines = [ledger.Line(account, Money(amount, currency)) for account, amount in amounts.items()]
    reference = f"{kind}:{LedgerTransaction.objects.count()}"
    with transaction.atomic():
        ledger.post(kind=kind, reference=reference, lines=lines, payment=payment, now=now)


def everything_at_risk(booking: Booking, now: datetime) -> None:
    """One of each kind; `booking` is accepted, and its money is held."""
    payment = payment_of(booking)
    Payment.objects.filter(pk=payment.pk).update(capture_before=now + 5 * HOUR)
    Booking.objects.filter(pk=booking.pk).update(pay_due_at=now + 6 * HOUR)
    booking.claims.create(
        kind="problem", side="student", state="contradicted", opened_at=now - DAY, answer_due_at=now + HOUR
    )
    Operation.objects.create(
        kind="create_account", state="unknown", first_sent_at=now - HOUR, next_try_at=now, created_at=now - HOUR
    )
    coach = booking.coach
    Coach.objects.filter(pk=coach.pk).update(payable=False)
    taken = another_payment(payment)
    taken.earnings.create(coach=coach, amount=8_000, currency="usd", release_at=now - 2 * DAY, created_at=now)
    common = {"payment": taken, "currency": "usd", "coach_part": 0, "fee_part": 0, "bearer": "platform"}
    for status in ("failed", "to_approve"):
        Refund.objects.create(amount=100, loss_part=100, reason="goodwill", status=status, created_at=now, **common)
    post("refund_failed", {f"refunds_owed:{taken.payer_id}": -100, "platform_losses": 100}, now=now, payment=taken)
    Dispute.objects.create(
        stripe_dispute_id=f"dp_{taken.pk}", payment=taken, charge_id="ch_1", amount=10_000, currency="usd",
        reason="fraudulent", status="needs_response", due_by=now + 2 * HOUR, opened_at=now,
    )  # fmt: skip
    FraudWarning.objects.create(
        stripe_warning_id=f"issfr_{taken.pk}", payment=taken, fraud_type="misc", actionable=True, warned_at=now
    )
    StripeEvent.objects.create(
        event_id=f"evt_{taken.pk}", type="charge.succeeded", livemode=False, payload=b"{}", received_at=now,
        next_try_at=now, state="parked", reason="KeyError",
    )  # fmt: skip
    run, _ = PayoutRun.objects.get_or_create(month="2026-10", defaults={"opened_at": now})
    PayoutLine.objects.create(
        run=run, coach=coach, amount=5_000, currency="usd" if not run.lines.exists() else "eur", status="waiting",
        waiting_for="The account is restricted.",
    )  # fmt: skip
    transfer = Transfer.objects.create(
        stripe_transfer_id=f"tr_{taken.pk}", coach=coach, destination="acct_1", amount=8_000, currency="usd",
        payment=taken, created_at=now,
    )  # fmt: skip
    Reversal.objects.create(
        transfer=transfer, stripe_reversal_id=f"trr_{taken.pk}", amount=3_000, currency="usd", status="at_stripe",
        created_at=now,
    )  # fmt: skip
    Correction.objects.create(
        token=uuid.uuid4(), from_account="platform_losses", to_account="bank", amount=100, currency="usd",
        reason="Booked to the wrong account.", proposed_by=coach.user, created_at=now,
    )  # fmt: skip


def another_payment(payment: Payment) -> Payment:
    """Captured, and for something else."""
    payment.pk, payment.reference, payment.status = None, f"else:{payment.pk}", Payment.Status.CAPTURED
    payment.payment_intent_id = payment.checkout_session_id = None
    payment.captured_amount, payment.captured_at = payment.amount, clock.now()
    payment.save(force_insert=True)
    return payment


def page(client: Client) -> Any:
    return client.get(reverse("admin:bookings_at_risk"))


def kinds_of(client: Client) -> list[str]:
    return [each["row"].kind for each in page(client).context["rows"]]


# --- money at risk ------------------------------------------------------------------------------


def test_every_kind_is_in_one_queue_by_deadline(booking: Booking) -> None:
    now = clock.now()
    everything_at_risk(booking, now)
    rows = at_risk.queue(kinds=set(KINDS), now=now)
    assert {row.kind for row in rows} == set(KINDS) == set(at_risk.FINDERS)
    assert [row.urgency for row in rows] == sorted(row.urgency for row in rows)
    dated = [(row.kind, row.until - now, row.money) for row in rows if row.until]
    assert dated == [
        ("claim_to_decide", HOUR, Money(10_000, "usd")),
        ("dispute_due", 2 * HOUR, Money(10_000, "usd")),
        ("hold_ends", 5 * HOUR, Money(10_000, "usd")),
        ("link_unpaid", 6 * HOUR, Money(10_000, "usd")),
        ("unknown_operation", 19 * HOUR, None),
    ]


@pytest.mark.parametrize("role", ["support", "finance", "admin"])
def test_each_row_says_what_and_leads_to_its_page(booking: Booking, role: str) -> None:
    everything_at_risk(booking, clock.now())
    client = as_role(role)
    rows = page(client).context["rows"]
    assert rows
    for each in rows:
        assert each["row"].what
        assert client.get(each["address"]).status_code == 200, each["label"]


def test_what_is_late_is_said_to_be(booking: Booking) -> None:
    now = clock.now()
    everything_at_risk(booking, now)
    Dispute.objects.update(due_by=now - HOUR)
    shown = page(as_role("finance"))
    assert {each["row"].kind for each in shown.context["rows"] if each["late"]} == {"dispute_due"}
    assert shown.content.decode().count("was due") == 1


def test_it_costs_the_same_however_much_there_is(booking: Booking, coach: Coach, offering: Offering) -> None:
    client, now = as_role("admin"), clock.now()
    other = accepted(known_student(UserFactory.create()), offering, starts_at=booking.starts_at + 3 * HOUR)
    everything_at_risk(booking, now)
    page(client)
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            rows = page(client).context["rows"]
        counts.append((len(queries), len(rows)))
        if not number:
            everything_at_risk(other, now)
    assert counts[0][0] == counts[1][0]
    assert counts[1][1] > counts[0][1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda now: Payment.objects.update(capture_before=now + 25 * HOUR), "hold_ends"),
        (lambda now: Claim.objects.update(state="decided"), "claim_to_decide"),
        (lambda now: Claim.objects.update(state="open", kind="coach_missing"), "claim_to_decide"),
        (lambda now: Booking.objects.update(pay_due_at=None), "link_unpaid"),
        (lambda now: Operation.objects.update(first_sent_at=now - 9 * HOUR / 60), "unknown_operation"),
        (lambda now: Refund.objects.filter(status="to_approve").update(status="dismissed"), "refund_to_approve"),
        (lambda now: Dispute.objects.update(evidence_state="submitted"), "dispute_due"),
        (lambda now: FraudWarning.objects.update(settled_at=now), "fraud_warning"),
        (lambda now: Coach.objects.update(payable=True), "restricted_coach"),
        (lambda now: StripeEvent.objects.update(state="new"), "parked_event"),
        (lambda now: PayoutLine.objects.update(status="paid"), "waiting_line"),
        (lambda now: Reversal.objects.update(status="done"), "reversal_to_decide"),
        (lambda now: Correction.objects.update(status="declined"), "correction_to_approve"),
    ],
)
def test_what_needs_nobody_any_more_is_not_in_it(
    booking: Booking, change: Callable[[datetime], object], kind: str
) -> None:
    now = clock.now()
    everything_at_risk(booking, now)
    change(now)
    assert {row.kind for row in at_risk.queue(kinds=set(KINDS), now=now)} == set(KINDS) - {kind}


def test_a_failed_refund_leaves_it_once_the_student_has_the_money(booking: Booking) -> None:
    now = clock.now()
    everything_at_risk(booking, now)
    failed = Payment.objects.get(payer=booking.student.user, refunds__status="failed")
    post("second_way", {f"refunds_owed:{failed.payer_id}": 100, "bank": -100}, now=now, payment=failed)
    assert "failed_refund" not in {row.kind for row in at_risk.queue(kinds=set(KINDS), now=now)}


def test_failed_refunds_that_were_made_good_push_out_none_that_is_owed(booking: Booking, offering: Offering) -> None:
    now = clock.now()
    other = accepted(known_student(UserFactory.create()), offering, starts_at=booking.starts_at + 3 * HOUR)
    for each in (booking, other):
        everything_at_risk(each, now)
    failed = Payment.objects.get(payer=booking.student.user, refunds__status="failed")
    post("second_way", {f"refunds_owed:{failed.payer_id}": 100, "bank": -100}, now=now, payment=failed)
    [row] = at_risk.queue(kinds={"failed_refund"}, now=now, most=1)
    assert other.student.user.name in row.what


def test_more_than_a_page_of_one_kind_is_on_the_pages_after_it(
    booking: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, payment = clock.now(), payment_of(booking)
    taken = another_payment(payment)
    made = [
        FraudWarning.objects.create(
            stripe_warning_id=f"issfr_{minutes}", payment=taken, fraud_type="misc", actionable=True,
            warned_at=now - minutes * timedelta(minutes=1),
        )
        for minutes in range(5, 0, -1)
    ]  # fmt: skip
    Refund.objects.create(
        payment=taken, currency="usd", coach_part=0, fee_part=0, bearer="platform", amount=100, loss_part=100,
        reason="goodwill", status="to_approve", created_at=now - timedelta(minutes=3, seconds=30),
    )  # fmt: skip
    monkeypatch.setattr("bookings.admin.at_risk.ON_A_PAGE", 3)
    client = as_role("finance")
    shown = [client.get(reverse("admin:bookings_at_risk"), {"p": p}) for p in ("1", "2", "3", "0", "x", "9" * 5000)]
    rows = [[str(each["row"].subject) for each in answer.context["rows"]] for answer in shown]
    first, second = ["issfr_5", "issfr_4", str(Refund.objects.get())], ["issfr_3", "issfr_2", "issfr_1"]
    assert rows == [first, second, [], first, first, first]
    assert len(made) == 5
    links = [("?p=2" in answer.content.decode(), "?p=1" in answer.content.decode()) for answer in shown[:2]]
    assert links == [(True, False), (False, True)]


def test_an_empty_queue_says_so_and_what_was_looked_for(db: None) -> None:
    shown = page(as_role("finance")).content.decode()
    assert "Nothing is at risk." in shown
    assert "parked" in shown


def test_everyone_sees_what_is_theirs_to_see(booking: Booking) -> None:
    everything_at_risk(booking, clock.now())
    assert set(kinds_of(as_role("admin"))) == set(KINDS)
    assert set(kinds_of(as_role("finance"))) == set(KINDS)
    assert set(kinds_of(as_role("support"))) == {
        "hold_ends", "claim_to_decide", "link_unpaid", "failed_refund", "refund_to_approve", "dispute_due",
        "fraud_warning",
    }  # fmt: skip
    assert page(as_role()).status_code == 403


# --- the front page -----------------------------------------------------------------------------


def charts(client: Client) -> dict[str, Any]:
    return {chart["title"]: chart for chart in client.get(reverse("admin:index")).context["charts"]}


def test_each_figure_counts_its_week_and_leads_to_its_rows(booking: Booking, student: User, offering: Offering) -> None:
    now = clock.now()
    this_week = last_weeks(now)[-1]
    book(student, offering, starts_at=booking.starts_at + 5 * HOUR)
    Booking.objects.update(created_at=this_week + HOUR)
    Payment.objects.filter(pk=payment_of(booking).pk).update(
        status="captured", captured_amount=10_000, refunded_amount=500, captured_at=this_week
    )
    post("capture", {"bank": 2_000, "platform_revenue": -2_000}, now=this_week)
    client = as_role("admin")
    found = charts(client)
    assert {title: chart["now"] for title, chart in found.items()} == {
        "Conversion": "50.0 %",
        "Completion": "-",
        "Refund rate": "100.0 %",
        "Dispute rate": "0.0 %",
        "Platform revenue, USD": "$20.00",
    }
    assert json.loads(found["Conversion"]["data"])["datasets"][0]["data"][-1] == 50.0
    row = found["Conversion"]["rows"][-1]
    assert (row["part"], row["whole"]) == (1, 2)
    for address, count in ((row["part_link"], 1), (row["whole_link"], 2)):
        assert client.get(address).context["cl"].result_count == count
    entries = found["Platform revenue, USD"]["rows"][-1]["whole_link"]
    assert client.get(entries).context["cl"].result_count == 1


def test_every_link_of_the_front_page_leads_to_as_many_rows_as_it_says(booking: Booking) -> None:
    everything_at_risk(booking, clock.now())
    client = as_role("admin")
    for chart in charts(client).values():
        for row in (chart["rows"][-1], chart):
            for name in ("part", "whole"):
                if name in row:
                    answer = client.get(row[f"{name}_link"])
                    assert answer.context["cl"].result_count == row[name], (chart["title"], name)


def test_the_entries_behind_each_figure_of_revenue_sum_to_it(db: None) -> None:
    now = clock.now()
    this_week = last_weeks(now)[-1]
    for at, currency, amount in (
        (this_week, "usd", 2_000),
        (this_week - timedelta(microseconds=1), "usd", 300),
        (this_week - 3 * WEEK, "usd", -40),  # given back
        (last_weeks(now)[0], "usd", 5),
        (this_week, "jpy", 900),
    ):
        post("capture", {"bank": amount, "platform_revenue": -amount}, now=at, currency=currency)
    client = as_role("finance")
    for title, currency, total in (("Platform revenue, USD", "usd", 2_265), ("Platform revenue, JPY", "jpy", 900)):
        chart = charts(client)[title]
        assert chart["now"] == str(Money(total, currency))
        # A credit is a negative entry.
        assert client.get(chart["whole_link"]).context["sums"] == [Money(-total, currency)]
        for row in chart["rows"]:
            found = client.get(row["whole_link"]).context["sums"]
            assert str(-found[0] if found else Money(0, currency)) == row["value"], (title, row["week"])


def test_weeks_begin_on_monday_and_a_moment_before_is_the_week_before(booking: Booking) -> None:
    monday = last_weeks(clock.now())[-1]
    assert monday.weekday() == 0
    Booking.objects.update(created_at=monday - timedelta(microseconds=1))
    rows = charts(as_role("admin"))["Conversion"]["rows"]
    assert [(row["week"], row["whole"]) for row in rows[-2:]] == [(monday - WEEK, 1), (monday, 0)]
    assert len(rows) == 12


def test_each_currency_has_a_chart_of_its_own(db: None) -> None:
    now = clock.now()
    post("capture", {"bank": 1_000, "platform_revenue": -1_000}, now=now)
    post("capture", {"bank": 900, "platform_revenue": -900}, now=now, currency="jpy")
    found = charts(as_role("finance"))
    assert found["Platform revenue, USD"]["now"] == "$10.00"
    assert found["Platform revenue, JPY"]["now"] == "¥900"


def test_revenue_and_disputes_are_shown_to_whom_they_are_for(booking: Booking) -> None:
    post("capture", {"bank": 2_000, "platform_revenue": -2_000}, now=clock.now())
    assert list(charts(as_role("support"))) == ["Conversion", "Completion", "Refund rate", "Dispute rate"]
    assert list(charts(as_role())) == []


def test_the_front_page_costs_the_same_however_much_there_is(booking: Booking, offering: Offering) -> None:
    client, counts = as_role("admin"), []
    charts(client)
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            charts(client)
        counts.append(len(queries))
        if not number:
            for hours in (3, 6, 9):
                someone = known_student(UserFactory.create())
                paid(fresh(book(someone, offering, starts_at=booking.starts_at + hours * HOUR)))
    assert counts[0] == counts[1]


# --- the log ------------------------------------------------------------------------------------


def test_the_log_of_decisions_is_read_and_never_changed(booking: Booking, staff: User) -> None:
    decision = StaffDecision.objects.create(
        actor=staff, decision="claim_decided", subject_type="bookings.Booking", subject_id=str(booking.pk),
        subject=str(booking), reason="So.", at=clock.now(),
    )  # fmt: skip
    client, address = as_role("admin"), reverse("admin:marketplace_staffdecision_changelist")
    assert "claim_decided" in client.get(address).content.decode()
    one = reverse("admin:marketplace_staffdecision_change", args=[decision.pk])
    assert client.get(one).status_code == 200
    assert client.post(one, {"reason": "Another."}).status_code == 403
    assert client.post(reverse("admin:marketplace_staffdecision_add"), {}).status_code == 403
    assert client.post(reverse("admin:marketplace_staffdecision_delete", args=[decision.pk])).status_code == 403
    assert (
        "claim decided (So.)"
        in client.get(reverse("admin:bookings_booking_change", args=[booking.pk])).content.decode()
    )
    assert as_role().get(address).status_code == 403
