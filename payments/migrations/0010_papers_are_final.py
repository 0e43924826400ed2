"""The database refuses to change or remove an invoice, or to open a month again."""

from django.db import migrations

from payments import triggers


def install(apps, schema_editor):
    triggers.install_paper_guard(schema_editor.connection)


def remove(apps, schema_editor):
    triggers.remove_paper_guard(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("payments", "0009_standstill")]

    operations = [migrations.RunPython(install, remove)]
