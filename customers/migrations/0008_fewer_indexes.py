import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

INDEXES = {"customer": "customers_customer_created_by_id_e3e9e010", "address": "customers_address_created_by_id_fbef50d0"}


def without_index(model):
    """Alter only the state: what the database does is to drop an index, on SQLite too, where AlterField makes tables anew."""
    author = models.ForeignKey(
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )
    name, table = INDEXES[model], f"customers_{model}"
    return migrations.RunSQL(
        f"DROP INDEX IF EXISTS {name}",
        f"CREATE INDEX {name} ON {table} (created_by_id)",
        state_operations=[migrations.AlterField(model, "created_by", author)],
    )


class Migration(migrations.Migration):
    """Who made a record is shown, never looked for: an index of it only makes writing slower. Nor is a missing DID."""

    dependencies = [("customers", "0007_erasure")]

    operations = [
        without_index("customer"),
        without_index("address"),
        migrations.RemoveConstraint("customer", "customer_did_once"),
        migrations.AddConstraint(
            "customer",
            models.UniqueConstraint(
                models.F("livemode"), models.F("did"), condition=models.Q(("did__isnull", False)), name="customer_did_once"
            ),
        ),
    ]
