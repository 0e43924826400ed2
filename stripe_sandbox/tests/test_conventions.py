"""What every endpoint has in common: ids, headers, the words of each refusal, filters of each list."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from .books import destination_charge
from .conftest import Sandbox, checkout, hold, onboarded, pay, refused

pytestmark = pytest.mark.thorough

NOW_AND_THEN = "amount=500&currency=usd"


def test_an_answer_names_its_request_version_and_key(sandbox: Sandbox) -> None:
    _, _, headers = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k-1")
    assert re.fullmatch(r"req_[0-9A-Za-z]{14}", headers["request-id"])
    assert (headers["idempotency-key"], headers["content-type"]) == ("k-1", "application/json")
    assert headers["stripe-version"] == "2026-08-26.dahlia"
    assert "stripe-should-retry" not in headers


def test_the_keys_of_an_error_are_in_alphabetical_order(sandbox: Sandbox) -> None:
    body = b"amount=500&currency=usd&confirm=true&payment_method=pm_card_chargeDeclined&payment_method_types[]=card"
    status, answer, _ = sandbox.raw("POST", "/v1/payment_intents", body)
    assert status == 402
    assert list(answer["error"]) == sorted(answer["error"])
    assert None not in answer["error"].values()


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_success_is_always_a_200(api: Any, sandbox: Sandbox, method: str) -> None:
    path = "/v1/customers" if method == "POST" else f"/v1/customers/{api.customers.create({}).id}"
    assert sandbox.raw(method, path)[0] == 200


IDS = {
    "account": r"acct_1[0-9A-Za-z]{15}",
    "application_fee": r"fee_1\w{23}",
    "balance_transaction": r"txn_3\w{23}",
    "charge": r"ch_3\w{23}",
    "checkout.session": r"cs_test_\w{58}",
    "customer": r"cus_[0-9A-Za-z]{14}",
    "destination_payment": r"py_\w+",
    "event": r"evt_1\w{23}",
    "payment_intent": r"pi_3\w{23}",
    "payment_method": r"pm_1\w{23}",
    "refund": r"re_3\w{23}",
    "setup_attempt": r"setatt_1\w{23}",
    "setup_intent": r"seti_1\w{23}",
    "transfer": r"tr_1\w{23}",
    "webhook_endpoint": r"we_1\w{23}",
}


def test_ids_and_secrets_have_stripes_shapes(api: Any, coach: str) -> None:
    charge = destination_charge(api, coach, expand=["latest_charge.transfer"]).latest_charge
    setup = api.setup_intents.create(
        {"payment_method": "pm_card_visa", "confirm": True, "payment_method_types": ["card"]}
    )
    intent = api.payment_intents.retrieve(charge.payment_intent)
    endpoint = api.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    found = {
        "account": coach,
        "application_fee": charge.application_fee,
        "balance_transaction": charge.balance_transaction,
        "charge": charge.id,
        "checkout.session": checkout(api).id,
        "customer": api.customers.create({}).id,
        "destination_payment": charge.transfer.destination_payment,
        "event": api.events.list().data[0].id,
        "payment_intent": intent.id,
        "payment_method": charge.payment_method,
        "refund": api.refunds.create({"charge": charge.id}).id,
        "setup_attempt": setup.latest_attempt,
        "setup_intent": setup.id,
        "transfer": charge.transfer.id,
        "webhook_endpoint": endpoint.id,
    }
    assert [name for name, shape in IDS.items() if not re.fullmatch(shape, found[name])] == []
    assert re.fullmatch(intent.id + r"_secret_[0-9A-Za-z]{25}", intent.client_secret)
    assert re.fullmatch(setup.id + r"_secret_[0-9A-Za-z]{29,}", setup.client_secret)
    assert re.fullmatch(r"whsec_[0-9A-Za-z]{32}", endpoint.secret)


# What is wrong with a parameter, in Stripe's words


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("payment_intents", "a[b]=1", ("parameter_unknown", "a", "Received unknown parameter: a")),
        (
            "checkout/sessions",
            "line_items[0][price_data][colour]=red",
            (
                "parameter_unknown",
                "line_items[0][price_data][colour]",
                "Received unknown parameter: line_items[0][price_data][colour]",
            ),
        ),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&payment_method_types=card",
            (None, "payment_method_types", "Invalid array"),
        ),
        ("payment_intents", f"{NOW_AND_THEN}&transfer_data=acct_1", (None, "transfer_data", "Invalid object")),
        ("payment_intents", "amount=5.5&currency=usd", ("parameter_invalid_integer", "amount", "Invalid integer: 5.5")),
        (
            "payment_intents",
            "amount=-5&currency=usd",
            ("parameter_invalid_integer", "amount", "Invalid positive integer"),
        ),
        ("refunds", "charge={charge}&amount=0", ("parameter_invalid_integer", "amount", "Invalid positive integer")),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&confirmation_method=perhaps",
            (None, "confirmation_method", "Invalid confirmation_method: must be one of automatic or manual"),
        ),
        ("payment_intents", f"{NOW_AND_THEN}&confirm=yes", (None, "confirm", "Invalid boolean: yes")),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&customer=",
            (
                "parameter_invalid_empty",
                "customer",
                (
                    "You passed an empty string for 'customer'. We assume empty values are an attempt to unset a parameter; however 'customer' cannot "
                    "be unset. You should remove 'customer' from your request or supply a non-empty value."
                ),
            ),
        ),
        (
            "payment_intents",
            "amount=500&currency=zzz",
            (None, "currency", "Invalid currency: zzz. Stripe currently supports these currencies: usd, aed, afn, "),
        ),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&payment_method_types[]=card&automatic_payment_methods[enabled]=true",
            (
                None,
                "automatic_payment_methods",
                "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
            ),
        ),
        (
            "checkout/sessions",
            (
                "mode=payment&success_url=http://a.test&line_items[0][quantity]=0&line_items[0][price_data][currency]=usd"
                "&line_items[0][price_data][unit_amount]=500&line_items[0][price_data][product_data][name]=L"
            ),
            (None, "line_items[0][quantity]", "This value must be greater than or equal to 1."),
        ),
        (
            "checkout/sessions",
            (
                "mode=payment&success_url=http://a.test&line_items[0][quantity]=1&line_items[0][price_data][currency]=usd"
                "&line_items[0][price_data][unit_amount_decimal]=many&line_items[0][price_data][product_data][name]=L"
            ),
            (None, "line_items[0][price_data][unit_amount_decimal]", "Invalid decimal: many"),
        ),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&customer=cus_x",
            ("resource_missing", "customer", "No such customer: 'cus_x'"),
        ),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&payment_method=pm_x",
            ("resource_missing", "payment_method", "No such PaymentMethod: 'pm_x'"),
        ),
        (
            "payment_intents",
            f"{NOW_AND_THEN}&transfer_data[destination]=acct_x",
            ("resource_missing", "transfer_data[destination]", "No such destination: 'acct_x'"),
        ),
        ("refunds", "charge=ch_x", ("resource_missing", "charge", "No such charge: 'ch_x'")),
        ("refunds", "payment_intent=pi_x", ("resource_missing", "payment_intent", "No such payment_intent: 'pi_x'")),
        (
            "payment_methods",
            "type=card&card[token]=tok_x",
            ("resource_missing", "card[token]", "No such token: 'tok_x'"),
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_in_stripes_words(
    api: Any, sandbox: Sandbox, path: str, body: str, expected: tuple[str | None, str, str]
) -> None:
    code, param, message = expected
    if "{charge}" in body:
        body = body.format(charge=pay(api).latest_charge)
    status, answer, _ = sandbox.raw("POST", f"/v1/{path}", body.encode())
    error = answer["error"]
    assert (status, error["type"], error.get("code"), error["param"]) == (400, "invalid_request_error", code, param)
    assert error["message"] == message or (message.endswith(", ") and error["message"].startswith(message))
    assert error.get("doc_url") == (code and "https://stripe.com/docs/error-codes/" + code.replace("_", "-"))


@pytest.mark.parametrize(
    ("path", "param", "kind"),
    [
        ("payment_intents/x", "intent", "payment_intent"),
        ("setup_intents/x", "intent", "setup_intent"),
        ("charges/x", "charge", "charge"),
        ("customers/x", "id", "customer"),
        ("refunds/x", "refund", "refund"),
        ("disputes/x", "dispute", "dispute"),
        ("transfers/x", "transfer", "transfer"),
        ("payouts/x", "payout", "payout"),
        ("checkout/sessions/x", "session", "checkout session"),
        ("payment_methods/x", "payment_method", "PaymentMethod"),
    ],
)
def test_what_the_url_names_and_is_not_there_is_a_404(sandbox: Sandbox, path: str, param: str, kind: str) -> None:
    status, answer, _ = sandbox.raw("GET", f"/v1/{path}")
    error = answer["error"]
    assert (status, error["code"], error["param"]) == (404, "resource_missing", param)
    assert error["message"] == f"No such {kind}: 'x'"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/foo"), ("GET", "/v1/customers/"), ("DELETE", "/v1/customers")]
)
def test_an_unknown_url_is_named_with_its_method(sandbox: Sandbox, method: str, path: str) -> None:
    status, answer, _ = sandbox.raw(method, path)
    assert (status, answer["error"]["type"]) == (404, "invalid_request_error")
    assert answer["error"]["message"] == (
        f"Unrecognized request URL ({method}: {path}). If you are trying to list objects, remove the trailing slash. If you are trying to "
        "retrieve an object, make sure you passed a valid (non-empty) identifier in your code. Please see https://stripe.com/docs or we can "
        "help at https://support.stripe.com/."
    )
    assert "code" not in answer["error"]


def test_a_foreign_account_is_a_403_in_stripes_words(sandbox: Sandbox) -> None:
    status, answer, _ = sandbox.raw("GET", "/v1/balance", Stripe_Account="acct_x")
    assert (status, answer["error"]["code"], answer["error"]["type"]) == (
        403,
        "account_invalid",
        "invalid_request_error",
    )
    assert answer["error"]["message"].endswith(
        "does not have access to account 'acct_x' (or that account does not exist). Application access may have been revoked."
    )


def test_a_bad_key_keeps_its_ends(sandbox: Sandbox) -> None:
    status, answer, _ = sandbox.raw("GET", "/v1/balance", Authorization="Bearer sk_wrong_0123456789wxyz")
    assert (status, "code" in answer["error"]) == (401, False)
    assert re.fullmatch(r"Invalid API Key provided: sk_wrong_01\*+wxyz", answer["error"]["message"])


# Lists

Made = Callable[[Any, Any], tuple[Any, dict[str, Any]]]
FILTERS: dict[str, Made] = {
    "payment_intents.customer": lambda api, its: (api.payment_intents, {"customer": its.customer}),
    "charges.customer": lambda api, its: (api.charges, {"customer": its.customer}),
    "charges.payment_intent": lambda api, its: (api.charges, {"payment_intent": its.id}),
    "charges.transfer_group": lambda api, its: (api.charges, {"transfer_group": "lesson 1"}),
    "transfers.transfer_group": lambda api, its: (api.transfers, {"transfer_group": "lesson 1"}),
    "transfers.destination": lambda api, its: (api.transfers, {"destination": its.transfer_data.destination}),
    "refunds.charge": lambda api, its: (api.refunds, {"charge": its.latest_charge}),
    "refunds.payment_intent": lambda api, its: (api.refunds, {"payment_intent": its.id}),
    "disputes.charge": lambda api, its: (api.disputes, {"charge": its.latest_charge}),
    "disputes.payment_intent": lambda api, its: (api.disputes, {"payment_intent": its.id}),
    "balance_transactions.source": lambda api, its: (api.balance_transactions, {"source": its.latest_charge}),
    "events.type": lambda api, its: (api.events, {"type": "charge.dispute.created"}),
    "setup_intents.customer": lambda api, its: (api.setup_intents, {"customer": its.customer}),
    "checkout.sessions.customer": lambda api, its: (api.checkout.sessions, {"customer": its.customer}),
}


def test_each_filter_finds_what_belongs_together(api: Any, sandbox: Sandbox, coach: str) -> None:
    def make(account: str, group: str) -> Any:
        customer = api.customers.create({}).id
        intent = destination_charge(api, account, customer=customer, transfer_group=group)
        api.refunds.create({"payment_intent": intent.id, "amount": 100})
        api.setup_intents.create({"customer": customer, "payment_method_types": ["card"]})
        checkout(api, customer=customer)
        return intent

    one = make(coach, "lesson 1")
    make(onboarded(api, sandbox), "lesson 2")
    sandbox.post("disputes", payment_intent=one.id)
    unexpected = {}
    for name, filtered in FILTERS.items():
        resource, params = filtered(api, one)
        found = resource.list(params)
        if len(found.data) != 1 or found.object != "list" or found.has_more or not found.url.startswith("/v1/"):
            unexpected[name] = found.data
    assert unexpected == {}


def test_created_takes_a_moment_and_a_range(api: Any, sandbox: Sandbox) -> None:
    first = api.customers.create({}).created
    sandbox.advance(1000)
    second = api.customers.create({}).created
    for wanted, found in (
        (first, [first]),
        ({"gt": first}, [second]),
        ({"gte": first}, [second, first]),
        ({"lt": second}, [first]),
        ({"lte": second, "gt": first}, [second]),
        ({"gt": second}, []),
    ):
        assert [each.created for each in api.customers.list({"created": wanted}).data] == found


def test_a_page_before_a_cursor_is_the_next_newer_one(api: Any) -> None:
    made = [hold(api).id for _ in range(4)]
    page = api.payment_intents.list({"ending_before": made[0], "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == ([made[2], made[1]], True)
    page = api.payment_intents.list({"ending_before": made[2], "limit": 2})
    assert ([each.id for each in page.data], page.has_more) == ([made[3]], False)


def test_a_filter_and_a_cursor_work_together(api: Any) -> None:
    customer = api.customers.create({}).id
    made = []
    for _ in range(3):
        made.append(pay(api, customer=customer).id)
        pay(api)
    page = api.payment_intents.list({"customer": customer, "starting_after": made[2], "limit": 1})
    assert ([each.id for each in page.data], page.has_more) == ([made[1]], True)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("payment_method", "payment_method"),
        ("customer", "customer"),
        ("latest_charge.customer", "customer"),
        ("latest_charge.refunds", "list"),
    ],
)
def test_an_expanded_id_becomes_its_object(api: Any, path: str, kind: str) -> None:
    customer = api.customers.create({}).id
    shown: Any = pay(api, customer=customer, expand=[path]).to_dict()
    for name in path.split("."):
        shown = shown[name]
    assert shown["object"] == kind


def test_a_list_has_no_total(api: Any) -> None:
    error = refused(lambda: api.payment_intents.list({"expand": ["total_count"]}))
    assert error.user_message == "This property cannot be expanded (total_count)."


@pytest.mark.parametrize("kind", ["payment_intents", "customers", "charges", "setup_intents", "payment_methods"])
def test_metadata_merges_and_empties_on_every_object(api: Any, kind: str) -> None:
    customer = api.customers.create({}).id
    intent = pay(api, customer=customer, setup_future_usage="off_session")
    setup = api.setup_intents.create({"payment_method_types": ["card"]})
    id = {
        "payment_intents": intent.id,
        "customers": customer,
        "charges": intent.latest_charge,
        "setup_intents": setup.id,
        "payment_methods": intent.payment_method,
    }[kind]
    resource = getattr(api, kind)
    assert resource.update(id, {"metadata": {"a": 1, "b": "x"}}).metadata.to_dict() == {"a": "1", "b": "x"}
    assert resource.update(id, {"metadata": {"a": ""}}).metadata.to_dict() == {"b": "x"}
    assert resource.update(id, {"metadata": ""}).metadata.to_dict() == {}
