"""Pages about payments: the lists, the details, and what staff may write on one."""

from urllib.parse import urlencode

from billing.domain.address_check import MEANING, WORDS
from billing.domain.payment_edits import update_payment, version_of
from billing.filters import CustomerPaymentFilter, PaymentFilter
from billing.models import Attempt, Payment
from billing.payment_forms import PaymentEditForm
from billing.tables import CustomerPaymentTable, PaymentTable
from billing.tables.payments import sums_of
from billing.views.records import WIDE, CustomerSection, RecordDetail, RecordList
from billing.views.statements import address_of
from dashboard.views import EditView, capped_counts, count_text

SHOWN = 20  # attempts and other payments listed beside one


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
    sums_template = "billing/_sums.html"
    csv_of = {
        "customer": ("customer_name",),
        "method": ("method_type", "method_brand", "card_last4"),
        "product": ("product_type",),
        "status": ("display_status",),
        "amount": ("amount", "currency"),
    }
    tabs = (
        ("All", ""),
        ("Succeeded", "status=paid"),
        ("Processing", "status=pending"),
        ("Authorised", "status=authorized"),
        ("Failed", "status=failed"),
        ("Refunded", "status=refunded"),
        ("Partly refunded", "status=partly_refunded"),
        ("Disputed", "status=disputed"),
    )
    empty_text = "Request a payment from a customer: what they pay is listed here, and what fails, with the reason."

    def get_context_data(self, **kwargs):
        return super().get_context_data(sums=self.sums(), **kwargs)

    def sums(self):
        """What the rows add up to by currency, when they are few enough to add."""
        return [] if self.page.capped or not self.page.rows else sums_of(self.filterset.qs)


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


class PaymentMixin:
    """Pages of one payment."""

    queryset = Payment.objects.select_related("customer", "statement", "request", "created_by")
    permission = "billing.view_payment"
    section = "payments"


class PaymentDetail(PaymentMixin, RecordDetail):
    """One payment: the money, how it was paid or why not, what it was for, and what became of it since."""

    template_name = "billing/payment.html"

    def get_context_data(self, **kwargs):
        payment = self.object
        self.refunds = list(payment.refunds.select_related("created_by").order_by("-created_at", "-pk"))
        self.disputes = list(payment.disputes.order_by("-opened_at"))
        self.attempts = list(attempts_of(payment, self.refunds))
        return super().get_context_data(
            payment=payment,
            refunds=self.refunds,
            disputes=self.disputes,
            attempts=self.attempts,
            others=others_of(payment),
            checking=next((a for a in self.attempts if a.state == Attempt.State.UNKNOWN), None),
            moving=any(a.is_open and a.target_id == payment.pk for a in self.attempts),
            address=address_of(payment.billing_address) if payment.billing_address else None,
            directory=payment.customer.address if payment.customer else None,
            check=(WORDS.get(payment.address_check), MEANING.get(payment.address_check)),
            **kwargs,
        )

    def told_here(self):
        return [row.pk for row in (*self.refunds, *self.disputes, *self.attempts)]


def attempts_of(payment, refunds=()):
    """What was tried at a gateway for a payment, for its refunds, and for what it pays, newest first."""
    targets = [payment.pk, payment.request_id, payment.statement_id, *[r.pk for r in refunds]]
    return Attempt.objects.filter(target_id__in=[t for t in targets if t]).defer("request").order_by("-pk")[:SHOWN]


def others_of(payment):
    """The other payments of the same request or statement, newest first: tries that failed, and what else was paid."""
    about = payment.request or payment.statement
    return about.payments.exclude(pk=payment.pk).order_by("-created_at", "-pk")[:SHOWN] if about else []


class PaymentEdit(PaymentMixin, EditView):
    """Description and metadata, in any status. The money is never edited."""

    permission = "billing.change_payment"
    title = "Edit payment"
    form_class = PaymentEditForm

    def get_initial(self):
        return super().get_initial() | {"version": version_of(self.object)}

    def act(self, data):
        update_payment(self.object, by=self.request.user, **data)
        return "The payment was saved."
