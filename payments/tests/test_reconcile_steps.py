"""Comparing with Stripe, step by step: one that fails is told, and keeps none of the others from its end."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from coaches.models import Coach
from marketplace import clock
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import gateway, lookout
from payments.gateway import GatewayError
from payments.models import Difference, Payment, PayoutAccount, Reconciliation, Refund, Transfer
from payments.reconcile import KINDS, explain, open_differences, reconcile, reconcile_due
from payments.tests import money_back, stage

pytestmark = [pytest.mark.django_db]

Scope, State = Reconciliation.Scope, Difference.State
HOUR = timedelta(hours=1)


def compare(scope: Reconciliation.Scope = Scope.FULL) -> Reconciliation:
    return reconcile(scope=scope, now=clock.now() + HOUR)


def found() -> list[tuple[str, str, str]]:
    return sorted(open_differences().values_list("code", "object_type", "object_id"))


def silent(sandbox: Sandbox, path: str) -> None:
    """Asked for this list, Stripe fails each time."""
    stage.break_next(sandbox, "respond", path, method="GET", status=500, body={}, stored=False, times=0)


@pytest.fixture
def taken(sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]) -> Payment:
    return money_back.captured(sandbox, student, payable_coach)


def test_one_that_fails_each_time_keeps_the_later_ones_from_nothing(sandbox: Sandbox, taken: Payment) -> None:
    silent(sandbox, "/v1/disputes")
    money_back.made_at_stripe(sandbox, taken, 1_000)
    sandbox.post("/_sandbox/balance_transactions", {"amount": 700, "type": "charge", "source": "ch_nobodys"})
    done = compare()
    assert done.failure.startswith("Not complete")
    assert set(done.not_compared) == {"disputes", "clearing_accounts"}
    assert done.not_compared["disputes"].startswith("Stripe answered with an error")
    assert "disputes" in done.not_compared["clearing_accounts"]
    assert done.compared["balance_transaction"] > 0
    assert [(code, object_type) for code, object_type, _ in found()] == [
        ("balance_differs", "balance"),
        ("not_booked", "balance_transaction"),
        ("not_compared", "comparison"),
    ]
    assert Refund.objects.get().amount == 1_000


def test_what_failed_is_listed_with_what_to_do_until_it_comes_to_its_end(sandbox: Sandbox, taken: Payment) -> None:
    silent(sandbox, "/v1/disputes")
    compare()
    compare()
    [difference] = open_differences()
    assert (difference.code, difference.object_id) == ("not_compared", "disputes")
    assert difference.ours == {"waits_for_it": ["clearing_accounts"]}
    assert difference.stripes["error"].startswith("Stripe answered with an error")
    assert KINDS["not_compared"].what_to_do != ""
    stage.mend(sandbox)
    assert compare().failure == ""
    difference.refresh_from_db()
    assert difference.state == State.GONE
    assert found() == []


def test_what_failed_when_everything_was_compared_is_not_made_good_by_the_last_days(
    sandbox: Sandbox, taken: Payment
) -> None:
    silent(sandbox, "/v1/disputes")
    compare()
    stage.mend(sandbox)
    assert compare(Scope.RECENT).failure == ""
    assert found() == [("not_compared", "comparison", "disputes")]
    compare()
    assert found() == []
    silent(sandbox, "/v1/disputes")
    compare(Scope.RECENT)
    assert found() == [("not_compared", "comparison", "disputes")]
    stage.mend(sandbox)
    compare(Scope.RECENT)
    assert found() == []


def test_what_staff_said_of_a_failure_ends_with_it_and_the_next_one_is_listed_anew(
    sandbox: Sandbox, taken: Payment, admin_user: User
) -> None:
    silent(sandbox, "/v1/disputes")
    compare()
    [difference] = open_differences()
    explain(difference=difference, actor=admin_user, reason="Stripe is down.", now=clock.now())
    compare()
    assert found() == []
    stage.mend(sandbox)
    compare()
    difference.refresh_from_db()
    assert difference.state == State.GONE
    silent(sandbox, "/v1/disputes")
    compare()
    assert found() == [("not_compared", "comparison", "disputes")]


def test_what_may_come_of_a_step_that_failed_is_no_alarm_and_the_rest_is_recorded(
    sandbox: Sandbox, student: User, payable_coach: Coach, heard: list[Any]
) -> None:
    """A capture that we have not heard of, with the transfer and the fee that came with it."""
    PayoutAccount.objects.update(settlement_mode="per_session")
    payment = stage.hold(sandbox, student, payable_coach)
    stage.post_at_stripe(sandbox, f"/v1/payment_intents/{payment.payment_intent_id}/capture", {})
    silent(sandbox, "/v1/payment_intents")
    done = compare()
    assert "holds_and_captures" in done.not_compared
    assert {"refunds", "transfers", "application_fees", "balances"} <= set(done.not_compared)
    assert found() == [("not_compared", "comparison", "holds_and_captures")]
    # By its balance transaction, whose own list was there.
    payment.refresh_from_db()
    assert payment.status == Payment.Status.CAPTURED
    assert Transfer.objects.count() == 1
    stage.mend(sandbox)
    done = compare()
    assert (done.failure, done.not_compared) == ("", {})
    assert found() == []
    money_back.assert_agreed(sandbox)


def test_what_is_wrong_in_any_case_is_named_whatever_failed_before(sandbox: Sandbox, taken: Payment) -> None:
    refund = money_back.made_at_stripe(sandbox, taken, 1_000)
    compare()
    sandbox.post(f"/_sandbox/objects/{refund}/tamper", {"set": {"amount": 999}})
    silent(sandbox, "/v1/payment_intents")
    compare()
    assert ("amount_differs", "refund", refund) in found()


def test_what_is_open_stays_so_while_it_can_not_be_compared(sandbox: Sandbox, taken: Payment) -> None:
    orphan = money_back.made_at_stripe(sandbox, taken, 1_000)
    sandbox.post(f"/_sandbox/objects/{orphan}/tamper", {"set": {"payment_intent": "pi_nobodys"}})
    compare()
    assert ("orphan_at_stripe", "refund", orphan) in found()
    silent(sandbox, "/v1/payment_intents")
    compare()
    assert ("orphan_at_stripe", "refund", orphan) in found()
    stage.mend(sandbox)
    silent(sandbox, "/v1/refunds")
    compare()
    assert ("orphan_at_stripe", "refund", orphan) in found()


def test_the_platforms_payouts_are_not_taken_for_right_where_only_the_coaches_were_compared(
    sandbox: Sandbox, payable_coach: Coach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the other way round."""
    at = {"found_at": clock.now(), "seen_at": clock.now()}
    for about, coach in (("po_platforms", None), ("po_coachs", payable_coach)):
        Difference.objects.create(code="amount_differs", object_type="payout", object_id=about, coach=coach, **at)
    for broken, left in (("", "po_platforms"), (_account_of(payable_coach), "po_coachs")):
        with monkeypatch.context() as patch:
            patch.setattr(gateway, "list_payouts", partial(_payouts, broken, gateway.list_payouts))
            assert len(compare().not_compared) == 1
        differing = [about for code, _, about in found() if code == "amount_differs"]
        assert differing == [left]
        Difference.objects.filter(object_id__startswith="po_").update(state=State.OPEN)


def _account_of(coach: Coach) -> str:
    return PayoutAccount.objects.get(coach=coach).stripe_account_id


def _payouts(broken: str, lists: Callable[..., Any], *, account_id: str, **of: Any) -> Any:
    if account_id == broken:
        raise GatewayError("broken", "", "Of this account Stripe tells nothing.")
    return lists(account_id=account_id, **of)


def test_a_bug_in_one_of_them_is_told_and_the_others_go_on(
    sandbox: Sandbox, held: Payment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trip(**_: Any) -> None:
        raise ZeroDivisionError("one by none")

    monkeypatch.setattr(gateway, "list_balance_transactions", trip)
    done = compare()
    assert done.not_compared["balance_transactions"] == "ZeroDivisionError: one by none"
    assert "comparison_step_failed_by_a_bug" in caplog.text
    assert found() == [("not_compared", "comparison", step) for step in ("balance_transactions", "balances")]
    assert done.compared["payment_intent"] == 1


def test_the_command_says_that_it_is_not_complete_and_never_that_all_agrees(
    sandbox: Sandbox, held: Payment, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.advance(3_600)
    silent(sandbox, "/v1/refunds")
    with pytest.raises(CommandError, match="not complete"):
        call_command("reconcile", "--full")
    said = capsys.readouterr().out
    assert "Not compared: refunds. Stripe answered with an error" in said
    assert "Not compared: clearing accounts. " in said
    assert "Our books and Stripe's agree." not in said


def test_what_failed_before_is_not_made_good_by_one_that_was_killed(
    sandbox: Sandbox, taken: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor by one of the last days after it."""
    silent(sandbox, "/v1/disputes")
    compare()
    stage.mend(sandbox)
    with monkeypatch.context() as patch:
        patch.setattr(lookout, "is_behind", _kill)
        with pytest.raises(KeyboardInterrupt):
            compare()
    compare(Scope.RECENT)
    assert found() == [("not_compared", "comparison", "disputes")]
    compare()
    assert found() == []


def _kill(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_killed_on_the_way_it_counts_for_nothing_and_the_next_one_begins_anew(
    sandbox: Sandbox, taken: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = (clock.now() + timedelta(days=1)).replace(hour=2, minute=0, second=0, microsecond=0)
    with monkeypatch.context() as patch:
        patch.setattr(gateway, "read_balance", _kill)
        with pytest.raises(KeyboardInterrupt):
            reconcile(scope=Scope.FULL, now=two)
    killed = Reconciliation.objects.get()
    assert (killed.ended_at, killed.compared["payment_intent"]) == (None, 1)
    done = [reconcile_due(now=two + tick * HOUR) for tick in (0.5, 1, 2, 3)]
    assert [each.scope if each else "" for each in done] == ["", "recent", "recent", "full"]
    killed.refresh_from_db()
    assert killed.failure == "It was cut off."
    assert [each.failure for each in done if each] == ["", "", ""]
