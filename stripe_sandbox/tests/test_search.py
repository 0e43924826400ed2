"""Searching: the query language, its pages, and what it refuses."""

from typing import Any

import pytest

from .conftest import pay, refused

pytestmark = pytest.mark.thorough


def test_payments_are_found_by_what_they_are(api: Any) -> None:
    paid = pay(api, 5000, metadata={"order": "7's"})
    open_ = api.payment_intents.create({"amount": 900, "currency": "eur", "payment_method_types": ["card"]})
    for query, found in (
        ("status:'succeeded'", [paid.id]),
        ("amount>4999 AND currency:'usd'", [paid.id]),
        ("amount<1000 OR status:'SUCCEEDED'", [open_.id, paid.id]),
        ("metadata['order']:'7\\'s'", [paid.id]),
        ('metadata["order"]:null', [open_.id]),
        ("-currency:'usd' amount>=900", [open_.id]),
        ("status~'require'", [open_.id]),
        ("created>0 AND amount=5000", [paid.id]),
    ):
        assert [each.id for each in api.payment_intents.search({"query": query}).data] == found, query


def test_charges_and_customers_have_their_own_fields(api: Any) -> None:
    charge = pay(api).latest_charge
    jo = api.customers.create({"email": "Jo@Example.com", "name": "Jo", "metadata": {"k": "v"}})
    api.customers.create({"email": "al@example.com"})
    query = "payment_method_details.card.last4:4242 AND refunded:'false'"
    assert [each.id for each in api.charges.search({"query": query}).data] == [charge]
    assert [each.id for each in api.customers.search({"query": "email:'jo@example.com'"}).data] == [jo.id]
    assert len(api.customers.search({"query": "email~'example'"}).data) == 2


def test_pages_follow_each_other(api: Any) -> None:
    made = [api.customers.create({"name": "Al"}).id for _ in range(5)]
    first = api.customers.search({"query": "name:'al'", "limit": 2})
    assert (first.object, first.has_more) == ("search_result", True)
    assert [each.id for each in first.auto_paging_iter()] == made[::-1]
    assert api.customers.search({"query": "name:'bo'"}).next_page is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "status",
        "status:",
        "status:'x",
        "colour:'red'",
        "metadata:'x'",
        "status['a']:'b'",
        "status:'a' AND amount>1 OR amount<9",
        "status>'a'",
        "amount>'many'",
        "amount~'100'",
        " AND ".join(["amount>1"] * 11),
    ],
)
def test_what_cannot_be_searched_is_refused(api: Any, query: str) -> None:
    error = refused(lambda: api.payment_intents.search({"query": query}))
    assert (error.http_status, error.param) == (400, "query")


def test_a_page_that_was_never_given_is_refused(api: Any) -> None:
    assert refused(lambda: api.customers.search({"query": "name:'al'", "page": "zz"})).param == "page"
