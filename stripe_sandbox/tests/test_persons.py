"""Persons of a connected account."""

from typing import Any

import pytest

from .conftest import Sandbox, refused


@pytest.fixture
def company(api: Any) -> str:
    return str(api.accounts.create({"type": "custom", "country": "US", "business_type": "company"}).id)


def test_a_person_is_made_changed_and_deleted_with_their_events(api: Any, sandbox: Sandbox, company: str) -> None:
    persons = api.accounts.persons
    made = persons.create(
        company,
        {
            "first_name": "Olga",
            "id_number": "000000000",
            "dob": {"day": 1, "month": 1, "year": 1901},
            "relationship": {"owner": True, "percent_ownership": 25.5},
            "metadata": {"a": "b"},
        },
    )
    assert (made.object, made.account, made.first_name) == ("person", company, "Olga")
    assert (made.id_number_provided, made.ssn_last_4_provided, "id_number" in made) == (True, True, False)
    assert (made.relationship.owner, made.relationship.representative, made.verification.status) == (
        True,
        False,
        "unverified",
    )
    assert made.relationship.percent_ownership == 25.5
    changed = persons.update(company, made.id, {"first_name": "Oleg", "metadata": {"a": ""}})
    assert (changed.first_name, changed.metadata.to_dict()) == ("Oleg", {})
    assert sandbox.get("events")["data"][-1]["data"]["previous_attributes"] == {
        "first_name": "Olga",
        "metadata": {"a": "b"},
    }
    assert persons.delete(company, made.id).to_dict() == {"id": made.id, "object": "person", "deleted": True}
    error = refused(lambda: persons.retrieve(company, made.id))
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "person")
    # An owner is asked who they are, so that the account's requirements change with the person.
    assert sandbox.event_types(company) == [
        "person.created",
        "account.updated",
        "person.updated",
        "person.deleted",
        "account.updated",
    ]
    assert sandbox.event_types() == []


def test_persons_are_listed_by_what_they_are(api: Any, company: str) -> None:
    persons = api.accounts.persons
    head = persons.create(company, {"relationship": {"representative": True}}).id
    owner = persons.create(company, {"relationship": {"owner": True}}).id
    assert [each.id for each in persons.list(company).data] == [owner, head]
    assert [each.id for each in persons.list(company, {"relationship": {"owner": True}}).data] == [owner]
    assert [each.id for each in persons.list(company, {"limit": 1, "starting_after": owner}).data] == [head]


def test_the_representative_is_one_and_stays(api: Any, company: str) -> None:
    persons = api.accounts.persons
    head = persons.create(company, {"relationship": {"representative": True}}).id
    assert refused(lambda: persons.create(company, {"relationship": {"representative": True}})).http_status == 400
    assert refused(lambda: persons.delete(company, head)).http_status == 400
    assert [each.id for each in persons.list(company).data] == [head]


def test_the_individual_of_an_account_is_its_person(api: Any, sandbox: Sandbox) -> None:
    account = api.accounts.create(
        {"type": "custom", "business_type": "individual", "individual": {"first_name": "Amy"}}
    )
    persons = api.accounts.persons
    assert [each.id for each in persons.list(account.id).data] == [account.individual.id]
    persons.update(account.id, account.individual.id, {"last_name": "Coach"})
    shown = api.accounts.retrieve(account.id)
    assert shown.individual.last_name == "Coach"
    assert "individual.last_name" not in shown.requirements.currently_due
    assert refused(lambda: persons.delete(account.id, account.individual.id)).http_status == 400
    assert sandbox.event_types(account.id) == ["person.created", "person.updated", "account.updated"]


def test_a_person_token_works_once(api: Any, company: str) -> None:
    token = api.tokens.create({"person": {"first_name": "Tina"}}).id
    assert api.accounts.persons.create(company, {"person_token": token}).first_name == "Tina"
    assert refused(lambda: api.accounts.persons.create(company, {"person_token": token})).code == "token_already_used"


def test_an_unknown_document_changes_nothing(api: Any, company: str) -> None:
    params = {"verification": {"document": {"front": "file_nope"}}}
    error = refused(lambda: api.accounts.persons.create(company, params))
    assert (error.code, error.param) == ("resource_missing", "verification[document][front]")
    assert api.accounts.persons.list(company).data == []
