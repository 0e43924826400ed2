"""Connected accounts: onboarding, capabilities, links, refusal, leaving."""

from typing import Any

import pytest

from .conftest import Refused, Sandbox, onboarded, refused


def test_the_platforms_account_is_set_up(api: Any) -> None:
    own = api.accounts.retrieve_current()
    assert (own.id, own.country, own.default_currency) == ("acct_1SandboxPlatform", "US", "usd")
    assert own.settings.payouts.schedule.to_dict() == {"delay_days": 2, "interval": "manual"}
    assert (own.charges_enabled, own.payouts_enabled, own.details_submitted) == (True, True, True)
    assert api.accounts.list().data == []


def test_a_new_express_account_can_do_nothing_yet(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create(
        {
            "type": "express",
            "country": "GB",
            "email": "c@example.com",
            "metadata": {"coach": "7"},
            "capabilities": {"transfers": {"requested": True}},
        }
    )
    assert (account.type, account.country, account.default_currency, account.metadata["coach"]) == (
        "express",
        "GB",
        "gbp",
        "7",
    )
    assert (account.charges_enabled, account.payouts_enabled, account.details_submitted) == (False, False, False)
    assert account.capabilities.to_dict() == {"transfers": "inactive"}
    assert account.requirements.disabled_reason == "requirements.past_due"
    assert "external_account" in account.requirements.currently_due
    assert account.controller.stripe_dashboard.type == "express"
    assert sandbox.event_types(account.id) == ["capability.updated"]
    assert [each.id for each in api.accounts.list().data] == [account.id]


def test_onboarding_makes_it_active_and_tells_the_steps(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    shown = api.accounts.retrieve(account)
    assert (shown.charges_enabled, shown.payouts_enabled, shown.details_submitted) == (True, True, True)
    assert shown.capabilities.transfers == "active"
    assert (shown.requirements.currently_due, shown.requirements.disabled_reason) == ([], None)
    assert sandbox.event_types(account) == [
        "capability.updated",
        "person.created",
        "account.external_account.created",
        "capability.updated",
        "account.updated",
        "person.updated",
        "capability.updated",
        "account.updated",
    ]
    assert sandbox.event_types() == []
    last = sandbox.get("events")["data"][-1]
    assert last["account"] == account
    assert last["data"]["previous_attributes"]["payouts_enabled"] is False
    assert last["data"]["previous_attributes"]["requirements"]["disabled_reason"] == "requirements.pending_verification"


def test_verification_can_take_a_minute(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    sandbox.post(f"accounts/{account}/onboard", outcome="pending")
    waiting = api.accounts.retrieve(account)
    assert (waiting.details_submitted, waiting.payouts_enabled, waiting.capabilities.transfers) == (
        True,
        False,
        "pending",
    )
    assert waiting.requirements.disabled_reason == "requirements.pending_verification"
    sandbox.advance(60)
    assert api.accounts.retrieve(account).capabilities.transfers == "active"


@pytest.mark.parametrize(
    ("outcome", "submitted", "reason"),
    [
        ("partial", False, "requirements.past_due"),
        ("restricted", True, "requirements.past_due"),
        ("rejected", True, "rejected.fraud"),
    ],
)
def test_onboarding_can_end_badly(api: Any, sandbox: Sandbox, outcome: str, submitted: bool, reason: str) -> None:
    account = api.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}}).id
    sandbox.post(f"accounts/{account}/onboard", outcome=outcome)
    shown = api.accounts.retrieve(account)
    assert (shown.details_submitted, shown.requirements.disabled_reason) == (submitted, reason)
    assert (shown.capabilities.transfers, shown.payouts_enabled) == ("inactive", False)


def test_a_later_requirement_stops_the_account_only_at_its_deadline(api: Any, sandbox: Sandbox, coach: str) -> None:
    deadline = sandbox.get("clock")["now"] + 1000
    sandbox.post(f"accounts/{coach}/restrict", deadline=deadline)
    warned = api.accounts.retrieve(coach)
    assert (warned.requirements.current_deadline, warned.capabilities.transfers) == (deadline, "active")
    assert warned.requirements.currently_due == ["individual.verification.document"]
    sandbox.advance(1001)
    stopped = api.accounts.retrieve(coach)
    assert (stopped.capabilities.transfers, stopped.payouts_enabled) == ("inactive", False)
    assert stopped.requirements.past_due == ["individual.verification.document"]


def test_a_link_is_single_use_and_lives_five_minutes(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create({"type": "express"}).id
    link = api.account_links.create(
        {
            "account": account,
            "type": "account_onboarding",
            "refresh_url": "http://a.test/r",
            "return_url": "http://a.test/b",
        }
    )
    assert link.expires_at == link.created + 300
    assert link.url.startswith(f"{sandbox.url}/setup/e/{account}/")


@pytest.mark.parametrize(("kind", "path"), [("express", "e"), ("custom", "c"), ("standard", "s")])
def test_a_link_leads_to_the_setup_of_its_accounts_type(api: Any, sandbox: Sandbox, kind: str, path: str) -> None:
    account = api.accounts.create({"type": kind}).id
    urls = {"refresh_url": "http://a.test/r", "return_url": "http://a.test/b"}
    link = api.account_links.create({"account": account, "type": "account_onboarding", **urls})
    assert link.url.startswith(f"{sandbox.url}/setup/{path}/{account}/")


def test_details_can_be_changed_by_a_link_only_without_a_dashboard_of_stripes(api: Any, coach: str) -> None:
    wish = {"type": "account_update", "refresh_url": "http://a.test/r", "return_url": "http://a.test/b"}
    error = refused(lambda: api.account_links.create({"account": coach, **wish}))
    assert (error.http_status, error.param) == (400, "type")
    custom = api.accounts.create({"type": "custom"}).id
    assert api.account_links.create({"account": custom, **wish}).object == "account_link"
    assert refused(lambda: api.account_links.create({"account": custom, "type": "account_onboarding"})).param == (
        "refresh_url"
    )


def test_a_link_for_a_foreign_account_is_refused(api: Any) -> None:
    error = refused(
        lambda: api.account_links.create(
            {"account": "acct_x", "type": "account_onboarding", "refresh_url": "http://a", "return_url": "http://b"}
        )
    )
    assert (
        error.user_message
        == "You requested an account link for an account that is not connected to your platform or does not exist."
    )


def test_a_login_link_needs_finished_onboarding(api: Any, coach: str) -> None:
    assert "/express/" in api.accounts.login_links.create(coach).url
    fresh = api.accounts.create({"type": "express"}).id
    error = refused(lambda: api.accounts.login_links.create(fresh))
    assert error.user_message == "Cannot create a login link for an account that has not completed onboarding."


def test_capabilities_can_be_read_and_asked_for(api: Any, coach: str) -> None:
    assert [each.id for each in api.accounts.capabilities.list(coach).data] == ["transfers"]
    asked = api.accounts.capabilities.update(coach, "card_payments", {"requested": True})
    assert (asked.object, asked.account, asked.requested, asked.status) == ("capability", coach, True, "active")
    assert api.accounts.capabilities.retrieve(coach, "card_payments").status == "active"
    assert refused(lambda: api.accounts.capabilities.retrieve(coach, "affirm_payments")).http_status == 404


def test_an_update_is_told_with_the_old_values(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.update(coach, {"settings": {"payouts": {"schedule": {"interval": "monthly", "monthly_anchor": 31}}}})
    assert api.accounts.retrieve(coach).settings.payouts.schedule.to_dict() == {
        "delay_days": 2,
        "interval": "monthly",
        "monthly_anchor": 31,
    }
    event = sandbox.get("events")["data"][-1]
    assert event["type"] == "account.updated"
    assert event["data"]["previous_attributes"]["settings"]["payouts"]["schedule"] == {
        "delay_days": 2,
        "interval": "daily",
    }


def test_a_monthly_schedule_needs_its_anchor(api: Any, coach: str) -> None:
    error = refused(
        lambda: api.accounts.update(coach, {"settings": {"payouts": {"schedule": {"interval": "monthly"}}}})
    )
    assert error.param == "settings[payouts][schedule][monthly_anchor]"
    assert api.accounts.retrieve(coach).settings.payouts.schedule.interval == "daily"


def test_balance_settings_are_the_same_schedule(api: Any, sandbox: Sandbox) -> None:
    assert api.balance_settings.retrieve().payments.payouts.schedule.interval == "manual"
    api.balance_settings.update(
        {"payments": {"payouts": {"schedule": {"interval": "weekly", "weekly_payout_days": ["friday"]}}}}
    )
    assert api.accounts.retrieve_current().settings.payouts.schedule.to_dict() == {
        "delay_days": 2,
        "interval": "weekly",
        "weekly_payout_days": ["friday"],
    }
    assert sandbox.event_types() == ["balance_settings.updated"]


def test_a_deleted_account_is_out_of_reach(api: Any, sandbox: Sandbox, coach: str) -> None:
    assert api.accounts.delete(coach).to_dict() == {"id": coach, "object": "account", "deleted": True}
    assert refused(lambda: api.accounts.retrieve(coach)).error.code == "account_invalid"
    assert refused(lambda: api.balance.retrieve({}, {"stripe_account": coach})).http_status == 403
    assert api.accounts.list().data == []
    event = sandbox.get("events")["data"][-1]
    assert (event["type"], event["account"], event["data"]["object"]["object"]) == (
        "account.application.deauthorized",
        coach,
        "application",
    )


def test_deauthorising_is_the_same_from_the_other_side(api: Any, sandbox: Sandbox, coach: str) -> None:
    sandbox.post(f"accounts/{coach}/deauthorize")
    assert refused(lambda: api.accounts.retrieve(coach)).http_status == 403
    with pytest.raises(Refused):
        sandbox.post(f"accounts/{coach}/onboard", outcome="complete")


def test_a_rejected_account_is_refused_for_good(api: Any, coach: str) -> None:
    rejected = api.accounts.reject(coach, {"reason": "fraud"})
    assert (rejected.requirements.disabled_reason, rejected.payouts_enabled, rejected.capabilities.transfers) == (
        "rejected.fraud",
        False,
        "inactive",
    )


@pytest.mark.parametrize("outcome", ["complete", "pending", "partial", "restricted", "rejected"])
def test_no_visit_to_onboarding_revives_a_rejected_account(
    api: Any, sandbox: Sandbox, coach: str, outcome: str
) -> None:
    api.accounts.reject(coach, {"reason": "other"})
    told = sandbox.event_types(coach)
    for deed in ({"path": "onboard", "outcome": outcome}, {"path": "restrict"}):
        with pytest.raises(Refused) as caught:
            sandbox.post(f"accounts/{coach}/{deed.pop('path')}", **deed)
        assert caught.value.status == 400
        assert "That is for good" in caught.value.body["error"]["message"]
    assert api.accounts.retrieve(coach).requirements.disabled_reason == "rejected.other"
    assert sandbox.event_types(coach) == told


@pytest.mark.parametrize(
    ("reason", "disabled"),
    [("fraud", "rejected.fraud"), ("terms_of_service", "rejected.terms_of_service"), ("other", "rejected.other")],
)
def test_each_reason_of_a_rejection_is_shown(
    api: Any, sandbox: Sandbox, coach: str, reason: str, disabled: str
) -> None:
    before = len(sandbox.event_types(coach))
    rejected = api.accounts.reject(coach, {"reason": reason})
    assert (rejected.requirements.disabled_reason, rejected.charges_enabled) == (disabled, False)
    assert sandbox.event_types(coach)[before:] == ["capability.updated", "account.updated"]


def test_a_rejection_can_leave_payouts_running(api: Any, coach: str) -> None:
    rejected = api.accounts.reject(coach, {"reason": "fraud", "payouts_action": "none"})
    assert (rejected.charges_enabled, rejected.payouts_enabled) == (False, True)


def test_a_wrong_reason_rejects_nothing(api: Any, coach: str) -> None:
    assert refused(lambda: api.accounts.reject(coach, {"reason": "boring"})).param == "reason"
    assert refused(lambda: api.accounts.reject(coach, {})).code == "parameter_missing"
    assert api.accounts.retrieve(coach).charges_enabled is True


def test_a_capability_can_be_given_back(api: Any, sandbox: Sandbox, coach: str) -> None:
    before = len(sandbox.event_types(coach))
    given_back = api.accounts.capabilities.update(coach, "transfers", {"requested": False})
    assert (given_back.status, given_back.requested, given_back.requested_at) == ("unrequested", False, None)
    assert api.accounts.retrieve(coach).capabilities.to_dict() == {}
    assert sandbox.event_types(coach)[before:] == ["capability.updated"]
    api.accounts.capabilities.update(coach, "transfers", {"requested": False})
    assert len(sandbox.event_types(coach)) == before + 1


def test_v1_accounts_can_be_switched_off(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("accounts_v1", refused=True)
    error = refused(lambda: api.accounts.create({"type": "express"}))
    assert error.user_message.startswith("Stripe no longer recommends Accounts v1 for new Connect integrations.")
    sandbox.post("accounts_v1", refused=False)
    assert onboarded(api, sandbox).startswith("acct_1")


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, "type"),
        ({"type": "exprss"}, "type"),
        ({"type": "express", "country": "XX"}, "country"),
        ({"type": "express", "controller": {"stripe_dashboard": {"type": "express"}}}, "type"),
    ],
)
def test_a_wrong_account_is_not_made(api: Any, params: Any, param: str) -> None:
    assert refused(lambda: api.accounts.create(params)).param == param
    assert api.accounts.list().data == []


def test_a_controller_stands_for_a_type(api: Any) -> None:
    made = api.accounts.create(
        {
            "controller": {
                "stripe_dashboard": {"type": "express"},
                "losses": {"payments": "application"},
                "fees": {"payer": "application"},
            }
        }
    )
    assert made.type == "express"
    assert made.controller.to_dict() == {
        "fees": {"payer": "application"},
        "is_controller": True,
        "losses": {"payments": "application"},
        "requirement_collection": "stripe",
        "stripe_dashboard": {"type": "express"},
        "type": "application",
    }


def test_what_a_controller_leaves_out_is_left_to_stripe(api: Any) -> None:
    made = api.accounts.create({"controller": {"fees": {"payer": "account"}}})
    assert (made.type, made.controller.losses.payments, made.controller.fees.payer) == ("standard", "stripe", "account")
    assert refused(lambda: api.accounts.reject(made.id, {"reason": "fraud"})).http_status == 400


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://["])
def test_a_link_leads_to_no_address_that_is_none(api: Any, coach: str, url: str) -> None:
    wish = {"account": coach, "type": "account_onboarding", "refresh_url": "http://a.test", "return_url": url}
    error = refused(lambda: api.account_links.create(wish))
    assert (error.http_status, error.code, error.param) == (400, "url_invalid", "return_url")
