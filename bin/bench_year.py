"""`bin/bench year`: how long everybody's year takes to be read, from the ledger and from months that are summed up.

The books are those of `bin/bench ledger`; all months but the last one are closed. Both have to say the same. Exit
status 1 where they don't, or the target is missed.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from bin.bench_intake import machine, migrate, postgres
from bin.bench_ledger import fill, wishes
from bin.bench_slots import set_environment

YEAR = 2026
LAST_OPEN = 10  # the month
ROUNDS = 3
# With a tenth of the year open.
LEAST_TIMES_AS_FAST = 3.0


def main() -> int:
    asked = wishes("year", __doc__, payments=1_200_000)
    with postgres() as database:
        set_environment(database)
        migrate()
        import django

        django.setup()
        entries = fill(asked.coaches, asked.payments)
        print(f"\n{machine()}\n{entries} entries: {asked.payments} captures of {asked.coaches} coaches in 12 months")
        return measure(plans=asked.plans)


def measure(*, plans: bool) -> int:
    from payments import statements

    before, slow = timed("from the ledger alone", lambda: statements.whole_year(YEAR))
    close_months()
    timed("summing up the closed months, once", sum_up_all, rounds=1)
    if plans:
        print_plans()
        return 0
    after, fast = timed("with the closed months summed up", lambda: statements.whole_year(YEAR))
    print(f"{slow / fast:.1f} times as fast; the same figures: {before == after}")
    fast_enough = slow / fast >= LEAST_TIMES_AS_FAST
    if not fast_enough:
        print(f"MISSED: not {LEAST_TIMES_AS_FAST} times as fast")
    return 0 if before == after and fast_enough else 1


def timed(what: str, read: Callable[[], Any], rounds: int = ROUNDS) -> tuple[Any, float]:
    """What it read last, and the median of its seconds."""
    taken, found = [], None
    for _ in range(rounds):
        begin = time.perf_counter()
        found = read()
        taken.append(time.perf_counter() - begin)
    print(f"{what}: {', '.join(f'{each:.2f}' for each in taken)} s", flush=True)
    return found, sorted(taken)[rounds // 2]


def close_months() -> None:
    """Past the program: no statements are made."""
    from marketplace.lib.months import end_of
    from payments.models import ClosedMonth

    for month in ("2025-11", "2025-12", *(f"{YEAR}-{number:02d}" for number in range(1, LAST_OPEN))):
        ClosedMonth.objects.create(month=month, ends_at=end_of(month), closed_at=end_of(month))


def sum_up_all() -> None:
    """A round of it is short: on a loaded machine it takes several. At the most each month is one."""
    from payments import statements
    from payments.models import ClosedMonth, MonthTotals

    for _ in ClosedMonth.objects.all():
        statements.sum_up_closed_months()
        if not ClosedMonth.objects.exclude(month__in=MonthTotals.objects.values("month")).exists():
            return


def print_plans() -> None:
    from django.db import connection

    from payments import statements

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        with context["connection"].connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
            print("\n".join([sql, *(str(row[0]) for row in cursor.fetchall())]), end="\n\n")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        statements.whole_year(YEAR)


if __name__ == "__main__":
    sys.exit(main())
