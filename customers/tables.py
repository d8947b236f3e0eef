"""The columns of the customers list and of its export."""

from functools import cache

from django.db.models import BigIntegerField, BooleanField, ExpressionWrapper, OuterRef, Q, Subquery, Value
from django.db.models.expressions import RawSQL
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce

from customers.models import Customer
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import address_of, badge_html, escaped, icon_svg, money_html

WORDS = dict(Customer.Status.choices)
ZERO = RawSQL("0", (), BigIntegerField())  # no parameter: an amount is named several times in what formats it
_ANY, _CELL, _ASK_ICON = "0" * 24, '<td class="actions">', icon_svg("link")


class StatusColumn(tables.BadgeColumn):
    """Archived outranks overdue, overdue outranks active."""

    def html(self, row):
        overdue = getattr(row, "delinquent", False) and not row.archived
        return badge_html("Overdue" if overdue else WORDS[row.status], "customer")


class CollectedColumn(tables.Column):
    """What was collected in the customer's own currency."""

    css = "num m2"

    def html(self, row):
        return money_html(row.collected, row.currency)


@cache
def own_total():
    """What was collected in the customer's own currency, in minor units: from the roll-up, by the reverse relation."""
    totals = Customer._meta.get_field("totals").related_model.objects
    own = totals.filter(customer=OuterRef("pk"), currency=OuterRef("currency")).order_by()
    return Coalesce(Subquery(own.values("collected")[:1]), Value(0))


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
    annotated = {"collected": own_total}
    page_name = "customers:customer"
    unread = (
        "first_name",
        "last_name",
        "did",
        "tax_id",
        "billing_statement_prefix",
        "next_billing_statement_sequence_number",
        "archived_at",
        "email_source_at",
        "created_by",
        "version",
    )
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
        Csv("archived", ExpressionWrapper(Q(status=Customer.Status.ARCHIVED), BooleanField()), kind="flag"),
        Csv("delinquent", kind="flag"),
        Csv("balance", Coalesce("own_total__credit_balance", ZERO), kind="money"),
        Csv("total_collected_amount", Coalesce("own_total__collected", ZERO), kind="money"),
        Csv(
            "successful_transactions",
            Coalesce("own_total__successful_payments", ZERO, output_field=BigIntegerField()),
            kind="number",
        ),
        Csv("default_source", "default_method__pk", kind="code"),
        Csv("created_at", kind="time"),
        Csv("updated_at", kind="time"),
        Csv("metadata", kind="json", contact="text"),
    )

    def __init__(self, rows, *, viewer, **kwargs):
        super().__init__(rows, viewer=viewer, **kwargs)
        self.asks = viewer.has_perm("billing.request_payment") and address_of("customer_billing:request_new", _ANY).split(_ANY)

    def actions(self, row):
        """Before the way to the row's page, the way to ask the customer for money, for whoever may."""
        cell = super().actions(row)
        if not self.asks or row.archived:
            return cell
        label, url = escaped(f"Request payment: {row}"), escaped(row.pk).join(self.asks)
        ask = f'<a class="{tables.SEE_MORE}" href="{url}" data-dialog aria-label="{label}" title="Request payment">{_ASK_ICON}'
        return cell.replace(_CELL, f"{_CELL}{ask}</a>", 1)

    @classmethod
    def metadata_csv(cls, key):
        """The export column of one metadata key, asked for as `metadata.<key>`."""
        return Csv(f"metadata.{key}", KT(f"metadata__{key}"), contact="text") if key else None
