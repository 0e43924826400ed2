"""PostgreSQL itself refuses two live bookings of one coach, or of one student, that share time.

`int8range(id, id, '[]')` stands for "the same person" without the btree_gist extension. SQLite has one writer at a
time, and the check inside its transaction is enough there.
"""

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# The live states as they were when this was written; a change of them is a new migration.
CONSTRAINT = """
ALTER TABLE bookings_booking ADD CONSTRAINT booking_{person}_no_overlap
EXCLUDE USING gist (int8range({person}_id, {person}_id, '[]') WITH &&, tstzrange(starts_at, ends_at, '[)') WITH &&)
WHERE (status IN ('awaiting_payment', 'requested', 'accepted'))
"""
PEOPLE = ("coach", "student")


def add(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for person in PEOPLE:
            schema_editor.execute(CONSTRAINT.format(person=person))


def remove(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for person in PEOPLE:
            schema_editor.execute(f"ALTER TABLE bookings_booking DROP CONSTRAINT booking_{person}_no_overlap")


class Migration(migrations.Migration):
    dependencies = [("bookings", "0001_initial")]

    operations = [migrations.RunPython(add, remove)]
