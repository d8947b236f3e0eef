"""Lists of the invoices of subscriptions, and the button that charges one at once. An invoice's page is its statement's."""

import secrets

from billing.domain import invoicing, vault
from billing.filters import InvoiceFilter
from billing.models import BillingStatement, Payment
from billing.statement_forms import OnceForm
from billing.tables import CustomerInvoiceTable, InvoiceTable
from billing.views.records import WIDE, CustomerSection, RecordList
from dashboard.states import DomainError
from dashboard.views import ActionView

WIDE_OF_SUBSCRIPTION = ("subscription__search", "subscription__metadata")


class InvoiceList(RecordList):
    queryset = (
        BillingStatement.objects.invoices()
        .select_related("customer", "subscription")
        .defer("bill_to_address", *WIDE, *WIDE_OF_SUBSCRIPTION)
    )
    permission = "billing.view_subscription"
    section = "invoices"
    title = "Invoices"
    table_class = InvoiceTable
    filterset_class = InvoiceFilter
    list_name = "billing:invoices"
    export_name = "invoices"
    exact = "number"
    noun, plural = "invoice", "invoices"
    search_hint = "Number, customer, subscription"
    csv_of = {"customer": ("customer_name",), "period": ("period_start", "period_end"), "total": ("total", "currency")}
    tabs = (
        ("All", ""),
        ("Open", "status=open"),
        ("Overdue", "status=overdue"),
        ("Paid", "status=paid"),
        ("Uncollectible", "status=uncollectible"),
        ("Void", "status=void"),
    )
    empty_text = "Each period of a subscription gets an invoice by itself, and it is listed here."


class CustomerInvoiceList(CustomerSection, InvoiceList):
    table_class = CustomerInvoiceTable
    empty_text = "Invoices of this customer’s subscriptions are listed here."


class InvoicePay(ActionView):
    """Charge the subscription's payment method at once, whatever is planned."""

    queryset = BillingStatement.objects.invoices().select_related("customer", "subscription__method")
    permission = "billing.change_subscription"
    section = "invoices"
    form_class = OnceForm
    title = submit = "Pay now"

    def get_initial(self):
        return {"form_key": secrets.token_hex(16)}

    def get_consequence(self):
        invoice = self.object
        method = invoice.subscription.method or vault.default_method(invoice.customer)
        if not method:
            return f"{invoice.customer} has no payment method on file. Add a card, or send the invoice’s link."
        return f"{method} is charged {invoice.amount_remaining_money} at once. The customer gets a receipt by email."

    def act(self, data):
        payment = invoicing.pay_invoice(self.object, by=self.request.user, form_key=data["form_key"])
        if payment.status in invoicing.FAILED:
            raise DomainError(payment.failure_message or "The charge did not go through. No money moved.")
        if payment.status == Payment.Status.PAID:
            return f"{payment.amount_money} is paid with {payment.method}."
        return (
            "The bank is still working on the charge. Do not charge again: the invoice shows the answer as soon as there is one."
        )

    def refuse(self, form):
        """A charge that was declined is over: the next press is another one."""
        if form.is_bound:
            form.data = form.data.copy()
            form.data["form_key"] = secrets.token_hex(16)
        return super().refuse(form)
