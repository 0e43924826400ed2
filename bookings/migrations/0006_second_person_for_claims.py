"""What one person would decide about a claim, where it is too much for one."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("bookings", "0005_refunds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="claim",
            name="proposed_back",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="claim",
            name="proposed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="claims_proposed",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="proposed_outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("nothing", "The session counts as held"),
                    ("no_show_student", "The student did not come"),
                    ("no_show_coach", "The coach did not come"),
                    ("refunded", "Some of the price goes back"),
                ],
                max_length=15,
            ),
        ),
        migrations.AddField(
            model_name="claim",
            name="proposed_reason",
            field=models.CharField(blank=True, max_length=500),
        ),
    ]
