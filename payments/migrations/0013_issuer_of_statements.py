"""Whose name is on a statement is frozen with it, as on an invoice."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0012_kept_of_reversals")]

    operations = [
        migrations.AddField(
            model_name="statement",
            name="issuer",
            field=models.JSONField(default=dict),
        ),
    ]
