from django.db import migrations

from dashboard.search import SearchIndex


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [
        SearchIndex("billing_billingstatement"),
        SearchIndex("billing_payment"),
        SearchIndex("billing_paymentrequest"),
    ]
