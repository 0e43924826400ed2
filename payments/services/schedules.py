"""When Stripe sends a coach's balance to their bank: their own choice, within the operator's limits."""

from datetime import datetime

from django.conf import settings

from coaches.models import Coach
from marketplace.lib.errors import DomainError
from payments.models import Operation, PayoutAccount
from payments.services.account_changes import RefusedByStripe, account_of, carry_out

# Stripe pays out on these only (https://docs.stripe.com/payouts#payout-schedule).
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


class ScheduleOutOfBounds(DomainError):
    """The words name the limit."""

    code = "schedule_out_of_bounds"
    status = 400


def choose_schedule(
    *,
    coach: Coach,
    interval: str,
    now: datetime,
    monthly_anchor: int | None = None,
    weekly_anchor: str = "",
) -> PayoutAccount:
    """ "daily", "weekly" on a weekday ("monday"), or "monthly" on a day of the month: in a month that is shorter, its
    last one. Network. Returns the account with the schedule as Stripe has it now.

    Raises ScheduleOutOfBounds, NoPayoutAccount, AccountGone, ChangeUnderWay, AnswerLate, RefusedByStripe.
    """
    schedule = _within_bounds(interval, monthly_anchor, weekly_anchor)
    account = account_of(coach)
    params = {"settings": {"payouts": {"schedule": schedule}}}
    operation = carry_out(Operation.Kind.UPDATE_ACCOUNT, coach=coach, params=params, now=now)
    if operation.state == Operation.State.FAILED:
        raise RefusedByStripe("Stripe would not change your schedule. It is as it was.")
    account.refresh_from_db()
    return account


def _within_bounds(interval: str, monthly_anchor: int | None, weekly_anchor: str) -> dict[str, str | int]:
    if interval not in settings.PAYOUT_INTERVALS:
        raise ScheduleOutOfBounds(f"You can be paid out: {', '.join(settings.PAYOUT_INTERVALS)}.")
    if interval == "daily":
        return {"interval": interval}
    if interval == "weekly":
        if weekly_anchor not in WEEKDAYS:
            raise ScheduleOutOfBounds("Choose a day from Monday to Friday.")
        return {"interval": interval, "weekly_anchor": weekly_anchor}
    earliest, latest = settings.PAYOUT_EARLIEST_DAY, settings.PAYOUT_LATEST_DAY
    if type(monthly_anchor) is not int or not earliest <= monthly_anchor <= latest:
        raise ScheduleOutOfBounds(f"Choose a day of the month from {earliest} to {latest}.")
    return {"interval": interval, "monthly_anchor": monthly_anchor}
