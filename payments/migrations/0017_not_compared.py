"""What a comparison could not compare, and payouts that we can follow no longer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0018_problems")]

    operations = [
        migrations.AddField(
            model_name="reconciliation",
            name="not_compared",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="payout",
            name="untracked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="payout",
            name="status",
            field=models.CharField(
                choices=[
                    ("requested", "Asked of Stripe"),
                    ("pending", "Being sent"),
                    ("in_transit", "On its way"),
                    ("paid", "At the bank"),
                    ("failed", "Sent back by the bank"),
                    ("canceled", "Cancelled"),
                    ("refused", "Refused by Stripe"),
                    ("untracked", "Out of our sight"),
                ],
                max_length=10,
            ),
        ),
    ]
