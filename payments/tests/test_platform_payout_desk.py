"""The platform's own payouts and the lists of all payouts, in the admin: refused in words, and only for who may."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from coaches.models import Coach
from marketplace import clock
from marketplace.models import StaffDecision, User
from marketplace.tests.sandbox import Sandbox
from marketplace.tests.staff import as_role, browser_of, member_of
from payments import ledger, operations
from payments.models import BankAccount, Payment, Payout
from payments.tests import payout_scene, stage
from payments.tests.factories_books import earn
from payments.tests.payout_scene import asked_of_stripe

pytestmark = pytest.mark.django_db

DESK = reverse("admin:payments_payout_platform")
PAYOUTS = reverse("admin:payments_payout_changelist")
BANKS = reverse("admin:payments_bankaccount_changelist")
WISH = {"currency": "usd", "money": "10.00", "reason": "Rent."}


@pytest.fixture
def ours(sandbox: Sandbox, held: Payment) -> None:
    """100.00 USD were taken and are available: 80.00 are the coach's, 3.20 Stripe's, 16.80 ours."""
    stage.request_capture(held, clock.now())
    operations.sweep(now=clock.now())
    sandbox.advance(5 * 86_400)


@pytest.fixture
def finance() -> Client:
    return as_role("finance")


def words(answer: Any) -> str:
    return str(answer.render().content.decode() if hasattr(answer, "render") else answer.content.decode())


def made(sandbox: Sandbox) -> list[dict[str, Any]]:
    return asked_of_stripe(sandbox, "/v1/payouts")


# --- the desk -----------------------------------------------------------------------------------


def test_it_shows_what_is_whose(ours: None, finance: Client) -> None:
    facts = dict(finance.get(DESK).context["facts"])
    assert facts["Available at Stripe"] == "$96.80"
    assert facts["Owed to coaches"] == "-$80.00"
    assert facts["May be paid out"] == "$16.80"


def test_it_is_looked_over_then_done_and_written_down(ours: None, sandbox: Sandbox) -> None:
    actor = member_of("finance")
    client = browser_of(actor)
    page = client.post(DESK, WISH)
    assert dict(page.context["facts"])["Could still be paid out after it"] == "$6.80"
    assert (Payout.objects.count(), made(sandbox)) == (0, [])

    answer = client.post(DESK, {**WISH, "confirm": "yes"})
    assert answer["Location"] == f"{DESK}?currency=usd"
    payout = Payout.objects.get()
    assert (payout.account, payout.amount, payout.requested_by) == (None, 1_000, actor)
    assert len(made(sandbox)) == 1
    decision = StaffDecision.objects.get(decision="platform_payout")
    assert (decision.actor, decision.reason) == (actor, "Rent.")
    assert "$10.00" in words(client.get(DESK))
    assert ledger.check() == []


def test_a_double_click_pays_out_once(ours: None, sandbox: Sandbox, finance: Client) -> None:
    for _ in range(3):
        finance.post(DESK, {**WISH, "confirm": "yes"})
    assert [payout.amount for payout in Payout.objects.all()] == [1_000]
    assert len(made(sandbox)) == 1


@pytest.mark.parametrize("amount", ["16.81", "96.80", "999999.99"])
def test_more_than_is_ours_is_refused_in_words(ours: None, sandbox: Sandbox, finance: Client, amount: str) -> None:
    answer = finance.post(DESK, {**WISH, "money": amount, "confirm": "yes"})
    assert answer.status_code == 400
    assert "Not more than $16.80 is the platform" in answer.context["form"].errors["money"][0]
    assert answer.context["form"]["reason"].value() == "Rent."
    assert (Payout.objects.count(), made(sandbox)) == (0, [])


def test_what_a_coach_earned_meanwhile_is_refused_at_the_last_step(ours: None, finance: Client) -> None:
    finance.post(DESK, WISH)
    earn(Coach.objects.get(), amount=10_000, platform_fee=1)
    answer = finance.post(DESK, {**WISH, "confirm": "yes"})
    assert answer.status_code in {400, 409}
    assert Payout.objects.count() == 0


@pytest.mark.thorough
@pytest.mark.parametrize(
    "wrong",
    [
        {"money": ""},
        {"money": "0"},
        {"money": "-5"},
        {"money": "1e1"},
        {"money": "5.001"},
        {"money": "NaN"},
        {"money": "\u0661"},
        {"money": "9" * 400},
        {"reason": ""},
        {"reason": "   "},
        {"reason": "x" * 501},
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    ours: None, sandbox: Sandbox, finance: Client, wrong: dict[str, str]
) -> None:
    answer = finance.post(DESK, {**WISH, **wrong, "confirm": "yes"})
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == list(wrong)
    assert (Payout.objects.count(), made(sandbox)) == (0, [])


@pytest.mark.parametrize("currency", ["eur ", "USD", "xxx", "\x01"])
def test_a_currency_that_the_platform_has_not_is_not_there(ours: None, finance: Client, currency: str) -> None:
    assert finance.post(DESK, {**WISH, "currency": currency}).status_code == 404


def test_the_reserve_stays(ours: None, finance: Client, settings: Settings) -> None:
    settings.PLATFORM_RESERVE = {"usd": 1_500}
    assert dict(finance.get(DESK).context["facts"])["May be paid out"] == "$1.80"
    assert finance.post(DESK, {**WISH, "confirm": "yes"}).status_code == 400


def test_where_all_is_owed_there_is_no_form(sandbox: Sandbox, finance: Client) -> None:
    page = words(finance.get(DESK))
    assert "Nothing may be paid out" in page
    assert 'name="money"' not in page


def test_a_silent_stripe_is_said_to_be_silent(ours: None, sandbox: Sandbox, finance: Client) -> None:
    sandbox.post("/_sandbox/faults", {"method": "GET", "path": "/v1/balance", "action": "refuse", "times": 0})
    for answer in (finance.get(DESK), finance.post(DESK, {**WISH, "confirm": "yes"})):
        assert answer.status_code == 503
    assert Payout.objects.count() == 0


def test_change_goes_back_with_what_was_typed(ours: None, finance: Client) -> None:
    form = finance.post(DESK, {**WISH, "change": "yes"}).context["form"]
    assert (form["money"].value(), form["reason"].value()) == ("10.00", "Rent.")


@pytest.mark.parametrize("method", ["get", "post"])
def test_support_may_not_even_look(ours: None, sandbox: Sandbox, method: str) -> None:
    assert getattr(as_role("support"), method)(DESK, {**WISH, "confirm": "yes"}).status_code == 403
    assert Payout.objects.count() == 0


def test_a_form_from_another_site_is_refused(ours: None, sandbox: Sandbox) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.cookies = browser_of(member_of("finance")).cookies
    assert guarded.post(DESK, {**WISH, "confirm": "yes"}).status_code == 403
    assert made(sandbox) == []


# --- the lists ----------------------------------------------------------------------------------


@pytest.fixture
def failed(sandbox: Sandbox, coach: Coach) -> Payout:
    account = payout_scene.account_with(sandbox, coach)
    return payout_scene.failed(sandbox, payout_scene.pay_out(account, 5_000))


def test_failed_payouts_say_why_and_are_found_by_stripes_id(failed: Payout, finance: Client) -> None:
    front = words(finance.get(reverse("admin:index")))
    assert f"{PAYOUTS}?status__exact=failed" in front
    for query in ({"status__exact": "failed"}, {"q": str(failed.stripe_payout_id)}, {"q": "Carla"}):
        page = words(finance.get(PAYOUTS, query))
        assert "The bank account has been closed." in page
    assert str(failed.stripe_payout_id) not in words(finance.get(PAYOUTS, {"status__exact": "paid"}))


def test_a_payout_shows_the_way_out_its_account_and_its_calls(failed: Payout, finance: Client) -> None:
    assert failed.account is not None
    page = words(finance.get(reverse("admin:payments_payout_change", args=[failed.pk])))
    assert "Add another bank account" in page
    assert reverse("admin:payments_payoutaccount_change", args=[failed.account.pk]) in page
    assert "Cancel" not in page
    assert finance.post(reverse("admin:payments_payout_change", args=[failed.pk]), {"amount": 1}).status_code == 403


def test_a_bank_is_listed_by_its_name_and_last_four_digits(failed: Payout, finance: Client) -> None:
    bank = BankAccount.objects.get()
    for query in ({}, {"q": bank.stripe_bank_id}, {"q": bank.last4}, {"status__exact": "errored"}):
        assert "STRIPE TEST BANK ending in 6789" in words(finance.get(BANKS, query))
    assert bank.stripe_bank_id in words(finance.get(reverse("admin:payments_bankaccount_change", args=[bank.pk])))


@pytest.mark.parametrize("kind", ["payout", "bankaccount"])
def test_nobody_edits_a_row(failed: Payout, staff: User, kind: str) -> None:
    row = failed.pk if kind == "payout" else BankAccount.objects.get().pk
    client = browser_of(staff)
    assert 'name="_save"' not in words(client.get(reverse(f"admin:payments_{kind}_change", args=[row])))
    assert client.post(reverse(f"admin:payments_{kind}_change", args=[row]), {}).status_code == 403
    assert client.post(reverse(f"admin:payments_{kind}_delete", args=[row]), {"post": "yes"}).status_code == 403
    assert client.get(reverse(f"admin:payments_{kind}_add")).status_code == 403
    assert Payout.objects.count() == BankAccount.objects.count() == 1


@pytest.mark.thorough
@pytest.mark.parametrize("url", [PAYOUTS, BANKS])
@pytest.mark.parametrize("query", ["carla", "1", "po_x", "\x00", "x" * 500])
def test_every_search_answers(failed: Payout, finance: Client, url: str, query: str) -> None:
    assert finance.get(url, {"q": query}).status_code == 200


@pytest.mark.parametrize("url", [PAYOUTS, BANKS])
def test_support_does_not_see_the_lists(sandbox: Sandbox, url: str) -> None:
    assert as_role("support").get(url).status_code == 403


@pytest.mark.parametrize("url", [PAYOUTS, BANKS])
def test_a_longer_list_takes_no_more_queries(sandbox: Sandbox, failed: Payout, finance: Client, url: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert finance.get(url).status_code == 200
        return len(asked)

    queries()
    before = queries()
    account = failed.account
    assert account is not None
    for number in range(5):
        now = clock.now() - timedelta(days=number)
        Payout.objects.create(
            account=account, amount=100, currency="usd", status="failed", created_at=now, recorded_at=now
        )
        BankAccount.objects.create(
            account=account, stripe_bank_id=f"ba_{number}", kind="card", last4="1111", currency="usd",
            created_at=now,
        )  # fmt: skip
    assert queries() == before


def test_the_list_is_a_file_too(failed: Payout, finance: Client) -> None:
    answer: Any = finance.get(reverse("admin:payments_payout_export"))
    text = b"".join(answer.streaming_content).decode() if answer.streaming else answer.content.decode()
    assert str(failed.stripe_payout_id) in text
    assert "50.00" in text
