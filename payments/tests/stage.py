"""How tests set the stage: all of it through the services and the sandbox's pages, so that the money is real there."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import requests
from django.conf import settings
from django.db import connections, transaction

from coaches.models import Coach
from marketplace import clock
from marketplace.lib.money import Money
from marketplace.models import User
from marketplace.tests.sandbox import Sandbox
from payments import services
from payments.models import Payment, PayoutAccount

RETURN_URL = "http://127.0.0.1:8000/paid/"
HUNDRED_DOLLARS = Money(10_000, "usd")
CANCEL_URL = "http://127.0.0.1:8000/left/"


def onboard(sandbox: Sandbox, coach: Coach, *, outcome: str = "complete", country: str = "US") -> PayoutAccount:
    account = services.create_payout_account(coach=coach, country=country, now=clock.now())
    sandbox.post(f"/_sandbox/accounts/{account.stripe_account_id}/onboard", {"outcome": outcome})
    return services.refresh_payout_account(account=account, now=clock.now())


def write_down_payment(
    student: User, coach: Coach, *, reference: str = "booking:1", price: Money = HUNDRED_DOLLARS, **more: Any
) -> Payment:
    """The payment and its intent to open a page, committed as far as the test commits; nothing is sent for it yet."""
    now = clock.now()
    services.ensure_customer(user=student, now=now)
    with transaction.atomic():
        return services.open_payment(
            reference=reference,
            description="One hour of piano",
            payer=student,
            coach=coach,
            price=price,
            service_ends_at=now + timedelta(days=2),
            metadata={"booking_id": reference.partition(":")[2]},
            return_url=RETURN_URL,
            cancel_url=CANCEL_URL,
            now=now,
            **more,
        )


def open_page(student: User, coach: Coach, **facts: Any) -> Payment:
    payment = write_down_payment(student, coach, **facts)
    services.start_checkout(payment=payment, now=clock.now())
    payment.refresh_from_db()
    return payment


def pay(sandbox: Sandbox, payment: Payment, card: str = "pm_card_visa") -> None:
    sandbox.post(f"/_sandbox/checkout/{payment.checkout_session_id}/pay", {"payment_method": card})


def hold(sandbox: Sandbox, student: User, coach: Coach, *, card: str = "pm_card_visa", **facts: Any) -> Payment:
    payment = open_page(student, coach, **facts)
    pay(sandbox, payment, card)
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Payment.Status.HELD
    return payment


def save_card(sandbox: Sandbox, student: User, coach: Coach, *, card: str = "pm_card_visa", **facts: Any) -> Payment:
    """The student has saved a card on Stripe's page, and we know of it."""
    payment = open_page(student, coach, opening=Payment.Opening.SAVE, **facts)
    pay(sandbox, payment, card)
    services.refresh_payment(payment=payment, now=clock.now())
    payment.refresh_from_db()
    assert payment.status == Payment.Status.SAVED
    return payment


def request_capture(payment: Payment, now: datetime, **part: Any) -> None:
    with transaction.atomic():
        services.request_capture(payment=payment, now=now, **part)


def request_hold(payment: Payment, now: datetime) -> None:
    with transaction.atomic():
        services.request_hold(payment=payment, now=now)


def renew_hold(payment: Payment, now: datetime) -> Payment:
    with transaction.atomic():
        return services.renew_hold(payment=payment, now=now)


def give_back(payment: Payment, now: datetime) -> None:
    with transaction.atomic():
        services.give_back(payment=payment, now=now)


def request_release(payment: Payment, now: datetime) -> None:
    with transaction.atomic():
        services.request_release(payment=payment, now=now)


def break_next(sandbox: Sandbox, action: str, path: str, **more: Any) -> None:
    """The next POST to this path (or what `more` says) goes wrong."""
    sandbox.post("/_sandbox/faults", {"action": action, "method": "POST", "path": path, **more})


def await_that(true: Callable[[], object]) -> None:
    """Waits for it, and fails where it does not come: a slow machine gets a minute."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came to this"
        time.sleep(0.01)


def let_go(sandbox: Sandbox, when: Callable[[], object]) -> None:
    """Once this is so, the requests that a fault has made wait go on."""
    await_that(when)
    sandbox.post("/_sandbox/faults/release")


def hits(sandbox: Sandbox) -> int:
    """How many requests the first fault has struck."""
    return len(sandbox.get("/_sandbox/faults")["data"][0]["hits"])


def calls(sandbox: Sandbox, path: str, method: str = "POST") -> list[dict[str, Any]]:
    """What Stripe was asked, oldest first; `path` is a part of the address."""
    rows = sandbox.get("/_sandbox/requests")["data"]
    return [row for row in rows if row["method"] == method and path in row["path"]]


def effects(sandbox: Sandbox, path: str) -> int:
    """How often it was done, however often it was asked for."""
    return sum(row["effect"] for row in calls(sandbox, path))


def at_stripe(sandbox: Sandbox, path: str) -> dict[str, Any]:
    """An object as Stripe has it."""
    answer = requests.get(sandbox.url + path, auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30)
    answer.raise_for_status()
    return dict(answer.json())


def post_at_stripe(sandbox: Sandbox, path: str, form: dict[str, Any]) -> dict[str, Any]:
    """Somebody does it in Stripe's dashboard."""
    answer = requests.post(sandbox.url + path, data=form, auth=(settings.STRIPE_SECRET_KEY, ""), timeout=30)
    answer.raise_for_status()
    return dict(answer.json())


def pay_refused(sandbox: Sandbox, address: str, card: str = "pm_card_chargeDeclined") -> None:
    """The student tries a card that the bank declines."""
    assert requests.post(sandbox.url + address, json={"payment_method": card}, timeout=30).status_code == 402


def mend(sandbox: Sandbox) -> None:
    """Nothing goes wrong any more."""
    requests.delete(sandbox.url + "/_sandbox/faults", timeout=30).raise_for_status()


def apart(act: Callable[[], object]) -> None:
    """In a thread, with a database connection of its own that ends with it."""
    try:
        act()
    finally:
        connections.close_all()


def at_once(acts: list[Callable[[], object]]) -> None:
    """Each in a thread of its own, all let go at the same moment."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        barrier.wait()
        apart(act)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
