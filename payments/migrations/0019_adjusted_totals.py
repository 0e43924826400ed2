"""What a closed month was adjusted by. The sums that are kept since the same release are summed up anew, with it."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def forget_sums(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("payments", "MonthTotals").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0015_corrected_invoices"),
    ]

    operations = [
        migrations.RunPython(forget_sums, migrations.RunPython.noop),
        migrations.AddField(
            model_name="monthtotals",
            name="adjusted",
            field=models.BigIntegerField(default=0),
            preserve_default=False,
        ),
    ]
