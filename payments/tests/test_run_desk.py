"""The monthly run in the admin: how far it is, what it would pay, and lines that finance holds and releases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.months import month_before, start_of
from marketplace.models import StaffDecision
from marketplace.templatetags.ui import plain_time
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role
from payments import payouts
from payments.models import PayoutLine, PayoutRun
from payments.tests.factories_books import earn

pytestmark = pytest.mark.django_db


def last_month() -> datetime:
    return start_of(month_before(clock.now())) + timedelta(days=14)


@pytest.fixture
def run() -> PayoutRun:
    """Two coaches are due 80.00 each, one of them for two sessions; one more has nothing released yet."""
    for number, amounts in enumerate(([10_000], [5_000, 5_000])):
        coach = CoachFactory.create(display_name=f"Coach {number}")
        for amount in amounts:
            earn(coach, amount=amount, platform_fee=amount // 5, release_at=last_month())
    return payouts.open_run(month_before(clock.now()), clock.now())


def watch(run: PayoutRun) -> str:
    return reverse("admin:payments_payoutrun_watch", args=[run.pk])


def desk(line: PayoutLine) -> str:
    return reverse("admin:payments_payoutline_decide", args=[line.pk])


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# --- the run, live ------------------------------------------------------------------------------


def test_it_shows_how_far_the_run_is(run: PayoutRun) -> None:
    PayoutLine.objects.filter(coach__display_name="Coach 0").update(status="paid", paid_at=clock.now())
    page = words(as_role("finance").get(watch(run)))
    assert "1 of 2 lines paid" in page
    assert page.count("$80.00") == 2
    assert 'hx-trigger="every 5s"' in page


def test_it_stands_still_when_nothing_moves(run: PayoutRun) -> None:
    PayoutLine.objects.update(status="paid", paid_at=clock.now())
    assert "every 5s" not in words(as_role("finance").get(watch(run)))


def test_each_figure_leads_to_its_lines(run: PayoutRun) -> None:
    page = as_role("finance").get(watch(run)).content.decode()
    address = f"/admin/payments/payoutline/?run__id__exact={run.pk}&amp;status__exact=planned&amp;currency=usd"
    assert address in page
    lines = as_role("finance").get(address.replace("&amp;", "&"))
    assert (lines.status_code, lines.context["cl"].result_count) == (200, 2)


def test_it_says_why_a_line_waits_and_who_has_money_on_no_line(run: PayoutRun) -> None:
    PayoutLine.objects.filter(coach__display_name="Coach 0").update(status="waiting", waiting_for="The bank said no.")
    earn(CoachFactory.create(display_name="Nobody yet"), release_at=last_month())
    page = words(as_role("finance").get(watch(run)))
    assert "The bank said no." in page
    assert "Nobody yet" in page
    assert "No Stripe account yet." in page


def test_last_months_run_is_what_the_side_bar_leads_to(run: PayoutRun) -> None:
    page = words(as_role("finance").get(reverse("admin:payments_payoutrun_latest")))
    assert f"Payouts of {run.month}" in page


def test_more_lines_cost_no_more_queries(run: PayoutRun) -> None:
    client = as_role("finance")
    PayoutLine.objects.update(status="waiting", waiting_for="x")
    client.get(watch(run))
    with CaptureQueriesContext(connection) as few:
        client.get(watch(run))
    for number in range(10):
        PayoutLine.objects.create(
            run=run, coach=CoachFactory.create(), amount=100 + number, currency="usd", status="waiting"
        )
    with CaptureQueriesContext(connection) as many:
        client.get(watch(run))
    assert len(many) == len(few)


# --- what it would pay --------------------------------------------------------------------------


def test_before_the_run_is_opened_it_shows_what_it_would_pay() -> None:
    earn(CoachFactory.create(display_name="Ada"), release_at=last_month())
    page = words(as_role("finance").get(reverse("admin:payments_payoutrun_latest")))
    assert "1 line would be paid, <strong>$80.00</strong> in all" in page
    assert "Ada" in page
    assert reverse("admin:payments_statement_coach", args=[Coach.objects.get().pk]) in page
    assert PayoutRun.objects.count() == 0


@pytest.mark.parametrize(
    ("month", "status", "told"),
    [
        ("2026-13", 400, "Write the month like 2026-10."),
        ("9999-99", 400, "Write the month like 2026-10."),
        ("'; drop table", 400, "Write the month like 2026-10."),
        ("9998-12", 409, "This month is not over yet"),
    ],
)
def test_a_month_that_is_none_or_not_over_is_refused(month: str, status: int, told: str) -> None:
    answer = as_role("finance").get(reverse("admin:payments_payoutrun_dry_run"), {"month": month})
    assert answer.status_code == status
    assert told in words(answer)


def test_of_an_open_run_it_leads_to_the_run(run: PayoutRun) -> None:
    answer = as_role("finance").get(reverse("admin:payments_payoutrun_dry_run"), {"month": run.month})
    assert watch(run) in words(answer)


# --- holding and releasing ----------------------------------------------------------------------


def test_finance_holds_a_line_and_releases_it(run: PayoutRun) -> None:
    line = PayoutLine.objects.first()
    assert line is not None
    client = as_role("finance")
    client.post(desk(line), {"reason": "To be looked at.", "hold": "yes"})
    line.refresh_from_db()
    assert (line.status, line.held_reason) == ("held", "To be looked at.")
    assert "To be looked at." in words(client.get(watch(run)))

    client.post(desk(line), {"reason": "All is well.", "release": "yes"})
    line.refresh_from_db()
    assert (line.status, line.held_reason, line.held_by) == ("planned", "", None)
    assert list(StaffDecision.objects.order_by("pk").values_list("reason", flat=True)) == [
        "To be looked at.",
        "All is well.",
    ]


def test_what_does_not_fit_any_more_is_refused_in_words(run: PayoutRun) -> None:
    line = PayoutLine.objects.first()
    assert line is not None
    PayoutLine.objects.filter(pk=line.pk).update(status="paid", paid_at=clock.now())
    answer = as_role("finance").post(desk(line), {"reason": "Wait.", "hold": "yes"})
    assert answer.status_code == 409
    assert "Stripe was asked for this transfer already" in words(answer)
    assert StaffDecision.objects.count() == 0


def test_without_a_reason_nothing_is_held(run: PayoutRun) -> None:
    line = PayoutLine.objects.first()
    assert line is not None
    answer = as_role("finance").post(desk(line), {"reason": "", "hold": "yes"})
    assert 'name="release"' not in answer.content.decode()
    line.refresh_from_db()
    assert line.status == "planned"


def test_support_neither_sees_nor_holds(run: PayoutRun) -> None:
    line = PayoutLine.objects.first()
    assert line is not None
    client = as_role("support")
    for address in (watch(run), desk(line), reverse("admin:payments_payoutrun_dry_run")):
        assert client.get(address).status_code == 403
    assert client.post(desk(line), {"reason": "Mine.", "hold": "yes"}).status_code == 403
    assert PayoutLine.objects.filter(status="held").count() == 0


# --- how times and empty lists are told ---------------------------------------------------------


def test_times_are_in_utc_and_by_the_24_hour_clock(run: PayoutRun) -> None:
    midnight = datetime(2026, 11, 1, 0, 59, tzinfo=UTC)
    PayoutLine.objects.update(status="paid", paid_at=midnight)
    line = PayoutLine.objects.get(coach__display_name="Coach 0")
    session = line.earnings.get().payment
    assert session is not None
    for name, arguments in (("changelist", []), ("change", [line.pk])):
        page = words(as_role("finance").get(reverse(f"admin:payments_payoutline_{name}", args=arguments)))
        assert "1 Nov 2026, 00:59 UTC" in page
        assert "a.m." not in page
    assert plain_time(session.service_ends_at, "UTC") in page
    assert "+00:00" not in page


def test_an_empty_list_says_so_and_offers_to_show_all() -> None:
    client = as_role("finance")
    page = words(client.get(reverse("admin:payments_payoutline_changelist"), {"status__exact": "held"}))
    assert "Nothing is in this list." in page
    assert "Show all" in page
    assert "yielded" not in page
    assert "Show all" not in words(client.get(reverse("admin:payments_payoutline_changelist")))


# --- why this amount ----------------------------------------------------------------------------


def test_a_line_shows_every_session_that_it_is_the_sum_of(run: PayoutRun) -> None:
    line = PayoutLine.objects.get(coach__display_name="Coach 1")
    page = words(as_role("finance").get(reverse("admin:payments_payoutline_change", args=[line.pk])))
    for earning in line.earnings.all():
        assert reverse("admin:payments_payment_change", args=[earning.payment_id]) in page
    assert page.count("$40.00") == 2
    assert "$80.00" in page
