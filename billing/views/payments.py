"""Pages about payments."""

from urllib.parse import urlencode

from billing.filters import CustomerPaymentFilter, PaymentFilter
from billing.models import Payment
from billing.tables import CustomerPaymentTable, PaymentTable
from billing.views.records import WIDE, CustomerSection, RecordDetail, RecordList
from billing.views.statements import address_of
from dashboard.views import capped_counts, count_text


class PaymentList(RecordList):
    queryset = Payment.objects.select_related("customer").defer("billing_address", "custom_fields", *WIDE)
    permission = "billing.view_payment"
    section = "payments"
    title = "Payments"
    table_class = PaymentTable
    filterset_class = PaymentFilter
    list_name = "billing:payments"
    export_name = "payments"
    noun, plural = "payment", "payments"
    search_hint = "Description, customer, last 4"
    tabs = (
        ("All", ""),
        ("Succeeded", "status=paid"),
        ("Processing", "status=pending"),
        ("Failed", "status=failed"),
    )
    empty_text = "Request a payment from a customer: what they pay is listed here, and what fails, with the reason."


class CustomerPaymentList(CustomerSection, PaymentList):
    """A customer's payments. No export here: that is the main list's alone (R-47)."""

    table_class = CustomerPaymentTable
    filterset_class = CustomerPaymentFilter
    export_name = None
    tabs = (("Other products", ""), ("Billing statements", "product=billing_statement"), ("All", "product=all"))
    empty_text = "Payments of billing statements are under the next tab."

    @property
    def noun(self):
        return "payment" if self.request.GET.get("product") else "other payment"

    @property
    def plural(self):
        return f"{self.noun}s"

    def near(self):
        """An empty search among the other products may have rows among the rest."""
        found = super().near()
        if self.request.GET.get("product") or not self.filterset.active:
            return found
        wider = {**self.filterset.data, "product": "all"}
        (count,) = capped_counts([self.filterset_class(wider, self.base, request=self.request).qs])
        return [(count_text(count), "among all products", f"{self.request.path}?{urlencode(wider)}"), *found] if count else found


class PaymentDetail(RecordDetail):
    """One payment: the money, how it was paid or why not, what it was for."""

    queryset = Payment.objects.select_related("customer", "statement", "request", "attempt", "created_by")
    permission = "billing.view_payment"
    section = "payments"
    template_name = "billing/payment.html"

    def get_context_data(self, **kwargs):
        payment = self.object
        address = address_of(payment.billing_address) if payment.billing_address else None
        return super().get_context_data(payment=payment, address=address, **kwargs)
