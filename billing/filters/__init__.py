"""The filters of the lists, by noun."""

from billing.filters.attempts import AttemptFilter
from billing.filters.base import AmountFilter, BillingFilter
from billing.filters.deliveries import DeliveryFilter
from billing.filters.payments import CustomerPaymentFilter, PaymentFilter
from billing.filters.refunds import RefundFilter
from billing.filters.requests import RequestFilter
from billing.filters.statements import StatementFilter

__all__ = [
    "AmountFilter",
    "AttemptFilter",
    "BillingFilter",
    "CustomerPaymentFilter",
    "DeliveryFilter",
    "PaymentFilter",
    "RefundFilter",
    "RequestFilter",
    "StatementFilter",
]
