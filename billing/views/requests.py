"""Pages about payment requests: list, details, the form that makes one in two steps, cancel."""

import re
import secrets

from django.db.models import F, Q
from django.http import Http404, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from billing.domain import requests as domain
from billing.domain.sending import chat_text
from billing.filters import RequestFilter
from billing.forms import (
    AnyCustomerForm,
    ExtendForm,
    MethodsForm,
    RequestForm,
    currencies_for,
    first_country,
    saves_cards,
    types_of,
    values_of,
)
from billing.gateways import method_types_for
from billing.life import life_of
from billing.models import Attempt, PaymentRequest
from billing.tables import CustomerRequestTable, RequestTable
from billing.views.builder import CustomerHits, customer_of, find_customers, similar_customers
from billing.views.records import SHARES, WIDE, CustomerSection, LinkQr, OfCustomer, RecordDetail, RecordList, warnings
from customers.domain import find_or_create_customer
from customers.models import Customer
from dashboard import search
from dashboard.card_numbers import find_card_number
from dashboard.forms import KitForm, MetadataWidget
from dashboard.ids import HEX
from dashboard.money import CURRENCIES
from dashboard.templatetags.ui import day_text
from dashboard.views import ActionView, FormView, StaffMixin

_ID = re.compile(rf"(?:bstm_)?{HEX}")
CARRIED = (  # what either step hands on to the other: presets by the names of the query, the rest by the form's own
    "statement", "amount", "currency", "amount_currency", "country", "description", "reference", "merchant_reference_id",
    "coupon", "expires", "until", "save_card", "authorize_only", "metadata_key", "metadata_value", "form_key",
)  # fmt: skip
EXTENDABLE = (PaymentRequest.Status.OPEN, PaymentRequest.Status.EXPIRED)


class RequestList(RecordList):
    queryset = PaymentRequest.objects.select_related("customer").defer(*WIDE)
    permission = "billing.view_paymentrequest"
    section = "requests"
    title = "Payment requests"
    table_class = RequestTable
    filterset_class = RequestFilter
    list_name = "billing:requests"
    help_topic = "collect"
    export_name = "payment-requests"
    noun, plural = "payment request", "payment requests"
    search_hint = "Description, customer, reference"
    create_url, create_label, create_permission = "billing:request_new_any", "Request payment", "billing.request_payment"
    tabs = (
        ("All", ""),
        ("Open", "status=open"),
        ("Completed", "status=completed"),
        ("Expired", "status=expired"),
        ("Canceled", "status=canceled"),
    )
    empty_text = "Choose Request payment: you get a link to send, and it is listed here."


class CustomerRequestList(CustomerSection, RequestList):
    table_class = CustomerRequestTable
    empty_text = "Links you send this customer are listed here."


class RequestPayment(OfCustomer, FormView):
    """Ask a customer for money: which methods, then how much. Step 1 leads to `?step=2&method=…`.

    The query may say `amount`, `currency`, `description`, `reference`, `coupon`, or name a `statement`. Both steps carry on
    what was typed: Back posts it, so that nothing of it stands in an address.
    """

    permission = "billing.request_payment"
    title = "Request payment"
    template_name = "billing/request_payment.html"

    @property
    def given(self):
        """What the browser sent: presets, or the form of either step."""
        return self.request.POST if self.request.method == "POST" else self.request.GET

    @cached_property
    def statement(self):
        """The customer's statement to be paid, or None."""
        pk = self.given.get("statement", "")
        return self.customer.statements.filter(pk=pk).first() if _ID.fullmatch(pk) else None

    @cached_property
    def currency(self):
        """The one asked for, if it can be; else the customer's own."""
        asked = (self.given.get("amount_currency"), self.given.get("currency"), self.statement and self.statement.currency)
        return next((c for c in asked if c in CURRENCIES and method_types_for(self.request.livemode, c)), self.customer.currency)

    @cached_property
    def types(self):
        """The method types on offer here."""
        return method_types_for(self.request.livemode, self.currency)

    @cached_property
    def chosen(self):
        """The types of step 1, in step 2 as well."""
        return [t for t in types_of(self.request.livemode) if t in self.given.getlist("method")]

    def get(self, request, *args, **kwargs):
        return self.step_two() if request.GET.get("step") == "2" else self.step_one()

    def step_one(self, data=None):
        form = MethodsForm(data, types=self.types, initial={"method": self.chosen or self.types})
        carried = [(name, "" if find_card_number(value) else value) for name in CARRIED for value in self.given.getlist(name)]
        return self.render_to_response(
            self.get_context_data(form=form, step=1, carried=carried), status=200 if data is None else 422
        )

    def step_two(self):
        if not set(self.chosen) & set(self.types):
            return self.step_one(self.given)
        return self.render_to_response(self.get_context_data(form=self.get_form()))

    def post(self, request, *args, **kwargs):
        if "back" in request.POST:
            return self.step_one()
        if "next" in request.POST:
            return self.step_two()
        form = self.get_form(request.POST)
        if form.is_valid() and not request.POST.get("again") and (same := self.same_open(form.cleaned_data)):
            return self.render_to_response(self.get_context_data(form=form, same=same), status=409)
        return super().post(request, *args, **kwargs)

    def get_form(self, data=None):
        currencies = currencies_for(self.request.livemode, self.chosen)
        own = [c for c in dict.fromkeys((self.currency, self.customer.currency)) if c in currencies]
        return RequestForm(
            data,
            customer=self.customer,
            types=types_of(self.request.livemode),
            currencies=[*own, *[c for c in currencies if c not in own]],
            saves="card" in self.chosen and saves_cards(self.request.livemode, self.currency),
            initial=self.get_initial(),
        )

    def get_initial(self):
        """What the form starts with, unchecked: what was typed before or preset, else what is usual."""
        given = self.given
        typed = {n: given[n] for n in ("country", "description", "expires", "until", "coupon") if given.get(n)}
        key = self.request.POST.get("form_key") or secrets.token_hex(16)
        found = {"country": first_country(self.customer), "method": self.chosen, "form_key": key} | self.of_statement() | typed
        if given.get("amount") or "amount" not in found:
            found["amount"] = [given.get("amount", ""), self.currency]
        if reference := given.get("merchant_reference_id") or given.get("reference"):
            found["merchant_reference_id"] = reference
        pairs = MetadataWidget().value_from_datadict(given, {}, "metadata")
        return found | {"metadata": pairs} | {n: n in given for n in ("save_card", "authorize_only")}

    def of_statement(self):
        """What a statement presets: what remains to be paid, and its number."""
        if not self.statement or not self.statement.payable:
            return {}
        money, words = self.statement.amount_remaining_money, f"Billing statement {self.statement.number}"
        return {"amount": [money.digits, money.currency], "description": words, "merchant_reference_id": words}

    def same_open(self, data):
        """An open request of this customer for the same amount, unless this very form made it."""
        money = data["amount"]
        asked = self.customer.requests.open().annotate(asked=F("amount") + F("discount_amount"))
        asked = asked.filter(Q(amount=money.minor) | Q(asked=money.minor), currency=money.currency)
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
            return self.customer.why_closed
        if not self.types:
            mode = "live" if self.request.livemode else "test"
            return f"No payment gateway takes {self.customer.currency} in {mode} mode, so there is nothing to pay with yet."
        return ""

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            **{"step": 2} | kwargs,
            refusal=self.get_refusal(),
            warnings=warnings(self.customer),
            own_link=self.statement if self.statement and self.statement.payable else None,
        )


class AnyRequest(StaffMixin):
    """Asking somebody for money before it is said whom."""

    permission = "billing.request_payment"
    section = "requests"


class RequestCustomers(AnyRequest, CustomerHits):
    """What the search for a customer finds: the part script puts below the box."""


class RequestAny(AnyRequest, FormView):
    """Request payment with no customer in sight: choose one or name a new one, then go on with theirs."""

    title = "Request payment"
    template_name = "billing/request_any.html"
    form_class = AnyCustomerForm

    def get_initial(self):
        return {n: self.request.POST.get(n, "") for n in ("name", "email")}

    def post(self, request, *args, **kwargs):
        if "pick" in request.POST:
            return self.go_on(customer_of(request.livemode, request.POST["pick"]))
        if "find" in request.POST or {n for n in ("q", "name", "email") if request.POST.get(n)} == {"q"}:
            return self.get(request)
        form = self.get_form(request.POST)
        if form.is_valid() and not request.POST.get("not_a_duplicate") and (same := self.same(form.cleaned_data)):
            return self.render_to_response(self.get_context_data(form=form, same=same), status=409)
        return super().post(request, *args, **kwargs)

    def go_on(self, customer):
        if not customer:
            raise Http404
        return HttpResponseRedirect(reverse("customer_billing:request_new", args=[customer.pk]))

    def same(self, data):
        return similar_customers(self.request.livemode, **data)

    def act(self, data):
        about = {"livemode": self.request.livemode, "by": self.request.user, "origin": Customer.Origin.REQUEST}
        before = timezone.now()
        self.customer = find_or_create_customer(**data, **about)
        return f"{self.customer} is new on your list." if self.customer.created_at >= before else ""

    customer = None

    def get_success_url(self):
        return reverse("customer_billing:request_new", args=[self.customer.pk]) if self.customer else reverse("billing:requests")

    def get_context_data(self, **kwargs):
        q = search.clean_query(self.request.POST.get("q"))
        return super().get_context_data(
            q=q, hits=find_customers(self.request.livemode, q), find_url=reverse("billing:request_customers"), **kwargs
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
            chat=chat_text(found) if shares else "",
            extendable=found.status in EXTENDABLE and not found.customer.archived,
            checking=checking,
            life=life_of(found, viewer=self.request.user),
            **kwargs,
        )


class RequestQr(RequestMixin, LinkQr):
    permission = SHARES


class RequestExtend(RequestMixin, ActionView):
    """More time, also for a link that has expired already."""

    permission = "billing.request_payment"
    form_class = ExtendForm
    title, submit = "Give more time", "Save"
    consequence = (
        "The same link works until the time you choose, counted from now. A payment page the customer has open is closed; "
        "the link opens a new one. Nothing is sent and no money moves."
    )

    def act(self, data):
        until = domain.extend_request(self.object, expires_at=data["expires_at"], by=self.request.user).expires_at
        until = timezone.localtime(until)
        return f"The link now works until {day_text(until)}, {until:%H:%M}."


class RequestCancel(RequestMixin, ActionView):
    permission = "billing.cancel_paymentrequest"
    form_class = KitForm
    title = submit = "Cancel request"
    danger = True
    consequence = "The link stops taking payment at once. No money moves, and what was paid already stays paid."

    def act(self, data):
        domain.cancel_payment_request(self.object, by=self.request.user)
        return "The request is canceled. Its link no longer takes payment."
