"""What finance keeps of a coach's share is counted on the payment, so that no refund asks for it again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("payments", "0011_balance_asked")]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="kept_amount",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("kept_amount__gte", 0)), name="payment_kept_not_negative"
            ),
        ),
    ]
