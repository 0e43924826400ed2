"""Deliveries that fail, and the clock: every attempt at its own instant, in the order of time, whoever moves the clock."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Receiver, Refused, Sandbox, checkout, until

pytestmark = pytest.mark.thorough

MINUTE, HOUR, DAY = 60, 3600, 86400
SCHEDULE = [0, MINUTE, 11 * MINUTE, 71 * MINUTE]
DEAD = "http://127.0.0.1:9/nobody"


def listen(api: Any, url: str, *types: str) -> str:
    """The id of an endpoint for these types of events."""
    made = api.webhook_endpoints.create({"url": url, "enabled_events": list(types or ("customer.created",))})
    return str(made.id)


def fails(api: Any, sandbox: Sandbox, receiver: Receiver) -> Any:
    """The row of a delivery that failed once; its endpoint goes on failing."""
    receiver.status = 500
    api.customers.create({})
    assert sandbox.post("webhooks/settle")["settled"]
    return rows(sandbox)[0]


def rows(sandbox: Sandbox) -> Any:
    return sandbox.get("deliveries")["data"]


def instants(row: Any) -> list[int]:
    """When it was tried, in seconds after its event."""
    return [attempt["at"] - row["created"] for attempt in row["attempts"]]


def told(receiver: Receiver) -> list[str]:
    return [json.loads(body)["type"] for body, _ in receiver.received]


def test_one_move_makes_every_attempt_at_its_own_instant(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.post("reset")  # to the machine's own time, from which an offset counts
    listen(api, receiver.url)
    fails(api, sandbox, receiver)
    moved = sandbox.post("clock", advance=2 * HOUR, settle=True)
    assert (moved["settled"], moved["offset"]) == (True, 2 * HOUR)
    [row] = rows(sandbox)
    assert (row["status"], row["next_attempt_at"], instants(row)) == ("failed", None, SCHEDULE)
    assert [attempt["status"] for attempt in row["attempts"]] == [500] * 4
    assert len(receiver.received) == 4


def test_a_move_ends_between_two_attempts(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    fails(api, sandbox, receiver)
    sandbox.post("clock", advance=30 * MINUTE, settle=True)
    [row] = rows(sandbox)
    assert (row["status"], instants(row)) == ("retrying", SCHEDULE[:3])
    assert row["next_attempt_at"] - row["created"] == SCHEDULE[3]


def test_an_endpoint_that_recovers_on_the_way_is_not_told_again(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    fails(api, sandbox, receiver)

    def recover() -> None:
        receiver.status = 500 if len(receiver.received) < 3 else 200

    receiver.meanwhile = recover
    sandbox.post("clock", advance=DAY, settle=True)
    [row] = rows(sandbox)
    assert (row["status"], instants(row)) == ("delivered", SCHEDULE[:3])


def test_an_event_of_the_move_itself_has_its_retries_within_it(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    session = checkout(api)
    listen(api, receiver.url, "checkout.session.expired")
    receiver.status = 500
    sandbox.post("clock", advance=DAY + 2 * HOUR, settle=True)
    [row] = rows(sandbox)
    assert row["created"] == session.expires_at
    assert (row["status"], instants(row)) == ("failed", SCHEDULE)


def test_a_move_that_does_not_settle_leaves_the_attempts_to_follow(
    api: Any, sandbox: Sandbox, receiver: Receiver
) -> None:
    session = checkout(api, expires_at=sandbox.get("clock")["now"] + 31 * MINUTE)
    listen(api, receiver.url, "customer.created", "checkout.session.expired")
    fails(api, sandbox, receiver)
    assert "settled" not in sandbox.post("clock", advance=3 * HOUR)
    assert sandbox.post("webhooks/settle")["settled"]
    first, second = rows(sandbox)
    assert (instants(first), instants(second)) == (SCHEDULE, SCHEDULE)
    assert second["created"] == session.expires_at
    assert told(receiver) == in_order_of_time(first, second)


def in_order_of_time(*deliveries: Any) -> list[str]:
    attempts = [(attempt["at"], row["type"]) for row in deliveries for attempt in row["attempts"]]
    return [type for _, type in sorted(attempts)]


def test_effects_and_attempts_take_turns_by_time(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    """The receiver asks the sandbox while it is being told: it sees the instant it is told at, nothing later."""
    begin = sandbox.get("clock")["now"]
    session = checkout(api, expires_at=begin + 31 * MINUTE)
    listen(api, receiver.url, "customer.created", "checkout.session.expired")
    seen = []

    def look() -> None:
        status = sandbox.raw("GET", f"/v1/checkout/sessions/{session.id}")[1]["status"]
        seen.append((told(receiver)[-1], (sandbox.get("clock")["now"] - begin) // MINUTE, status))

    receiver.meanwhile = look
    fails(api, sandbox, receiver)
    sandbox.post("clock", advance=90 * MINUTE, settle=True)
    assert seen == [
        ("customer.created", 0, "open"),
        ("customer.created", 1, "open"),
        ("customer.created", 11, "open"),
        ("checkout.session.expired", 31, "expired"),
        ("checkout.session.expired", 32, "expired"),
        ("checkout.session.expired", 42, "expired"),
        ("customer.created", 71, "expired"),
    ]


def test_nothing_moves_before_what_is_under_way_has_arrived(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    receiver.status = 500
    receiver.meanwhile = lambda: time.sleep(0.2)  # so that it is still being told when the clock is asked to move
    api.customers.create({})
    sandbox.post("clock", advance=2 * HOUR, settle=True)
    assert instants(rows(sandbox)[0]) == SCHEDULE


def test_a_dead_endpoint_holds_nothing_up(api: Any, sandbox: Sandbox) -> None:
    listen(api, DEAD)
    api.customers.create({})
    assert sandbox.post("clock", advance=2 * HOUR, settle=True)["settled"]
    [row] = rows(sandbox)
    assert (row["status"], instants(row)) == ("failed", SCHEDULE)
    assert {attempt["status"] for attempt in row["attempts"]} == {None}


def test_a_slow_endpoint_holds_the_clock_up_only_so_long(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.post("reset")  # to the machine's own time, from which an offset counts
    listen(api, receiver.url)
    answer, answered = threading.Event(), threading.Event()

    def wait() -> None:
        answer.wait(9)
        answered.set()

    receiver.status, receiver.meanwhile = 500, wait
    api.customers.create({})
    moved = sandbox.post("clock", advance=2 * HOUR, settle=True, timeout=1)
    assert not answered.is_set()
    assert (moved["settled"], moved["offset"]) == (False, 2 * HOUR)
    answer.set()
    assert sandbox.post("webhooks/settle")["settled"]
    assert instants(rows(sandbox)[0]) == SCHEDULE


def test_an_answer_that_never_ends_is_not_read_to_its_end(api: Any, sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen(api, f"http://127.0.0.1:{server.getsockname()[1]}/hook")
        api.customers.create({})
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 5000)
            assert sandbox.post("webhooks/settle", timeout=50)["settled"]
    [row] = rows(sandbox)
    assert (row["status"], row["attempts"][0]["answer"]) == ("delivered", "x" * 2000)


@pytest.mark.parametrize("url", ["http://a..b/", "http://127.0.0.1:99999/", "http://%/", "http://" + "x" * 300])
def test_an_address_that_is_none_is_a_failure_like_any_other(api: Any, sandbox: Sandbox, url: str) -> None:
    listen(api, url)
    api.customers.create({})
    assert sandbox.post("webhooks/settle", timeout=50)["settled"]
    assert [(row["status"], row["attempts"][0]["status"]) for row in rows(sandbox)] == [("retrying", None)]


@pytest.mark.parametrize(
    ("move", "offset"),
    [
        ({"advance": HOUR}, 3 * HOUR),  # on from where the clock was going to
        ({"advance": -3 * HOUR}, -HOUR),
        ({"advance": HOUR, "settle": True, "timeout": 0}, 3 * HOUR),
    ],
)
def test_a_receiver_may_move_the_clock_that_is_moving(
    api: Any, sandbox: Sandbox, receiver: Receiver, move: Any, offset: int
) -> None:
    sandbox.post("reset")  # to the machine's own time, from which an offset counts
    listen(api, receiver.url)
    fails(api, sandbox, receiver)
    receiver.status = 200
    receiver.meanwhile = lambda: sandbox.post("clock", **move)
    sandbox.post("clock", advance=2 * HOUR, settle=True)
    assert sandbox.get("clock")["offset"] == offset
    assert rows(sandbox)[0]["status"] == "delivered"


def test_a_reset_ends_a_move(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    fails(api, sandbox, receiver)
    receiver.meanwhile = lambda: sandbox.post("reset")
    sandbox.post("clock", advance=2 * HOUR, settle=True)
    assert sandbox.get("clock")["offset"] == 0
    assert rows(sandbox) == []


def test_what_is_held_waits_on_while_the_clock_moves(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    fails(api, sandbox, receiver)
    sandbox.post("webhooks/hold")
    assert sandbox.post("clock", advance=DAY, settle=True)["settled"]
    assert (len(receiver.received), rows(sandbox)[0]["status"]) == (1, "held")
    sandbox.post("webhooks/release")
    [row] = rows(sandbox)
    assert instants(row)[1] >= DAY
    assert row["next_attempt_at"] == row["attempts"][1]["at"] + SCHEDULE[2] - SCHEDULE[1]


def disable(api: Any, endpoint: str) -> None:
    api.webhook_endpoints.update(endpoint, {"disabled": True})


def delete(api: Any, endpoint: str) -> None:
    api.webhook_endpoints.delete(endpoint)


@pytest.mark.parametrize("end", [disable, delete])
def test_an_endpoint_that_is_gone_gets_no_planned_retry(
    api: Any, sandbox: Sandbox, receiver: Receiver, end: Callable[[Any, str], None]
) -> None:
    endpoint = listen(api, receiver.url)
    event = fails(api, sandbox, receiver)["event"]
    end(api, endpoint)
    sandbox.post("clock", advance=DAY, settle=True)
    [row] = rows(sandbox)
    assert (row["status"], row["next_attempt_at"], instants(row)) == ("failed", None, [0])
    assert sandbox.post(f"events/{event}/resend")["data"] == []
    with pytest.raises(Refused):
        sandbox.post(f"events/{event}/resend", endpoint=endpoint)
    assert len(receiver.received) == 1


def test_an_endpoint_that_is_back_in_time_gets_its_retries(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver.url)
    fails(api, sandbox, receiver)
    disable(api, endpoint)
    sandbox.post("clock", advance=MINUTE // 2, settle=True)
    api.webhook_endpoints.update(endpoint, {"disabled": False})
    sandbox.post("clock", advance=HOUR // 2, settle=True)
    assert instants(rows(sandbox)[0]) == SCHEDULE[:3]


def test_a_disabled_endpoint_is_not_told_what_was_held_for_it(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, receiver.url)
    sandbox.post("webhooks/hold")
    api.customers.create({})
    disable(api, endpoint)
    sandbox.post("webhooks/release")
    assert (receiver.received, rows(sandbox)[0]["status"]) == ([], "failed")


def test_a_retry_goes_to_where_the_endpoint_is_now(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    endpoint = listen(api, DEAD)
    api.customers.create({})
    sandbox.post("webhooks/settle")
    api.webhook_endpoints.update(endpoint, {"url": receiver.url})
    sandbox.post("clock", advance=MINUTE + 1, settle=True)
    assert len(receiver.received) == 1
    assert rows(sandbox)[0]["status"] == "delivered"


def test_an_event_is_sent_again_for_thirty_days(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    api.customers.create({})
    event = rows(sandbox)[0]["event"]
    sandbox.post("clock", advance=29 * DAY, settle=True)
    assert sandbox.post(f"events/{event}/resend")["data"][0]["status"] == "delivered"
    sandbox.advance(2 * DAY)
    with pytest.raises(Refused) as caught:
        sandbox.post(f"events/{event}/resend")
    assert caught.value.status == 400
    assert len(receiver.received) == 2


def test_real_time_retries_by_itself(api: Any, sandbox: Sandbox, receiver: Receiver) -> None:
    listen(api, receiver.url)
    due = fails(api, sandbox, receiver)["next_attempt_at"]
    came: list[int] = []
    receiver.meanwhile = lambda: came.append(sandbox.get("clock")["now"])
    sandbox.post("clock", set=due - 2)
    until(lambda: came)  # real seconds, of which there are at most three
    sandbox.post("webhooks/settle")
    assert came[0] >= due
    assert instants(rows(sandbox)[0]) == SCHEDULE[:2]
    first, again = (header.partition(",")[0] for _, header in receiver.received)
    assert first < again  # signed anew, with the time of its own sending
