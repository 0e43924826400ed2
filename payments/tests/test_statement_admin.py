"""The coach's month in the admin: one page from which finance can say why a coach got what they got."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.decisions import record_decision
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.staff import as_role
from payments import statements
from payments.models import (
    Earning,
    FeeInvoice,
    LedgerTransaction,
    Payment,
    PayoutAccount,
    PayoutLine,
    PayoutRun,
    Refund,
    Reversal,
    Statement,
    Transfer,
)
from payments.services.refunding import book_decision
from payments.statements import why
from payments.tests.factories_books import PaymentFactory
from payments.tests.month_books import CLOSING_TIME, IN_NOVEMBER, IN_OCTOBER, OCTOBER, post, refund, session, transfer

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's clock may be anything; these pages live in November 2026."""
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def finance() -> Client:
    return as_role("finance")


def month_page(coach: Coach, month: str = OCTOBER, currency: str = "usd") -> str:
    return reverse("admin:payments_statement_month", args=[coach.pk, month, currency])


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def paid_line(coach: Coach, payment: Payment, amount: int) -> PayoutLine:
    """September's run has paid this session in October."""
    run, _ = PayoutRun.objects.get_or_create(month="2026-09", defaults={"opened_at": IN_OCTOBER})
    line = PayoutLine.objects.create(
        run=run, coach=coach, amount=amount, currency="usd", status="paid", paid_at=IN_OCTOBER
    )
    source = transfer(coach, amount, IN_OCTOBER + 3 * HOUR)
    Transfer.objects.create(
        stripe_transfer_id=source, coach=coach, destination="acct_1", amount=amount, currency="usd", line=line,
        created_at=IN_OCTOBER,
    )  # fmt: skip
    earning = {
        "payment": payment,
        "coach": coach,
        "currency": "usd",
        "release_at": IN_OCTOBER,
        "created_at": IN_OCTOBER,
    }
    Earning.objects.create(amount=amount, line=line, **earning)
    return line


def test_one_page_says_why_a_coach_got_what_they_got(coach: Coach, finance: Client, staff: User) -> None:
    session(coach, datetime(2026, 9, 20, tzinfo=UTC))
    first = session(coach, reference="booking:7", description="One hour of piano")
    line = paid_line(coach, first, 7_000)
    held = PayoutLine.objects.create(
        run=line.run, coach=CoachFactory.create(), amount=1, currency="usd", status="planned"
    )
    PayoutLine.objects.filter(pk=held.pk).update(
        coach=coach, currency="usd", status="held", held_by=staff, held_reason="Ask them first", held_at=NOW,
        run=PayoutRun.objects.create(month=OCTOBER, opened_at=NOW),
    )  # fmt: skip
    Earning.objects.create(
        payment=session(coach, reference="booking:8"), coach=coach, amount=8_000, currency="usd", frozen=True,
        release_at=IN_NOVEMBER, created_at=IN_OCTOBER,
    )  # fmt: skip
    statements.close_due_months(CLOSING_TIME)

    shown = text(finance, month_page(coach))

    for words in ("Carla Coach, October 2026, USD", "Carried in", "$80.00", "Session: One hour of piano",
                  "Paid $100.00, fee $20.00", "booking:7", "Transfer to Stripe account", "-$70.00",
                  "payouts of 2026-09, coach", "What it paid: 1 row", "Carried out", "$170.00",
                  "and the books still say the same",
                  "fee invoice 2", "Held by finance", "Ask them first (Olga Operator)",
                  "Kept back while a question about the session is open.", "Berlin time", "The month before",
                  reverse("admin:payments_payment_change", args=[first.pk]),
                  reverse("admin:payments_payoutline_change", args=[line.pk]),
                  reverse("admin:payments_transfer_change", args=[line.transfer.pk]),
                  reverse("admin:payments_ledgertransaction_change", args=[LedgerTransaction.objects.latest("pk").pk]),
                  ):  # fmt: skip
        assert words in shown, words


def test_a_deduction_says_for_what_and_who_bears_it(coach: Coach, finance: Client) -> None:
    payment = session(coach)
    made = Refund.objects.create(
        payment=payment, amount=2_500, currency="usd", coach_part=2_000, fee_part=500, loss_part=0, bearer="shared",
        reason="problem", note="No sound <b>at all</b>", status="succeeded", created_at=IN_OCTOBER,
    )  # fmt: skip
    with transaction.atomic():
        book_decision(made, IN_OCTOBER + HOUR)

    shown = text(finance, month_page(coach))

    assert "There was a problem with the session: No sound &lt;b&gt;at all&lt;/b&gt;" in shown
    assert "(borne by: coach and platform, each their share)" in shown
    assert "Open: these are the figures so far" in shown


def test_what_was_reversed_at_stripe_says_what_staff_decided_about_it(
    coach: Coach, finance: Client, staff: User
) -> None:
    line = paid_line(coach, session(coach), 8_000)
    source = post("reversal", {f"coach_payable:{coach.pk}": -3_000}, IN_OCTOBER + 5 * HOUR)
    reversal = Reversal.objects.create(
        transfer=line.transfer, amount=3_000, currency="usd", status="at_stripe", stripe_reversal_id=source,
        created_at=IN_OCTOBER,
    )  # fmt: skip
    assert "and not by us. Nobody has decided about it yet." in text(finance, month_page(coach))

    with transaction.atomic():
        record_decision(
            actor=staff,
            decision="reversal_kept",
            subject=reversal,
            reason="Paid twice <b>",
            before={},
            after={},
            now=NOW,
        )

    assert "and not by us. Olga Operator: Paid twice &lt;b&gt;" in text(finance, month_page(coach))


def test_it_says_what_was_learnt_late_and_what_does_not_agree_any_more(coach: Coach, finance: Client) -> None:
    payment = session(coach)
    statements.close_due_months(CLOSING_TIME)
    late = session(coach, IN_OCTOBER, description="Late")
    assert LedgerTransaction.objects.get(payment=late).occurred_at == CLOSING_TIME - timedelta(days=1)
    assert "We learnt of it on Tue 20 Oct 2026" in text(finance, month_page(coach, "2026-11"))

    Payment.objects.filter(pk=payment.pk).update(description="Changed")
    assert "that DIFFERS from what the books say now" in text(finance, month_page(coach))


def test_the_month_leads_to_what_its_own_run_paid_after_its_end(coach: Coach, finance: Client) -> None:
    session(coach)
    run = PayoutRun.objects.create(month=OCTOBER, opened_at=CLOSING_TIME)
    line = PayoutLine.objects.create(run=run, coach=coach, amount=8_000, currency="usd", status="planned")
    address = reverse("admin:payments_payoutline_change", args=[line.pk])
    planned = text(finance, month_page(coach))
    assert "By the run of this month" in planned
    assert "$80.00, planned" in planned
    PayoutLine.objects.filter(pk=line.pk).update(status="paid", paid_at=CLOSING_TIME)

    shown = text(finance, month_page(coach))

    assert "$80.00, paid on 2 Nov 2026, 00:00 UTC" in shown
    assert address in shown
    assert "By the run of this month" not in text(finance, month_page(coach, "2026-11"))


def test_a_session_of_which_not_all_was_taken_says_so(coach: Coach, finance: Client) -> None:
    session(coach, reference="booking:1")
    half = session(coach, reference="booking:2", amount=5_000, fee=1_000)
    Payment.objects.filter(pk=half.pk).update(amount=10_000)

    shown = text(finance, month_page(coach))

    assert shown.count("The price was $100.00; the rest was not taken.") == 1
    assert reverse("admin:payments_payment_story", args=[half.pk]) in shown


def test_what_is_not_released_is_not_said_to_be(coach: Coach, finance: Client) -> None:
    Earning.objects.create(
        payment=session(coach), coach=coach, amount=8_000, currency="usd", release_at=NOW + HOUR,
        created_at=IN_OCTOBER,
    )  # fmt: skip
    shown = text(finance, month_page(coach))
    assert "Not released yet. Day of release: 20 Nov 2026." in shown
    assert "Released 20 Nov 2026" not in shown


def test_it_says_when_not_all_that_is_unpaid_is_shown(
    coach: Coach, finance: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why, "MOST_EARNINGS", 2)
    for hour in range(3):
        Earning.objects.create(
            payment=session(coach, IN_OCTOBER + timedelta(hours=hour)), coach=coach, amount=8_000, currency="usd",
            release_at=IN_NOVEMBER, created_at=IN_OCTOBER,
        )  # fmt: skip
    assert text(finance, month_page(coach)).count("Due with the next run.") == 2
    assert "At most 2 earnings are shown, the first to be released." in text(finance, month_page(coach))


def test_nobody_else_sees_it(coach: Coach, client: Client) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    pages = [
        month_page(coach),
        reverse("admin:payments_statement_coach", args=[coach.pk]),
        reverse("admin:payments_statement_year", args=[2026]),
        reverse("admin:payments_statement_totals", args=[2026]),
        reverse("admin:payments_statement_revenue", args=[2026]),
        reverse("admin:payments_feeinvoice_pdf", args=[FeeInvoice.objects.get().pk]),
        reverse("admin:payments_statement_changelist"),
    ]
    support, finance = as_role("support"), as_role("finance")
    client.force_login(coach.user)
    for page in pages:
        assert client.get(page).status_code == 302
        assert support.get(page).status_code == 403
        assert finance.get(page).status_code == 200


def test_what_never_was_does_not_exist(coach: Coach, finance: Client) -> None:
    session(coach)
    for month, currency in (
        ("2026-09", "usd"),
        ("2026-12", "usd"),
        (OCTOBER, "eur"),
        ("nonsense", "usd"),
        (OCTOBER, "\0"),
    ):
        assert finance.get(month_page(coach, month, currency)).status_code == 404
    for year in (0, 1_999, 9_999, 10**9):
        assert finance.get(reverse("admin:payments_statement_year", args=[year])).status_code == 404


def test_the_page_is_reached_from_the_coach_the_line_the_statement_and_the_invoice(
    coach: Coach, finance: Client, staff: User
) -> None:
    line = paid_line(coach, session(coach), 8_000)
    statements.close_due_months(CLOSING_TIME)
    months = reverse("admin:payments_statement_coach", args=[coach.pk])
    assert months in text(finance, reverse("admin:coaches_coach_change", args=[coach.pk]))
    assert months not in text(as_role("support"), reverse("admin:coaches_coach_change", args=[coach.pk]))
    assert month_page(coach) in text(finance, months)
    for name, row in (
        ("payoutline", line),
        ("statement", Statement.objects.get()),
        ("feeinvoice", FeeInvoice.objects.get()),
    ):
        assert month_page(coach) in text(finance, reverse(f"admin:payments_{name}_change", args=[row.pk]))
    assert month_page(coach) in text(finance, reverse("admin:payments_statement_changelist"))
    assert month_page(coach) in text(finance, reverse("admin:payments_feeinvoice_changelist"))


def test_a_statement_and_an_invoice_can_be_read_and_never_changed(coach: Coach) -> None:
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    admin = as_role("admin")
    for name, row in (("statement", Statement.objects.get()), ("feeinvoice", FeeInvoice.objects.get())):
        page = reverse(f"admin:payments_{name}_change", args=[row.pk])
        assert admin.get(page).status_code == 200
        assert admin.post(page, {"amount": 1}).status_code == 403
        assert admin.post(reverse(f"admin:payments_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        assert admin.get(reverse(f"admin:payments_{name}_add")).status_code == 403


@pytest.mark.parametrize("rows", [2, 40])
def test_it_asks_as_often_for_few_as_for_many(
    coach: Coach, finance: Client, rows: int, django_assert_max_num_queries: Any
) -> None:
    for hour in range(rows):
        payment = session(coach, IN_OCTOBER - timedelta(hours=hour))
        Earning.objects.create(
            payment=payment, coach=coach, amount=8_000, currency="usd", release_at=IN_NOVEMBER, created_at=IN_OCTOBER
        )
    for month in range(1, 10):
        run = PayoutRun.objects.create(month=f"2026-0{month}", opened_at=IN_OCTOBER)
        PayoutLine.objects.create(run=run, coach=coach, amount=5, currency="usd", status="waiting", waiting_for="x")
    finance.get(month_page(coach))
    with django_assert_max_num_queries(31):
        finance.get(month_page(coach))


# --- the year -----------------------------------------------------------------------------------


@pytest.fixture
def two_years(coach: Coach) -> Coach:
    """A German coach with sessions at the very end of 2026 and at the very beginning of 2027, and another without."""
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="DE")
    end = datetime(2027, 1, 1, tzinfo=UTC)
    refund(session(coach, IN_OCTOBER), IN_OCTOBER + HOUR, coach=2_000, fee=500)
    session(coach, end - timedelta(microseconds=1))
    session(coach, end, currency="jpy", amount=5_000, fee=1_000)
    transfer(coach, 6_000, IN_OCTOBER)
    other = CoachFactory.create(user__name="=cmd|' /C calc'!A0")
    session(other, datetime(2026, 2, 28, 23, 0, tzinfo=UTC), currency="kwd", amount=10_010, fee=2_000)
    return coach


@pytest.mark.embedded
def test_a_years_totals_are_by_coach_currency_and_quarter(two_years: Coach) -> None:
    rows = [
        (
            row.coach_id == two_years.pk,
            row.currency,
            row.quarter,
            row.sessions,
            row.gross,
            row.refunds,
            row.fees,
            row.paid,
        )
        for row in statements.whole_year(2026).coaches
    ]
    assert sorted(rows) == [
        (False, "kwd", 1, 1, 10_010, 0, 2_000, 0),
        (True, "usd", 4, 2, 20_000, 2_500, 3_500, 6_000),
    ]
    [next_year] = statements.year_totals(2027, coach_ids=[two_years.pk])
    assert (next_year.currency, next_year.quarter, next_year.gross) == ("jpy", 1, 5_000)
    assert statements.years_of(two_years.pk) == [2027, 2026]


def test_a_session_paid_by_us_and_by_the_student_after_all_counts_once(coach: Coach) -> None:
    unpaid = PaymentFactory.create(coach=coach, status=Payment.Status.LOST, written_off_at=IN_OCTOBER)
    post("write_off", {f"coach_payable:{coach.pk}": -8_000, "platform_losses": 8_000}, IN_OCTOBER, unpaid)
    late = PaymentFactory.create(coach=coach, reference=unpaid.reference)
    post("capture", {"platform_losses": -8_000, "platform_revenue": -2_000}, IN_OCTOBER + HOUR, late)

    [totals] = statements.whole_year(2026).coaches

    assert (totals.sessions, totals.gross, totals.fees, totals.borne_by_us) == (1, 10_000, 2_000, 0)


@pytest.mark.embedded
def test_our_revenue_is_by_country_and_currency(two_years: Coach) -> None:
    assert [(row.quarter, row.country, row.currency, row.amount) for row in statements.whole_year(2026).revenue] == [
        (1, "", "kwd", 2_000),
        (4, "DE", "usd", 3_500),
    ]


def test_the_year_page_and_its_files(two_years: Coach, finance: Client) -> None:
    shown = text(finance, reverse("admin:payments_statement_year", args=[2026]))
    for words in ("Quarter 4, DE, USD", "$35.00", "Quarter 1, no account, KWD", "2 sessions", "Given back by refunds"):
        assert words in shown
    totals = finance.get(reverse("admin:payments_statement_totals", args=[2026])).getvalue().decode().splitlines()
    assert totals[0].startswith("year,quarter,coach,name,email,country,currency,sessions,paid_by_students,refunded")
    assert f"2026,4,{two_years.pk},Carla Coach,coach@example.com,DE,usd,2,200.00,25.00,35.00,0.00,60.00,0.00" in totals
    [theirs] = [line for line in totals if ",'=cmd|' /C calc'!A0," in line]
    assert theirs.endswith(",kwd,1,10.010,0.000,2.000,0.000,0.000,0.000")
    revenue = finance.get(reverse("admin:payments_statement_revenue", args=[2026])).getvalue().decode().splitlines()
    assert revenue == ["year,quarter,country,currency,revenue", "2026,1,,kwd,2.000", "2026,4,DE,usd,35.00"]
