"""The desk where finance corrects the books: two people, from the difference to what it explains."""

import re
import uuid
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.months import month_of
from marketplace.models import StaffDecision, User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of
from payments import ledger
from payments.models import Correction, LedgerAccount, LedgerTransaction
from payments.reconcile import KINDS, open_differences
from payments.removal import money_pending
from payments.services import corrections
from payments.story import story_of
from payments.tests import money_back
from payments.tests.correcting import (
    COACH,
    LOSSES,
    approve,
    compare,
    of_finance,
    on_suspense,
    propose,
    unknown_at_stripe,
)
from payments.tests.factories_books import earn

pytestmark = pytest.mark.django_db

PROPOSE = reverse("admin:payments_correction_propose")
LIST = reverse("admin:payments_correction_changelist")


@pytest.fixture
def desk(ada: User) -> Client:
    return browser_of(ada)


def page_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


def decide_page(correction: Correction) -> str:
    return reverse("admin:payments_correction_decide", args=[correction.pk])


def address_to(page: str, words: str) -> str:
    found = re.search(rf'href="([^"]*)"[^>]*>{re.escape(words)}<', page)
    assert found, words
    return found[1]


def filled(client: Client, address: str, **said: Any) -> dict[str, Any]:
    """The form as the page has filled it in, with what is said besides."""
    form = client.get(address).context["form"]
    facts = {field.name: "" if field.value() is None else field.value() for field in form}
    return {**facts, "reason": "Stripe's letter.", **said}


def test_finance_clears_what_a_difference_shows(sandbox: Sandbox, desk: Client, bo: User) -> None:
    """From the difference to the form, filled in; another person agrees, and the difference is explained."""
    unknown_at_stripe(sandbox, -1_234)
    [shown] = open_differences()
    explain = reverse("admin:payments_difference_explain", args=[shown.pk])
    way = address_to(page_of(desk, explain), "Move $12.34 from suspense")
    form = page_of(desk, way)
    assert f"Not known what it is: balance transaction {shown.object_id}" in form
    assert "unknown_type" not in form
    said = filled(desk, way, to_account="stripe_fees")
    assert (str(said["amount"]), said["coach"], said["payment"]) == ("12.34", "", "")
    assert desk.post(way, said).status_code == 302
    correction = Correction.objects.get()
    assert (correction.amount, correction.difference, correction.status) == (1_234, shown, "to_approve")

    second = browser_of(bo)
    page = page_of(second, decide_page(correction))
    for words in ("Stripe's letter.", "Ada", "suspense: -$12.34, where $12.34 is now", "stripe_fees: $12.34"):
        assert words in page
    answer = second.post(decide_page(correction), {"approve": "yes", "reason": "As it says."}, follow=True)
    assert "It is booked." in answer.content.decode()
    shown.refresh_from_db()
    assert (shown.state, shown.settled_by) == ("explained", bo)
    compare()
    assert not open_differences().exists()
    money_back.assert_agreed(sandbox)
    assert f"correction {correction.pk}" in page_of(second, explain)


def test_the_transaction_tells_the_reason_and_both_persons(desk: Client, ada: User, bo: User) -> None:
    fact = on_suspense(1_000)
    done = approve(propose(ada, amount=1_000, clears=fact, reason="Trees were bought."), bo)
    assert done.booked is not None
    page = page_of(desk, reverse("admin:payments_ledgertransaction_change", args=[done.booked.pk]))
    assert "Trees were bought. (Ada; Bo: As the letter says.)" in page
    cleared = page_of(desk, reverse("admin:payments_ledgertransaction_change", args=[fact.pk]))
    assert f"correction {done.pk}" in cleared
    assert "from suspense" not in cleared


def test_the_transaction_of_a_correction_leads_to_no_other(desk: Client, ada: User, bo: User) -> None:
    booked = approve(propose(ada, amount=600, clears=on_suspense(1_000)), bo).booked
    assert booked is not None
    assert "from suspense" not in page_of(desk, reverse("admin:payments_ledgertransaction_change", args=[booked.pk]))
    assert desk.get(f"{PROPOSE}?clears={booked.pk}").status_code == 302


def test_the_chart_leads_to_what_is_on_suspense(desk: Client) -> None:
    fact = on_suspense(1_000)
    chart = page_of(desk, reverse("admin:payments_ledgeraccount_chart"))
    page = page_of(desk, address_to(chart, "What is there now"))
    assert str(fact) in page
    way = address_to(page, "Move it")
    assert way == f"{PROPOSE}?clears={fact.pk}&currency=usd"
    assert page_of(desk, way).count("From suspense") == 0
    assert "from_account" not in desk.get(way).context["form"].fields
    transaction = reverse("admin:payments_ledgertransaction_change", args=[fact.pk])
    assert address_to(page_of(desk, transaction), "Move $10.00 from suspense") == way


@pytest.mark.parametrize(
    ("currency", "amount", "shown"), [("kwd", 1_234, "1.234"), ("isk", 1_050, "10.50"), ("jpy", 999, "999")]
)
def test_all_of_an_entry_can_be_cleared_in_any_currency(desk: Client, currency: str, amount: int, shown: str) -> None:
    """What Stripe takes of a balance need not be what a card could be charged with."""
    way = f"{PROPOSE}?clears={on_suspense(amount, currency=currency).pk}"
    said = filled(desk, way, to_account=LOSSES)
    assert str(said["amount"]) == shown
    assert desk.post(way, said).status_code == 302
    made = Correction.objects.get()
    assert (made.amount, made.currency) == (amount, currency)


def test_neither_account_is_chosen_beforehand(desk: Client) -> None:
    form = desk.get(PROPOSE).context["form"]
    assert [form.fields[name].choices[0] for name in ("from_account", "to_account")] == [("", "Choose")] * 2


def test_between_two_other_accounts(desk: Client) -> None:
    said = filled(desk, PROPOSE, from_account="stripe_fees", to_account=LOSSES, currency="usd", amount="12.5")
    assert desk.post(PROPOSE, said).status_code == 302
    made = Correction.objects.get()
    assert (made.from_account, made.to_account, made.amount, made.clears) == ("stripe_fees", LOSSES, 1_250, None)
    assert not LedgerTransaction.objects.exists()


def test_a_coach_is_named_by_their_address_or_by_their_payment(desk: Client, bo: User) -> None:
    coach, other = CoachFactory.create(), earn(CoachFactory.create()).paid_for
    said = filled(desk, PROPOSE, from_account=LOSSES, to_account=COACH, currency="usd", amount="-5.00")
    assert desk.post(PROPOSE, {**said, "coach": coach.user.email.upper()}).status_code == 302
    assert desk.post(PROPOSE, {**said, "token": uuid.uuid4(), "payment": other.pk}).status_code == 302
    assert list(Correction.objects.order_by("pk").values_list("coach", flat=True)) == [coach.pk, other.coach_id]
    first = Correction.objects.earliest("pk")
    page = page_of(browser_of(bo), decide_page(first))
    assert "The coach gets $5.00 more with the first run after this is booked." in page
    assert f"coach_payable:{coach.pk}: -$5.00" in page


def test_the_coach_and_staff_read_why(desk: Client, ada: User, bo: User) -> None:
    coach, now = CoachFactory.create(), clock.now()
    approve(propose(ada, amount=-700, to_account=COACH, coach=coach, reason="Your <train> was late."), bo, now=now)
    staffs = reverse("admin:payments_statement_month", args=[coach.pk, month_of(now), "usd"])
    page = page_of(desk, staffs)
    assert page.count("Your <train> was late.") >= 2
    assert "Bo: As the letter says." in page
    client = Client()
    client.force_login(coach.user)
    own = client.get(reverse("payments:statement", args=[month_of(now), "usd"])).content.decode()
    assert "Your &lt;train&gt; was late." in own
    for theirs in ("As the letter says.", "Ada"):
        assert theirs not in own
    # Session by session it is nowhere, and the sum holds it.
    earnings = client.get(reverse("payments:earnings")).content.decode()
    assert "$7.00" in earnings
    assert f'<a href="{reverse("payments:statements")}">your statements</a>' in earnings


def test_a_run_names_the_correction_that_it_pays(
    sandbox: Sandbox, payable_coach: Coach, heard: list[Any], desk: Client, ada: User, bo: User
) -> None:
    money_back.fund(sandbox, "usd")
    done = approve(propose(ada, amount=-5_000, to_account=COACH, coach=payable_coach), bo)
    line = money_back.pay_month(sandbox).lines.get()
    address = reverse("admin:payments_correction_change", args=[done.pk])
    assert address in page_of(desk, reverse("admin:payments_payoutline_change", args=[line.pk]))
    assert address in page_of(desk, reverse("admin:payments_earning_change", args=[line.earnings.get().pk]))
    assert line.paid_at is not None
    month = reverse("admin:payments_statement_month", args=[payable_coach.pk, month_of(line.paid_at), "usd"])
    assert address in page_of(desk, month)
    assert ledger.check() == []


def test_a_coach_gives_back_with_the_first_run_after_it_is_booked(desk: Client, ada: User) -> None:
    proposed = propose(ada, amount=500, to_account=COACH, coach=CoachFactory.create())
    words = "The coach gives back $5.00: it is taken off the first run after this is booked."
    assert words in page_of(desk, decide_page(proposed))


def test_the_file_of_earnings_names_the_correction(desk: Client, ada: User, bo: User) -> None:
    done = approve(propose(ada, amount=-500, to_account=COACH, coach=CoachFactory.create()), bo)
    header, row = desk.get(f"{reverse('admin:payments_earning_changelist')}export/").getvalue().decode().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["correction"] == str(done.pk)


def test_the_story_of_a_payment_tells_of_what_was_corrected_about_it(ada: User, bo: User) -> None:
    payment = earn(CoachFactory.create()).paid_for
    done = approve(propose(ada, amount=100, to_account="bank", payment=payment), bo)
    propose(ada, amount=50, to_account="bank", payment=payment)
    told = [step for step in story_of(payment).steps if isinstance(step.row, Correction)]
    assert [step.title for step in told] == [
        "Correction of the books: booked", "Correction of the books: waits for a second person",
    ]  # fmt: skip
    assert told[0].fact == done.booked
    assert told[0].detail == "Stripe's letter of Monday. (Ada; Bo: As the letter says.)"


def test_a_coach_stays_while_a_correction_about_them_waits(ada: User) -> None:
    coach = CoachFactory.create()
    propose(ada, amount=100, to_account=COACH, coach=coach)
    assert money_pending(coach.user) == ["1 correction(s) of the books about them wait for a second person."]


# --- a second person ----------------------------------------------------------------------------


def test_who_proposed_it_is_offered_to_withdraw_it_alone(desk: Client, ada: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    page = page_of(desk, decide_page(proposed))
    assert "Withdraw it" in page
    assert "Approve: book it" not in page
    refused = desk.post(decide_page(proposed), {"approve": "yes", "reason": "Quickly."})
    assert refused.status_code == 403
    assert "Somebody else than who proposed this correction" in refused.content.decode()
    assert not LedgerTransaction.objects.exists()
    assert desk.post(decide_page(proposed), {"decline": "yes", "reason": "A slip."}).status_code == 302
    assert Correction.objects.get().status == "declined"


def test_no_decision_without_a_reason(ada: User, bo: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    client = browser_of(bo)
    assert client.post(decide_page(proposed), {"approve": "yes", "reason": " "}).status_code == 200
    assert client.post(decide_page(proposed), {"reason": "Neither."}).status_code == 404
    assert Correction.objects.get().status == "to_approve"


def test_a_decision_that_comes_late_says_so(desk: Client, ada: User, bo: User) -> None:
    proposed = approve(propose(ada, amount=100, to_account="bank"), bo)
    late = desk.post(decide_page(proposed), {"decline": "yes", "reason": "No."})
    assert late.status_code == 409
    assert "decided already" in late.content.decode()
    assert "Withdraw it" not in page_of(desk, decide_page(proposed))


# --- rights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("roles", [("support",), ()])
def test_nobody_else_sees_or_does_anything(ada: User, roles: tuple[str, ...]) -> None:
    proposed, fact = propose(ada, amount=100, to_account="bank"), on_suspense(1_000)
    client = as_role(*roles)
    change = reverse("admin:payments_correction_change", args=[proposed.pk])
    for address in (LIST, PROPOSE, f"{PROPOSE}?clears={fact.pk}", decide_page(proposed), change, f"{LIST}export/"):
        assert client.get(address).status_code == 403, address
    for address in (PROPOSE, decide_page(proposed)):
        assert client.post(address, {"approve": "yes", "reason": "Mine."}).status_code == 403, address
    assert (Correction.objects.get().status, StaffDecision.objects.count()) == ("to_approve", 1)


def test_nothing_is_to_be_seen_without_signing_in(ada: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank")
    for address in (LIST, PROPOSE, decide_page(proposed)):
        assert Client().get(address).status_code == 302


# --- the list, and what waits -------------------------------------------------------------------


def test_it_is_listed_by_its_state_and_exported(desk: Client, ada: User, bo: User) -> None:
    waits = propose(ada, amount=100, to_account="bank", reason="=HYPERLINK(1)")
    done = approve(propose(ada, amount=200, to_account="bank"), bo)
    gone = corrections.decline(
        correction=propose(ada, amount=300, to_account="bank"), actor=bo, reason="No.", now=clock.now()
    )
    for each in (waits, done, gone):
        page = desk.get(LIST, {"status__exact": each.status})
        assert [row.pk for row in page.context["cl"].result_list] == [each.pk]
        assert page_of(desk, reverse("admin:payments_correction_change", args=[each.pk]))
    assert decide_page(waits) in page_of(desk, f"{LIST}?status__exact=to_approve")
    assert "'=HYPERLINK(1)" in desk.get(f"{LIST}export/").getvalue().decode()


def test_what_waits_is_on_the_front_page_and_among_what_is_at_risk(desk: Client, ada: User) -> None:
    waits = propose(ada, amount=100, to_account="bank")
    items = desk.get(reverse("admin:index")).context["sidebar_navigation"][0]["items"]
    assert [item["badge"] for item in items if item["title"] == "Corrections to approve"] == [1]
    assert decide_page(waits) in page_of(desk, reverse("admin:bookings_at_risk"))


def test_a_longer_list_costs_no_more_queries(desk: Client, ada: User) -> None:
    propose(ada, amount=100, to_account="bank")
    desk.get(LIST)
    with CaptureQueriesContext(connection) as short:
        desk.get(LIST)
    for _ in range(5):
        propose(of_finance(uuid.uuid4().hex), amount=100, to_account="bank")
    with CaptureQueriesContext(connection) as long:
        desk.get(LIST)
    assert len(long) == len(short)


# --- hostile input ------------------------------------------------------------------------------


def wrong_forms() -> Iterator[dict[str, Any]]:
    for amount in ("", "0", "0.001", "1e400", "NaN", "-Infinity", "1,5", "9" * 40, "1.005", "\x00", "five"):
        yield {"amount": amount}
    for account in ("", "stripe_balance", "suspense", "refunds_owed:1", "coach_payable:1", "\x00"):
        yield {"to_account": account}
        yield {"from_account": account}
    for currency in ("", "xxx", "USD", "usd' --"):
        yield {"currency": currency}
    for coach in ("nobody@example.com", "<b>", "\x00@example.com", "a" * 400 + "@example.com"):
        yield {"to_account": COACH, "coach": coach}
    for payment in ("0", "-1", "99999999999999999999", "1 OR 1=1", "\x00"):
        yield {"payment": payment}
    for token in ("", "1", "../../x"):
        yield {"token": token}
    for reason in ("", " \n", "x" * 301, "\x00"):
        yield {"reason": reason}
    yield {"to_account": COACH}
    yield {"from_account": "platform_revenue", "to_account": COACH}


@pytest.mark.everyday(4)
@pytest.mark.parametrize("wrong", list(wrong_forms()), ids=repr)
def test_what_is_wrong_is_said_and_nothing_is_proposed(desk: Client, wrong: dict[str, Any]) -> None:
    LedgerAccount.objects.create(code="bank", currency="usd")
    right = filled(desk, PROPOSE, from_account=LOSSES, to_account="bank", currency="usd", amount="5.00")
    answer = desk.post(PROPOSE, {**right, **wrong})
    assert answer.status_code in (200, 400)
    assert answer.context["form"].errors
    assert not Correction.objects.exists()


@pytest.mark.parametrize("named", ["clears=0", "clears=99999999999999999999", "clears=x", "clears=²", "difference=7"])
def test_an_address_that_names_nothing_is_not_found(desk: Client, named: str) -> None:
    assert desk.get(f"{PROPOSE}?{named}").status_code == 404


def test_an_entry_that_is_cleared_meanwhile_leads_back_to_the_list(desk: Client, ada: User, bo: User) -> None:
    fact = on_suspense(1_000)
    approve(propose(ada, amount=1_000, clears=fact), bo)
    for answer in (desk.get(f"{PROPOSE}?clears={fact.pk}"), desk.get(f"{PROPOSE}?clears={fact.pk}&currency=eur")):
        assert (answer.status_code, answer["Location"]) == (302, LIST)


def test_more_than_there_is_is_refused_in_words(desk: Client) -> None:
    way = f"{PROPOSE}?clears={on_suspense(1_000).pk}"
    answer = desk.post(way, filled(desk, way, to_account=LOSSES, amount="10.01"))
    assert answer.status_code == 409
    assert "$10.00 of this entry is on suspense" in answer.content.decode()


def test_the_same_form_sent_twice_is_one_proposal(desk: Client) -> None:
    way = f"{PROPOSE}?clears={on_suspense(1_000).pk}"
    said = filled(desk, way, to_account=LOSSES)
    assert desk.post(way, said)["Location"] == desk.post(way, said)["Location"]
    assert Correction.objects.count() == 1


def test_a_reason_is_shown_as_it_was_written(desk: Client, ada: User) -> None:
    proposed = propose(ada, amount=100, to_account="bank", reason="<script>alert(1)</script>")
    for address in (LIST, decide_page(proposed), reverse("admin:bookings_at_risk")):
        page = desk.get(address).content.decode()
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_the_kinds_say_the_way_to_this_desk() -> None:
    assert "propose to move it from suspense" in KINDS["unknown_type"].what_to_do
    assert "move what is on suspense" in KINDS["settled_in_another_currency"].what_to_do
