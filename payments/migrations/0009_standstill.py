"""When we last looked out for changes that this database does not know, and a standstill that waits for them."""

from datetime import UTC, datetime

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def add_the_row(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("payments", "LookOut").objects.create(looked_at=datetime(1970, 1, 1, tzinfo=UTC))


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0008_told_of_payouts"),
    ]

    operations = [
        migrations.CreateModel(
            name="LookOut",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("looked_at", models.DateTimeField()),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField(
            model_name="standstill",
            name="behind",
            field=models.BooleanField(default=False),
        ),
        migrations.RunPython(add_the_row, migrations.RunPython.noop),
    ]
