"""What staff may still write on a payment: its description and its metadata. The money is never edited."""

import hashlib

from django.db import transaction
from django.utils import timezone

from billing.domain.attempts import canonical
from billing.models import Payment
from customers.domain import refuse_erased
from dashboard import events
from dashboard.states import DomainError


def version_of(payment):
    """Names what description and metadata hold now: a form carries it, so that nothing is overwritten unseen."""
    return hashlib.sha256(canonical([payment.description, payment.metadata]).encode()).hexdigest()[:16]


@transaction.atomic
def update_payment(payment, *, version, by, description, metadata):
    """Set description and metadata of a payment in any status. A save that changes nothing writes nothing.

    Raises DomainError when someone else changed either since the form with this version was opened, and when the customer
    was erased.
    """
    current = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
    if version_of(current) != version:
        raise DomainError("Someone else changed this payment after you opened the form. Nothing of yours is saved yet. Reload.")
    changes = events.changed(current, {"description": description, "metadata": metadata})
    if not changes:
        return current
    if current.customer:
        refuse_erased(current.customer)
    current.description, current.metadata, current.updated_at = description, metadata, timezone.now()
    current.derive().save(update_fields=["description", "metadata", "search", "sort_name", "updated_at"])
    events.record("payment.updated", current, by=by, changes=changes)
    return current
