"""The database refuses what would be booked into a closed month."""

from django.db import migrations

from payments import triggers


def install(apps, schema_editor):
    triggers.install_month_guard(schema_editor.connection)


def remove(apps, schema_editor):
    triggers.remove_month_guard(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("payments", "0006_books")]

    operations = [migrations.RunPython(install, remove)]
