from django.db import migrations

from dashboard.append_only import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0001_initial")]
    operations = [AppendOnly("dashboard_event")]
