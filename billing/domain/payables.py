"""What a payer can be asked to pay: a payment request or a billing statement. The rest of the money code knows only this."""

from datetime import timedelta

from django.utils import timezone

from billing.gateways import method_types_for
from billing.models import Attempt, BillingStatement, Payment, PaymentRequest
from dashboard.states import DomainError

PAGE_LIFE = timedelta(hours=24)  # how long a gateway's page of a statement stays open: our own link lasts, theirs need not
_MODELS = {"checkout": PaymentRequest, "bstm": BillingStatement}


def _rows(target_id):
    model = _MODELS.get(target_id.rpartition("_")[0])
    return model.objects.select_related("customer").filter(pk=target_id) if model else PaymentRequest.objects.none()


def find(target_id):
    """The request or statement of an id; None for any other id."""
    return _rows(target_id).first()


def lock(target_id):
    """The same, its row locked. Writers lock the target first, then the attempt, then the payment."""
    return _rows(target_id).select_for_update(of=("self",), no_key=True).first()


def due(target):
    """Money still to pay."""
    return target.amount_remaining_money if isinstance(target, BillingStatement) else target.amount_money


def refuse_unpayable(target):
    """Raise DomainError, in words for the payer, when nothing can be paid on a target now."""
    if target.status in (PaymentRequest.Status.DONE, BillingStatement.Status.PAID):
        raise DomainError("This is paid already. No further money moved.")
    if target.status in (PaymentRequest.Status.CANCELED, BillingStatement.Status.VOID):
        raise DomainError("This was canceled. No money moved.")
    if not target.payable:
        raise DomainError("This link has expired. No money moved.")


def refuse_if_paying(target):
    """Raise DomainError while a payment of a target is under way. Call it with the target locked."""
    if Attempt.objects.open().for_target(target, Attempt.Kind.CHECKOUT).exists():
        raise DomainError("The customer is paying this right now. Try again in a moment.")
    if target.payments.filter(status__in=[Payment.Status.PENDING, Payment.Status.AUTHORIZED]).exists():
        raise DomainError("A payment of this is not settled yet. Wait for it, or capture or release it first.")


def checkout_body(target):
    """What a gateway is asked for a target, but for `reference` and `return_url`."""
    money = due(target)
    return {"amount_minor": money.minor, "currency": money.currency, "mode": "pay"} | (
        _of_statement(target) if isinstance(target, BillingStatement) else _of_request(target)
    )


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


def payment_fields(target):
    """What a payment takes from what it pays: product type, its link to it, and the payer's words."""
    if isinstance(target, BillingStatement):
        return {
            "product_type": Payment.Product.STATEMENT,
            "statement": target,
            "billing_name": target.bill_to_name,
            "billing_email": target.bill_to_email,
            "billing_phone": target.bill_to_phone,
            "description": target.description or f"Billing statement {target.number}",
        }
    return {
        "product_type": Payment.Product.REQUEST,
        "request": target,
        "billing_name": target.customer_name,
        "billing_email": target.customer_email,
        "billing_phone": target.customer.phone,
        "description": target.description,
    }
