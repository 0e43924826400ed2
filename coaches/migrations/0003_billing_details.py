"""What coaches are called on invoices."""

import coaches.billing
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('coaches', '0002_scheduling'),
    ]

    operations = [
        migrations.CreateModel(
            name='BillingDetails',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(blank=True, max_length=120, validators=[django.core.validators.RegexValidator('\\A[^\\x00-\\x1f\\x7f-\\x9f]*\\Z', 'Write it on one line, without control characters.')])),
                ('address', models.TextField(blank=True, max_length=400, validators=[coaches.billing.validate_address])),
                ('country', models.CharField(blank=True, max_length=2, validators=[coaches.billing.validate_country])),
                ('tax_id', models.CharField(blank=True, max_length=30, validators=[django.core.validators.RegexValidator('\\A(?=.*[0-9])[0-9A-Za-z][0-9A-Za-z ./-]*\\Z', 'Write it in plain letters and digits, as it was given to you, like DE123456789.')])),
                ('coach', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='billing_details', to='coaches.coach')),
            ],
            options={
                'verbose_name_plural': 'billing details',
            },
        ),
    ]
