"""Comparing with Stripe: what we show of a coach's account and banks and of a student's cards is what Stripe has."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from djstripe.models import Account as MirroredAccount

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, mirror, selectors, services
from payments.models import (
    BankAccount,
    Customer,
    Difference,
    Payment,
    PayoutAccount,
    Reconciliation,
    SavedCard,
    StripeEvent,
)
from payments.reconcile import KINDS, open_differences, reconcile
from payments.reconcile.cards import DAYS
from payments.tests import bankside, stage

pytestmark = [pytest.mark.django_db]

Scope, State = Reconciliation.Scope, Difference.State
HOUR = timedelta(hours=1)


def compare(scope: Reconciliation.Scope = Scope.FULL, *, now: datetime | None = None) -> Reconciliation:
    done = reconcile(scope=scope, now=now or clock.now() + HOUR)
    assert done.failure == ""
    return done


def told() -> list[tuple[str, str, str, str]]:
    return sorted(Difference.objects.values_list("code", "object_type", "object_id", "state"))


def falsify(sandbox: Sandbox, stripe_id: str, **fields: Any) -> None:
    sandbox.post(f"/_sandbox/objects/{stripe_id}/tamper", {"set": fields})


# --- accounts -----------------------------------------------------------------------------------


@pytest.fixture
def account(payable_coach: Coach) -> PayoutAccount:
    return PayoutAccount.objects.get()


@pytest.mark.parametrize(
    ("ours", "code"),
    [
        ({"requirements": {"currently_due": ["individual.id_number"]}}, "requirements_differ"),
        ({"payouts_enabled": False}, "state_differs"),
        ({"charges_enabled": False}, "state_differs"),
        ({"transfers_active": False}, "state_differs"),
        ({"details_submitted": False}, "state_differs"),
    ],
)
def test_what_we_show_of_an_account_is_brought_to_what_stripe_has(
    ours: dict[str, Any], code: str, sandbox: Sandbox, account: PayoutAccount
) -> None:
    before = PayoutAccount.objects.values(*ours).get()
    PayoutAccount.objects.update(**ours)
    compare()
    assert PayoutAccount.objects.values(*ours).get() == before
    assert told() == [(code, "account", account.stripe_account_id, State.REPAIRED)]
    compare()
    assert len(told()) == 1


def test_what_was_read_of_an_account_meanwhile_does_not_stand_against_a_later_answer(
    sandbox: Sandbox, account: PayoutAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody opens their page while accounts are compared, and Stripe changes its mind right after."""
    copies_of_accounts = mirror.copies_of_accounts

    def read_meanwhile(ids: Any) -> dict[str, Any]:
        PayoutAccount.objects.filter(read_at__lt=begins).update(payouts_enabled=False, read_at=clock.now())
        return copies_of_accounts(ids)

    PayoutAccount.objects.update(payouts_enabled=False)
    begins = clock.now()
    monkeypatch.setattr(mirror, "copies_of_accounts", read_meanwhile)
    compare(now=begins)
    assert told() == [("state_differs", "account", account.stripe_account_id, State.REPAIRED)]
    account.refresh_from_db()
    assert account.payouts_enabled is True


def test_of_what_is_asked_only_what_differs_is_said(sandbox: Sandbox, account: PayoutAccount) -> None:
    kept = {**account.requirements, "currently_due": ["individual.id_number"], "made_up": 1}
    PayoutAccount.objects.update(requirements=kept)
    compare()
    difference = Difference.objects.get()
    assert difference.ours == {"currently_due": ["individual.id_number"], "made_up": 1}
    assert difference.stripes == {"currently_due": []}


def test_the_copy_that_staff_see_of_an_account_is_brought_to_what_stripe_has(
    sandbox: Sandbox, account: PayoutAccount
) -> None:
    mirror.mirror_object("account", account.stripe_account_id)
    compare()
    assert told() == []
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict")
    services.refresh_payout_account(account=account, now=clock.now())
    compare()
    assert told() == [("mirror_differs", "account", account.stripe_account_id, State.REPAIRED)]
    difference = Difference.objects.get()
    assert (difference.ours["payouts_enabled"], difference.stripes["payouts_enabled"]) == (True, False)
    copy = MirroredAccount.objects.get(id=account.stripe_account_id).stripe_data
    assert copy["payouts_enabled"] is False
    compare()
    assert len(told()) == 1


def test_a_copy_that_an_event_is_about_to_renew_is_left_to_it(sandbox: Sandbox, account: PayoutAccount) -> None:
    mirror.mirror_object("account", account.stripe_account_id)
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/restrict")
    services.refresh_payout_account(account=account, now=clock.now())
    StripeEvent.objects.create(
        event_id="evt_1",
        type="account.updated",
        object_id=account.stripe_account_id,
        livemode=False,
        received_at=clock.now(),
        next_try_at=clock.now(),
    )
    compare()
    assert told() == []


def test_an_account_that_was_never_copied_is_no_difference(sandbox: Sandbox, account: PayoutAccount) -> None:
    compare()
    assert told() == []


# --- banks --------------------------------------------------------------------------------------


@pytest.fixture
def bank(sandbox: Sandbox, coach: Coach, settings: Any) -> BankAccount:
    account = bankside.custom(sandbox, coach, settings)
    services.refresh_payout_account(account=account, now=clock.now())
    return BankAccount.objects.get()


@pytest.mark.parametrize("ours", [{"name": "Another bank"}, {"last4": "0001"}, {"status": "errored"}])
def test_a_bank_is_called_as_at_stripe(ours: dict[str, str], sandbox: Sandbox, bank: BankAccount) -> None:
    BankAccount.objects.update(**ours)
    compare()
    assert BankAccount.objects.values(*ours).get() == {name: getattr(bank, name) for name in ours}
    assert told() == [("bank_differs", "account", bank.account.stripe_account_id, State.REPAIRED)]
    difference = Difference.objects.get()
    assert ours.popitem()[1] in difference.ours[bank.stripe_bank_id]
    assert bank.last4 in difference.stripes[bank.stripe_bank_id]


def test_nothing_else_of_a_bank_is_written_down(sandbox: Sandbox, bank: BankAccount) -> None:
    BankAccount.objects.update(name="Another bank")
    compare()
    theirs = stage.at_stripe(
        sandbox, f"/v1/accounts/{bank.account.stripe_account_id}/external_accounts/{bank.stripe_bank_id}"
    )
    said = str(Difference.objects.values_list("ours", "stripes").get())
    for name in ("routing_number", "account_holder_name", "fingerprint"):
        assert theirs[name]
        assert str(theirs[name]) not in said


def test_a_card_that_is_paid_out_to_keeps_the_state_that_a_payout_gave_it(sandbox: Sandbox, bank: BankAccount) -> None:
    """Where Stripe tells none."""
    card = gateway.create_external_account(
        bank.account.stripe_account_id, token="tok_visa_debit", default=False, operation_id="", key="a-card"
    )
    falsify(sandbox, card.id, status=None)
    services.refresh_payout_account(account=bank.account, now=clock.now())
    BankAccount.objects.filter(kind=BankAccount.Kind.CARD).update(status="errored")
    compare()
    assert list(Difference.objects.values_list("ours", "stripes")) == []
    assert BankAccount.objects.get(kind=BankAccount.Kind.CARD).status == "errored"


# --- cards --------------------------------------------------------------------------------------


@pytest.fixture
def saved(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    return stage.save_card(sandbox, student, payable_coach)


def let_go(sandbox: Sandbox, card: SavedCard) -> None:
    stage.post_at_stripe(sandbox, f"/v1/payment_methods/{card.stripe_payment_method_id}/detach", {})


@pytest.mark.parametrize("scope", [Scope.RECENT, Scope.FULL])
def test_a_card_that_a_coming_session_needs_and_stripe_has_let_go_of(
    scope: Reconciliation.Scope, sandbox: Sandbox, student: User, saved: Payment
) -> None:
    card = SavedCard.objects.get()
    let_go(sandbox, card)
    compare(scope)
    assert list(selectors.cards_of(student)) == []
    assert told() == [("card_detached", "payment_method", card.stripe_payment_method_id, State.REPAIRED)]
    assert Difference.objects.get().payment == saved
    compare(scope)
    assert len(told()) == 1


def test_a_card_that_no_session_needs_has_its_day_of_the_week(sandbox: Sandbox, student: User, saved: Payment) -> None:
    Payment.objects.update(status=Payment.Status.LAPSED)
    card = SavedCard.objects.get()
    let_go(sandbox, card)
    compare(Scope.RECENT)
    assert list(selectors.cards_of(student)) == [card]
    week = [clock.now() + timedelta(days=day) for day in range(DAYS)]
    counted = [compare(now=now).compared.get("payment_method", 0) for now in week]
    assert sum(counted) == 1
    assert list(selectors.cards_of(student)) == []


def test_a_card_of_another_customer_is_named(sandbox: Sandbox, student: User, saved: Payment) -> None:
    Customer.objects.update(stripe_customer_id="cus_somebodyElses")
    card = SavedCard.objects.get()
    compare()
    found = ("owner_differs", "payment_method", card.stripe_payment_method_id)
    assert found in list(open_differences().values_list("code", "object_type", "object_id"))
    assert list(selectors.cards_of(student)) == [card]


def test_a_card_that_stripe_does_not_know_is_named_until_it_is_removed(
    sandbox: Sandbox, student: User, saved: Payment
) -> None:
    card = SavedCard.objects.get()
    sandbox.post(f"/_sandbox/objects/{card.stripe_payment_method_id}/erase")
    compare()
    assert ("orphan_with_us", "payment_method", card.stripe_payment_method_id, State.OPEN) in told()
    SavedCard.objects.update(removed_at=clock.now())
    compare()
    assert ("orphan_with_us", "payment_method", card.stripe_payment_method_id, State.GONE) in told()


def test_a_card_that_is_as_we_have_it_is_passed_over(sandbox: Sandbox, saved: Payment) -> None:
    done = compare()
    assert done.compared["payment_method"] == 1
    assert told() == []


@pytest.mark.parametrize("code", ["requirements_differ", "mirror_differs", "bank_differs", "card_detached"])
def test_each_says_what_it_means_and_what_to_do(code: str) -> None:
    assert KINDS[code].meaning.endswith(".")
    assert KINDS[code].what_to_do.endswith(".")
