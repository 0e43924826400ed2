"""A failed refund is sent again or paid by other means, and coaches are told how a dispute ended."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def tell_nobody_of_the_past(apps, schema_editor):
    """How these disputes ended was found out by other ways."""
    disputes = apps.get_model("payments", "Dispute").objects.using(schema_editor.connection.alias)
    disputes.filter(closed_at__isnull=False).update(coach_told_at=models.F("closed_at"))


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0017_not_compared"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="dispute",
            name="coach_told_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(tell_nobody_of_the_past, migrations.RunPython.noop),
        migrations.AddField(
            model_name="refund",
            name="otherwise_agreed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="refunds_agreed_otherwise",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="otherwise_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="refunds_paid_otherwise",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="refund",
            name="otherwise_note",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="refund",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="replaced_by",
                to="payments.refund",
            ),
        ),
        migrations.AlterField(
            model_name="refund",
            name="status",
            field=models.CharField(
                choices=[
                    ("to_approve", "Waits for a second person"),
                    ("requested", "Asked of Stripe"),
                    ("pending", "On its way"),
                    ("succeeded", "With the student"),
                    ("failed", "Failed at the bank"),
                    ("replaced", "Sent again"),
                    ("otherwise", "Paid by other means"),
                    ("refused", "Refused by Stripe"),
                    ("dismissed", "Not approved"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="dispute",
            index=models.Index(
                condition=models.Q(("closed_at__isnull", False), ("coach_told_at", None)),
                fields=["closed_at"],
                name="dispute_to_tell",
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "refused"), _negated=True),
                fields=("replaces",),
                name="refund_replaced_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="refund",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "otherwise"), _negated=True),
                    models.Q(
                        ("otherwise_agreed_by__isnull", False),
                        ("otherwise_by__isnull", False),
                        models.Q(("otherwise_agreed_by", models.F("otherwise_by")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="refund_otherwise_by_two",
            ),
        ),
    ]
