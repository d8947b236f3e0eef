"""Finding the record a path names, in the caller's mode alone."""

from customers.models import DID, Customer
from dashboard.api.errors import ApiError
from dashboard.card_numbers import hide_card_numbers


def find_customer(request, customer_id, queryset=None):
    """The customer of an id, its bare 24 hex digits or a DID. Raises ApiError 404, also for one of the other mode."""
    queryset = Customer.objects.all() if queryset is None else queryset
    named = {"did": customer_id} if DID.fullmatch(customer_id) else {"pk": customer_id}
    return find_one(request, queryset.filter(livemode=request.livemode), "customer", customer_id, **named)


def find_part(request, model, customer_id, pk):
    """A record of `model` that belongs to a customer. Raises ApiError 404."""
    parts = model.objects.filter(customer=find_customer(request, customer_id), livemode=request.livemode)
    return find_one(request, parts, model._meta.verbose_name, pk, pk=pk)


def find_one(request, queryset, noun, given, **named):
    """The one record of a queryset with these values. Raises ApiError 404 naming what was asked for."""
    if len(given) <= 255 and "\0" not in given and (found := queryset.filter(**named).first()):
        return found
    mode = "live" if request.livemode else "test"
    raise ApiError("resource_not_found", f"No {noun} “{hide_card_numbers(given)[:60]}” in {mode} mode.")
