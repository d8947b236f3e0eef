import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

AUTHORS = {"customer": "customers_customer_created_by_id_e3e9e010", "address": "customers_address_created_by_id_fbef50d0"}
NEWEST_FIRST = {
    "customer_created": ("created_at",),
    "customer_updated": ("updated_at",),
    "customer_status": ("status", "created_at"),
    "customer_origin": ("origin", "created_at"),
    "customer_kind": ("kind", "created_at"),
    "customer_country": ("country", "created_at"),
    "customer_currency": ("currency", "created_at"),
}


def without_index(model):
    """Alter only the state: what the database does is to drop an index, on SQLite too, where AlterField makes tables anew."""
    author = models.ForeignKey(
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )
    name, table = AUTHORS[model], f"customers_{model}"
    return migrations.RunSQL(
        f"DROP INDEX IF EXISTS {name}",
        f"CREATE INDEX {name} ON {table} (created_by_id)",
        state_operations=[migrations.AlterField(model, "created_by", author)],
    )


def ascending(name, fields):
    index = models.Index(*[models.F(field) for field in ("livemode", *fields, "id")], name=name)
    return [migrations.RemoveIndex("customer", name), migrations.AddIndex("customer", index)]


class Migration(migrations.Migration):
    """Who made a record is shown, never looked for: an index of it only makes writing slower; nor is a missing DID looked
    for. What is listed newest first is indexed oldest first, and read from its end: new rows go to one end, and that the
    one where databases append."""

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
        *[operation for name, fields in NEWEST_FIRST.items() for operation in ascending(name, fields)],
    ]
