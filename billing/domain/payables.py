"""What a payer can be asked: to pay a payment request or a billing statement, or to save a card on a tokenization link.

The rest of the money code knows only this.
"""

from datetime import timedelta

from django.utils import timezone

from billing.gateways import method_types_for
from billing.gateways.base import CheckoutMode
from billing.models import Attempt, BillingStatement, Payment, PaymentRequest, TokenizationLink
from dashboard.money import Money
from dashboard.states import DomainError

PAGE_LIFE = timedelta(hours=24)  # how long a gateway's page of a statement stays open: our own link lasts, theirs need not
_MODELS = {"checkout": PaymentRequest, "bstm": BillingStatement, "hp_card": TokenizationLink}


def _rows(target_id):
    model = _MODELS.get(target_id.rpartition("_")[0])
    return model.objects.select_related("customer").filter(pk=target_id) if model else PaymentRequest.objects.none()


def find(target_id):
    """The request, statement or link of an id; None for any other id."""
    return _rows(target_id).first()


def lock(target_id):
    """The same, its row locked. Writers lock the target first, then the attempt, then the payment."""
    return _rows(target_id).select_for_update(of=("self",), no_key=True).first()


def due(target):
    """Money still to pay: none on a link that only saves a card."""
    if isinstance(target, TokenizationLink):
        return Money(0, target.currency)
    return target.amount_remaining_money if isinstance(target, BillingStatement) else target.amount_money


def refuse_unpayable(target):
    """Raise DomainError, in words for the payer, when nothing can be paid on a target now."""
    if isinstance(target, TokenizationLink):
        return _refuse_unusable(target)
    if target.status in (PaymentRequest.Status.DONE, BillingStatement.Status.PAID):
        raise DomainError("This is paid already. No further money moved.")
    if target.status in (PaymentRequest.Status.CANCELED, BillingStatement.Status.VOID):
        raise DomainError("This was canceled. No money moved.")
    if not target.payable:
        raise DomainError("This link has expired. No money moved.")


def _refuse_unusable(link):
    if link.status == TokenizationLink.Status.DONE:
        raise DomainError("This link was used already: a card is saved. No money moved.")
    if link.status == TokenizationLink.Status.CANCELED:
        raise DomainError("This link was canceled. No card was saved, and no money moved.")
    if not link.payable:
        raise DomainError("This link has expired. No card was saved, and no money moved.")
    if link.customer.archived:
        raise DomainError("This link takes no card any more. Ask its sender for a new one. No card was saved.")


def under_way(target):
    """Payments of a target that are not settled yet."""
    unsettled = [Payment.Status.PENDING, Payment.Status.AUTHORIZED]
    return Payment.objects.none() if isinstance(target, TokenizationLink) else target.payments.filter(status__in=unsettled)


def saves_card(target):
    """Whether the payer's method is to be kept for the customer: the gateway must know the customer then."""
    if isinstance(target, BillingStatement):
        return target.setup_future_usage == "off_session"
    return isinstance(target, TokenizationLink) or target.save_card


def refuse_if_paying(target):
    """Raise DomainError while a payment of a target is under way. Call it with the target locked."""
    if Attempt.objects.open().for_target(target, Attempt.Kind.CHECKOUT).exists():
        raise DomainError("The customer is paying this right now. Try again in a moment.")
    if under_way(target).exists():
        raise DomainError("A payment of this is not settled yet. Wait for it, or capture or release it first.")


def checkout_body(target):
    """What a gateway is asked for a target, but for `reference`, `return_url` and `customer`."""
    money = due(target)
    return {"amount_minor": money.minor, "currency": money.currency, "mode": CheckoutMode.PAY} | _BODIES[type(target)](target)


def _of_request(request):
    return {
        "description": request.description,
        "method_types": request.method_types,
        "expires_at": request.expires_at.isoformat(),
        "save_card": request.save_card,
        "capture": not request.authorize_only,
    }


def _of_statement(statement):
    return {
        "description": statement.description or f"Billing statement {statement.number}",
        "method_types": statement.allowed_methods or method_types_for(statement.livemode, statement.currency),
        "expires_at": (timezone.now() + PAGE_LIFE).isoformat(),
        "save_card": statement.setup_future_usage == "off_session",
        "capture": True,
    }


def _of_link(link):
    return {
        "mode": CheckoutMode.SAVE_CARD,
        "description": link.description,
        "method_types": ["card"],
        "expires_at": link.expires_at.isoformat(),
    }


_BODIES = {PaymentRequest: _of_request, BillingStatement: _of_statement, TokenizationLink: _of_link}


def payment_fields(target):
    """What a payment takes from what it pays: product type, its link to it, and the payer's words."""
    if isinstance(target, BillingStatement):
        return {
            "product_type": statement_product(target),
            "statement": target,
            "billing_name": target.bill_to_name,
            "billing_email": target.bill_to_email,
            "billing_phone": target.bill_to_phone,
            "description": target.description or f"Billing statement {target.number}",
        }
    return {
        "product_type": Payment.Product.TERMINAL if target.by_staff else Payment.Product.REQUEST,
        "request": target,
        "billing_name": target.customer_name,
        "billing_email": target.customer_email,
        "billing_phone": target.customer.phone,
        "description": target.description,
    }


def statement_product(statement):
    """The product a payment of a statement counts as."""
    return Payment.Product.INVOICE if statement.is_invoice else Payment.Product.STATEMENT
