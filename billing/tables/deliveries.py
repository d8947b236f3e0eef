"""The columns of the list of webhook deliveries."""

from billing.models import WebhookDelivery
from billing.tables.cells import StateColumn
from dashboard import tables


class DeliveryTable(tables.Table):
    type = tables.LinkColumn(verbose_name="Event")
    gateway = tables.Column(css="m3", verbose_name="Gateway")
    state = StateColumn(verbose_name="State")
    received_at = tables.WhenColumn(sort="received_at", css="tnum", verbose_name="Received")
    deliveries = tables.Column(css="num", verbose_name="Times sent")
    tries = tables.Column(css="num", verbose_name="Tries")
    error = tables.Column(verbose_name="What went wrong")
    remote_id = tables.IdColumn(verbose_name="About")
    event_id = tables.IdColumn(verbose_name="Event ID")
    processed_at = tables.WhenColumn(css="tnum", verbose_name="Processed at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = WebhookDelivery
        fields = ()
        order_by = "-received_at"

    caption = "Webhook deliveries"
    always = ("type",)
    default = ("gateway", "state", "received_at", "deliveries", "tries", "error")
