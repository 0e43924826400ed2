"""A paper says which earlier invoices it corrects, each at its own rate of tax."""

from django.db import migrations, models

from payments import triggers


def guard(apps, schema_editor):
    """SQLite makes the table anew for a column, and forgets its triggers."""
    triggers.install_paper_guard(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("payments", "0016_second_tries")]

    operations = [
        migrations.AddField(
            model_name="feeinvoice",
            name="corrects",
            field=models.JSONField(default=list),
        ),
        migrations.RunPython(guard, guard),
    ]
