"""What customers owe and pay. One module a noun."""

from billing.models.attempts import Attempt
from billing.models.credit import BalanceEntry
from billing.models.payments import CustomerTotal, Payment
from billing.models.refunds import Dispute, Refund
from billing.models.requests import PaymentRequest
from billing.models.statements import BillingStatement, LineItem, Reminder
from billing.models.webhooks import WebhookDelivery

__all__ = [
    "Attempt",
    "BalanceEntry",
    "BillingStatement",
    "CustomerTotal",
    "Dispute",
    "LineItem",
    "Payment",
    "PaymentRequest",
    "Refund",
    "Reminder",
    "WebhookDelivery",
]
