"""The database's own guard over the books: rows can be added, never changed or removed.

Nothing can be added to a month that is closed. PostgreSQL also refuses, at commit, a ledger transaction that does not
sum to zero in each currency. SQLite has no such moment, and no TRUNCATE.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("payments_ledgertransaction", "payments_ledgerentry")

PAPERS = ("payments_feeinvoice", "payments_closedmonth")
TOTALS = ("payments_monthtotals",)

_POSTGRES_FUNCTIONS = """
CREATE OR REPLACE FUNCTION payments_ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE OR REPLACE FUNCTION payments_ledger_is_double_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked bigint := CASE TG_TABLE_NAME
        WHEN 'payments_ledgertransaction' THEN (to_jsonb(NEW) ->> 'id')::bigint
        ELSE (to_jsonb(NEW) ->> 'transaction_id')::bigint
    END;
BEGIN
    IF (SELECT count(*) FROM payments_ledgerentry WHERE transaction_id = checked) < 2 THEN
        RAISE EXCEPTION 'ledger transaction % has fewer than two lines', checked
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM payments_ledgerentry entry JOIN payments_ledgeraccount account ON account.id = entry.account_id
        WHERE entry.transaction_id = checked GROUP BY account.currency HAVING sum(entry.amount) <> 0
    ) THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero', checked
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
"""

_POSTGRES_MONTH = [
    """
CREATE OR REPLACE FUNCTION payments_ledger_month_is_open() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM payments_closedmonth WHERE ends_at > NEW.occurred_at) THEN
        RAISE EXCEPTION 'the month of % is closed', NEW.occurred_at USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
""",
    """CREATE TRIGGER payments_ledgertransaction_month_is_open BEFORE INSERT ON payments_ledgertransaction
       FOR EACH ROW EXECUTE FUNCTION payments_ledger_month_is_open()""",
]
_SQLITE_MONTH = [
    """CREATE TRIGGER payments_ledgertransaction_month_is_open BEFORE INSERT ON payments_ledgertransaction
       WHEN EXISTS (SELECT 1 FROM payments_closedmonth WHERE ends_at > NEW.occurred_at)
       BEGIN SELECT RAISE(ABORT, 'the month is closed'); END""",
]

_POSTGRES_PAPERS = """
CREATE OR REPLACE FUNCTION payments_paper_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'it is final: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Set the guard; safe to repeat."""
    remove(connection)
    _execute(connection, _install_statements(connection.vendor))


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the guard away: to undo the migration, and to empty a test database."""
    if connection.vendor == "sqlite":
        _execute(connection, [f"DROP TRIGGER IF EXISTS {name}" for name, _ in _sqlite_triggers()])
    if connection.vendor == "postgresql":
        _execute(
            connection,
            [
                f"DROP TRIGGER IF EXISTS {table}_{rule} ON {table}"
                for table in TABLES
                for rule in ("append_only", "no_truncate", "double_entry")
            ],
        )


def install_month_guard(connection: BaseDatabaseWrapper) -> None:
    """Needs the table of closed months, which came later. Safe to repeat."""
    remove_month_guard(connection)
    _execute(connection, _POSTGRES_MONTH if connection.vendor == "postgresql" else _SQLITE_MONTH)


def remove_month_guard(connection: BaseDatabaseWrapper) -> None:
    on_table = " ON payments_ledgertransaction" if connection.vendor == "postgresql" else ""
    _execute(connection, [f"DROP TRIGGER IF EXISTS payments_ledgertransaction_month_is_open{on_table}"])


def install_paper_guard(connection: BaseDatabaseWrapper, tables: tuple[str, ...] = PAPERS) -> None:
    """Invoices and closed months, too, are never changed or removed, nor their sums, whose table came later: TOTALS.
    Safe to repeat.
    """
    remove_paper_guard(connection, tables)
    if connection.vendor == "postgresql":
        _execute(connection, [_POSTGRES_PAPERS, *(_postgres_paper_trigger(table) for table in tables)])
    else:
        _execute(connection, [statement for _, statement in _sqlite_triggers(tables, "it is final")])


def remove_paper_guard(connection: BaseDatabaseWrapper, tables: tuple[str, ...] = PAPERS) -> None:
    if connection.vendor == "postgresql":
        _execute(connection, [f"DROP TRIGGER IF EXISTS {table}_final ON {table}" for table in tables])
    else:
        _execute(connection, [f"DROP TRIGGER IF EXISTS {name}" for name, _ in _sqlite_triggers(tables, "it is final")])


def _install_statements(vendor: str) -> list[str]:
    if vendor == "sqlite":
        return [statement for _, statement in _sqlite_triggers()]
    if vendor == "postgresql":
        return [_POSTGRES_FUNCTIONS, *(statement for table in TABLES for statement in _postgres_triggers(table))]
    return []


def _postgres_triggers(table: str) -> list[str]:
    append_only, double_entry = "payments_ledger_is_append_only()", "payments_ledger_is_double_entry()"
    return [
        f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION {append_only}""",
        f"""CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION {append_only}""",
        f"""CREATE CONSTRAINT TRIGGER {table}_double_entry AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION {double_entry}""",
    ]


def _postgres_paper_trigger(table: str) -> str:
    return f"""CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION payments_paper_is_final()"""


def _sqlite_triggers(
    tables: tuple[str, ...] = TABLES, because: str = "the ledger is append-only"
) -> list[tuple[str, str]]:
    return [
        (
            f"{table}_no_{action.lower()}",
            f"""CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}
                BEGIN SELECT RAISE(ABORT, '{because}: {action} on {table} refused'); END""",
        )
        for table in tables
        for action in ("UPDATE", "DELETE")
    ]


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
