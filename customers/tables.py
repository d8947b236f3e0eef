"""The columns of the customers list and of its export."""

from django.db.models.fields.json import KT

from customers.models import Customer
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import badge_html


class StatusColumn(tables.BadgeColumn):
    """Archived outranks overdue, overdue outranks active."""

    def html(self, row):
        overdue = getattr(row, "delinquent", False) and not row.archived
        return badge_html("Overdue" if overdue else row.get_status_display(), "customer")


class CollectedColumn(tables.Column):
    """What was collected in the customer's own currency, from the roll-up."""

    css = "num m2"

    def html(self, row):
        from dashboard.templatetags.ui import money_html

        total = next((t for t in row.totals.all() if t.currency == row.currency), None)
        return money_html(total.collected if total else 0, row.currency)


class CustomerTable(tables.Table):
    name = tables.LinkColumn(sort="sort_name", avatar=True, panel="panel", verbose_name="Name")
    email = tables.EmailColumn(sort="email", contact=True, css="m3", verbose_name="Email")
    phone = tables.PhoneColumn(contact=True, verbose_name="Phone")
    company_name = tables.Column(verbose_name="Company")
    country = tables.CountryColumn(verbose_name="Country")
    reference = tables.Column(verbose_name="Reference")
    status = StatusColumn(accessor="pk", verbose_name="Status")
    origin = tables.Column(accessor="get_origin_display", verbose_name="Created from")
    currency = tables.Column(verbose_name="Currency")
    id = tables.IdColumn(verbose_name="ID")
    updated_at = tables.WhenColumn(sort="updated_at", css="tnum", verbose_name="Updated at")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    collected = CollectedColumn(accessor="pk", verbose_name="Collected")

    class Meta:
        model = Customer
        fields = ()
        order_by = "-created_at"

    caption = "Customers"
    always = ("name", "email", "created_at")
    default = ("name", "email", "phone", "country", "status", "created_at", "collected")
    prefetch = {"collected": "totals"}
    csv = (
        Csv("id", kind="code"),
        Csv("name"),
        Csv("first_name"),
        Csv("last_name"),
        Csv("company_name"),
        Csv("kind", kind="code"),
        Csv("email", contact="email"),
        Csv("phone", contact="phone"),
        Csv("did"),
        Csv("reference"),
        Csv("description"),
        Csv("tax_id"),
        Csv("status", kind="code"),
        Csv("origin", kind="code"),
        Csv("livemode", kind="flag"),
        Csv("currency", kind="code"),
        Csv("country", kind="code"),
        Csv("address_line1", "default_address__line1", contact="text"),
        Csv("address_line2", "default_address__line2", contact="text"),
        Csv("address_city", "default_address__city"),
        Csv("address_state", "default_address__state"),
        Csv("address_postal_code", "default_address__postal_code", contact="text"),
        Csv("address_country", "default_address__country", kind="code"),
        Csv("created_at", kind="time"),
        Csv("updated_at", kind="time"),
        Csv("metadata", kind="json", contact="text"),
    )

    @classmethod
    def metadata_csv(cls, key):
        """The export column of one metadata key, asked for as `metadata.<key>`."""
        return Csv(f"metadata.{key}", KT(f"metadata__{key}"), contact="text") if key else None
