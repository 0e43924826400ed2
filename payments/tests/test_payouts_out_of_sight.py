"""A payout that was on its way when its coach's account left us: it ends in a state that says what we know."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from marketplace import clock
from marketplace.lib.months import month_of
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import ledger, payout_pollers, payout_selectors, services, statements
from payments.models import Difference, LedgerTransaction, Payout, PayoutAccount, Reconciliation
from payments.payout_failures import OUT_OF_SIGHT
from payments.reconcile import open_differences, reconcile
from payments.tests import payout_scene
from payments.tests.payout_scene import PAYOUTS

pytestmark = pytest.mark.django_db

Status = Payout.Status
DAY = timedelta(days=1)


@pytest.fixture
def sent(sandbox: Sandbox, account: PayoutAccount) -> Payout:
    """On its way to the bank."""
    payout = payout_scene.pay_out(account, 5_000)
    assert payout.status in (Status.PENDING, Status.IN_TRANSIT)
    return payout


def cut(sandbox: Sandbox, account: PayoutAccount) -> None:
    """The coach cuts the connection at Stripe, and we hear nothing of it."""
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/deauthorize")


def leave(sandbox: Sandbox, account: PayoutAccount) -> None:
    cut(sandbox, account)
    services.record_deauthorised(stripe_account_id=account.stripe_account_id, now=clock.now())


def test_it_is_on_its_way_no_longer_and_nothing_moves_in_the_books(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    booked = LedgerTransaction.objects.count()
    leave(sandbox, account)
    sent.refresh_from_db()
    assert sent.status == Status.UNTRACKED
    assert payout_selectors.on_their_way(account) == []
    assert LedgerTransaction.objects.count() == booked
    assert ledger.check() == []


@pytest.mark.parametrize("status", [Status.PAID, Status.FAILED, Status.CANCELED, Status.REFUSED, Status.REQUESTED])
def test_what_has_ended_or_was_never_made_stays_as_it_is(
    status: Payout.Status, sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    Payout.objects.update(status=status)
    leave(sandbox, account)
    sent.refresh_from_db()
    assert (sent.status, sent.untracked_at) == (status, None)


def test_others_and_the_platforms_own_are_let_be(sandbox: Sandbox, account: PayoutAccount, sent: Payout) -> None:
    own = Payout.objects.create(
        account=None, amount=1, currency="usd", status=Status.PENDING, created_at=clock.now(), recorded_at=clock.now()
    )
    leave(sandbox, account)
    payout_pollers.poll_payouts(now=clock.now())
    own.refresh_from_db()
    assert own.status == Status.PENDING


def test_the_coach_reads_what_we_know_and_whose_the_money_is(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    leave(sandbox, account)
    page = payout_scene.browser_of(account.coach).get(PAYOUTS).content.decode()
    assert "Your Stripe account is not connected with us" in page
    assert "Stripe has closed this account" not in page
    assert "Read the balance" not in page
    assert "Out of our sight" in page
    assert OUT_OF_SIGHT.what.replace("'", "&#x27;") in page
    assert OUT_OF_SIGHT.way_out.replace("'", "&#x27;") in page
    assert "Expected on" not in page


def test_staff_read_it_too(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout, admin_user: User, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = False
    settings.DEMO_STAFF_EMAIL = admin_user.email
    leave(sandbox, account)
    staff = Client()
    staff.force_login(admin_user)
    page = staff.get(reverse("admin:payments_payout_change", args=[sent.pk])).content.decode()
    assert "Out of our sight" in page
    assert OUT_OF_SIGHT.what.replace("'", "&#x27;") in page


def test_the_api_says_it_in_the_same_words(sandbox: Sandbox, account: PayoutAccount, sent: Payout) -> None:
    leave(sandbox, account)
    row = payout_selectors.payout_row(Payout.objects.get())
    assert row.failure == OUT_OF_SIGHT
    assert row.expected is False


def test_the_statement_of_that_month_has_a_line_for_it_over_nothing(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    leave(sandbox, account)
    sent.refresh_from_db()
    assert sent.untracked_at is not None
    month = month_of(sent.untracked_at)
    found = statements.coach_month(coach_id=account.coach_id, month=month, currency="usd")
    lines = [(line.stripe_payout_id, line.amount) for line in found.payouts if line.at == sent.untracked_at]
    assert lines == [(sent.stripe_payout_id, 0)]
    rows = [line for line in statements.statement_csv(found).splitlines() if "bank_payout_untracked" in line]
    assert len(rows) == 1
    assert found.closing == 0


def test_it_is_dated_into_the_month_that_is_open(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = clock.now() + 3 * DAY
    monkeypatch.setattr(ledger, "open_date", lambda _: closed)
    leave(sandbox, account)
    sent.refresh_from_db()
    assert sent.untracked_at == closed


def test_out_of_sight_once_more_it_keeps_its_first_day_so_that_no_closed_month_changes(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    leave(sandbox, account)
    sent.refresh_from_db()
    first = sent.untracked_at
    # An event that was under way when the account left.
    Payout.objects.update(status=Status.IN_TRANSIT)
    payout_pollers.poll_payouts(now=clock.now() + 40 * DAY)
    sent.refresh_from_db()
    assert (sent.status, sent.untracked_at) == (Status.UNTRACKED, first)


def test_one_that_was_on_its_way_before_we_knew_better_ends_by_the_timer(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    PayoutAccount.objects.update(deauthorised_at=clock.now())
    payout_pollers.poll_payouts(now=clock.now())
    sent.refresh_from_db()
    assert sent.status == Status.UNTRACKED


# --- where nobody told us that the account has left ---------------------------------------------


def compare(later: timedelta) -> Reconciliation:
    return reconcile(scope=Reconciliation.Scope.FULL, now=clock.now() + later)


def test_out_of_reach_for_days_it_is_ended_by_the_comparison(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    cut(sandbox, account)
    compare(timedelta(hours=1))
    sent.refresh_from_db()
    assert sent.status != Status.UNTRACKED
    compare(4 * DAY)
    sent.refresh_from_db()
    assert sent.status == Status.UNTRACKED
    assert list(open_differences().values_list("code", flat=True)) == ["out_of_reach"]


def test_in_reach_again_it_goes_on_from_where_stripe_has_it(
    sandbox: Sandbox, account: PayoutAccount, sent: Payout
) -> None:
    Payout.objects.update(status=Status.UNTRACKED)
    compare(timedelta(hours=1))
    sent.refresh_from_db()
    assert sent.status in (Status.PENDING, Status.IN_TRANSIT, Status.PAID)
    assert list(Difference.objects.values_list("code", "object_type", "state")) == [
        ("state_differs", "payout", "repaired")
    ]
