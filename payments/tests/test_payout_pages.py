"""The payout step, over the sandbox: one account however it is clicked, and nothing believed but Stripe's answer."""

import threading
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from django.urls import reverse

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.factories import CoachFactory
from marketplace.tests.sandbox import Sandbox
from payments import operations, services
from payments.models import Operation, PayoutAccount

pytestmark = pytest.mark.django_db

PAYOUTS = reverse("payments:payouts")
START = reverse("payments:start_onboarding")
RETURN = reverse("payments:onboarding_return")
REFRESH = reverse("payments:onboarding_refresh")


@pytest.fixture
def coach() -> Coach:
    """A coach who has not begun with payouts."""
    return CoachFactory.create(payable=False)


@pytest.fixture
def signed_in(client: Client, coach: Coach) -> Client:
    client.force_login(coach.user)
    return client


@pytest.fixture
def account(sandbox: Sandbox, coach: Coach) -> PayoutAccount:
    """The coach's account at Stripe, before any details are given."""
    return services.create_payout_account(coach=coach, country="US", now=clock.now())


def made_at_stripe(sandbox: Sandbox, path: str = "/v1/accounts") -> list[dict[str, Any]]:
    """The requests that changed something there."""
    return [
        row
        for row in sandbox.get("/_sandbox/requests")["data"]
        if row["method"] == "POST" and row["path"] == path and row["effect"]
    ]


def onboard(sandbox: Sandbox, account: PayoutAccount, outcome: str) -> None:
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/onboard", {"outcome": outcome})


# --- the page -----------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [PAYOUTS, RETURN, REFRESH])
def test_it_needs_a_login(client: Client, url: str) -> None:
    assert client.get(url)["Location"] == f"{reverse('account_login')}?next={url}"


def test_starting_needs_a_login(client: Client) -> None:
    assert client.post(START)["Location"] == f"{reverse('account_login')}?next={START}"


def test_without_a_profile_the_profile_comes_first(sandbox: Sandbox, client: Client, stranger: User) -> None:
    client.force_login(stranger)
    for answer in (client.get(PAYOUTS), client.post(START, {"country": "US"})):
        assert answer["Location"] == reverse("coaches:edit_profile")
    assert made_at_stripe(sandbox) == []


def test_at_first_it_asks_for_the_country_and_makes_nothing(sandbox: Sandbox, signed_in: Client) -> None:
    page = signed_in.get(PAYOUTS).content.decode()
    assert "Complete setup" in page
    assert '<option value="DE">Germany</option>' in page
    assert made_at_stripe(sandbox) == []
    assert PayoutAccount.objects.count() == 0


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("partial", "Complete setup"),
        ("pending", "Being checked"),
        ("restricted", "What is missing"),
        ("complete", "You&#x27;re all set"),
    ],
)
def test_the_page_says_how_the_account_stands(
    sandbox: Sandbox, signed_in: Client, account: PayoutAccount, outcome: str, words: str
) -> None:
    onboard(sandbox, account, outcome)
    page = signed_in.get(RETURN, follow=True).content.decode()
    assert words in page


def test_a_rejected_account_is_not_led_to_stripe_again(
    sandbox: Sandbox, signed_in: Client, account: PayoutAccount
) -> None:
    onboard(sandbox, account, "rejected")
    page = signed_in.get(RETURN, follow=True).content.decode()
    assert START not in page


# --- starting -----------------------------------------------------------------------------------


def test_starting_makes_the_account_and_leads_to_stripe(sandbox: Sandbox, signed_in: Client, coach: Coach) -> None:
    answer = signed_in.post(START, {"country": "DE"})
    account = PayoutAccount.objects.get(coach=coach)
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{sandbox.url}/setup/e/{account.stripe_account_id}/")
    assert account.country == "DE"
    assert account.payable is False
    assert not Coach.objects.get(pk=coach.pk).payable


def test_the_link_is_kept_nowhere_on_the_way(sandbox: Sandbox, signed_in: Client) -> None:
    answer = signed_in.post(START, {"country": "US"})
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"


def test_starting_again_takes_the_same_account_and_a_new_link(sandbox: Sandbox, signed_in: Client) -> None:
    first = signed_in.post(START, {"country": "US"})["Location"]
    second = signed_in.post(START, {"country": "GB"})["Location"]
    assert first != second
    assert len(made_at_stripe(sandbox)) == 1
    assert PayoutAccount.objects.get().country == "US"


@pytest.mark.django_db(transaction=True)
def test_clicks_that_race_make_one_account(sandbox: Sandbox, coach: Coach) -> None:
    clients = [Client() for _ in range(4)]
    for each in clients:
        each.force_login(coach.user)
    barrier, answers = threading.Barrier(len(clients)), []

    def click(each: Client) -> None:
        try:
            barrier.wait(timeout=60)
            answers.append(each.post(START, {"country": "US"}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click, args=[each]) for each in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(made_at_stripe(sandbox)) == 1
    assert Operation.objects.filter(kind=Operation.Kind.CREATE_ACCOUNT).count() == 1
    account = PayoutAccount.objects.get(coach=coach)
    assert len(answers) == len(clients)
    for answer in answers:
        # Each is led to Stripe with the one account, or told to try again; nobody sees an error page.
        assert (
            account.stripe_account_id in answer["Location"] if answer.status_code == 302 else answer.status_code == 503
        )


@pytest.mark.parametrize("country", ["FR", "us", "", "XX", "USA", "\x00", "٢٣"])
def test_a_country_that_is_not_offered_is_refused_beside_the_field(
    sandbox: Sandbox, signed_in: Client, country: str
) -> None:
    answer = signed_in.post(START, {"country": country})
    assert answer.status_code == 400
    assert "country" in answer.context["country_form"].errors
    assert made_at_stripe(sandbox) == []
    assert Operation.objects.count() == 0


def test_what_is_not_asked_for_is_ignored(sandbox: Sandbox, signed_in: Client, coach: Coach) -> None:
    rival = CoachFactory.create(payable=False)
    signed_in.post(
        START, {"country": "US", "coach": rival.pk, "stripe_account_id": "acct_mine", "email": "a@b.example"}
    )
    account = PayoutAccount.objects.get()
    assert account.coach == coach
    assert account.stripe_account_id != "acct_mine"


def test_a_visit_starts_nothing(sandbox: Sandbox, signed_in: Client) -> None:
    assert signed_in.get(START).status_code == 405
    assert made_at_stripe(sandbox) == []


def test_a_form_from_another_site_starts_nothing(sandbox: Sandbox, coach: Coach) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(coach.user)
    assert guarded.post(START, {"country": "US"}).status_code == 403
    assert made_at_stripe(sandbox) == []


@pytest.mark.parametrize("action", ["refuse", "reset_before_effect", "reset_after_effect"])
def test_when_stripe_is_unreachable_the_person_is_told_and_can_try_again(
    sandbox: Sandbox, signed_in: Client, action: str
) -> None:
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/accounts", "action": action, "times": 0})
    answer = signed_in.post(START, {"country": "DE"})
    assert answer.status_code == 503
    assert "Please try again in a minute" in answer.content.decode()
    assert answer.context["country_form"]["country"].value() == "DE"


@pytest.mark.parametrize("action", ["reset_before_effect", "reset_after_effect"])
def test_a_lost_answer_is_found_again_and_no_second_account_is_made(
    sandbox: Sandbox, signed_in: Client, action: str
) -> None:
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/accounts", "action": action})
    assert signed_in.post(START, {"country": "US"}).status_code == 503

    sandbox.advance(600)
    operations.sweep(now=clock.now())

    account = PayoutAccount.objects.get()
    assert account.stripe_account_id in signed_in.post(START)["Location"]
    assert len(made_at_stripe(sandbox)) == 1


def test_when_only_the_link_fails_the_account_is_kept(sandbox: Sandbox, signed_in: Client) -> None:
    sandbox.post("/_sandbox/faults", {"method": "POST", "path": "/v1/account_links", "action": "reset_before_effect"})
    assert signed_in.post(START, {"country": "US"}).status_code == 503
    again = signed_in.post(START)
    assert PayoutAccount.objects.get().stripe_account_id in again["Location"]
    assert len(made_at_stripe(sandbox)) == 1


# --- coming back --------------------------------------------------------------------------------


def test_the_return_page_opened_by_hand_changes_nothing(
    sandbox: Sandbox, signed_in: Client, coach: Coach, account: PayoutAccount
) -> None:
    answer = signed_in.get(RETURN, {"account": account.stripe_account_id, "success": "true", "details_submitted": "1"})
    assert answer["Location"] == PAYOUTS
    account.refresh_from_db()
    assert (account.details_submitted, account.payouts_enabled, account.transfers_active) == (False, False, False)
    assert not Coach.objects.get(pk=coach.pk).payable


def test_the_return_page_without_an_account_makes_none(sandbox: Sandbox, signed_in: Client) -> None:
    assert signed_in.get(RETURN)["Location"] == PAYOUTS
    assert made_at_stripe(sandbox) == []


def test_returning_reads_the_account_and_makes_the_coach_payable(
    sandbox: Sandbox, signed_in: Client, coach: Coach, account: PayoutAccount
) -> None:
    onboard(sandbox, account, "complete")
    signed_in.get(RETURN)
    account.refresh_from_db()
    assert account.onboarding_complete
    assert Coach.objects.get(pk=coach.pk).payable


def test_returning_for_another_coach_reads_only_ones_own(
    sandbox: Sandbox, client: Client, account: PayoutAccount
) -> None:
    onboard(sandbox, account, "complete")
    client.force_login(CoachFactory.create(payable=False).user)
    client.get(RETURN, {"account": account.stripe_account_id})
    account.refresh_from_db()
    assert not account.details_submitted
    assert Coach.objects.filter(payable=True).count() == 0


def test_when_stripe_is_unreachable_on_return_the_person_is_told(
    sandbox: Sandbox, signed_in: Client, account: PayoutAccount
) -> None:
    sandbox.post(
        "/_sandbox/faults", {"method": "GET", "path": "/v1/accounts/*", "action": "reset_before_effect", "times": 0}
    )
    answer = signed_in.get(RETURN, follow=True)
    assert answer.status_code == 200
    assert "this page will show it soon" in answer.content.decode()


# --- a link that has gone stale -----------------------------------------------------------------


def test_a_stale_link_is_replaced_by_a_fresh_one(sandbox: Sandbox, signed_in: Client, account: PayoutAccount) -> None:
    answer = signed_in.get(REFRESH)
    assert answer["Location"].startswith(f"{sandbox.url}/setup/e/{account.stripe_account_id}/")
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert len(made_at_stripe(sandbox)) == 1


def test_nobody_gets_a_link_to_another_coachs_account(sandbox: Sandbox, client: Client, account: PayoutAccount) -> None:
    client.force_login(CoachFactory.create(payable=False).user)
    for answer in (client.get(REFRESH, {"account": account.stripe_account_id}), client.get(RETURN)):
        assert answer["Location"] == PAYOUTS
    assert made_at_stripe(sandbox, "/v1/account_links") == []


def test_the_link_names_our_own_pages_to_come_back_to(sandbox: Sandbox, signed_in: Client) -> None:
    signed_in.post(START + "?next=//evil.example", {"country": "US", "return_url": "https://evil.example"})
    params = made_at_stripe(sandbox, "/v1/account_links")[0]["params"]
    assert params["return_url"] == f"{settings.SITE_URL}{RETURN}"
    assert params["refresh_url"] == f"{settings.SITE_URL}{REFRESH}"
