"""What the pages of statements, payments and requests have in common."""

import re

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from django.utils.http import content_disposition_header
from django.views import View
from django.views.generic.base import ContextMixin

from billing.templatetags.billing import qr_svg
from billing.views.exports import ChoosesColumns
from customers.models import Customer
from dashboard.ids import HEX
from dashboard.models import Event
from dashboard.views import DetailView, ListView, ObjectMixin

_ID = re.compile(rf"(?:[a-z_]+_)?{HEX}")
SHARES = "dashboard.view_contact_data"  # whoever may see how to reach a customer may send a payer's link
WIDE = ("search", "metadata", "customer__search", "customer__metadata", "customer__description")  # no column of a list shows them


class RecordList(ChoosesColumns, ListView):
    """A list in which a pasted ID, or another exact name of one row, leads straight to it."""

    exact = ""  # the column of that other name
    audited = True

    def jump(self):
        text = self.request.GET.get("q", "").strip()
        if self.request.headers.get("HX-Request") or "\0" in text:
            return None
        if _ID.fullmatch(text):
            return self.base.filter(pk=text).first()
        return self.base.filter(**{self.exact: text.upper()}).first() if self.exact and text else None


class RecordDetail(DetailView):
    """One record's page, with what happened to it and the warnings about its customer."""

    def get_context_data(self, **kwargs):
        told = history(self.object, *self.told_here())
        return super().get_context_data(history=told, warnings=warnings(self.object.customer), **kwargs)

    def told_here(self):
        """The IDs of other records whose events belong on this page too."""
        return ()


class LinkQr(ObjectMixin, View):
    """A record's link for its payer, as a QR code to download; 404 when it has none to show. Give it SHARES as permission."""

    def get(self, request, *args, **kwargs):
        if not self.object.url:
            raise Http404
        response = HttpResponse(qr_svg(self.object.url), content_type="image/svg+xml")
        name = getattr(self.object, "number", "") or self.object.pk
        response["Content-Disposition"] = content_disposition_header(True, f"{name}.svg")
        return response


def history(record, *others):
    """The events about one record and others told with it, newest first."""
    return Event.objects.filter(object_id__in=[record.pk, *others]).select_related("by").order_by("-pk")[:20]


def warnings(customer):
    """The pinned comments that follow a customer wherever staff work on it."""
    return customer.comments.filter(pinned=True, deleted_at=None).select_related("author") if customer else []


class OfCustomer(ContextMixin):
    """A list or page under /customers/<id>/…: the customer's own rows of an otherwise unchanged view."""

    section = "customers"

    @cached_property
    def customer(self):
        return get_object_or_404(Customer, pk=self.kwargs["customer"], livemode=self.request.livemode)

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs | {"customer": self.customer})  # the path's own `customer` is an ID


class CustomerSection(OfCustomer):
    """Put before a list view: the same list of one customer's rows, without buttons that make new ones."""

    template_name = "billing/customer_list.html"
    create_permission = None

    def get_queryset(self):
        return super().get_queryset().filter(customer=self.customer)
