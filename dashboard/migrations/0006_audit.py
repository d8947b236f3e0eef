import django.db.models.deletion
import django.utils.timezone
from django.db import connection, migrations, models

import dashboard.fields
from dashboard.append_only import Guarded, Unguarded
from dashboard.signing import COLUMNS, sign_event

AT_ONCE = 2000


def sign_what_is_there(apps, schema_editor):
    """Sign the events written so far: from now on, one without a signature was not written by this application."""
    events = apps.get_model("dashboard", "Event").objects.order_by("pk")
    after = ""
    while rows := list(events.filter(pk__gt=after).values(*COLUMNS)[:AT_ONCE]):
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE dashboard_event SET signature = %s WHERE id = %s", [(sign_event(row), row["id"]) for row in rows]
            )
        after = rows[-1]["id"]


def text(length, name=None, **more):
    return models.CharField(*filter(None, [name]), max_length=length, default="", db_default="", **more)


class Migration(migrations.Migration):
    """Where events come from, their signatures, and the seals over them."""

    dependencies = [("dashboard", "0005_api_keys")]

    operations = [
        Unguarded("dashboard_event"),
        migrations.AddField("event", "ip", text(45, "IP address")),
        migrations.AddField("event", "request_id", text(16, "request ID")),
        migrations.AddField("event", "signature", text(32, editable=False)),
        migrations.AddIndex(
            "event", models.Index("ip", models.F("id").desc(), name="event_ip", condition=models.Q(("ip", ""), _negated=True))
        ),
        migrations.AddIndex(
            "event", models.Index("request_id", name="event_request", condition=models.Q(("request_id", ""), _negated=True))
        ),
        migrations.RunPython(sign_what_is_there, migrations.RunPython.noop),
        Guarded("dashboard_event"),
        migrations.CreateModel(
            name="EventSeal",
            fields=[
                ("sequence", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("count", models.PositiveIntegerField()),
                ("through", dashboard.fields.ByteOrderedField(max_length=29)),
                ("events", models.CharField(max_length=64)),
                ("previous", models.CharField(blank=True, max_length=32)),
                ("digest", models.CharField(max_length=32)),
                ("sealed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={"ordering": ["sequence"], "get_latest_by": "sequence"},
        ),
        migrations.CreateModel(
            name="SealedEvent",
            fields=[
                ("event_id", dashboard.fields.ByteOrderedField(max_length=29, primary_key=True, serialize=False)),
                (
                    "seal",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="dashboard.eventseal",
                    ),
                ),
            ],
        ),
        Guarded("dashboard_eventseal"),
        Guarded("dashboard_sealedevent"),
    ]
