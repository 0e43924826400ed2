"""The same promise as before, now with the coach's buffers and with the time that is proposed.

A coach's time is the session with its buffers, and so is a proposed time; a student's is the session alone. A row
never conflicts with itself, so a proposal may overlap the session that it would move.
"""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# `tstzrange(NULL, NULL)` is all of time, so the second range is there only with a proposal.
CONSTRAINT = """
ALTER TABLE bookings_booking ADD CONSTRAINT booking_{person}_no_overlap
EXCLUDE USING gist (
    int8range({person}_id, {person}_id, '[]') WITH &&,
    (CASE WHEN proposed_starts_at IS NULL THEN tstzmultirange(tstzrange({start}, {end}, '[)'))
          ELSE tstzmultirange(tstzrange({start}, {end}, '[)'), tstzrange(proposed_{start}, proposed_{end}, '[)'))
     END) WITH &&
)
WHERE (status IN ('awaiting_payment', 'requested', 'accepted'))
"""
BEFORE = """
ALTER TABLE bookings_booking ADD CONSTRAINT booking_{person}_no_overlap
EXCLUDE USING gist (int8range({person}_id, {person}_id, '[]') WITH &&, tstzrange(starts_at, ends_at, '[)') WITH &&)
WHERE (status IN ('awaiting_payment', 'requested', 'accepted'))
"""
DROP = "ALTER TABLE bookings_booking DROP CONSTRAINT booking_{person}_no_overlap"
# Whose time, and which of the columns say how much of it.
TAKEN = (("coach", "blocked_from", "blocked_until"), ("student", "starts_at", "ends_at"))


def _replace(schema_editor: BaseDatabaseSchemaEditor, constraint: str) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    for person, start, end in TAKEN:
        schema_editor.execute(DROP.format(person=person))
        schema_editor.execute(constraint.format(person=person, start=start, end=end))


def forwards(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _replace(schema_editor, CONSTRAINT)


def backwards(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _replace(schema_editor, BEFORE)


class Migration(migrations.Migration):
    dependencies = [("bookings", "0003_scheduling")]

    operations = [migrations.RunPython(forwards, backwards)]
