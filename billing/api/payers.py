"""Who is asked or has paid, as a body says it: a customer on the list, or somebody by name and e-mail (R-52)."""

from pydantic import Field

from billing.models import PaymentMethod
from customers.api.finding import find_customer, find_one
from customers.domain import find_or_create_customer
from dashboard.api.errors import required
from dashboard.api.fields import Body, Email, Text

CUSTOMER_ID = Text(255, 1)
SAID = "Their ID, its 24 hex digits alone, or their DID."


class PayerBody(Body):
    """Whom it is about. What decides that is never disregarded: malformed it is an error."""

    customer_id: CUSTOMER_ID | None = Field(None, description=SAID)
    name: Text(511, 1) | None = Field(None, description="With `email`, instead of `customer_id`: of a new customer.")
    email: Email | None = Field(None, description="Whoever has it is meant, else a new customer.")


def payer_of(request, body, origin, currency=""):
    """The customer a body names; a new one has this currency. Raises ApiError 400 when it names none, 404 for an unknown ID."""
    if body.customer_id:
        return find_customer(request, body.customer_id)
    for name, value in (("customer_id", body.name or body.email), ("email", body.email), ("name", body.name)):
        if not value:
            raise required(name)
    about = {"livemode": request.livemode, "by": request.auth.by, "origin": origin, "currency": currency}
    return find_or_create_customer(name=body.name, email=body.email, **about)


def source_of(request, customer, pk):
    """A customer's payment source by its ID, removed ones too; None for no ID. Raises ApiError 404."""
    if not pk:
        return None
    own = PaymentMethod.objects.filter(customer=customer, livemode=request.livemode)
    return find_one(request, own, "payment source of this customer", pk, pk=pk)
