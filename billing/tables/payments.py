"""The columns of the list of payments, and of its export."""

from typing import NamedTuple

from django.db.models import Case, CharField, F, Q, Sum, Value, When
from django.db.models.fields.json import KT

from billing.domain.address_check import DIFFERS, WORDS
from billing.models import Payment
from billing.tables.cells import MethodColumn, ProductColumn, StatusColumn, TitleColumn
from dashboard import tables
from dashboard.export import Csv
from dashboard.money import Money
from dashboard.templatetags.ui import badge_html

DISPLAY_STATUS = Case(  # Payment.badge, for the database
    When(dispute__in=["open", "lost"], then=Value("Disputed")),
    When(Q(amount_refunded__gt=0, amount_refunded=F("amount")), then=Value("Refunded")),
    When(amount_refunded__gt=0, then=Value("Partly refunded")),
    *[When(status=s, then=Value(s.label)) for s in Payment.Status],
    output_field=CharField(),
)


class AddressCheckColumn(tables.Column):
    """Quiet unless the payer's address differs from the directory's (R-28)."""

    def html(self, row):
        word = WORDS.get(row.address_check, row.address_check)
        return badge_html(word) if row.address_check == DIFFERS else f'<span class="muted">{word}</span>'


class PaymentTable(tables.Table):
    description = TitleColumn(verbose_name="Description")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    method = MethodColumn(accessor="pk", verbose_name="Method")
    product = ProductColumn(accessor="product_type", verbose_name="Product")
    status = StatusColumn(verbose_name="Status")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(sort="amount", css="num strong m2", verbose_name="Amount")
    amount_refunded = tables.MoneyColumn(css="num", verbose_name="Refunded")
    fee = tables.MoneyColumn(css="num", verbose_name="Fee")
    net_amount = tables.MoneyColumn(css="num", verbose_name="Net of fee")
    address_check = AddressCheckColumn(verbose_name="Address check")
    failure_message = tables.Column(verbose_name="Why it failed")
    failure_code = tables.IdColumn(verbose_name="Failure code")
    billing_statement_number = tables.Column(accessor="statement__number", verbose_name="Statement")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    gateway_name = tables.Column(accessor="gateway", verbose_name="Gateway")
    gateway_reference = tables.IdColumn(verbose_name="Gateway reference")
    billing_name = tables.Column(verbose_name="Name then")
    billing_email = tables.EmailColumn(contact=True, verbose_name="Email then")
    paid_at = tables.WhenColumn(css="tnum", verbose_name="Paid at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Payment
        fields = ()
        order_by = "-created_at"

    caption = "Payments"
    always = ("description",)
    default = ("customer", "method", "product", "status", "created_at", "amount")
    prefetch = {"billing_statement_number": "statement"}
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("paid_at", kind="time"),
        Csv("status", kind="code"),
        Csv("display_status", DISPLAY_STATUS, kind="code"),
        Csv("product_type", kind="code"),
        Csv("amount", kind="money"),
        Csv("fee", kind="money"),
        Csv("net_amount", F("amount") - F("fee"), kind="money"),
        Csv("amount_refunded", kind="money"),
        Csv("currency", kind="code"),
        Csv("method_type", kind="code"),
        Csv("method_brand"),
        Csv("card_last4", "method_last4"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("billing_name"),
        Csv("billing_email", contact="email"),
        Csv("billing_phone", contact="phone"),
        Csv("billing_country", KT("billing_address__country")),
        Csv("description"),
        Csv("merchant_reference_id"),
        Csv("payment_intent_id"),
        Csv("billing_statement_number", "statement__number"),
        Csv("gateway_name", "gateway", kind="code"),
        Csv("gateway_reference"),
        Csv("failure_code"),
        Csv("address_check", kind="code"),
        Csv("custom_fields", kind="json", contact="text"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerPaymentTable(PaymentTable):
    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(PaymentTable.Meta):
        pass


class Sums(NamedTuple):
    """What a list's paid payments add up to in one currency."""

    gross: Money
    refunded: Money
    fees: Money

    @property
    def net(self):
        return self.gross - self.refunded - self.fees


def sums_of(payments):
    """[Sums] by currency of those payments of a queryset that were paid, in one query."""
    added = {"gross": Sum("amount"), "refunded": Sum("amount_refunded"), "fees": Sum("fee")}
    rows = payments.filter(status=Payment.Status.PAID).order_by("currency").values("currency").annotate(**added)
    return [Sums(*(Money(int(row[name]), row["currency"]) for name in added)) for row in rows]
