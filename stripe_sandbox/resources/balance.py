"""Balance, its transactions, and its settings."""

from stripe_sandbox import events, money
from stripe_sandbox.errors import Json, validation
from stripe_sandbox.rendering import by, page
from stripe_sandbox.routing import Call, route
from stripe_sandbox.world import Resource, World

from .account_shapes import merged_schedule


@route("GET", "/v1/balance", "BalanceRetrieveParams")
def retrieve(call: Call) -> Json:
    return money.balance_object(call.world, call.account)


@route("GET", "/v1/balance_transactions/{id}", "BalanceTransactionRetrieveParams")
@route("GET", "/v1/balance/history/{id}", "BalanceTransactionRetrieveParams")
def retrieve_transaction(call: Call) -> Json:
    return call.require("balance_transaction", "id", param="id")


@route("GET", "/v1/balance_transactions", "BalanceTransactionListParams")
@route("GET", "/v1/balance/history", "BalanceTransactionListParams")
def list_transactions(call: Call) -> Json:
    """Filters by currency, source, type, and by the automatic payout that paid the transactions out."""
    payout = call.params.get("payout")
    only = None
    if payout:
        found = call.world.require("payout", payout, call.account, param="payout")
        if not found["automatic"]:
            raise validation(
                "Balance transaction history can only be filtered on automatic transfers, not manual.", "payout"
            )
        covered = set(found.hidden["transactions"])

        def only(each: Resource) -> bool:
            return each.id in covered

    return page(
        call,
        "balance_transaction",
        "/v1/balance_transactions",
        {"currency": by("currency"), "source": by("source"), "type": by("type")},
        only=only,
    )


@route("GET", "/v1/balance_settings", "BalanceSettingsRetrieveParams")
def retrieve_settings(call: Call) -> Json:
    return settings_object(call.world, call.account)


@route("POST", "/v1/balance_settings", "BalanceSettingsUpdateParams")
def update_settings(call: Call) -> Json:
    """The same settings as `settings.payouts` of the account, by their newer name."""
    owner, given = call.world.get(call.account), call.params.get("payments") or {}
    before = settings_object(call.world, call.account)
    payouts = dict(owner["settings"]["payouts"])
    schedule = (given.get("payouts") or {}).get("schedule") or {}
    if schedule:
        payouts["schedule"] = merged_schedule(payouts["schedule"], schedule)
    timing = given.get("settlement_timing") or {}
    if "delay_days_override" in timing:
        delay = timing["delay_days_override"] or None
        owner.hidden["delay_override"] = delay
        payouts["schedule"] = merged_schedule(payouts["schedule"], {"delay_days": delay or "minimum"})
    _keep_minimum(owner, given.get("payouts") or {})
    if "debit_negative_balances" in given:
        payouts["debit_negative_balances"] = given["debit_negative_balances"]
    if "statement_descriptor" in (given.get("payouts") or {}):
        payouts["statement_descriptor"] = given["payouts"]["statement_descriptor"]
    owner["settings"] = {**owner["settings"], "payouts": payouts}
    after = settings_object(call.world, call.account)
    if after != before:
        events.emit(call.world, call.account, "balance_settings.updated", after, {"payments": before["payments"]})
    return after


def _keep_minimum(owner: Resource, given: Json) -> None:
    """What an automatic payout leaves on the balance, by currency; an empty value ends it."""
    wanted = given.get("minimum_balance_by_currency")
    if wanted is None:
        return
    kept = {**owner.hidden.get("minimum_balance", {}), **wanted} if wanted else {}
    for currency, amount in kept.items():
        money.check_currency(currency)
        if amount != "" and amount < 0:
            raise validation("This value must be greater than or equal to 0.", "payments[payouts]")
    owner.hidden["minimum_balance"] = {currency: amount for currency, amount in kept.items() if amount != ""}


def settings_object(world: World, account: str) -> Json:
    owner = world.get(account)
    payouts = owner["settings"]["payouts"]
    schedule = payouts["schedule"]
    weekly = schedule.get("weekly_payout_days") or (
        [schedule["weekly_anchor"]] if schedule.get("weekly_anchor") else None
    )
    monthly = schedule.get("monthly_payout_days") or (
        [schedule["monthly_anchor"]] if schedule.get("monthly_anchor") else None
    )
    return {
        "object": "balance_settings",
        "payments": {
            "debit_negative_balances": payouts["debit_negative_balances"],
            "payouts": {
                "automatic_transfer_rules_by_currency": {},
                "minimum_balance_by_currency": owner.hidden.get("minimum_balance") or None,
                "schedule": {
                    "interval": schedule["interval"],
                    "monthly_payout_days": monthly,
                    "weekly_payout_days": weekly,
                },
                "statement_descriptor": payouts["statement_descriptor"],
                "status": "enabled" if owner["payouts_enabled"] else "disabled",
            },
            "settlement_timing": {
                "delay_days": schedule["delay_days"],
                "delay_days_override": owner.hidden.get("delay_override"),
                "start_of_day": {"hour": 0, "minutes": 0, "timezone": "Etc/UTC"},
            },
        },
    }


def check(world: World) -> list[str]:
    """Where a balance differs from the sum of its transactions: always nothing, unless the sandbox is wrong."""
    sums: dict[tuple[str, str], list[int]] = {}
    for (account, kind), transactions in world.state.lists.items():
        if kind == "balance_transaction":
            for each in transactions:
                row = sums.setdefault((account, each["currency"]), [0, 0])
                row[1 if each["status"] == "pending" else 0] += each["net"]
    kept = world.state.balances
    return [
        f"{account} {currency}: kept {kept.get((account, currency))}, transactions give {row}"
        for (account, currency), row in sums.items()
        if kept.get((account, currency)) != row
    ]
