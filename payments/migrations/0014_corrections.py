"""What staff move between accounts of the books, and what a coach is owed by it."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("coaches", "0002_scheduling"),
        ("payments", "0013_issuer_of_statements"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="earning",
            name="kind",
            field=models.CharField(
                choices=[
                    ("share", "Share of the price"),
                    ("taken_back", "Taken back for a refund"),
                    ("returned", "Given again: the refund did not come to be"),
                    ("disputed", "Taken back for a dispute"),
                    ("reversed", "Fetched back from the coach's account"),
                    ("correction", "Corrected in the books"),
                ],
                default="share",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="earning",
            name="payment",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="earnings",
                to="payments.payment",
            ),
        ),
        migrations.CreateModel(
            name="Correction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token", models.UUIDField(unique=True)),
                (
                    "from_account",
                    models.CharField(
                        choices=[
                            ("suspense", "Suspense"),
                            ("platform_revenue", "Platform revenue"),
                            ("stripe_fees", "Stripe fees"),
                            ("platform_losses", "Platform losses"),
                            ("bank", "Bank"),
                            ("reserves", "Reserves"),
                            ("coach_payable", "A coach's account"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "to_account",
                    models.CharField(
                        choices=[
                            ("suspense", "Suspense"),
                            ("platform_revenue", "Platform revenue"),
                            ("stripe_fees", "Stripe fees"),
                            ("platform_losses", "Platform losses"),
                            ("bank", "Bank"),
                            ("reserves", "Reserves"),
                            ("coach_payable", "A coach's account"),
                        ],
                        max_length=16,
                    ),
                ),
                ("amount", models.BigIntegerField()),
                ("currency", models.CharField(max_length=3)),
                ("reason", models.CharField(max_length=300)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("to_approve", "Waits for a second person"),
                            ("done", "Booked"),
                            ("declined", "Not approved"),
                        ],
                        default="to_approve",
                        max_length=10,
                    ),
                ),
                ("decision", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "booked",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="correction",
                        to="payments.ledgertransaction",
                    ),
                ),
                (
                    "clears",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cleared_by",
                        to="payments.ledgertransaction",
                    ),
                ),
                (
                    "coach",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="coaches.coach",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections_decided",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "difference",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="payments.difference",
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections",
                        to="payments.payment",
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="corrections_proposed",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="earning",
            name="correction",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="earning",
                to="payments.correction",
            ),
        ),
        migrations.AddConstraint(
            model_name="earning",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        models.Q(("kind", "correction"), _negated=True),
                        ("correction", None),
                        ("payment__isnull", False),
                    ),
                    models.Q(("correction__isnull", False), ("kind", "correction"), ("payment", None)),
                    _connector="OR",
                ),
                name="earning_of_payment_or_correction",
            ),
        ),
        migrations.AddIndex(
            model_name="correction",
            index=models.Index(fields=["status", "created_at"], name="correction_by_status"),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount", 0), _negated=True), name="correction_amount_not_zero"
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("from_account", models.F("to_account")), _negated=True),
                name="correction_two_accounts",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("to_account", "suspense"), _negated=True), name="correction_never_to_suspense"
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("clears__isnull", False), ("from_account", "suspense")),
                    models.Q(models.Q(("from_account", "suspense"), _negated=True), ("clears", None)),
                    _connector="OR",
                ),
                name="correction_clears_suspense",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        models.Q(("from_account", "coach_payable"), ("to_account", "coach_payable"), _connector="OR"),
                        ("coach__isnull", False),
                    ),
                    models.Q(
                        models.Q(("from_account", "coach_payable"), _negated=True),
                        models.Q(("to_account", "coach_payable"), _negated=True),
                        ("coach", None),
                    ),
                    _connector="OR",
                ),
                name="correction_of_a_coach",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("booked__isnull", False), ("status", "done")),
                    models.Q(models.Q(("status", "done"), _negated=True), ("booked", None)),
                    _connector="OR",
                ),
                name="correction_done_is_booked",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "done"), _negated=True),
                    models.Q(
                        ("decided_by__isnull", False), models.Q(("decided_by", models.F("proposed_by")), _negated=True)
                    ),
                    _connector="OR",
                ),
                name="correction_two_people",
            ),
        ),
    ]
