"""What Stripe, and anyone else, can post at our two endpoints. X and F numbers name rows of the fault catalogue."""

import json
import time
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse

from payments import intake
from payments.models import StripeEvent
from payments.tests import stage
from payments.tests.posting import BODY, CONNECT, JSON_TYPE, PLATFORM, deliver, event, sign, stored

# --- the good path ------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_signed_event_is_stored_as_it_came() -> None:
    body = json.dumps(event(account="acct_1"), indent=2)
    answer = deliver(body)
    assert (answer.status_code, answer.content) == (200, b"")
    row = StripeEvent.objects.get()
    assert (row.event_id, row.type, row.account, row.object_id, row.livemode) == (
        "evt_1", "payment_intent.succeeded", "acct_1", "pi_1", False,
    )  # fmt: skip
    assert bytes(row.payload) == body.encode()
    assert (row.state, row.mirror_state, row.reason) == ("new", "new", "")
    assert row.next_try_at == row.received_at


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["account.updated", "account.external_account.created", "person.updated"])
def test_what_an_event_tells_of_a_coach_and_their_bank_is_not_stored(kind: str) -> None:
    bank = {"routing_number": "110000000", "account_holder_name": "Ada"}
    about = {"id": "x_1", "object": "account", "external_accounts": {"data": [bank]}, **bank}
    told = event(type=kind, account="acct_1", data={"object": about, "previous_attributes": bank})
    assert deliver(json.dumps(told)).status_code == 200
    row = StripeEvent.objects.get()
    assert (row.account, row.object_id) == ("acct_1", "x_1")
    assert json.loads(bytes(row.payload)) == told | {"data": {"object": {"id": "x_1", "object": "account"}}}


@pytest.mark.django_db
@pytest.mark.embedded
def test_a_second_delivery_changes_nothing() -> None:
    body = json.dumps(event())
    assert deliver(body).status_code == 200
    StripeEvent.objects.update(state="done")
    assert deliver(body).status_code == 200
    assert StripeEvent.objects.get().state == "done"


@pytest.mark.django_db(transaction=True)
@pytest.mark.embedded
def test_twenty_deliveries_at_the_same_instant_store_one_event() -> None:
    body, statuses = json.dumps(event()), []
    stage.at_once([lambda: statuses.append(deliver(body).status_code)] * 20)
    assert statuses == [200] * 20
    assert stored() == 1


@pytest.mark.django_db
def test_it_costs_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert deliver(json.dumps(event())).status_code == 200


@pytest.mark.django_db
def test_the_connect_endpoint_has_its_own_secret() -> None:
    body = json.dumps(event(account="acct_1"))
    connect_secret = settings.STRIPE_CONNECT_WEBHOOK_SECRETS[0]
    assert deliver(body, path=CONNECT).status_code == 400
    assert deliver(body, signature=sign(body, secret=connect_secret)).status_code == 400
    assert stored() == 0
    assert deliver(body, path=CONNECT, signature=sign(body, secret=connect_secret)).status_code == 200
    assert stored() == 1


@pytest.mark.django_db
@override_settings(STRIPE_WEBHOOK_SECRETS=["whsec_the_new_one_00000", "whsec_the_old_one_00000"])
@pytest.mark.parametrize("secret", ["whsec_the_new_one_00000", "whsec_the_old_one_00000"])
def test_while_a_secret_is_rolled_both_are_good(secret: str) -> None:
    body = json.dumps(event())
    assert deliver(body, signature=sign(body, secret=secret)).status_code == 200
    assert stored() == 1


@pytest.mark.django_db
def test_one_good_signature_among_others_is_enough() -> None:
    body = json.dumps(event())
    header = sign(body)
    assert deliver(body, signature=f"{header},v1={'0' * 64},v0={'1' * 64}").status_code == 200


@pytest.mark.django_db
@override_settings(SECURE_SSL_REDIRECT=True, ALLOWED_HOSTS=["elsewhere.example"])
def test_it_is_never_redirected_nor_asked_for_a_login_or_a_csrf_token() -> None:
    answer = deliver(json.dumps(event()))
    assert answer.status_code == 200
    assert stored() == 1


def test_the_routes_are_where_the_set_up_registers_them() -> None:
    assert reverse("payments:stripe_webhook") == PLATFORM
    assert reverse("payments:stripe_connect_webhook") == CONNECT


@pytest.mark.django_db
def test_the_route_alone_takes_an_event_in_as_well(rf: RequestFactory) -> None:
    body = json.dumps(event())
    request = rf.post(PLATFORM, data=body, content_type=JSON_TYPE, headers={"Stripe-Signature": sign(body)})
    assert intake.stripe_webhook(request).status_code == 200
    assert getattr(intake.stripe_webhook, "csrf_exempt", False) is True


@pytest.mark.django_db
def test_pages_keep_their_security_headers(client: Client) -> None:
    answer = client.get("/accounts/login/", secure=True)
    assert "Content-Security-Policy" in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"


# --- forged and stale ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_without_a_signature_nothing_is_stored() -> None:
    answer = Client().post(PLATFORM, data=json.dumps(event()), content_type=JSON_TYPE)
    assert (answer.status_code, answer.content) == (400, b"")
    assert stored() == 0


GOOD_HEX = "a" * 64


@pytest.mark.django_db
@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(f"t={int(time.time())},v1={GOOD_HEX}", id="random signature"),
        pytest.param(f"t={int(time.time())},v0={GOOD_HEX}", id="v0 only"),
        pytest.param(f"t={int(time.time())},v1=", id="empty v1"),
        pytest.param(f"t={int(time.time())}," + ",".join(["v1=" + GOOD_HEX] * 10_000), id="ten thousand v1"),
        pytest.param(f"t={int(time.time())},v1=" + "a" * 65_536, id="64 KiB"),
        pytest.param(f"t={int(time.time())},v1=é{GOOD_HEX}", id="not ASCII"),
        pytest.param(f"v1={GOOD_HEX}", id="t missing"),
        pytest.param(f"t=,v1={GOOD_HEX}", id="t empty"),
        pytest.param(f"t=-5,v1={GOOD_HEX}", id="t negative"),
        pytest.param(f"t=1.5,v1={GOOD_HEX}", id="t float"),
        pytest.param(f"t=1{'0' * 30},v1={GOOD_HEX}", id="t 10^30"),
        pytest.param(f"t={'9' * 900},v1={GOOD_HEX}", id="t of 900 digits"),
        pytest.param(f"t=now,v1={GOOD_HEX}", id="t a word"),
        pytest.param(f"t=1=2,v1={GOOD_HEX}", id="t with two values"),
        pytest.param("t", id="only a t"),
        pytest.param(",,,", id="commas"),
        pytest.param("\x00", id="NUL"),
    ],
)
def test_a_signature_that_is_not_stripes_is_refused_and_stores_nothing(signature: str) -> None:
    answer = deliver(BODY, signature=signature)
    assert (answer.status_code, answer.content) == (400, b"")
    assert stored() == 0


@pytest.mark.django_db
def test_a_signature_with_another_secret_is_refused() -> None:
    assert deliver(BODY, signature=sign(BODY, secret="whsec_" + "x" * 20)).status_code == 400
    assert stored() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("altered", [BODY.replace("pi_1", "pi_2"), BODY + " ", json.dumps(json.loads(BODY), indent=1)])
def test_a_body_that_was_altered_or_written_anew_is_refused(altered: str) -> None:
    assert deliver(altered, signature=sign(BODY)).status_code == 400
    assert stored() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age", "status"), [(301, 400), (86_400, 400), (290, 200), (-290, 200), (-303, 400), (-3_600, 400)]
)
def test_age_counts_in_both_directions(age: int, status: int) -> None:
    """The library alone would let the future pass."""
    assert deliver(BODY, signature=sign(BODY, at=int(time.time()) - age)).status_code == status
    assert stored() == (1 if status == 200 else 0)


@pytest.mark.django_db
def test_a_header_of_djstripes_that_names_a_secret_is_ignored() -> None:
    answer = Client().post(
        PLATFORM,
        data=BODY,
        content_type=JSON_TYPE,
        headers={"Stripe-Signature": sign(BODY, secret="whsec_mine"), "X-Djstripe-Webhook-Secret": "whsec_mine"},
    )
    assert answer.status_code == 400
    assert stored() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("forwarded", ["garbage", "1" * 100_000, "54.187.174.169", "\x00"])
def test_forwarded_for_is_of_no_interest(forwarded: str) -> None:
    assert deliver(BODY, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR=forwarded).status_code == 200
    assert deliver(BODY, signature="forged", HTTP_X_FORWARDED_FOR=forwarded).status_code == 400
    assert stored() == 1


@pytest.mark.django_db
def test_a_flood_of_forgeries_is_one_line_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(intake._Refusals, "logged_at", float("-inf"))
    with django_assert_num_queries(0):
        for _ in range(200):
            assert deliver(BODY, signature=f"t={int(time.time())},v1={GOOD_HEX}").status_code == 400
    assert len(caplog.records) == 1
    assert deliver(BODY).status_code == 200
