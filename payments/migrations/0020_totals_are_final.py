"""The database refuses to change or remove the sums of a closed month."""

from django.db import migrations

from payments import triggers


def install(apps, schema_editor):
    triggers.install_paper_guard(schema_editor.connection, triggers.TOTALS)


def remove(apps, schema_editor):
    triggers.remove_paper_guard(schema_editor.connection, triggers.TOTALS)


class Migration(migrations.Migration):
    dependencies = [("payments", "0019_adjusted_totals")]

    operations = [migrations.RunPython(install, remove)]
