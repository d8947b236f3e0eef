"""Search across nouns: a pasted ID or e-mail leads straight to its record, words find the newest of each noun."""

import re
from typing import NamedTuple

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.generic import TemplateView

from billing.models import BillingStatement, Coupon, Payment, PaymentRequest, Refund, Subscription, TokenizationLink
from customers.models import Customer
from dashboard import search
from dashboard.ids import HEX
from dashboard.views import StaffMixin

SHOWN = 5
_ID = re.compile(rf"(?:[a-z_]+_)?{HEX}")


class Noun(NamedTuple):
    label: str
    rows: object  # queryset
    url_name: str
    permission: str
    icon: str


NOUNS = [
    Noun("Customers", Customer.objects.defer("search"), "customers:customers", "customers.view_customer", "users"),
    Noun(
        "Billing statements", BillingStatement.objects.one_off(), "billing:statements", "billing.view_statement", "receipt-text"
    ),
    Noun("Subscriptions", Subscription.objects.all(), "billing:subscriptions", "billing.view_subscription", "repeat"),
    Noun("Invoices", BillingStatement.objects.invoices(), "billing:invoices", "billing.view_subscription", "file-text"),
    Noun("Payments", Payment.objects.all(), "billing:payments", "billing.view_payment", "credit-card"),
    Noun("Refunds", Refund.objects.all(), "billing:refunds", "billing.view_refund", "undo-2"),
    Noun("Payment requests", PaymentRequest.objects.all(), "billing:requests", "billing.view_paymentrequest", "link"),
    Noun("Coupons", Coupon.objects.all(), "billing:coupons", "billing.view_coupon", "ticket-percent"),
    Noun(
        "Card tokenization links",
        TokenizationLink.objects.sent(),
        "billing:card_links",
        "billing.view_cardlink",
        "key-round",
    ),
]


class Search(StaffMixin, TemplateView):
    permission = "dashboard.view"
    title = "Search"
    template_name = "dashboard/search.html"

    def get(self, request, *args, **kwargs):
        self.text = search.clean_query(request.GET.get("q"))
        if found := self.exact():
            return HttpResponseRedirect(found.get_absolute_url())
        return super().get(request, *args, **kwargs)

    def open_nouns(self):
        """(noun, its rows in this mode) of what this person may see."""
        may = [n for n in NOUNS if self.request.user.has_perm(n.permission)]
        return [(n, n.rows.filter(livemode=self.request.livemode)) for n in may]

    def exact(self):
        """The record a pasted ID names, in any spelling of it, or the one customer of an e-mail address."""
        if _ID.fullmatch(self.text):
            named = (rows.filter(pk=self.text).first() for _, rows in self.open_nouns())
            return next(filter(None, named), None)
        if "@" in self.text and self.request.user.has_perm("dashboard.view_contact_data"):
            found = list(Customer.objects.filter(livemode=self.request.livemode, email=self.text.lower())[:2])
            return found[0] if len(found) == 1 else None
        return None

    def groups(self):
        """The newest hits of each noun, and where all of them are."""
        masked = not self.request.user.has_perm("dashboard.view_contact_data")
        match = search.matching_name if masked else search.matching
        for noun, rows in self.open_nouns():
            hits = list(
                rows.filter(pk__in=match(rows, self.text).order_by().values("pk")[: search.CAP]).order_by("-created_at", "-pk")[
                    : SHOWN + 1
                ]
            )
            if hits:
                url = f"{reverse(noun.url_name)}?{urlencode({'q': self.text})}"
                yield {"noun": noun, "rows": hits[:SHOWN], "more": len(hits) > SHOWN, "url": url}

    def get_context_data(self, **kwargs):
        return super().get_context_data(text=self.text, groups=list(self.groups()) if self.text else [], **kwargs)
