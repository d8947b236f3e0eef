"""What customers owe and pay. One module a noun."""

from billing.models.attempts import Attempt
from billing.models.payments import CustomerTotal, Payment
from billing.models.requests import PaymentRequest
from billing.models.statements import BillingStatement, LineItem

__all__ = ["Attempt", "BillingStatement", "CustomerTotal", "LineItem", "Payment", "PaymentRequest"]
