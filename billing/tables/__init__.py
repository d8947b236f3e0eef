"""The columns of the lists and of their exports, by noun."""

from billing.tables.attempts import AttemptTable
from billing.tables.cells import METHODS, action_link, method_html, method_words, target_of
from billing.tables.deliveries import DeliveryTable
from billing.tables.payments import CustomerPaymentTable, PaymentTable
from billing.tables.refunds import RefundTable
from billing.tables.requests import CustomerRequestTable, RequestTable
from billing.tables.statements import CustomerStatementTable, StatementTable

__all__ = [
    "METHODS",
    "AttemptTable",
    "CustomerPaymentTable",
    "CustomerRequestTable",
    "CustomerStatementTable",
    "DeliveryTable",
    "PaymentTable",
    "RefundTable",
    "RequestTable",
    "StatementTable",
    "action_link",
    "method_html",
    "method_words",
    "target_of",
]
