"""What is no event, or can't be stored: answered at once, and by the right status. X and F as in the other tests."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client, RequestFactory

from payments import intake
from payments.models import StripeEvent
from payments.tests.posting import BODY, JSON_TYPE, PLATFORM, deliver, event, sign, stored

# --- malformed ----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_only_post_is_allowed(method: str) -> None:
    answer = getattr(Client(), method)(PLATFORM)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert stored() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""]
)
def test_only_json_is_taken(content_type: str) -> None:
    assert deliver(BODY, content_type=content_type).status_code == 415
    assert stored() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/stripe/webhooks/other/", "/stripe/webhook/", "/stripe/webhook/5b0ec9d0-8d5e-4bd1-9a38-2a4fd0ea0f7b/"]
)
def test_guessed_paths_lead_nowhere(path: str) -> None:
    """And dj-stripe's own view is not exposed."""
    assert deliver(BODY, path=path, secure=True).status_code == 404
    assert stored() == 0


class Unreadable(BytesIO):
    """A body that must not be read."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("The body was read.")


@pytest.mark.parametrize("length", ["1048577", "10485760", "9" * 40, "", "-1", "1e3", "٣"])
def test_a_body_that_is_too_large_or_of_unknown_length_is_not_read(rf: RequestFactory, length: str) -> None:
    request = rf.post(PLATFORM, data="{}", content_type=JSON_TYPE, headers={"Stripe-Signature": "t=1,v1=a"})
    request.META["CONTENT_LENGTH"] = length
    request._stream = Unreadable()
    assert intake.stripe_webhook(request).status_code == 413


@pytest.mark.django_db
def test_a_body_of_just_the_largest_size_is_taken() -> None:
    padded = event(data={"object": {"id": "pi_1", "note": ""}})
    room = intake.LARGEST_BODY - len(json.dumps(padded))
    padded["data"]["object"]["note"] = "x" * room
    assert deliver(json.dumps(padded)).status_code == 200
    padded["data"]["object"]["note"] += "x"
    assert deliver(json.dumps(padded)).status_code == 413
    assert stored() == 1


@pytest.mark.django_db
@pytest.mark.everyday(4)
@pytest.mark.parametrize(
    "body",
    [
        " ",
        "not json",
        "[]",
        '"evt_1"',
        "null",
        "17",
        "{}",
        json.dumps(event(id=None)),
        json.dumps(event(id=17)),
        json.dumps(event(id="")),
        json.dumps(event(id="evt\x00_1")),
        json.dumps(event(id="x" * 101)),
        json.dumps(event(type=["a"])),
        json.dumps(event(type="a b")),
        '{"id": "evt_1", "type": "a\x00"}',
        "[" * 100_000,
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(body: str) -> None:
    assert deliver(body).status_code == 400
    assert stored() == 0


@pytest.mark.django_db
def test_a_body_that_is_not_utf_8_is_refused() -> None:
    assert deliver(b'{"id": "evt_\xff"}', signature=sign(BODY)).status_code == 400
    assert stored() == 0


@pytest.mark.django_db
def test_a_nul_within_the_object_is_stored_as_bytes() -> None:
    """A text column of PostgreSQL could not hold it."""
    body = json.dumps(event(data={"object": {"id": "pi_\x00", "description": "a\x00b"}}))
    assert deliver(body).status_code == 200
    row = StripeEvent.objects.get()
    assert bytes(row.payload) == body.encode()
    assert row.object_id == ""


@pytest.mark.django_db
@pytest.mark.parametrize("data", [None, [], "x", {"object": None}, {"object": "x"}, {"object": {"id": 5}}, {}])
def test_an_event_about_an_object_without_an_id_is_stored(data: object) -> None:
    assert deliver(json.dumps(event(data=data))).status_code == 200
    assert StripeEvent.objects.get().object_id == ""


# --- stored, and set aside ----------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.embedded
def test_an_event_of_the_other_mode_is_stored_and_set_aside() -> None:
    assert deliver(json.dumps(event(livemode=True))).status_code == 200
    row = StripeEvent.objects.get()
    assert (row.state, row.mirror_state, row.reason) == ("ignored", "skipped", "of the other mode (livemode)")


@pytest.mark.django_db
def test_a_thin_event_is_stored_and_set_aside() -> None:
    thin = {
        "id": "evt_v2",
        "object": "v2.core.event",
        "type": "v2.core.account.updated",
        "livemode": False,
        "related_object": {"id": "acct_1"},
    }
    assert deliver(json.dumps(thin)).status_code == 200
    row = StripeEvent.objects.get()
    assert (row.state, row.mirror_state, row.reason) == ("ignored", "skipped", "not a snapshot event")


# --- the database is away -----------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_with_the_database_down_stripe_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that nobody runs stands for one that is down."""
    connection.close()
    good_port = connection.settings_dict["PORT"]
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    answer = deliver(BODY)
    connection.close()
    connection.settings_dict["PORT"] = good_port
    assert answer.status_code == 503
    assert stored() == 0


@pytest.mark.django_db(transaction=True)
def test_with_the_table_gone_stripe_is_told_to_come_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_stripeevent RENAME TO elsewhere")
    assert deliver(BODY).status_code == 503
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO payments_stripeevent")
    assert stored() == 0


def test_no_stripe_call_and_nothing_enqueued_is_possible_from_here() -> None:
    """The module does not even know how."""
    names = set(vars(intake))
    assert not names & {"gateway", "webhooks", "mirror", "tasks", "current_app", "StripeClient"}
