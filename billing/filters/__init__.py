"""The filters of the lists, by noun."""

from billing.filters.attempts import AttemptFilter
from billing.filters.base import AmountFilter, BillingFilter
from billing.filters.card_links import CardLinkFilter
from billing.filters.coupons import CouponFilter, RedemptionFilter
from billing.filters.deliveries import DeliveryFilter
from billing.filters.invoices import InvoiceFilter
from billing.filters.payments import CustomerPaymentFilter, PaymentFilter
from billing.filters.refunds import RefundFilter
from billing.filters.requests import RequestFilter
from billing.filters.statements import StatementFilter
from billing.filters.subscriptions import SubscriptionFilter

__all__ = [
    "AmountFilter",
    "AttemptFilter",
    "BillingFilter",
    "CardLinkFilter",
    "CouponFilter",
    "CustomerPaymentFilter",
    "DeliveryFilter",
    "InvoiceFilter",
    "PaymentFilter",
    "RedemptionFilter",
    "RefundFilter",
    "RequestFilter",
    "StatementFilter",
    "SubscriptionFilter",
]
