"""Stripe's own onboarding pages: the person and the company that come of a visit, and what the platform sees of them."""

from typing import Any

import pytest

from .conftest import Sandbox, refused
from .test_pages import link_for, visit

pytestmark = pytest.mark.thorough

TRANSFERS = {"transfers": {"requested": True}}


def express(api: Any, **more: Any) -> str:
    return str(api.accounts.create({"type": "express", "capabilities": TRANSFERS, **more}).id)


def test_a_visit_makes_the_person(api: Any, sandbox: Sandbox) -> None:
    account = express(api, email="amy@example.com")
    visit(link_for(api, account))
    sandbox.post(f"accounts/{account}/onboard", outcome="pending")
    [person] = api.accounts.persons.list(account).data
    assert (person.account, person.first_name, person.email) == (account, "Jenny", "amy@example.com")
    assert person.verification.status == "pending"
    assert api.accounts.retrieve(account).requirements.pending_verification == ["individual.verification.document"]
    sandbox.advance(60)
    assert api.accounts.persons.retrieve(account, person.id).verification.status == "verified"
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


def test_what_was_prefilled_is_kept_and_the_rest_given(api: Any, sandbox: Sandbox) -> None:
    account = express(api, business_type="individual", individual={"first_name": "Amy"})
    before = api.accounts.persons.list(account).data[0]
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    [person] = api.accounts.persons.list(account).data
    assert (person.id, person.first_name, person.last_name) == (before.id, "Amy", "Rosen")
    assert [each for each in sandbox.event_types(account) if each.startswith("person.")] == [
        "person.created",
        "person.updated",
        "person.updated",
    ]


def test_a_company_gets_its_representative(api: Any, sandbox: Sandbox) -> None:
    account = express(api, business_type="company")
    sandbox.post(f"accounts/{account}/onboard", outcome="restricted")
    [person] = api.accounts.persons.list(account, {"relationship": {"representative": True}}).data
    assert (person.relationship.title, person.relationship.owner, person.verification.status) == (
        "CEO",
        True,
        "unverified",
    )
    shown = api.accounts.retrieve(account)
    assert shown.requirements.past_due == [f"{person.id}.verification.document"]
    assert "company" not in shown


def test_a_custom_accounts_details_stay_its_platforms(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create({"type": "custom", "business_type": "company", "capabilities": TRANSFERS}).id
    visit(link_for(api, account))
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    shown = api.accounts.retrieve(account)
    assert (shown.company.name, shown.company.tax_id_provided) == ("Rosen Test Company", True)
    [person] = api.accounts.persons.list(account).data
    assert (person.dob.year, person.address.city) == (1901, "Test City")
    assert api.accounts.persons.update(account, person.id, {"phone": "0000000000"}).phone == "0000000000"


def hidden(person: Any) -> list[Any]:
    """What a platform is not shown of an account whose requirements Stripe collects."""
    given = person.to_dict()
    return [given.get(name) for name in ("address", "dob", "phone", "ssn_last_4_provided", "id_number_provided")]


@pytest.mark.parametrize("way", ["link", "session"])
def test_a_persons_details_are_closed_to_the_platform_once_onboarding_begins(
    api: Any, sandbox: Sandbox, way: str
) -> None:
    details = {"first_name": "Amy", "phone": "0000000000", "dob": {"day": 1, "month": 1, "year": 1901}}
    account = express(api, business_type="individual", individual=details)
    assert api.accounts.update(account, {"individual": {"last_name": "Coach"}}).individual.last_name == "Coach"
    asked = api.accounts.retrieve(account).requirements.currently_due
    if way == "link":
        link_for(api, account)
    else:
        api.account_sessions.create({"account": account, "components": {"account_onboarding": {"enabled": True}}})
    shown = api.accounts.retrieve(account)
    assert "individual" not in shown
    assert shown.requirements.currently_due == asked
    [person] = api.accounts.persons.list(account).data
    assert (person.first_name, person.last_name) == ("Amy", "Coach")
    for each in (person, api.accounts.persons.retrieve(account, person.id)):
        assert hidden(each) == [None] * 5
    for change in (
        lambda: api.accounts.update(account, {"individual": {"first_name": "Bob"}}),
        lambda: api.accounts.update(account, {"external_account": "btok_us_verified"}),
        lambda: api.accounts.persons.update(account, person.id, {"first_name": "Bob"}),
        lambda: api.accounts.persons.create(account, {"first_name": "Bob"}),
        lambda: api.accounts.persons.delete(account, person.id),
    ):
        assert refused(change).http_status == 403
    assert api.accounts.update(account, {"metadata": {"a": "b"}}).metadata["a"] == "b"


def test_events_tell_no_more_of_a_person_than_the_api(api: Any, sandbox: Sandbox) -> None:
    account = express(api)
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    told = [each["data"] for each in sandbox.get("events")["data"] if each["type"].startswith("person.")]
    assert [each["object"]["first_name"] for each in told] == ["Jenny", "Jenny"]
    for each in told:
        assert [each["object"].get(name) for name in ("dob", "address", "phone")] == [None] * 3
    assert told[1]["previous_attributes"] == {"verification": {"status": "pending"}}


def test_leaving_half_way_leaves_the_person_and_asks_for_the_rest(api: Any, sandbox: Sandbox) -> None:
    account = express(api)
    sandbox.post(f"accounts/{account}/onboard", outcome="partial")
    [person] = api.accounts.persons.list(account).data
    assert (person.first_name, person.verification.status) == ("Jenny", "unverified")
    shown = api.accounts.retrieve(account)
    assert "external_account" in shown.requirements.past_due
    assert not [name for name in shown.requirements.past_due if name.startswith("individual.")]
    assert (shown.details_submitted, shown.external_accounts.data) == (False, [])
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    assert [each.id for each in api.accounts.persons.list(account).data] == [person.id]
    assert api.accounts.retrieve(account).payouts_enabled is True


def test_the_page_of_a_link_is_sent_once(api: Any, sandbox: Sandbox) -> None:
    account = express(api)
    url = link_for(api, account)
    assert visit(url, outcome="complete")[::2] == (303, "http://shop.test/again")
    assert api.accounts.retrieve(account).details_submitted is False
    visit(url)
    assert visit(url, outcome="partial")[::2] == (303, "http://shop.test/back")
    assert visit(url, outcome="complete")[::2] == (303, "http://shop.test/again")
    assert api.accounts.retrieve(account).details_submitted is False


def test_a_link_opens_its_own_account_alone(api: Any, sandbox: Sandbox, coach: str) -> None:
    account = express(api)
    url = link_for(api, account)
    assert visit(url.replace(account, coach))[0] == 404
    login = api.accounts.login_links.create(coach).url
    assert visit(f"{sandbox.url}/setup/e/{coach}/{login.rsplit('/', 1)[1]}")[0] == 404
    assert visit(login)[0] == 200
    assert visit(url)[0] == 200


def test_a_rejected_person_can_only_go_back(api: Any, sandbox: Sandbox, coach: str) -> None:
    api.accounts.reject(coach, {"reason": "fraud"})
    url = link_for(api, coach)
    status, text, _ = visit(url)
    assert (status, "rejected this account" in text, 'id="complete"' in text) == (200, True, False)
    assert visit(url, outcome="complete")[::2] == (303, "http://shop.test/back")
    assert api.accounts.retrieve(coach).requirements.disabled_reason == "rejected.fraud"


def test_the_dashboard_shows_where_the_money_is_and_what_stands_in_its_way(
    api: Any, sandbox: Sandbox, coach: str
) -> None:
    sandbox.post("balance", account=coach, amount=123456)
    there = {"stripe_account": coach}
    for amount in (2500, 99900):
        payout = api.payouts.create({"amount": amount, "currency": "usd"}, there).id
    sandbox.post(f"payouts/{payout}/fail", failure_code="no_account")
    text = visit(api.accounts.login_links.create(coach).url)[1]
    shown = (
        "$1,209.56",
        "$25.00",
        "pending",
        "arrives",
        "$999.00",
        "No bank account could be located",
        "STRIPE TEST BANK, 6789",
    )
    assert [part for part in (*shown, "refused a payout", "1 detail is asked for") if part not in text] == []
    sandbox.post(f"accounts/{coach}/restrict", deadline=sandbox.get("clock")["now"] + 5 * 86400)
    assert "1 detail is asked for, by " in visit(api.accounts.login_links.create(coach).url)[1]
    sandbox.advance(5 * 86400)
    assert "1 detail is asked for, overdue" in visit(api.accounts.login_links.create(coach).url)[1]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("pending", "it is being checked"), ("complete", "Nothing is missing"), ("rejected", "rejected")],
)
def test_the_dashboard_says_how_the_account_stands(api: Any, sandbox: Sandbox, outcome: str, words: str) -> None:
    account = express(api)
    sandbox.post(f"accounts/{account}/onboard", outcome=outcome)
    assert words in visit(api.accounts.login_links.create(account).url)[1]


def test_nothing_is_overdue_on_the_first_visit(api: Any, sandbox: Sandbox) -> None:
    text = visit(link_for(api, express(api)))[1]
    assert ("details are asked for<" in text, "overdue" in text) == (True, False)


def test_a_used_or_old_login_link_says_what_to_do(api: Any, sandbox: Sandbox, coach: str) -> None:
    used, old = (api.accounts.login_links.create(coach).url for _ in range(2))
    visit(used)
    sandbox.advance(300)
    for url in (used, old):
        status, text, _ = visit(url)
        assert (status, "Ask the platform for a new one" in text) == (404, True)
