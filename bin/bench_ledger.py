"""`bin/bench ledger`: how long the books take to check themselves, with two million entries in PostgreSQL.

Then something of each kind is put wrong among them, and the check has to find it, and nothing else. Exit status 1
where a target is missed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bin.bench_intake import machine, migrate, postgres, say
from bin.bench_slots import multiply, set_environment

if TYPE_CHECKING:
    from coaches.models import Coach

NOW = datetime(2026, 11, 1, tzinfo=UTC)
# Of those the last is not paid out yet.
MONTHS = 12
ROUNDS = 5
LONGEST = 5.0  # seconds


def main() -> int:
    asked = wishes("ledger", __doc__, payments=416_000)
    with postgres() as database:
        set_environment(database)
        migrate()
        import django

        django.setup()
        entries = fill(asked.coaches, asked.payments)
        if asked.plans:
            print_plans()
            return 0
        print(
            f"\n{machine()}\n{entries} entries: {asked.payments} captures of {asked.coaches} coaches in {MONTHS} months"
        )
        missed = [*measure(), *plant_each()]
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


def wishes(name: str, purpose: str, *, payments: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"bin/bench {name}", description=purpose.partition("\n")[0])
    parser.add_argument("--payments", type=int, default=payments)
    parser.add_argument("--coaches", type=int, default=10_000)
    parser.add_argument("--plans", action="store_true", help="print PostgreSQL's plan of each query, and end")
    return parser.parse_args()


# --- the data -----------------------------------------------------------------------------------


def fill(coaches: int, payments: int) -> int:
    """Returns how many entries there are. Rows are multiplied inside the database, past its triggers."""
    begin = time.perf_counter()
    _run("SET session_replication_role = replica")
    say(f"Writing {payments} payments ...")
    _write_rows(coaches, payments)
    say("Writing the books ...")
    for statement in (*LINES, *BOOKS):
        _run(statement)
    _run("VACUUM ANALYZE")
    say(f"... in {time.perf_counter() - begin:.0f} s")
    return _number("SELECT count(*) FROM payments_ledgerentry")


def _write_rows(coaches: int, payments: int) -> None:
    """The n-th payment is of coach n, counted around; every other coach is paid in euros. Each is in another month."""
    from marketplace.tests.factories import CoachFactory
    from payments.models import Earning, Payment
    from payments.tests.factories_books import earn

    first = CoachFactory.create()
    user = multiply(first.user, coaches, email="'teaches' || n || '@example.com'")
    coach = multiply(first, coaches, user_id=f"{user} + n", slug="'teaches-' || n")
    share = earn(first, booked=False, captured_amount=10_000, amount=10_000)
    which, month = f"((n - 1) % {coaches})", f"((n - 1) / {coaches} % {MONTHS})"
    moment = (
        f"timestamptz '{NOW.isoformat()}' - ({MONTHS} - {month}) * interval '1 month' + n % 600 * interval '1 hour'"
    )
    theirs = {"coach_id": f"{coach} + 1 + {which}", "currency": "CASE n % 2 WHEN 0 THEN 'usd' ELSE 'eur' END"}
    price = "10000 + n % 50 * 100"
    before = multiply(
        share.paid_for,
        payments,
        **theirs,
        reference="'booking:' || n",
        charge_id="'ch_' || n",
        payment_intent_id="'pi_' || n",
        amount=price,
        captured_amount=price,
        platform_fee=f"({price}) / 5",
        stripe_fee_amount=f"({price}) * 29 / 1000 + 30",
        captured_at=moment,
    )
    lines = _write_lines(first, coaches, theirs)
    multiply(
        share,
        payments,
        **theirs,
        payment_id=f"{before} + n",
        amount=f"({price}) - ({price}) / 5",
        line_id=f"CASE WHEN {month} < {MONTHS - 1} THEN {lines} + 1 + {month} * {coaches} + {which} END",
    )
    Earning.objects.filter(pk=share.pk).delete()
    Payment.objects.filter(pk=share.paid_for.pk).delete()


def _write_lines(first: "Coach", coaches: int, theirs: dict[str, str]) -> int:
    """One of each coach in each month but the last. Returns the id before the first one's."""
    from payments.models import PayoutLine, PayoutRun

    runs = [
        PayoutRun.objects.create(month=f"{2025 + (10 + index) // 12}-{(10 + index) % 12 + 1:02}", opened_at=NOW)
        for index in range(MONTHS - 1)
    ]
    line = PayoutLine.objects.create(run=runs[0], coach=first, amount=1, currency="usd", status="paid", paid_at=NOW)
    before = multiply(line, coaches * (MONTHS - 1), **theirs, run_id=f"{runs[0].pk} + (n - 1) / {coaches}")
    PayoutLine.objects.filter(pk=line.pk).delete()
    return before


# One payment in twenty was refunded, and one in two hundred disputed.
LINES = (
    # Refunds, and what was taken back for them: on the same line, or by a reversal of its transfer.
    """INSERT INTO payments_refund (payment_id, amount, currency, coach_part, fee_part, loss_part, bearer, reason,
            note, status, stripe_refund_id, failure, otherwise_note, created_at)
        SELECT p.id, p.amount, p.currency, p.amount - p.platform_fee, p.platform_fee, 0, 'shared', 'student_asked', '',
            CASE WHEN p.id % 50 = 0 THEN 'pending' ELSE 'succeeded' END, 're_' || p.id, '', '', p.captured_at
        FROM payments_payment p WHERE (p.id / 10007 + p.id) % 20 = 0""",
    """UPDATE payments_payment p SET refunded_amount = amount, taken_back_amount = amount - platform_fee,
            returned_fee_amount = platform_fee WHERE (p.id / 10007 + p.id) % 20 = 0""",
    """INSERT INTO payments_earning (payment_id, kind, coach_id, amount, currency, release_at, frozen, line_id,
            created_at)
        SELECT e.payment_id, 'taken_back', e.coach_id, -e.amount, e.currency, e.release_at, false,
            CASE WHEN e.payment_id % 3 > 0 THEN e.line_id END, e.created_at
        FROM payments_earning e JOIN payments_refund r USING (payment_id)""",
    # What a line pays is what is on it; where nothing is left there is none.
    """UPDATE payments_payoutline l SET amount = s.total
        FROM (SELECT line_id, sum(amount) AS total FROM payments_earning GROUP BY line_id) s WHERE s.line_id = l.id""",
    """INSERT INTO payments_transfer (stripe_transfer_id, coach_id, destination, amount, currency, line_id,
            reversed_amount, created_at)
        SELECT 'tr_' || id, coach_id, 'acct_' || coach_id, amount, currency, id, 0, paid_at FROM payments_payoutline""",
    """INSERT INTO payments_reversal (transfer_id, amount, currency, refund_id, status, stripe_reversal_id, refusal,
            created_at)
        SELECT t.id, r.coach_part, r.currency, r.id, 'done', 'trr_' || r.id, '', r.created_at
        FROM payments_refund r JOIN payments_earning e ON e.payment_id = r.payment_id AND e.kind = 'share'
        JOIN payments_transfer t ON t.line_id = e.line_id WHERE r.payment_id % 3 = 0""",
    """UPDATE payments_earning e SET reversal_id = v.id FROM payments_reversal v JOIN payments_refund r
        ON r.id = v.refund_id WHERE e.payment_id = r.payment_id AND e.kind = 'taken_back' AND e.line_id IS NULL""",
    """INSERT INTO payments_dispute (stripe_dispute_id, payment_id, charge_id, amount, currency, reason, status,
            refundable, charged_to, evidence_state, evidence, version, coach_says, opened_at)
        SELECT 'dp_' || p.id, p.id, p.charge_id, p.amount, p.currency, 'fraudulent',
            (ARRAY['needs_response', 'won', 'lost'])[1 + p.id % 3], false, 'platform', 'none', '{}', 1, '',
            p.captured_at
        FROM payments_payment p WHERE (p.id / 10007 + p.id) % 200 = 7""",
)

BOOKS = (
    """CREATE TEMP TABLE booked (kind text, reference text, payment_id bigint, at timestamptz, account text,
        currency text, amount bigint, balance_transaction text)""",
    """INSERT INTO booked SELECT 'capture', p.charge_id, p.id, p.captured_at, side.account, p.currency,
            side.amount, side.txn
        FROM payments_payment p CROSS JOIN LATERAL (VALUES
            ('stripe_balance', p.amount - p.stripe_fee_amount, 'txn_' || p.charge_id),
            ('stripe_fees', p.stripe_fee_amount, ''),
            ('coach_payable:' || p.coach_id, p.platform_fee - p.amount, ''),
            ('platform_revenue', -p.platform_fee, '')) side (account, amount, txn)""",
    """INSERT INTO booked SELECT 'refund_decided', 'refund:' || r.id, r.payment_id, r.created_at, side.account,
            r.currency, side.amount, ''
        FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id CROSS JOIN LATERAL (VALUES
            ('coach_payable:' || p.coach_id, r.coach_part),
            ('platform_revenue', r.fee_part),
            ('refunds_in_flight', -r.amount)) side (account, amount)""",
    """INSERT INTO booked SELECT 'refund', r.stripe_refund_id, r.payment_id, r.created_at, side.account, r.currency,
            side.amount, side.txn
        FROM payments_refund r CROSS JOIN LATERAL (VALUES
            ('stripe_balance', -r.amount, 'txn_' || r.stripe_refund_id),
            ('refunds_in_flight', r.amount, '')) side (account, amount, txn) WHERE r.status = 'succeeded'""",
    """INSERT INTO booked SELECT 'transfer', t.stripe_transfer_id, NULL, t.created_at, side.account, t.currency,
            side.amount, side.txn
        FROM payments_transfer t CROSS JOIN LATERAL (VALUES
            ('coach_payable:' || t.coach_id, t.amount, ''),
            ('stripe_balance', -t.amount, 'txn_' || t.stripe_transfer_id)) side (account, amount, txn)""",
    """INSERT INTO booked SELECT 'reversal', v.stripe_reversal_id, r.payment_id, v.created_at, side.account, v.currency,
            side.amount, side.txn
        FROM payments_reversal v JOIN payments_refund r ON r.id = v.refund_id
        JOIN payments_transfer t ON t.id = v.transfer_id CROSS JOIN LATERAL (VALUES
            ('stripe_balance', v.amount, 'txn_' || v.stripe_reversal_id),
            ('coach_payable:' || t.coach_id, -v.amount, '')) side (account, amount, txn)""",
    """INSERT INTO booked SELECT 'dispute_withdrawn', d.stripe_dispute_id, d.payment_id, d.opened_at, side.account,
            d.currency, side.amount, side.txn
        FROM payments_dispute d CROSS JOIN LATERAL (VALUES
            ('stripe_balance', -d.amount - 1500, 'txn_' || d.stripe_dispute_id),
            ('stripe_fees', 1500, ''),
            ('disputes_held', d.amount, '')) side (account, amount, txn)""",
    """INSERT INTO booked SELECT CASE d.status WHEN 'won' THEN 'dispute_reinstated' ELSE 'dispute_lost' END,
            d.stripe_dispute_id, d.payment_id, d.opened_at, side.account, d.currency, side.amount, side.txn
        FROM payments_dispute d CROSS JOIN LATERAL (VALUES
            (CASE d.status WHEN 'won' THEN 'stripe_balance' ELSE 'platform_losses' END, d.amount,
             CASE d.status WHEN 'won' THEN 'txn_back_' || d.stripe_dispute_id ELSE '' END),
            ('disputes_held', -d.amount, '')) side (account, amount, txn) WHERE d.status IN ('won', 'lost')""",
    "INSERT INTO payments_ledgeraccount (code, currency) SELECT DISTINCT account, currency FROM booked",
    # In the order of time, as they come.
    """INSERT INTO payments_ledgertransaction (kind, reference, payment_id, occurred_at, recorded_at)
        SELECT DISTINCT ON (at, kind, reference) kind, reference, payment_id, at, at FROM booked
        ORDER BY at, kind, reference""",
    """INSERT INTO payments_ledgerentry (transaction_id, account_id, amount, balance_transaction_id)
        SELECT t.id, a.id, b.amount, b.balance_transaction FROM booked b
        JOIN payments_ledgertransaction t ON t.kind = b.kind AND t.reference = b.reference
        JOIN payments_ledgeraccount a ON a.code = b.account AND a.currency = b.currency ORDER BY t.id""",
)


# --- the check ----------------------------------------------------------------------------------


def measure() -> list[str]:
    from payments import ledger

    taken, found = [], []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        found = ledger.check()
        taken.append(time.perf_counter() - begin)
    print(f"ledger.check(): {', '.join(f'{each:.2f}' for each in taken)} s; {len(found)} imbalance(s)")
    missed = [f"in good books: {imbalance}" for imbalance in found[:5]]
    if max(taken) >= LONGEST:
        missed.append(f"{max(taken):.2f} s, not below {LONGEST}")
    return missed


def print_plans() -> None:
    from django.db import connection

    from payments import ledger

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        with context["connection"].connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
            print("\n".join([sql, *(str(row[0]) for row in cursor.fetchall())]), end="\n\n")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        ledger.check()


# --- what is wrong is found ---------------------------------------------------------------------

# What is put wrong -> how, and what the check says of it, each part of an imbalance of its own.
PLANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a transaction that does not sum to zero": (
        """UPDATE payments_ledgerentry SET amount = amount + 1 WHERE id = (SELECT min(e.id) FROM payments_ledgerentry e
            JOIN payments_ledgeraccount a ON a.id = e.account_id WHERE a.code = 'stripe_fees')""",
        ("Ledger transaction", "The books as a whole are off by 1"),
    ),
    "a sum that is zero only across currencies": (
        """UPDATE payments_ledgerentry SET account_id =
                (SELECT id FROM payments_ledgeraccount WHERE code = 'stripe_fees' AND currency = 'usd')
            WHERE id = (SELECT max(e.id) FROM payments_ledgerentry e JOIN payments_ledgeraccount a
                ON a.id = e.account_id WHERE a.code = 'stripe_fees' AND a.currency = 'eur')""",
        ("Ledger transaction", "Ledger transaction", "The books as a whole", "The books as a whole"),
    ),
    "a transaction without lines": (
        """INSERT INTO payments_ledgertransaction (kind, reference, occurred_at, recorded_at)
            VALUES ('forged', '1', now(), now())""",
        ("has no lines",),
    ),
    "money left in a clearing account": (
        """WITH t AS (INSERT INTO payments_ledgertransaction (kind, reference, occurred_at, recorded_at)
                VALUES ('forged', '1', now(), now()) RETURNING id)
            INSERT INTO payments_ledgerentry (transaction_id, account_id, amount, balance_transaction_id)
            SELECT t.id, a.id, CASE a.code WHEN 'disputes_held' THEN 7 ELSE -7 END, '' FROM t, payments_ledgeraccount a
            WHERE a.code IN ('disputes_held', 'platform_losses') AND a.currency = 'usd'""",
        ("disputes_held has not returned to zero: 7 usd",),
    ),
    "a refund that its payment does not count": (
        """UPDATE payments_payment SET refunded_amount = 0, taken_back_amount = 0, returned_fee_amount = 0
            WHERE id = (SELECT max(payment_id) FROM payments_refund)""",
        ("does not count its refunds right",),
    ),
    "a capture that is not booked": (
        """UPDATE payments_ledgertransaction SET kind = 'forged' WHERE id = (SELECT max(id)
            FROM payments_ledgertransaction WHERE kind = 'capture')""",
        ("is captured but not booked",),
    ),
    "a transfer that is not booked": (
        """UPDATE payments_ledgertransaction SET reference = 'tr_unknown' WHERE id = (SELECT max(id)
            FROM payments_ledgertransaction WHERE kind = 'transfer')""",
        ("is not booked",),
    ),
    "a paid line without a transfer": (
        """INSERT INTO payments_payoutline (run_id, coach_id, amount, currency, status, waiting_for, held_reason)
            SELECT min(run_id), min(coach_id), 1, 'gbp', 'paid', '', '' FROM payments_payoutline""",
        ("is paid but has no transfer",),
    ),
    "an earning that the books do not owe": (
        """UPDATE payments_earning SET amount = amount + 1 WHERE id = (SELECT max(id) FROM payments_earning
            WHERE line_id IS NULL AND reversal_id IS NULL)""",
        ("unpaid earnings and the books differ by 1",),
    ),
}  # fmt: skip


def plant_each() -> list[str]:
    from django.db import transaction

    from payments import ledger

    missed = []
    for name, (statement, words) in PLANTS.items():
        with transaction.atomic():
            _run(statement)
            found = [str(imbalance) for imbalance in ledger.check()]
            transaction.set_rollback(True)
        as_said = len(found) == len(words) and all(part in said for part, said in zip(words, found, strict=True))
        print(f"{name}: {'found' if as_said else found[:5]}")
        if not as_said:
            missed.append(f"{name} is not found as what it is")
    return missed


def _run(statement: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)


def _number(statement: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
