"""What customers owe and pay. One module a noun."""

from billing.models.attempts import Attempt
from billing.models.card_links import TokenizationLink
from billing.models.coupons import Coupon, CouponRedemption
from billing.models.credit import BalanceEntry
from billing.models.methods import GatewayCustomer, PaymentMethod
from billing.models.payments import CustomerTotal, Payment
from billing.models.refunds import Dispute, Refund
from billing.models.requests import PaymentRequest
from billing.models.statements import BillingStatement, LineItem, Reminder
from billing.models.subscriptions import Subscription
from billing.models.webhooks import WebhookDelivery

__all__ = [
    "Attempt",
    "BalanceEntry",
    "BillingStatement",
    "Coupon",
    "CouponRedemption",
    "CustomerTotal",
    "Dispute",
    "GatewayCustomer",
    "LineItem",
    "Payment",
    "PaymentMethod",
    "PaymentRequest",
    "Refund",
    "Reminder",
    "Subscription",
    "TokenizationLink",
    "WebhookDelivery",
]
