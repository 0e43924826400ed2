"""The edges of idempotency: what a key is of, what it remembers, and when it forgets."""

from typing import Any

from .conftest import Sandbox, onboarded, refused


def test_a_key_means_nothing_to_a_get_or_a_delete(api: Any, sandbox: Sandbox) -> None:
    customer = api.customers.create({}).id
    for method, path in (("GET", "/v1/customers"), ("GET", "/v1/balance"), ("DELETE", f"/v1/customers/{customer}")):
        status, _, headers = sandbox.raw(method, path, Idempotency_Key="k")
        assert (status, "idempotent-replayed" in headers) == (200, False)
    assert sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[0] == 200


def test_the_platforms_own_id_is_the_same_scope_as_none(sandbox: Sandbox) -> None:
    first = sandbox.raw("POST", "/v1/customers", b"name=a", Idempotency_Key="k")[1]
    again = sandbox.raw(
        "POST", "/v1/customers", b"name=a", Idempotency_Key="k", Stripe_Account="acct_1SandboxPlatform"
    )[1]
    assert first == again


def test_the_order_of_parameters_is_not_compared(sandbox: Sandbox) -> None:
    first = sandbox.raw("POST", "/v1/customers", b"name=a&email=b", Idempotency_Key="k")[1]
    assert sandbox.raw("POST", "/v1/customers", b"email=b&name=a", Idempotency_Key="k")[1] == first


def test_a_500_is_remembered_and_forgotten_only_by_pruning(api: Any, sandbox: Sandbox) -> None:
    sandbox.post("faults", path="/v1/customers", method="POST", action="respond", status=500)
    key = {"idempotency_key": "k"}
    for _ in range(3):
        assert refused(lambda: api.customers.create({}, key)).http_status == 500
    assert api.customers.list().data == []
    assert sandbox.post("idempotency/prune") == {"pruned": 1}
    assert api.customers.create({}, key).id


def test_an_unknown_account_or_key_leaves_no_trace(api: Any, sandbox: Sandbox) -> None:
    account = onboarded(api, sandbox)
    for headers in ({"Stripe_Account": "acct_x"}, {"Authorization": "Bearer sk_live_x"}):
        assert sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k", **headers)[0] in (401, 403)
    assert "idempotent-replayed" not in sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k")[2]
    theirs = sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="k", Stripe_Account=account)
    assert "idempotent-replayed" not in theirs[2]


def test_a_key_of_the_greatest_length_is_taken(sandbox: Sandbox) -> None:
    assert sandbox.raw("POST", "/v1/customers", b"", Idempotency_Key="x" * 255)[0] == 200
