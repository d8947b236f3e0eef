from django.db import migrations, models

import dashboard.fields
import dashboard.ids
from dashboard.append_only import Guarded, GuardedButRedaction


class Migration(migrations.Migration):
    """Erasing a person takes their data out of events, and says so in a table of its own."""

    dependencies = [("dashboard", "0007_people")]

    operations = [
        migrations.CreateModel(
            name="Redaction",
            fields=[
                ("id", dashboard.ids.PublicIdField("rdc", serialize=False)),
                ("event_id", dashboard.fields.ByteOrderedField(max_length=29, verbose_name="event")),
                ("nth", models.PositiveSmallIntegerField()),
                ("before", models.CharField(max_length=32)),
                ("after", models.CharField(max_length=32)),
                ("erasure", dashboard.fields.ByteOrderedField(db_index=True, max_length=29)),
                ("signature", models.CharField(max_length=32)),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("event_id", "nth"), name="redaction_nth")]},
        ),
        Guarded("dashboard_redaction"),
        GuardedButRedaction("dashboard_event", "dashboard_redaction"),
    ]
