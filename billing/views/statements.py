"""Pages about billing statements."""

from types import SimpleNamespace

from django.utils import timezone

from billing.filters import StatementFilter
from billing.models import BillingStatement
from billing.tables import CustomerStatementTable, StatementTable
from billing.views.records import WIDE, CustomerSection, RecordDetail, RecordList
from dashboard.places import FIELDS


class StatementList(RecordList):
    queryset = BillingStatement.objects.one_off().select_related("customer").defer("bill_to_address", *WIDE)
    permission = "billing.view_statement"
    section = "statements"
    title = "Billing statements"
    table_class = StatementTable
    filterset_class = StatementFilter
    list_name = "billing:statements"
    export_name = "statements"
    exact = "number"
    noun, plural = "statement", "statements"
    search_hint = "Number, customer, line, reference"
    tabs = (
        ("All", ""),
        ("Draft", "status=draft"),
        ("Open", "status=open"),
        ("Overdue", "status=overdue"),
        ("Paid", "status=paid"),
        ("Void", "status=void"),
        ("Uncollectible", "status=uncollectible"),
    )
    empty_text = "A statement is a bill a customer pays through a link. Imported invoices are listed here as well."


class CustomerStatementList(CustomerSection, StatementList):
    table_class = CustomerStatementTable
    empty_text = "What this customer is billed is listed here."


class StatementDetail(RecordDetail):
    """A statement as its customer gets it, and beside it what staff want to know."""

    queryset = BillingStatement.objects.select_related("customer", "created_by").prefetch_related("lines")
    permission = "billing.view_statement"
    section = "statements"
    template_name = "billing/statement.html"

    def get_context_data(self, **kwargs):
        statement = self.object
        return super().get_context_data(
            statement=statement,
            lines=statement.lines.all(),
            bill_to=bill_to(statement),
            payments=statement.payments.order_by("-created_at", "-pk")[:50],
            days_overdue=(timezone.now() - statement.due_at).days if statement.overdue else 0,
            **kwargs,
        )


def bill_to(statement):
    """Whom a statement is billed to: what was frozen when it was finalised; for a draft, the customer as it is now."""
    if statement.finalized_at:
        address = statement.bill_to_address and address_of(statement.bill_to_address)
        return SimpleNamespace(
            name=statement.bill_to_name, email=statement.bill_to_email, tax_id=statement.bill_to_tax_id, address=address
        )
    customer = statement.customer
    return SimpleNamespace(name=customer.name, email=customer.email, tax_id=customer.tax_id, address=customer.address)


def address_of(parts):
    """A frozen address with the attributes of an Address."""
    return SimpleNamespace(**{name: parts.get(name, "") for name in (*FIELDS, "country")})
