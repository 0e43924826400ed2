"""Custom accounts: requirements that follow the details given, and what Stripe's test values make of them."""

from io import BytesIO
from typing import Any

import pytest

from .conftest import Sandbox, refused

pytestmark = pytest.mark.thorough

ADDRESS = {"line1": "address_full_match", "city": "Boston", "state": "MA", "postal_code": "02101", "country": "US"}
AMY = {
    "first_name": "Amy",
    "last_name": "Coach",
    "email": "amy@example.com",
    "phone": "0000000000",
    "dob": {"day": 1, "month": 1, "year": 1901},
    "address": ADDRESS,
    "ssn_last_4": "0000",
}
REST = {
    "business_profile": {"mcc": "8299", "url": "https://accessible.stripe.com"},
    "tos_acceptance": {"date": 1700000000, "ip": "203.0.113.7"},
    "external_account": "btok_us_verified",
}
HEAD = {**AMY, "relationship": {"representative": True, "executive": True, "title": "CEO"}}
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
TRANSFERS = {"transfers": {"requested": True}}


def custom(api: Any, **more: Any) -> Any:
    return api.accounts.create(
        {"type": "custom", "country": "US", "business_type": "individual", "capabilities": TRANSFERS, **more}
    )


def test_what_is_asked_shrinks_with_what_is_given(api: Any) -> None:
    made = custom(api)
    assert made.requirements.currently_due == [
        "business_profile.mcc",
        "business_profile.url",
        "external_account",
        "individual.address.city",
        "individual.address.line1",
        "individual.address.postal_code",
        "individual.address.state",
        "individual.dob.day",
        "individual.dob.month",
        "individual.dob.year",
        "individual.email",
        "individual.first_name",
        "individual.last_name",
        "individual.phone",
        "individual.ssn_last_4",
        "tos_acceptance.date",
        "tos_acceptance.ip",
    ]
    after = api.accounts.update(made.id, {"individual": AMY})
    assert after.requirements.past_due == [
        "business_profile.mcc",
        "business_profile.url",
        "external_account",
        "tos_acceptance.date",
        "tos_acceptance.ip",
    ]
    assert (after.individual.first_name, after.individual.ssn_last_4_provided) == ("Amy", True)
    assert (after.details_submitted, after.requirements.disabled_reason) == (False, "requirements.past_due")


def test_the_last_detail_submits_and_a_minute_later_it_is_verified(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual=AMY).id
    waiting = api.accounts.update(account, REST)
    assert (waiting.details_submitted, waiting.payouts_enabled, waiting.charges_enabled) == (True, False, False)
    assert (waiting.requirements.currently_due, waiting.requirements.disabled_reason) == (
        [],
        "requirements.pending_verification",
    )
    assert (waiting.capabilities.transfers, waiting.individual.verification.status) == ("pending", "pending")
    sandbox.advance(60)
    done = api.accounts.retrieve(account)
    assert (done.payouts_enabled, done.charges_enabled, done.capabilities.transfers) == (True, True, "active")
    assert (done.requirements.disabled_reason, done.individual.verification.status) == (None, "verified")
    assert sandbox.event_types(account) == [
        "person.created",
        "capability.updated",
        "account.external_account.created",
        "account.updated",
        "person.updated",
        "capability.updated",
        "account.updated",
        "person.updated",
        "capability.updated",
        "account.updated",
    ]
    assert sandbox.event_types() == []


@pytest.mark.parametrize("details", [{"dob": {"day": 1, "month": 1, "year": 1902}}, {"id_number": "222222222"}])
def test_some_test_values_are_verified_at_once(api: Any, details: Any) -> None:
    done = custom(api, individual={**AMY, **details}, **REST)
    assert (done.details_submitted, done.payouts_enabled, done.capabilities.transfers) == (True, True, "active")
    assert done.requirements.currently_due == []


@pytest.mark.parametrize(
    ("details", "due", "code"),
    [
        (
            {"dob": {"day": 2, "month": 5, "year": 1980}},
            "individual.verification.document",
            "verification_failed_keyed_identity",
        ),
        ({"id_number": "111111111"}, "individual.id_number", "verification_failed_id_number_match"),
        (
            {"address": {**ADDRESS, "line1": "address_line1_no_match"}},
            "individual.address.line1",
            "verification_failed_address_match",
        ),
        (
            {"verification": {"document": {"front": "file_identity_document_failure"}}},
            "individual.verification.document",
            "verification_document_failed_test_mode",
        ),
    ],
)
def test_other_test_values_fail_and_say_why(api: Any, sandbox: Sandbox, details: Any, due: str, code: str) -> None:
    account = custom(api, individual={**AMY, **details}, **REST).id
    sandbox.advance(60)
    shown = api.accounts.retrieve(account)
    assert shown.requirements.past_due == [due]
    assert [(each.code, each.requirement) for each in shown.requirements.errors] == [(code, due)]
    assert (shown.charges_enabled, shown.payouts_enabled, shown.capabilities.transfers) == (False, False, "inactive")
    assert shown.individual.requirements.currently_due == [due.removeprefix("individual.")]


def test_a_document_settles_a_date_of_birth_that_did_not_match(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual={**AMY, "dob": {"day": 2, "month": 5, "year": 1980}}, **REST).id
    sandbox.advance(60)
    document = {"verification": {"document": {"front": "file_identity_document_success"}}}
    api.accounts.update(account, {"individual": document})
    sandbox.advance(60)
    shown = api.accounts.retrieve(account)
    assert (shown.payouts_enabled, shown.requirements.currently_due) == (True, [])
    assert shown.individual.requirements.currently_due == []


def test_an_address_can_stop_payouts_alone(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual={**AMY, "address": {**ADDRESS, "line1": "address_no_match"}}, **REST).id
    sandbox.advance(60)
    shown = api.accounts.retrieve(account)
    assert (shown.charges_enabled, shown.payouts_enabled) == (True, False)


def test_a_name_on_a_sanctions_list_stops_everything(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual={**AMY, "dob": {"day": 1, "month": 1, "year": 1900}}, **REST).id
    sandbox.advance(60)
    shown = api.accounts.retrieve(account)
    assert (shown.requirements.disabled_reason, shown.charges_enabled, shown.payouts_enabled) == (
        "listed",
        False,
        False,
    )


def test_a_later_demand_ends_with_the_document(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual={**AMY, "id_number": "222222222"}, **REST).id
    sandbox.post(f"accounts/{account}/restrict")
    still = api.accounts.update(account, {"email": "new@example.com"})
    assert still.requirements.past_due == ["individual.verification.document"]
    document = {"verification": {"document": {"front": "file_identity_document_success"}}}
    assert api.accounts.update(account, {"individual": document}).payouts_enabled is True


def test_a_document_that_nobody_uploaded_is_refused(api: Any) -> None:
    account = custom(api, individual=AMY).id
    document = {"verification": {"document": {"front": "file_nope"}}}
    error = refused(lambda: api.accounts.update(account, {"individual": document}))
    assert (error.http_status, error.code, error.user_message) == (
        400,
        "resource_missing",
        "No such file upload: 'file_nope'",
    )


def test_a_company_needs_its_details_and_a_representative(api: Any, sandbox: Sandbox) -> None:
    made = api.accounts.create(
        {"type": "custom", "country": "US", "business_type": "company", "capabilities": TRANSFERS, **REST}
    )
    assert made.requirements.currently_due[:4] == [
        "company.address.city",
        "company.address.line1",
        "company.address.postal_code",
        "company.address.state",
    ]
    assert "representative.first_name" in made.requirements.currently_due
    head = api.accounts.persons.create(made.id, {"first_name": "Amy", "relationship": {"representative": True}}).id
    assert f"{head}.last_name" in api.accounts.retrieve(made.id).requirements.currently_due
    api.accounts.persons.update(made.id, head, HEAD)
    company = {
        "name": "Lessons Inc",
        "phone": "0000000000",
        "tax_id": "000000000",
        "owners_provided": True,
        "address": ADDRESS,
    }
    shown = api.accounts.update(made.id, {"company": company})
    assert (shown.company.name, shown.company.tax_id_provided) == ("Lessons Inc", True)
    assert shown.requirements.disabled_reason == "requirements.pending_verification"
    sandbox.advance(60)
    assert api.accounts.retrieve(made.id).payouts_enabled is True


def test_a_companys_tax_id_can_fail(api: Any, sandbox: Sandbox) -> None:
    company = {"name": "L", "phone": "1", "tax_id": "111111111", "owners_provided": True, "address": ADDRESS}
    made = api.accounts.create({"type": "custom", "business_type": "company", "company": company, **REST})
    api.accounts.persons.create(made.id, HEAD)
    sandbox.advance(60)
    assert api.accounts.retrieve(made.id).requirements.past_due == ["company.tax_id"]


@pytest.mark.parametrize(
    ("country", "kind", "asked"),
    [
        ("US", "company", {"owners"}),
        ("US", "non_profit", set()),
        ("DE", "company", {"owners", "executives", "directors"}),
        ("DE", "government_entity", {"executives", "directors"}),
    ],
)
def test_a_company_names_its_people_and_says_that_these_are_all(
    api: Any, country: str, kind: str, asked: set[str]
) -> None:
    made = api.accounts.create({"type": "custom", "country": country, "business_type": kind})
    due = set(made.requirements.currently_due)
    assert {name for name in due if name.endswith("s_provided")} == {f"company.{role}_provided" for role in asked}
    assert {name for name in due if name.split(".")[0] in ("owners", "executives", "directors")} == {
        f"{role}.{field}" for role in asked for field in ("email", "first_name", "last_name")
    }
    assert {"representative.relationship.executive", "representative.relationship.title"} <= due
    provided = {f"{role}_provided": True for role in asked}
    if provided:
        due = set(api.accounts.update(made.id, {"company": provided}).requirements.currently_due)
    assert not [name for name in due if name.split(".")[0] in ("owners", "executives", "directors")]


def test_each_owner_is_asked_who_they_are(api: Any) -> None:
    made = api.accounts.create({"type": "custom", "country": "US", "business_type": "company"}).id
    owner = api.accounts.persons.create(made, {"first_name": "Olga", "relationship": {"owner": True}}).id
    due = api.accounts.retrieve(made).requirements.currently_due
    assert [name for name in due if name.startswith((owner, "owners", "company.owners"))] == sorted(
        ["company.owners_provided", *(f"{owner}.{name}" for name in ("email", "last_name"))]
        + [f"{owner}.dob.{part}" for part in ("day", "month", "year")]
    )
    assert api.accounts.persons.retrieve(made, owner).requirements.currently_due == [
        "dob.day",
        "dob.month",
        "dob.year",
        "email",
        "last_name",
    ]


def test_an_account_token_carries_the_details_once(api: Any) -> None:
    details = {"business_type": "individual", "individual": AMY, "tos_shown_and_accepted": True}
    token = api.tokens.create({"account": details}).id
    made = api.accounts.create({"type": "custom", "country": "US", "account_token": token})
    assert (made.business_type, made.individual.first_name) == ("individual", "Amy")
    assert made.requirements.currently_due == ["business_profile.mcc", "business_profile.url", "external_account"]
    error = refused(lambda: api.accounts.create({"type": "custom", "account_token": token}))
    assert error.code == "token_already_used"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"type": "custom", "individual": {"first_name": "A"}},
            "The `business_type` must be provided when sending either of `individual` or `company` parameters.",
        ),
        (
            {"type": "express", "tos_acceptance": {"date": 1, "ip": "1.2.3.4"}},
            "You cannot accept the Terms of Service on behalf of Standard and Express connected accounts.",
        ),
        ({"type": "custom", "external_account": "btok_nope"}, "No such token: 'btok_nope'"),
    ],
)
def test_refused_details_make_no_account(api: Any, sandbox: Sandbox, params: Any, message: str) -> None:
    assert refused(lambda: api.accounts.create(params)).user_message == message
    assert api.accounts.list().data == []
    assert sandbox.get("events")["data"] == []


def test_a_recipient_needs_no_business_profile(api: Any) -> None:
    made = custom(api, tos_acceptance={"service_agreement": "recipient"})
    assert made.tos_acceptance.service_agreement == "recipient"
    assert "business_profile.mcc" not in made.requirements.currently_due


def test_a_standard_account_is_made_and_keeps_to_itself(api: Any) -> None:
    made = api.accounts.create({"type": "standard", "country": "DE", "email": "s@example.com"})
    assert (made.type, made.controller.stripe_dashboard.type, made.default_currency) == ("standard", "full", "eur")
    assert api.accounts.retrieve(made.id).details_submitted is False
    assert refused(lambda: api.accounts.reject(made.id, {"reason": "fraud"})).http_status == 400
    assert refused(lambda: api.accounts.login_links.create(made.id)).http_status == 400


def test_express_details_can_be_prefilled_until_the_person_takes_over(api: Any, sandbox: Sandbox) -> None:
    made = api.accounts.create(
        {"type": "express", "business_type": "individual", "individual": {"first_name": "Amy"}, "country": "US"}
    )
    assert "individual.first_name" not in made.requirements.currently_due
    sandbox.post(f"accounts/{made.id}/onboard", outcome="complete")
    assert "individual" not in api.accounts.retrieve(made.id)
    error = refused(lambda: api.accounts.update(made.id, {"individual": {"first_name": "Bob"}}))
    assert error.http_status == 403
    assert refused(lambda: api.accounts.persons.create(made.id, {"first_name": "B"})).http_status == 403
    assert api.accounts.update(made.id, {"metadata": {"a": "b"}}).payouts_enabled is True


def test_a_custom_account_onboarded_by_hand_stays_so(api: Any, sandbox: Sandbox) -> None:
    account = custom(api).id
    sandbox.post(f"accounts/{account}/onboard", outcome="complete")
    shown = api.accounts.update(account, {"individual": {"first_name": "Amy"}})
    assert (shown.payouts_enabled, shown.requirements.currently_due) == (True, [])
    assert refused(lambda: api.accounts.login_links.create(account)).http_status == 400


def test_a_rejected_account_stays_rejected_whatever_it_gives(api: Any) -> None:
    account = custom(api).id
    api.accounts.reject(account, {"reason": "terms_of_service"})
    shown = api.accounts.update(account, {"individual": AMY, **REST})
    assert shown.requirements.disabled_reason == "rejected.terms_of_service"
    assert shown.payouts_enabled is False


def test_an_uploaded_document_convinces(api: Any, sandbox: Sandbox) -> None:
    account = custom(api, individual={**AMY, "dob": {"day": 2, "month": 5, "year": 1980}}, **REST).id
    file = api.files.create({"purpose": "identity_document", "file": BytesIO(PNG)}).id
    api.accounts.update(account, {"individual": {"verification": {"document": {"front": file}}}})
    sandbox.advance(60)
    shown = api.accounts.retrieve(account)
    assert (shown.payouts_enabled, shown.individual.verification.document.front) == (True, file)
