import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import dashboard.ids
from dashboard.search import SearchTriggers


class Migration(migrations.Migration):
    """A customer's personal data can be erased; what the law keeps of it lies in a table of its own."""

    dependencies = [("customers", "0006_comments_by_api")]

    operations = [
        migrations.AddField("customer", "erased_at", models.DateTimeField(blank=True, editable=False, null=True)),
        migrations.CreateModel(
            name="KeptRecord",
            fields=[
                ("id", dashboard.ids.PublicIdField("kept", serialize=False)),
                ("livemode", models.BooleanField()),
                ("object_type", models.CharField(max_length=64)),
                ("object_id", models.CharField(max_length=40)),
                ("values", models.JSONField()),
                ("kept_until", models.DateField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="kept_records", to="customers.customer"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index("kept_until", "customer", name="kept_record_until")],
                "constraints": [models.UniqueConstraint("object_id", "object_type", name="kept_record_once")],
            },
        ),
        SearchTriggers("customers_customer"),
    ]
