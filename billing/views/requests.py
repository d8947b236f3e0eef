"""Pages about payment requests: list, details, the form that makes one in two steps, cancel."""

import secrets
from urllib.parse import urlencode

from django.http import HttpResponse
from django.utils.functional import cached_property
from django.views import View

from billing.domain import requests as domain
from billing.filters import RequestFilter
from billing.forms import MethodsForm, RequestForm, currencies_for, first_country, values_of
from billing.gateways import method_types_for
from billing.models import Attempt, PaymentRequest
from billing.tables import CustomerRequestTable, RequestTable
from billing.templatetags.billing import qr_svg
from billing.views.records import WIDE, CustomerSection, OfCustomer, RecordDetail, RecordList, warnings
from dashboard.forms import KitForm
from dashboard.views import ActionView, FormView, ObjectMixin

SHARES = "dashboard.view_contact_data"  # whoever may see how to reach a customer may send the link


class RequestList(RecordList):
    queryset = PaymentRequest.objects.select_related("customer").defer(*WIDE)
    permission = "billing.view_paymentrequest"
    section = "requests"
    title = "Payment requests"
    table_class = RequestTable
    filterset_class = RequestFilter
    list_name = "billing:requests"
    export_name = "payment-requests"
    noun, plural = "payment request", "payment requests"
    search_hint = "Description, customer, reference"
    tabs = (
        ("All", ""),
        ("Open", "status=open"),
        ("Completed", "status=completed"),
        ("Expired", "status=expired"),
        ("Canceled", "status=canceled"),
    )
    empty_text = "Open a customer and choose Request payment: you get a link to send, and it is listed here."


class CustomerRequestList(CustomerSection, RequestList):
    table_class = CustomerRequestTable
    empty_text = "Links you send this customer are listed here."


class RequestPayment(OfCustomer, FormView):
    """Ask a customer for money: which methods, then how much. Step 1 is a GET that leads to `?step=2&method=…`."""

    permission = "billing.request_payment"
    title = "Request payment"
    template_name = "billing/request_payment.html"

    @cached_property
    def types(self):
        """The method types on offer here."""
        return method_types_for(self.request.livemode, self.customer.currency)

    @cached_property
    def chosen(self):
        """The types of step 1, in step 2 as well."""
        given = self.request.POST if self.request.method == "POST" else self.request.GET
        return [t for t in self.types if t in given.getlist("method")]

    def get(self, request, *args, **kwargs):
        if request.GET.get("step") == "2" and self.chosen:
            return super().get(request, *args, **kwargs)
        asked = request.GET if request.GET.get("step") == "2" else None
        form = MethodsForm(asked, types=self.types, initial={"method": self.chosen or self.types})
        return self.render_to_response(self.get_context_data(form=form, step=1), status=200 if asked is None else 422)

    def get_form(self, data=None):
        currencies = currencies_for(self.request.livemode, self.chosen)
        own = [c for c in currencies if c == self.customer.currency]
        initial = {"country": first_country(self.customer), "method": self.chosen, "form_key": secrets.token_hex(16)}
        return RequestForm(data, types=self.types, currencies=[*own, *[c for c in currencies if c not in own]], initial=initial)

    def post(self, request, *args, **kwargs):
        form = self.get_form(request.POST)
        if form.is_valid() and not request.POST.get("again") and (same := self.same_open(form.cleaned_data)):
            return self.render_to_response(self.get_context_data(form=form, same=same), status=409)
        return super().post(request, *args, **kwargs)

    def same_open(self, data):
        """An open request of this customer for the same amount, unless this very form made it."""
        money = data["amount"]
        asked = self.customer.requests.open().filter(amount=money.minor, currency=money.currency)
        return asked.exclude(form_key=data["form_key"]).order_by("-pk").first()

    def act(self, data):
        self.made = domain.create_payment_request(self.customer, by=self.request.user, **values_of(data))

    def get_success_url(self):
        return f"{self.made.get_absolute_url()}?created=1"

    def get_back_url(self):
        return self.customer.get_absolute_url()

    def get_refusal(self):
        """Why no payment can be requested here at all; "" when it can."""
        if self.customer.archived:
            return f"{self.customer} is archived. Restore the customer first."
        if not self.types:
            mode = "live" if self.request.livemode else "test"
            return f"No payment gateway takes {self.customer.currency} in {mode} mode, so there is nothing to pay with yet."
        return ""

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            **{"step": 2} | kwargs,
            refusal=self.get_refusal(),
            warnings=warnings(self.customer),
            back_to_methods=f"{self.request.path}?{urlencode({'method': self.chosen}, doseq=True)}",
        )


class RequestMixin:
    """Pages of one request."""

    queryset = PaymentRequest.objects.select_related("customer", "created_by")
    permission = "billing.view_paymentrequest"
    section = "requests"


class RequestDetail(RequestMixin, RecordDetail):
    """A request with its link, and, right after it was made, the link in a dialog to send."""

    template_name = "billing/request.html"

    def get_context_data(self, **kwargs):
        found = self.object
        checking = Attempt.objects.for_target(found, Attempt.Kind.CHECKOUT).filter(state=Attempt.State.UNKNOWN).exists()
        return super().get_context_data(
            payment_request=found,
            payments=found.payments.order_by("-created_at", "-pk")[:50],
            shares=(shares := found.payable and self.request.user.has_perm(SHARES)),
            created=shares and "created" in self.request.GET,
            checking=checking,
            **kwargs,
        )


class RequestQr(RequestMixin, ObjectMixin, View):
    """The link as a QR code to download."""

    permission = SHARES

    def get(self, request, *args, **kwargs):
        response = HttpResponse(qr_svg(self.object.url), content_type="image/svg+xml")
        response["Content-Disposition"] = f'attachment; filename="{self.object.pk}.svg"'
        return response


class RequestCancel(RequestMixin, ActionView):
    permission = "billing.cancel_paymentrequest"
    form_class = KitForm
    title = submit = "Cancel request"
    danger = True
    consequence = "The link stops taking payment at once. No money moves, and what was paid already stays paid."

    def act(self, data):
        domain.cancel_payment_request(self.object, by=self.request.user)
        return "The request is canceled. Its link no longer takes payment."
