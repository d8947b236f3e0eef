"""The columns of the lists and of their exports, by noun."""

from billing.tables.attempts import AttemptTable
from billing.tables.card_links import CardLinkTable, CustomerCardLinkTable
from billing.tables.cells import METHODS, action_link, method_html, method_words, target_of
from billing.tables.coupons import CouponTable, CustomerCouponTable, RedemptionTable
from billing.tables.deliveries import DeliveryTable
from billing.tables.invoices import CustomerInvoiceTable, InvoiceTable
from billing.tables.payments import CustomerPaymentTable, PaymentTable
from billing.tables.refunds import RefundTable
from billing.tables.requests import CustomerRequestTable, RequestTable
from billing.tables.statements import CustomerStatementTable, StatementTable
from billing.tables.subscriptions import CustomerSubscriptionTable, SubscriptionTable

__all__ = [
    "METHODS",
    "AttemptTable",
    "CardLinkTable",
    "CouponTable",
    "CustomerCardLinkTable",
    "CustomerCouponTable",
    "CustomerInvoiceTable",
    "CustomerPaymentTable",
    "CustomerRequestTable",
    "CustomerStatementTable",
    "CustomerSubscriptionTable",
    "DeliveryTable",
    "InvoiceTable",
    "PaymentTable",
    "RedemptionTable",
    "RefundTable",
    "RequestTable",
    "StatementTable",
    "SubscriptionTable",
    "action_link",
    "method_html",
    "method_words",
    "target_of",
]
