"""Payouts: from an account's balance to its bank, by hand or by schedule, and back when they are reversed.

Not documented, so the sandbox's own: an instant payout costs nothing and arrives after half an hour, and the payout that
reverses another has its amount with the sign turned and books it as a `payout` of the category `payout_reversal`.
"""

import calendar
import heapq
from datetime import UTC, datetime
from typing import Any

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, StripeError, no_such, validation
from stripe_sandbox.money import DAY
from stripe_sandbox.rendering import by, in_range, page
from stripe_sandbox.routing import Call, metadata, route
from stripe_sandbox.world import Resource, World, job

from . import kyc, payout_failures

NO_FUNDS = (
    "You have insufficient funds in your Stripe account for this transfer. Your card balance is too low.  You can use the /v1/balance endpoint "
    "to view your Stripe balance (for more details, see stripe.com/docs/api#balance)."
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOUR = 3600
INSTANT = 30 * 60
LONGEST_DESCRIPTOR = 22
# Currencies that are paid out in whole units of a hundred, or in tens.
STEPS = {"huf": 100, "twd": 100, **dict.fromkeys(money.THREE_DECIMAL, 10)}
REVERSIBLE_IN = ("US", "CA")


def ensure_schedule(world: World) -> None:
    """Starts the daily look at the payout schedules, shortly after midnight UTC when that day's funds have become available.

    Again, where the clock was moved back from it: the days until then have theirs, too.
    """
    jobs, next_look = world.state.jobs, _next_midnight(world)
    looks = [each for each in jobs if each[2] == "pay_out_by_schedule"]
    if any(due <= next_look for due, *_ in looks):
        return
    for each in looks:
        jobs.remove(each)
    heapq.heapify(jobs)
    world.schedule(next_look, "pay_out_by_schedule")


def _next_midnight(world: World) -> int:
    return (world.now() // DAY + 1) * DAY + 60


@job
def pay_out_by_schedule(world: World) -> None:
    """One payout of all that is available, for each account and currency whose day it is."""
    world.schedule(_next_midnight(world), "pay_out_by_schedule")
    for (account, currency), (available, _) in sorted(world.state.balances.items()):
        owner = world.get(account)
        if (
            available > 0
            and owner["payouts_enabled"]
            and not owner.hidden.get("deleted")
            and _is_due(owner, world.now())
        ):
            bank = _bank(owner, currency)
            amount = available - owner.hidden.get("minimum_balance", {}).get(currency, 0)
            amount -= amount % STEPS.get(currency, 1)
            if bank is not None and bank["status"] not in kyc.UNUSABLE and amount > 0:
                make(world, owner, bank, amount, currency, automatic=True, description="STRIPE PAYOUT")


def _is_due(owner: Resource, now: int) -> bool:
    schedule, today = owner["settings"]["payouts"]["schedule"], datetime.fromtimestamp(now, UTC)
    if schedule["interval"] == "weekly":
        return WEEKDAYS[today.weekday()] in (schedule.get("weekly_payout_days") or [schedule.get("weekly_anchor")])
    if schedule["interval"] == "monthly":
        last = calendar.monthrange(today.year, today.month)[1]
        return today.day in [
            min(day, last) for day in schedule.get("monthly_payout_days") or [schedule["monthly_anchor"]]
        ]
    return bool(schedule["interval"] == "daily")


def _bank(owner: Resource, currency: str) -> Resource | None:
    banks = [
        bank
        for bank in owner["external_accounts"]["data"]
        if bank["currency"] == currency and bank["default_for_currency"]
    ]
    return banks[0] if banks else None


def make(
    world: World,
    owner: Resource,
    bank: Resource,
    amount: int,
    currency: str,
    *,
    automatic: bool,
    description: str | None,
    **fields: Any,
) -> Resource:
    """Makes the payout: the money leaves the balance now and reaches the bank on the next day (or is refused there)."""
    instant = fields.get("method") == "instant"
    arrival = world.now() + INSTANT if instant else max((world.now() // DAY + 1) * DAY, world.now() + HOUR)
    covered = _cover(world, owner.id, currency) if automatic else []
    payout = world.create(
        "payout",
        owner.id,
        {
            "amount": amount,
            "arrival_date": arrival,
            "automatic": automatic,
            "currency": currency,
            "description": description,
            "destination": bank.id,
            "method": "standard",
            "reconciliation_status": "in_progress" if automatic else "not_applicable",
            "source_type": "card",
            "status": "pending",
            "trace_id": {"status": "pending", "value": None},
            "type": bank["object"],
            **fields,
        },
    )
    out: Json = {"type": "payout", "category": "payout", "source": payout.id, "description": description}
    transaction = money.post(world, owner.id, amount=-amount, currency=currency, **out)
    transaction.hidden["payout"] = True
    payout["balance_transaction"] = transaction.id
    payout.hidden["transactions"] = [*covered, transaction.id]
    world.schedule(world.now() + (INSTANT // 2 if instant else HOUR), "payout_leaves", payout=payout.id)
    world.schedule(arrival, "payout_arrives", payout=payout.id)
    events.emit(world, owner.id, "payout.created", payout)
    return payout


def _cover(world: World, account: str, currency: str) -> list[str]:
    """The available transactions that no payout has paid out yet; from now on this one has."""
    covered = [
        each
        for each in world.all("balance_transaction", account)
        if each["currency"] == currency and each["status"] == "available" and "payout" not in each.hidden
    ]
    for each in covered:
        each.hidden["payout"] = True
    return [each.id for each in covered]


@job
def payout_leaves(world: World, *, payout: str) -> None:
    found = world.get(payout)
    if found["status"] == "pending":
        events.changed(
            world,
            found.account,
            "payout.updated",
            found,
            status="in_transit",
            trace_id={"status": "pending", "value": None},
        )


@job
def payout_arrives(world: World, *, payout: str) -> None:
    found = world.get(payout)
    if found["status"] not in ("pending", "in_transit"):
        return
    code = payout_failures.BY_NUMBER.get(world.get(found["destination"]).hidden["number"])
    if code:
        fail(world, found, code)
        return
    found.update(status="paid", trace_id={"status": "supported", "value": world.token(12).upper()})
    events.emit(world, found.account, "payout.paid", found)
    if found["automatic"]:
        found["reconciliation_status"] = "completed"
        events.emit(world, found.account, "payout.reconciliation_completed", found)


def fail(world: World, payout: Resource, code: str) -> None:
    """The bank refuses the payout: the money comes back, and the bank account is out of use until it is replaced."""
    if payout["reversed_by"] or payout["original_payout"]:
        raise StripeError("A payout that was reversed, or reverses another, cannot fail.")
    returned = money.post(
        world,
        payout.account,
        type="payout_failure",
        category="payout_reversal",
        amount=payout["amount"],
        currency=payout["currency"],
        source=payout.id,
    )
    payout.update(
        status="failed",
        failure_balance_transaction=returned.id,
        failure_code=code,
        failure_message=payout_failures.MESSAGES.get(code, "The payout was refused by the bank."),
    )
    events.emit(world, payout.account, "payout.failed", payout)
    bank = world.get(payout["destination"])
    events.changed(world, payout.account, "account.external_account.updated", bank, status="errored")
    if not world.is_platform(payout.account):
        _ask_for_another_bank(world, world.get(payout.account))


def _ask_for_another_bank(world: World, owner: Resource) -> None:
    """Payouts are paused until there is another bank account; nothing else of the account stops."""
    asked = owner["requirements"]
    due = {name: sorted({*asked[name], "external_account"}) for name in ("currently_due", "eventually_due")}
    events.changed(world, owner.id, "account.updated", owner, requirements={**asked, **due})


@route("POST", "/v1/payouts", "PayoutCreateParams")
def create(call: Call) -> Json:
    world, params = call.world, call.params
    owner, currency = world.get(call.account), money.check_currency(params["currency"])
    if params["amount"] < 1:
        raise StripeError("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    step = STEPS.get(currency, 1)
    if params["amount"] % step:
        raise validation(f"Invalid amount: payouts in {currency} must be a multiple of {step}.", "amount")
    if not owner["payouts_enabled"]:
        raise StripeError(
            "Payouts are not allowed on this account until its requirements are met.", code="payouts_not_allowed"
        )
    bank, method = _destination(call, owner, currency), params.get("method", "standard")
    if method not in bank["available_payout_methods"]:
        raise StripeError(
            "This external account does not support instant payouts.",
            code="instant_payouts_unsupported",
            param="method",
        )
    descriptor = params.get("statement_descriptor") or None
    if descriptor and len(descriptor) > LONGEST_DESCRIPTOR:
        raise validation(
            f"Invalid string: {descriptor[:4]}...{descriptor[-4:]}; must be at most {LONGEST_DESCRIPTOR} characters",
            "statement_descriptor",
        )
    source = params.get("source_type", "card")
    if source != "card" or money.available(world, call.account, currency) < params["amount"]:
        # Everything here comes of cards: the balances of other sources are empty.
        raise StripeError(NO_FUNDS.replace("card", source, 1), code="balance_insufficient")
    return make(
        world,
        owner,
        bank,
        params["amount"],
        currency,
        automatic=False,
        description=params.get("description") or None,
        metadata=metadata({}, params.get("metadata")),
        method=method,
        statement_descriptor=descriptor,
    )


def _destination(call: Call, owner: Resource, currency: str) -> Resource:
    """The named bank account or debit card, or the default one of the currency."""
    wanted = call.params.get("destination")
    bank = _bank(owner, currency)
    if wanted:
        bank = next((each for each in owner["external_accounts"]["data"] if each["id"] == wanted), None)
        if bank is None:
            raise no_such("external account", wanted, param="destination")
    if bank is None or bank["currency"] != currency:
        raise StripeError(f"Sorry, you don't have any external accounts in that currency ({currency}).")
    if bank["status"] in kyc.UNUSABLE:
        raise StripeError(
            "The bank account provided can not be used for payouts. A different bank account must be used.",
            code="bank_account_unusable",
            param="destination",
        )
    return bank


@route("GET", "/v1/payouts/{id}", "PayoutRetrieveParams")
def retrieve(call: Call) -> Json:
    return call.require("payout", "id", param="payout")


@route("GET", "/v1/payouts", "PayoutListParams")
def list_payouts(call: Call) -> Json:
    arrival = call.params.get("arrival_date")
    return page(
        call,
        "payout",
        "/v1/payouts",
        {"destination": by("destination"), "status": by("status")},
        only=in_range("arrival_date", arrival) if arrival else None,
    )


@route("POST", "/v1/payouts/{id}", "PayoutUpdateParams")
def update(call: Call) -> Json:
    payout = call.require("payout", "id", param="payout")
    events.changed(
        call.world,
        call.account,
        "payout.updated",
        payout,
        metadata=metadata(payout["metadata"], call.params.get("metadata")),
    )
    return payout


@route("POST", "/v1/payouts/{id}/cancel", "PayoutCancelParams")
def cancel(call: Call) -> Json:
    payout = call.require("payout", "id", param="payout")
    if payout["status"] != "pending" or payout["automatic"]:
        raise StripeError(
            "Payouts can only be canceled while they are pending and if they were not created automatically."
        )
    returned = money.post(
        call.world,
        call.account,
        type="payout_cancel",
        category="payout_reversal",
        amount=payout["amount"],
        currency=payout["currency"],
        source=payout.id,
    )
    payout.update(status="canceled", failure_balance_transaction=returned.id)
    events.emit(call.world, call.account, "payout.canceled", payout)
    return payout


@route("POST", "/v1/payouts/{id}/reverse", "PayoutReverseParams")
def reverse(call: Call) -> Json:
    """Takes a paid payout back from the bank: the money is pending until it has arrived."""
    payout, world = call.require("payout", "id", param="payout"), call.world
    if payout["status"] != "paid" or payout["reversed_by"] or payout["original_payout"]:
        raise StripeError("Payouts can only be reversed once, after they have been paid.")
    if payout["type"] != "bank_account" or world.get(call.account)["country"] not in REVERSIBLE_IN:
        raise StripeError("Only payouts to bank accounts in the United States and Canada can be reversed.")
    arrival = (world.now() // DAY + 1) * DAY
    same = ("currency", "destination", "source_type", "statement_descriptor", "method", "type")
    reversal = world.create(
        "payout",
        call.account,
        {
            **{name: payout[name] for name in same},
            "amount": -payout["amount"],
            "arrival_date": arrival,
            "automatic": False,
            "metadata": metadata({}, call.params.get("metadata")),
            "original_payout": payout.id,
            "reconciliation_status": "not_applicable",
            "status": "pending",
            "trace_id": {"status": "pending", "value": None},
        },
    )
    back: Json = {"type": "payout", "category": "payout_reversal", "source": reversal.id, "available_on": arrival}
    reversal["balance_transaction"] = money.post(
        world, call.account, amount=payout["amount"], currency=payout["currency"], **back
    ).id
    world.schedule(arrival, "reversal_arrives", payout=reversal.id)
    events.emit(world, call.account, "payout.created", reversal)
    events.changed(world, call.account, "payout.updated", payout, reversed_by=reversal.id)
    return reversal


@job
def reversal_arrives(world: World, *, payout: str) -> None:
    found = world.get(payout)
    found.update(status="paid", trace_id={"status": "supported", "value": world.token(12).upper()})
    events.emit(world, found.account, "payout.paid", found)
