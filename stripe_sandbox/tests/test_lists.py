"""The edges of lists, of expansion and of metadata."""

from typing import Any

import pytest

from .conftest import Sandbox, onboarded, pay, refused


def test_a_cursor_of_another_account_or_type_is_unknown(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox)
    theirs = api.customers.create({}, {"stripe_account": account}).id
    api.customers.create({})
    for cursor, param in ((theirs, "starting_after"), (theirs, "ending_before"), (pay(api).id, "starting_after")):
        status, answer, _ = sandbox.raw("GET", f"/v1/customers?{param}={cursor}")
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "resource_missing", param)
        assert answer["error"]["message"] == f"No such customer: '{cursor}'"


def test_a_cursor_that_was_deleted_still_has_its_place(api: Any) -> None:
    first, second, third = (api.customers.create({}).id for _ in range(3))
    api.customers.delete(second)
    assert [each.id for each in api.customers.list({"starting_after": second}).data] == [first]
    assert [each.id for each in api.customers.list({"ending_before": second}).data] == [third]


def test_the_ends_of_a_list_are_empty_pages(api: Any) -> None:
    first, last = api.customers.create({}).id, api.customers.create({}).id
    for params in ({"starting_after": first}, {"ending_before": last}):
        page = api.customers.list(params)
        assert (page.data, page.has_more) == ([], False)


def test_a_page_has_between_one_and_a_hundred(api: Any, sandbox: Sandbox) -> None:
    for _ in range(102):
        api.customers.create({})
    for limit, length in ((-5, 1), (0, 1), (1, 1), (100, 100), (101, 100)):
        page = api.customers.list({"limit": limit})
        assert (len(page.data), page.has_more) == (length, True), limit


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=x", "limit"),
        ("starting_after=", "starting_after"),
        ("created[gt]=x", "created[gt]"),
        ("created=5&created[gt]=4", "created"),
        ("total_count=true", "total_count"),
        ("expand=x", "expand"),
        ("expand[]=", "expand[0]"),
        ("expand[]=total_count", "expand[0]"),
        ("expand[]=data.email", "expand[0]"),
    ],
)
def test_a_list_refuses_what_it_does_not_understand(api: Any, sandbox: Sandbox, query: str, param: str) -> None:
    api.customers.create({})
    status, answer, _ = sandbox.raw("GET", f"/v1/customers?{query}")
    assert (status, answer["error"]["param"]) == (400, param)


def test_expansion_goes_four_levels_deep_and_no_further(api: Any) -> None:
    pay(api)
    path = "data.payment_intent.latest_charge.balance_transaction"
    charge = api.charges.list({"expand": [path]}).data[0]
    assert charge.payment_intent.latest_charge.balance_transaction.source == charge.id
    error = refused(lambda: api.charges.list({"expand": [f"{path}.source"]}))
    assert (error.code, error.user_message) == (
        "property_expansion_max_depth",
        f"You cannot expand more than 4 levels of a property. Property: {path}.source",
    )


def test_deeper_parts_of_a_path_are_not_checked_and_add_nothing(api: Any) -> None:
    intent = pay(api).id
    shown = api.payment_intents.retrieve(intent, {"expand": ["latest_charge.nothing.more"]}).to_dict()
    plain = api.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}).to_dict()
    assert shown == plain


@pytest.mark.parametrize("key", ["a[b", "a]b"])
def test_metadata_keys_have_no_brackets(sandbox: Sandbox, key: str) -> None:
    body = b"metadata[" + key.replace("[", "%5B").replace("]", "%5D").encode() + b"]=1"
    assert sandbox.raw("POST", "/v1/customers", body)[0] == 400


def test_metadata_at_its_limits_is_taken(api: Any) -> None:
    full = {f"{number:040}": "x" * 500 for number in range(50)}
    made = api.customers.create({"metadata": full})
    assert made.metadata.to_dict() == full
    assert "50 keys" in refused(lambda: api.customers.update(made.id, {"metadata": {"more": "1"}})).user_message
    assert api.customers.update(made.id, {"metadata": {f"{0:040}": "", "more": "1"}}).metadata.more == "1"


def test_metadata_keys_that_are_numbers_are_names_nevertheless(api: Any) -> None:
    given = {"7": "a", "0042": "b"}
    assert api.customers.create({"metadata": given}).metadata.to_dict() == given


@pytest.mark.parametrize("key", ["metadata[a][b]", "metadata[0][b]", "metadata[][b]"])
def test_metadata_values_are_strings_whatever_the_keys_are(api: Any, sandbox: Sandbox, key: str) -> None:
    status, answer, _ = sandbox.raw("POST", "/v1/customers", f"{key}=1".encode())
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert api.customers.list().data == []


def test_an_idempotency_key_tells_them_apart(sandbox: Sandbox) -> None:
    assert sandbox.raw("POST", "/v1/customers", b"metadata[7]=a", Idempotency_Key="k")[0] == 200
    status, answer, _ = sandbox.raw("POST", "/v1/customers", b"metadata[8]=a", Idempotency_Key="k")
    assert (status, answer["error"]["type"]) == (400, "idempotency_error")


def test_the_log_of_requests_can_be_read_without_answers(api: Any, sandbox: Sandbox) -> None:
    api.customers.list({"limit": 3})
    (whole,), (head,) = sandbox.get("requests")["data"], sandbox.get("requests/heads")["data"]
    assert whole.pop("response")["object"] == "list"
    assert head == whole
    assert (head["method"], head["path"], head["params"]) == ("GET", "/v1/customers", {"limit": "3"})
