"""Pages about a customer's payment methods: the list, one of them, adding a card, choosing the default, removing."""

import secrets
from datetime import timedelta

from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from billing.domain import card_links, checkouts, vault
from billing.filters.methods import MethodFilter
from billing.gateways import about
from billing.method_forms import AddCardForm, why_not
from billing.models import PaymentMethod
from billing.tables.methods import MethodTable
from billing.views.records import CustomerSection, OfCustomer, RecordDetail, warnings
from billing.views.statements import address_of
from dashboard.forms import KitForm
from dashboard.views import ActionView, FormView, ListView

PAGE_LIFE = timedelta(hours=1)  # how long a page that staff open for themselves works
SHOWN = 5  # payments listed beside a method


class MethodList(CustomerSection, ListView):
    """All of a customer's methods, the removed ones too."""

    queryset = PaymentMethod.objects.all()
    permission = "billing.view_method"
    title = "Payment methods"
    table_class = MethodTable
    filterset_class = MethodFilter
    audited = True
    noun, plural = "payment method", "payment methods"
    search_hint = ""
    tabs = (("All", ""), ("Active", "status=active"), ("Expired", "status=expired"), ("Removed", "status=removed"))
    empty_text = "Add a card, or request card details: what the customer has on file is listed here, and what was removed."


class MethodMixin(OfCustomer):
    """Pages of one payment method: another customer's is as unknown as any."""

    queryset = PaymentMethod.objects.select_related("created_by")
    permission = "billing.view_method"

    def get_queryset(self):
        return super().get_queryset().filter(customer=self.customer)

    def get_success_url(self):
        return f"{self.customer.get_absolute_url()}#methods"


class MethodDetail(MethodMixin, RecordDetail):
    """What is kept of a method, what was paid with it, and what happened to it."""

    template_name = "billing/method.html"

    def get_context_data(self, **kwargs):
        method = self.object
        return super().get_context_data(
            method=method,
            gateway=about(method.gateway),
            address=address_of(method.address) if method.address else None,
            payments=method.payments.defer("search", "metadata").order_by("-pk")[:SHOWN],
            link=method.links.filter(by_staff=False).first(),
            refusal="" if method.archived else why_not(method),
            **kwargs,
        )


class MethodDefault(MethodMixin, ActionView):
    permission = "billing.add_method"
    form_class = KitForm
    title = submit = "Make default"

    def get_consequence(self):
        now = vault.default_method(self.customer)
        instead = f" instead of {now}" if now else ""
        return f"Charges without a chosen payment method, and subscriptions without one, use this one{instead}. No money moves."

    def act(self, data):
        vault.make_default(self.object, by=self.request.user)
        return f"{self.object} is the default now."


class MethodRemove(MethodMixin, ActionView):
    permission = "billing.remove_method"
    form_class = KitForm
    title = "Remove payment method"
    submit = "Remove"
    danger = True
    consequence = (
        "It is never charged again, and the payment company forgets it. Its payments keep showing it. No money moves. "
        "To use it again, the customer has to give it again."
    )

    def act(self, data):
        vault.remove_method(self.object, by=self.request.user)
        return f"{self.object} is removed. Old payments still show it."


class LeadsToGateway:
    """A form whose answer is a page of the gateway's: ours leads there.

    A page elsewhere is reached by a link: the content policy lets no form of ours end on another site.
    """

    attempt = None

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        if not self.attempt or self.attempt.url.startswith("/"):
            return response
        return TemplateResponse(request, "billing/method_onward.html", self.get_onward_context())

    def get_onward_context(self):
        named = about(self.attempt.gateway).name
        return {"title": self.title, "section": "customers", "customer": self.customer, "named": named, "url": self.attempt.url}


class MethodNew(LeadsToGateway, OfCustomer, FormView):
    """Add a card: a link for staff themselves, which opens the gateway's own page at once (R-38)."""

    permission = "billing.add_method"
    title = "Add card"
    submit = "Continue"
    template_name = "billing/method_new.html"

    @cached_property
    def slugs(self):
        """The gateways that keep cards in the customer's currency."""
        return card_links.gateways_saving(self.customer)

    @cached_property
    def first(self):
        return vault.default_method(self.customer) is None

    def get_form(self, data=None):
        return AddCardForm(data, slugs=self.slugs, first=self.first, initial={"form_key": secrets.token_hex(16)})

    def get_refusal(self):
        """Why no card can be added here at all; "" when one can."""
        if self.customer.archived:
            return self.customer.why_closed
        if not self.slugs:
            mode = "live" if self.request.livemode else "test"
            return f"No payment gateway keeps cards in {self.customer.currency} in {mode} mode, so none can be added here yet."
        return ""

    def post(self, request, *args, **kwargs):
        if self.get_refusal():
            return self.refuse(self.get_form())
        return super().post(request, *args, **kwargs)

    def act(self, data):
        link = card_links.create_card_link(
            self.customer,
            gateway=data["gateway"] or self.slugs[0],
            by=self.request.user,
            expires_at=timezone.now() + PAGE_LIFE,
            make_default=data.get("make_default", False),
            by_staff=True,
            form_key=data["form_key"],
        )
        self.attempt = checkouts.start_payment(link)

    def get_success_url(self):
        return self.attempt.url if self.attempt else self.get_back_url()

    def get_back_url(self):
        return f"{self.customer.get_absolute_url()}#methods"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            refusal=self.get_refusal(),
            first=self.first,
            named=about(self.slugs[0]).name if len(self.slugs) == 1 else "",
            warnings=warnings(self.customer),
            request_url=reverse("customer_billing:card_link_new", args=[self.customer.pk]),
            **kwargs,
        )
