"""What is wrong and who was told, work that waits for its next try, and the totals of closed months."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def add_the_row(apps: Apps, _schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("payments", "Watch").objects.create()


class Migration(migrations.Migration):
    dependencies = [
        ("coaches", "0002_scheduling"),
        ("payments", "0014_corrections"),
    ]

    operations = [
        migrations.CreateModel(
            name="Watch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("looked_at", models.DateTimeField(null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="OperatorMail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(unique=True)),
                ("written_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["written_at"], name="operator_mail_by_time")],
            },
        ),
        migrations.CreateModel(
            name="PutOff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("work", models.CharField(max_length=20)),
                ("row", models.BigIntegerField()),
                ("tries", models.PositiveSmallIntegerField(default=1)),
                ("next_try_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("work", "row"), name="put_off_once")],
            },
        ),
        migrations.CreateModel(
            name="MonthTotals",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.CharField(max_length=7)),
                ("currency", models.CharField(max_length=3)),
                ("country", models.CharField(blank=True, max_length=2)),
                ("gross", models.BigIntegerField()),
                ("fees", models.BigIntegerField()),
                ("refunds", models.BigIntegerField()),
                ("borne_by_us", models.BigIntegerField()),
                ("paid", models.BigIntegerField()),
                ("sessions", models.IntegerField()),
                (
                    "coach",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="coaches.coach"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("month", "coach", "currency"), name="month_totals_of_coach"),
                    models.UniqueConstraint(
                        condition=models.Q(("coach", None)), fields=("month", "currency"), name="month_totals_of_none"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Problem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("about", models.CharField(blank=True, max_length=100)),
                ("what", models.CharField(max_length=200)),
                ("meaning", models.CharField(max_length=500)),
                ("page", models.CharField(max_length=200)),
                ("began_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "begun_mail",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="begun",
                        to="payments.operatormail",
                    ),
                ),
                (
                    "ended_mail",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="ended",
                        to="payments.operatormail",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("begun_mail", None)), fields=["id"], name="problem_untold")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)), fields=("kind", "about"), name="problem_once"
                    )
                ],
            },
        ),
        migrations.RunPython(add_the_row, migrations.RunPython.noop),
    ]
