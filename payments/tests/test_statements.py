"""What a statement says: every entry in one line, from the opening balance to the closing one, the same for ever."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coaches.models import Coach
from marketplace.tests.factories import CoachFactory
from payments import ledger, statements
from payments.models import FeeInvoice, LedgerEntry, Payment, Payout, PayoutAccount, Statement
from payments.statements import Kind, coach_month, statement_csv
from payments.statements.papers import invoice_pdf, statement_pdf
from payments.statements.tax import tax_within
from payments.tests.factories_books import PaymentFactory
from payments.tests.month_books import CLOSING_TIME, IN_NOVEMBER, IN_OCTOBER, OCTOBER, post, refund, session, transfer

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
Told = list[tuple[Kind, int, int, int, int]]


def october(coach: Coach, currency: str = "usd") -> statements.CoachMonth:
    return coach_month(coach_id=coach.pk, month=OCTOBER, currency=currency)


def told(found: statements.CoachMonth) -> Told:
    return [(line.kind, line.gross, line.fee, line.borne_by_us, line.amount) for line in found.lines]


def payable(coach: Coach) -> str:
    return ledger.coach_payable(coach.pk)


def paid_out(coach: Coach, amount: int, at: datetime, **facts: Any) -> Payout:
    account, _ = PayoutAccount.objects.get_or_create(
        coach=coach, defaults={"stripe_account_id": f"acct_{coach.pk}", "country": "DE"}
    )
    facts = {"account": account, "status": Payout.Status.PAID, "created_at": at, "recorded_at": at, **facts}
    return Payout.objects.create(amount=amount, currency="usd", stripe_payout_id=f"po_{amount}", **facts)


# --- each line ----------------------------------------------------------------------------------


@pytest.mark.embedded
def test_a_session_with_a_part_of_it_refunded_and_a_transfer(coach: Coach) -> None:
    payment = session(coach)
    refund(payment, IN_OCTOBER + HOUR, coach=2_000, fee=500)
    transfer(coach, 6_000, IN_OCTOBER + 2 * HOUR)

    found = october(coach)

    assert told(found) == [
        (Kind.SESSION, 10_000, 2_000, 0, 8_000),
        (Kind.REFUND, -2_500, -500, 0, -2_000),
        (Kind.TRANSFER, 0, 0, 0, -6_000),
    ]
    assert (found.opening, found.earned, found.paid, found.closing, found.fees) == (0, 6_000, 6_000, 0, 1_500)


def test_a_session_paid_with_its_capture_is_told_by_its_transfer_and_the_fee_kept_from_it(coach: Coach) -> None:
    payment = session(coach)
    post("destination_transfer", {payable(coach): 10_000}, IN_OCTOBER + HOUR, payment)
    post("application_fee", {payable(coach): -2_000}, IN_OCTOBER + HOUR, payment)

    found = october(coach)

    assert told(found)[1:] == [
        (Kind.TRANSFER_WITH_CAPTURE, 0, 0, 0, -10_000),
        (Kind.FEE_KEPT, 0, 0, 0, 2_000),
    ]
    assert (found.earned, found.paid, found.closing, found.fees) == (8_000, 8_000, 0, 2_000)


def test_what_the_platform_bears_is_told_though_it_changes_nothing_for_the_coach(coach: Coach) -> None:
    payment = session(coach)
    refund(payment, IN_OCTOBER + HOUR, coach=0, fee=2_000, loss=8_000)
    assert told(october(coach))[1:] == [(Kind.REFUND, -10_000, -2_000, 8_000, 0)]
    assert october(coach).fees == 0


def test_a_session_that_we_paid_and_the_student_after_all(coach: Coach) -> None:
    unpaid = PaymentFactory.create(coach=coach, written_off_at=IN_OCTOBER, status=Payment.Status.LOST)
    post("write_off", {payable(coach): -8_000, "platform_losses": 8_000}, IN_OCTOBER, unpaid)
    late = PaymentFactory.create(coach=coach, reference=unpaid.reference)
    post("capture", {"platform_losses": -8_000, "platform_revenue": -2_000}, IN_OCTOBER + HOUR, late)

    assert told(october(coach)) == [
        (Kind.PAID_BY_US, 0, 0, 8_000, 8_000),
        (Kind.SESSION, 10_000, 2_000, -8_000, 0),
    ]


def test_a_dispute_from_its_opening_to_its_loss(coach: Coach) -> None:
    payment = session(coach)
    transfer(coach, 8_000)
    post("dispute_withdrawn", {"disputes_held": 10_000}, IN_OCTOBER + HOUR, payment)
    post("reversal", {payable(coach): -8_000}, IN_OCTOBER + 2 * HOUR, payment)
    lost = {"disputes_held": -10_000, payable(coach): 8_000, "platform_revenue": 2_000}
    post("dispute_lost", lost, IN_OCTOBER + 3 * HOUR, payment)

    found = october(coach)

    assert told(found)[2:] == [
        (Kind.DISPUTE_OPENED, 0, 0, 0, 0),
        (Kind.REVERSAL, 0, 0, 0, 8_000),
        (Kind.DISPUTE_LOST, -10_000, -2_000, 0, -8_000),
    ]
    assert [line.in_dispute for line in found.lines[2:]] == [10_000, 0, -10_000]
    assert (found.earned, found.paid, found.closing) == (0, 0, 0)


def test_a_dispute_won_and_a_refund_undone(coach: Coach) -> None:
    payment = session(coach)
    post("dispute_withdrawn", {"disputes_held": 10_000}, IN_OCTOBER + HOUR, payment)
    post("dispute_reinstated", {"disputes_held": -10_000}, IN_OCTOBER + 2 * HOUR, payment)
    parts = {payable(coach): 2_000, "platform_revenue": 500, "refunds_in_flight": -2_500}
    post("refund_decided", parts, IN_OCTOBER + 3 * HOUR, payment)
    post("refund_undone", {code: -part for code, part in parts.items()}, IN_OCTOBER + 4 * HOUR, payment)

    assert told(october(coach))[1:] == [
        (Kind.DISPUTE_OPENED, 0, 0, 0, 0),
        (Kind.DISPUTE_WON, 0, 0, 0, 0),
        (Kind.REFUND, -2_500, -500, 0, -2_000),
        (Kind.REFUND_UNDONE, 2_500, 500, 0, 2_000),
    ]


def test_of_a_failed_refund_that_a_lost_dispute_covers_the_student_got_one(coach: Coach) -> None:
    payment = session(coach)
    refund(payment, IN_OCTOBER + HOUR, coach=0, fee=0, loss=10_000)
    lost = {payable(coach): 8_000, "platform_revenue": 2_000, "disputes_held": -10_000}
    post("dispute_lost", lost, IN_OCTOBER + 2 * HOUR, payment)
    post("refund_made_good", {"refunds_owed:1": 10_000, "platform_losses": -10_000}, IN_OCTOBER + 3 * HOUR, payment)

    assert told(october(coach))[1:] == [
        (Kind.REFUND, -10_000, 0, 10_000, 0),
        (Kind.DISPUTE_LOST, -10_000, -2_000, 0, -8_000),
        (Kind.REFUND_MADE_GOOD, 10_000, 0, -10_000, 0),
    ]
    [year] = statements.year_totals(2026, coach_ids=[coach.pk])
    assert (year.gross, year.refunds, year.fees, year.borne_by_us, year.adjusted) == (10_000, 10_000, 0, 0, 0)


def test_what_the_platform_keeps_and_what_has_no_name_are_told_too(coach: Coach) -> None:
    post("reversal_kept", {payable(coach): 300, "platform_losses": -300}, IN_OCTOBER)
    post("something_new", {payable(coach): -100, "suspense": 100}, IN_OCTOBER + HOUR)
    assert told(october(coach)) == [
        (Kind.REVERSAL_KEPT, 0, 0, -300, -300),
        (Kind.ADJUSTMENT, 0, 0, 0, 100),
    ]


def test_nothing_of_another_coach_month_or_currency_is_in_it(coach: Coach) -> None:
    session(coach, datetime(2026, 9, 30, 23, 59, 59, 999_999, tzinfo=UTC))
    session(coach, datetime(2026, 11, 1, tzinfo=UTC))
    session(coach, currency="eur")
    refund(session(CoachFactory.create()), IN_OCTOBER, coach=10, fee=5)
    inside = [
        session(coach, datetime(2026, 10, 1, tzinfo=UTC)),
        session(coach, datetime(2026, 10, 31, 23, 59, tzinfo=UTC)),
    ]

    found = october(coach)

    assert [line.payment_id for line in found.lines] == [payment.pk for payment in inside]
    assert (found.opening, found.closing) == (8_000, 24_000)
    assert october(coach, "eur").closing == 8_000


@pytest.mark.parametrize(("currency", "amount", "fee"), [("jpy", 5_000, 1_000), ("kwd", 10_010, 2_000)])
def test_currencies_without_and_with_three_decimals(coach: Coach, currency: str, amount: int, fee: int) -> None:
    session(coach, amount=amount, fee=fee, currency=currency)
    statements.close_due_months(CLOSING_TIME)
    statement, invoice = Statement.objects.get(), FeeInvoice.objects.get()
    assert (statement.currency, statement.closing) == (currency, amount - fee)
    assert (invoice.currency, invoice.amount) == (currency, fee)
    assert statements.verify(statement)
    assert statement_pdf(statement, october(coach, currency)).startswith(b"%PDF")


def test_two_currencies_are_two_statements_and_two_invoices(coach: Coach) -> None:
    session(coach)
    session(coach, currency="jpy", amount=5_000, fee=1_000)
    statements.close_due_months(CLOSING_TIME)
    assert list(Statement.objects.order_by("currency").values_list("currency", "closing")) == [
        ("jpy", 4_000),
        ("usd", 8_000),
    ]
    assert sorted(FeeInvoice.objects.values_list("number", "currency", "amount")) == [
        (1, "jpy", 1_000),
        (2, "usd", 2_000),
    ]


# --- every entry in one line --------------------------------------------------------------------

KNOWN = ("capture", "write_off", "refund_decided", "refund_undone", "refund_made_good", "dispute_lost",
         "dispute_withdrawn", "transfer", "destination_transfer", "application_fee", "reversal", "reversal_kept",
         "never_heard_of")  # fmt: skip
DAYS = st.integers(min_value=-40, max_value=40)
FACTS = st.lists(
    st.tuples(st.sampled_from(KNOWN), DAYS, st.booleans(), *[st.integers(-(10**6), 10**6)] * 4), min_size=1, max_size=12
)


@pytest.mark.embedded
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=FACTS)
def test_opening_and_lines_lead_to_closing_whatever_is_booked(coach: Coach, facts: list[Any]) -> None:
    with transaction.atomic():
        payment = PaymentFactory.create(coach=coach)
        for kind, day, of_payment, *parts in facts:
            accounts = (payable(coach), "platform_revenue", "platform_losses", "disputes_held")
            lines = dict(zip(accounts, parts, strict=True))
            if any(lines.values()) and not (sum(lines.values()) == 0 and len([p for p in parts if p]) < 2):
                post(kind, lines, IN_OCTOBER + timedelta(days=day), payment if of_payment else None)
        found = october(coach)
        entries = LedgerEntry.objects.filter(account__code=payable(coach))
        inside = entries.filter(transaction__occurred_at__year=2026, transaction__occurred_at__month=10)

        assert {line.transaction_id: line.amount for line in found.lines if line.amount} == {
            entry.transaction_id: -entry.amount for entry in inside
        }
        assert len({line.transaction_id for line in found.lines}) == len(found.lines)
        assert found.closing == statements.books.balance_before(coach.pk, "usd", CLOSING_TIME - timedelta(days=1))
        assert found.opening + found.earned - found.paid == found.closing
        for line in found.lines:
            assert line.kind not in statements.books.STUDENTS or line.gross - line.fee + line.borne_by_us == line.amount
        transaction.set_rollback(True)


# --- the same for ever --------------------------------------------------------------------------


def test_a_closed_month_is_the_same_to_the_byte_after_refunds_disputes_and_renames(coach: Coach, settings: Any) -> None:
    payment = session(coach)
    paid_out(coach, 500, IN_OCTOBER)
    statements.close_due_months(CLOSING_TIME)
    csv, pdf = statement_csv(october(coach)), statement_pdf(Statement.objects.get(), october(coach))
    bill = invoice_pdf(FeeInvoice.objects.get())

    refund(payment, IN_NOVEMBER, coach=8_000, fee=2_000)
    post("dispute_withdrawn", {"disputes_held": 10_000}, IN_OCTOBER, payment)
    Payment.objects.update(status=Payment.Status.CAPTURED, refunded_amount=10_000, taken_back_amount=8_000)
    Payout.objects.update(status=Payout.Status.FAILED, failed_at=IN_NOVEMBER, bank_name="Another", failure_code="x")
    Coach.objects.update(display_name="Somebody Else", time_zone="Asia/Tokyo")
    type(coach.user).objects.filter(pk=coach.user_id).update(name="Somebody Else", time_zone="Asia/Tokyo")
    settings.SITE_NAME = settings.OPERATOR_NAME = settings.OPERATOR_ADDRESS = settings.OPERATOR_TAX_ID = "Another"
    settings.SITE_URL, settings.FEE_TAX_BPS, settings.TIME_ZONE = "https://another.example", 700, "Asia/Tokyo"

    assert (statement_csv(october(coach)), statement_pdf(Statement.objects.get(), october(coach))) == (csv, pdf)
    assert invoice_pdf(FeeInvoice.objects.get()) == bill
    assert statements.verify(Statement.objects.get())


def test_a_statement_says_whose_it_is(coach: Coach, settings: Any) -> None:
    settings.OPERATOR_NAME, settings.OPERATOR_ADDRESS, settings.OPERATOR_TAX_ID = "Holdfast GmbH", "Berlin", "DE123"
    session(coach)
    statements.close_due_months(CLOSING_TIME)
    statement = Statement.objects.get()
    assert statement.issuer == {"name": "Holdfast GmbH", "address": "Berlin", "tax_id": "DE123"}
    assert b"Holdfast GmbH" in statement_pdf(statement, october(coach))


def test_a_statement_that_does_not_agree_with_the_books_is_found(coach: Coach) -> None:
    payment = session(coach)
    session(CoachFactory.create())
    statements.close_due_months(CLOSING_TIME)
    Payment.objects.filter(pk=payment.pk).update(description="Another thing")
    changed = Statement.objects.get(coach=coach)
    assert [each for each in Statement.objects.all() if statements.is_changed(each)] == [changed]


@pytest.mark.embedded
def test_all_of_the_last_month_are_looked_at_and_each_older_one_once_in_thirty_days(coach: Coach) -> None:
    session(coach, datetime(2026, 8, 20, tzinfo=UTC))
    statements.close_due_months(CLOSING_TIME)
    august, september, october = Statement.objects.order_by("month")
    looks: dict[str, int] = {august.month: 0, september.month: 0, october.month: 0}
    for day in range(30):
        for statement in statements.due_for_a_look(CLOSING_TIME + timedelta(days=day), []):
            looks[statement.month] += 1
    assert looks == {august.month: 1, september.month: 1, october.month: 30}
    for day in range(30):
        assert august in statements.due_for_a_look(CLOSING_TIME + timedelta(days=day), [august.pk])


@pytest.mark.embedded
def test_the_file_has_minor_units_utc_and_no_formula(coach: Coach) -> None:
    session(coach, description='=HYPERLINK("http://evil.example")', reference="booking:7")
    paid_out(coach, 6_000, IN_OCTOBER)
    rows = statement_csv(october(coach)).split("\r\n")

    assert rows[0] == (
        "kind,at,reference,description,session_ends_at,currency,gross,fee,borne_by_us,in_dispute,amount,balance,bank,"
        "source,ledger_transaction"
    )
    assert rows[1].startswith("carried_in,2026-10-01T00:00:00Z,,,,usd,,,,,,0,,")
    assert rows[2].startswith(
        'session,2026-10-20T12:00:00Z,booking:7,"\'=HYPERLINK(""http://evil.example"")",2026-10-12T12:00:00Z,usd,'
        "10000,2000,0,0,8000,8000,,capture_"
    )
    assert rows[3].startswith("carried_out,2026-11-01T00:00:00Z,,,,usd,,,,,,8000,,")
    assert rows[4] == "bank_payout,2026-10-20T12:00:00Z,,,,usd,,,,,,,6000,po_6000,"
    assert rows[5:] == [""]


def test_a_payout_that_comes_back_is_listed_in_the_month_in_which_it_does(coach: Coach) -> None:
    session(coach)
    paid_out(coach, 700, IN_OCTOBER, failed_at=IN_NOVEMBER)
    paid_out(coach, 800, IN_NOVEMBER).refresh_from_db()
    Payout.objects.create(
        account=coach.payout_account, amount=9, currency="usd", status="requested", created_at=IN_OCTOBER,
        recorded_at=IN_OCTOBER,
    )  # fmt: skip

    assert [payout.amount for payout in october(coach).payouts] == [700]
    november = coach_month(coach_id=coach.pk, month="2026-11", currency="usd")
    assert [payout.amount for payout in november.payouts] == [-700, 800]
    assert (november.opening, november.closing) == (8_000, 8_000)


@pytest.mark.thorough
def test_a_thousand_sessions_a_month_take_no_more_queries(coach: Coach, django_assert_num_queries: Any) -> None:
    payments = [PaymentFactory.build(coach=coach, payer=coach.user) for _ in range(1_000)]
    for payment in Payment.objects.bulk_create(payments):
        post("capture", {payable(coach): -8_000, "platform_revenue": -2_000}, IN_OCTOBER, payment)
    with django_assert_num_queries(3):
        found = october(coach)
    assert (len(found.lines), found.closing) == (1_000, 8_000_000)
    assert len(statement_csv(found).splitlines()) == 1_003
    assert statement_pdf(Statement(issuer={}), found).startswith(b"%PDF")


# --- the invoice --------------------------------------------------------------------------------


def test_the_invoice_is_of_the_fees_less_what_was_given_back_with_both_sides_frozen(
    coach: Coach, settings: Any
) -> None:
    settings.OPERATOR_NAME, settings.OPERATOR_ADDRESS = "Holdfast GmbH", "1 Main Street\nBerlin"
    settings.OPERATOR_TAX_ID, settings.FEE_TAX_BPS = "DE123", 1_900
    PayoutAccount.objects.create(coach=coach, stripe_account_id="acct_1", country="DE")
    refund(session(coach), IN_OCTOBER + HOUR, coach=2_000, fee=500)
    statements.close_due_months(CLOSING_TIME)

    invoice = FeeInvoice.objects.get()

    assert (invoice.number, invoice.amount, invoice.tax_bps, invoice.tax_amount) == (1, 1_500, 1_900, 239)
    assert invoice.issuer == {"name": "Holdfast GmbH", "address": "1 Main Street\nBerlin", "tax_id": "DE123"}
    assert invoice.recipient == {"name": "Carla Coach", "address": "Germany", "tax_id": ""}
    assert invoice.issued_at == CLOSING_TIME


def test_more_given_back_than_earned_is_a_credit_note_and_nothing_is_no_invoice(coach: Coach, settings: Any) -> None:
    settings.FEE_TAX_BPS = 1_900
    other = CoachFactory.create()
    refund(session(other), IN_OCTOBER + HOUR, coach=8_000, fee=2_000)
    payment = session(coach)
    statements.close_due_months(CLOSING_TIME)
    refund(payment, IN_NOVEMBER, coach=8_000, fee=2_000)
    statements.close_due_months(CLOSING_TIME + timedelta(days=31))

    rows = FeeInvoice.objects.order_by("number").values_list("coach", "month", "number", "amount", "tax_amount")
    assert list(rows) == [(coach.pk, OCTOBER, 1, 2_000, 319), (coach.pk, "2026-11", 2, -2_000, -319)]


@given(amount=st.integers(-(10**9), 10**9), bps=st.integers(0, 10_000), currency=st.sampled_from(["usd", "jpy", "kwd"]))
def test_the_tax_is_within_the_fee_and_the_same_of_a_credit_note(amount: int, bps: int, currency: str) -> None:
    tax = tax_within(amount, bps, currency)
    assert tax_within(-amount, bps, currency) == -tax
    unit = 10 if currency == "kwd" else 1
    assert tax % unit == 0
    assert abs(tax * (10_000 + bps) - amount * bps) * 2 <= unit * (10_000 + bps)
