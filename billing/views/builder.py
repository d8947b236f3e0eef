"""The builder of billing statements: for a customer, or for a name and an e-mail; lines come and go by buttons.

One form. Its buttons for finding customers, lines and totals send it without saving, so it works without script;
script fetches the same answers while one types.
"""

import re
import secrets
from typing import NamedTuple

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.views.generic import TemplateView

from billing.domain import coupons
from billing.domain import statements as domain
from billing.forms import currencies_for
from billing.models import BillingStatement
from billing.statement_forms import EditStatementForm, Lines, NewStatementForm, as_typed
from billing.views.records import OfCustomer, history, warnings
from customers.domain import Stale, find_or_create_customer
from customers.models import Customer
from dashboard import search
from dashboard.ids import HEX
from dashboard.money import CURRENCIES, Money
from dashboard.states import DomainError
from dashboard.text import fold
from dashboard.views import FormView, ObjectMixin, StaffMixin

_ID = re.compile(rf"(?:cus_)?{HEX}")
BUTTONS = ("find", "pick", "unpick", "add", "remove", "update")  # these send the form without saving it
HITS = 8


def find_customers(livemode, text):
    """The first active customers a search text finds, newest first; none for a blank text."""
    if not search.clean_query(text):
        return []
    return search.matching(Customer.objects.active().filter(livemode=livemode), text).order_by("-created_at", "-pk")[:HITS]


def customer_of(livemode, pk):
    """The customer of a public id in this mode, or None."""
    return Customer.objects.filter(livemode=livemode, pk=pk).first() if _ID.fullmatch(pk) else None


def similar_customers(livemode, name, email):
    """Active customers of this name or e-mail, but not of both: somebody new might be one of them."""
    email, named = email.lower(), Q(sort_name=fold(name)[:600])
    rows = Customer.objects.active().filter(named | Q(email=email), livemode=livemode)
    return [c for c in rows.order_by("pk")[:5] if c.email != email or c.sort_name != fold(name)]


class CustomerHits(StaffMixin, TemplateView):
    """What the builder's search finds, as buttons that choose a customer: the part script puts below the box."""

    permission = "billing.change_statement"
    template_name = "billing/_builder_hits.html"

    def get_context_data(self, **kwargs):
        text = search.clean_query(self.request.GET.get("q"))
        return super().get_context_data(hits=find_customers(self.request.livemode, text), q=text, **kwargs)


class Builder(FormView):
    """What making and editing a statement have in common."""

    permission = "billing.change_statement"
    section = "statements"
    template_name = "billing/builder.html"
    submit = "Save draft"
    fixed = False  # whether the customer can no longer be chosen

    @cached_property
    def given(self):
        """What the browser sent, or None when the page is only asked for."""
        return self.request.POST if self.request.method == "POST" else None

    @cached_property
    def currencies(self):
        """Those a gateway of this mode takes, the one in use first; all when there is no gateway yet."""
        found = currencies_for(self.request.livemode, []) or sorted(CURRENCIES)
        first = [c for c in dict.fromkeys((self.own_currency, settings.DEFAULT_CURRENCY)) if c in found]
        return [*first, *[c for c in found if c not in first]]

    @property
    def own_currency(self):
        return self.customer.currency if self.customer else settings.DEFAULT_CURRENCY

    @property
    def currency(self):
        """The currency the lines are read in."""
        typed = self.given.get("currency") if self.given else ""
        picked = self.given and "pick" in self.given
        return self.own_currency if picked or typed not in self.currencies else typed

    def lines(self, *, bound=False):
        return Lines(self.given, currency=self.currency, bound=bound)

    def get_form(self, data=None):
        fields = self.typed() if self.given else self.get_initial()
        given = {"customer": self.customer, "currencies": self.currencies, "lines": self.lines(bound=data is not None)}
        return self.form_class(data, initial=fields, livemode=self.request.livemode, **given)

    def typed(self):
        """What stands in the boxes, to show it again unchecked."""
        pairs = self.form_class.base_fields["metadata"].widget.value_from_datadict(self.given, {}, "metadata")
        return self.given.dict() | {"metadata": pairs, "currency": self.currency} | self.of_picked()

    def of_picked(self):
        """A customer just chosen brings its e-mail."""
        return {"email": self.customer.email} if self.customer and self.given and "pick" in self.given else {}

    def post(self, request, *args, **kwargs):
        if any(name in request.POST for name in BUTTONS):
            return self.rearrange()
        form = self.get_form(request.POST)
        if form.is_valid() and (same := self.same_customers(form.cleaned_data)):
            return self.render_to_response(self.get_context_data(form=form, same=same), status=409)
        return self.save(form) if form.is_valid() else self.refuse(form)

    def rearrange(self):
        """The form as it was typed, with a line more or less, a customer chosen, the totals added up anew."""
        form = self.get_form()
        if self.request.headers.get("HX-Request"):
            self.template_name = "billing/_builder_totals.html"
        return self.render_to_response(self.get_context_data(form=form))

    def same_customers(self, data):
        """Customers a new one might be: asked about before one is made."""
        return []

    def save(self, form):
        try:
            messages.success(self.request, self.act(form))
        except Stale as stale:
            return self.show_conflict(form, stale.current)
        except DomainError as error:
            form.add_error(None, str(error))
            return self.refuse(form)
        return HttpResponseRedirect(self.get_success_url())

    def get_success_url(self):
        """The statement, or the page that finalises it when that button was pressed."""
        if not self.made:
            return reverse("billing:statements")
        if self.given and "review" in self.given:
            return reverse("billing:statement_finalize", args=[self.made.pk])
        return self.made.get_absolute_url()

    made = None

    def get_context_data(self, *, form, **kwargs):
        text = "" if self.customer else search.clean_query(self.request.POST.get("q"))
        return super().get_context_data(
            form=form,
            lines=form.lines,
            discount=discount_of(form["coupon"].value(), form.lines, self.customer, self.request.livemode),
            chosen=self.customer,
            fixed=self.fixed,
            q=text,
            hits=find_customers(self.request.livemode, text),
            warnings=warnings(self.customer),
            **kwargs,
        )


class Discount(NamedTuple):
    """What the code in the box takes off the lines as they stand, or why it takes nothing."""

    code: str
    why: str = ""
    off: Money | None = None
    total: Money | None = None


def discount_of(code, lines, customer, livemode):
    """The Discount of a typed code; None without one, and while it is not known."""
    coupon = coupons.find(code or "", livemode)
    if not coupon:
        return Discount(code, "There is no such coupon.") if code else None
    if why := coupons.why_not_valid(coupon, customer=customer, currency=lines.currency):
        return Discount(coupon.code, why)
    off = Money(coupons.discount_of(coupon, lines.total.minor, lines.currency), lines.currency)
    return Discount(coupon.code, "", off, lines.total - off)


class StatementNew(Builder):
    form_class = NewStatementForm
    title = "New billing statement"

    @cached_property
    def customer(self):
        given = self.given if self.given is not None else self.request.GET
        return None if "unpick" in given else customer_of(self.request.livemode, given.get("pick") or given.get("customer", ""))

    def get_initial(self):
        return {
            "due_on": domain.usual_due_date(),
            "currency": self.currency,
            "email": self.customer.email if self.customer else "",
            "form_key": secrets.token_hex(16),
        }

    def same_customers(self, data):
        """Whoever has this e-mail gets the statement; of a mere namesake staff must say so."""
        if self.customer or self.given.get("not_a_duplicate"):
            return []
        return similar_customers(self.request.livemode, data["name"], data["email"])

    def act(self, form):
        data, customer = form.cleaned_data, self.customer
        before = timezone.now()
        if not customer:
            about = {"livemode": self.request.livemode, "by": self.request.user, "currency": data["currency"]}
            origin = Customer.Origin.STATEMENT
            customer = find_or_create_customer(name=data["name"], email=data["email"], origin=origin, **about)
        self.made = domain.create_statement(
            customer, by=self.request.user, email=data["email"], form_key=data["form_key"], **form.values
        )
        new = " The customer is new on your list." if customer.created_at >= before else ""
        return f"A draft for {customer} is saved.{new}"


class CustomerStatementNew(OfCustomer, StatementNew):
    """The same, begun from a customer's page: the customer is chosen already."""

    fixed = True

    def get_back_url(self):
        return self.customer.get_absolute_url()


class StatementEdit(ObjectMixin, Builder):
    """Edits a draft. When someone else saved first, what differs is laid side by side and nothing is lost."""

    queryset = BillingStatement.objects.select_related("customer", "coupon")
    form_class = EditStatementForm
    title = "Edit draft"
    fixed = True

    @property
    def customer(self):
        return self.object.customer

    @property
    def own_currency(self):
        return self.object.currency

    def get(self, request, *args, **kwargs):
        if self.object.status != BillingStatement.Status.DRAFT:
            messages.info(request, f"{self.object} is finalised and cannot change. Duplicate it to bill something else.")
            return HttpResponseRedirect(self.object.get_absolute_url())
        return super().get(request, *args, **kwargs)

    def lines(self, *, bound=False):
        data = self.given if self.given is not None else as_typed(self.object.lines.all())
        return Lines(data, currency=self.currency, bound=bound)

    def get_initial(self):
        return values_of(self.object) | {"email": self.customer.email, "version": self.object.version}

    def act(self, form):
        data = form.cleaned_data
        self.made = domain.update_draft(
            self.object, version=data["version"], by=self.request.user, email=data["email"], **form.values
        )
        return "The draft is saved."

    def show_conflict(self, form, current):
        """The form as I typed it, beside what they saved; saving it again replaces theirs."""
        mine, theirs = told(form.cleaned_data, form.lines.values, form.lines.currency), told_of(current)
        clashes = [
            (form.fields[n].label if n in form.fields else "Lines", theirs[n], mine[n]) for n in mine if mine[n] != theirs[n]
        ]
        self.given = self.given.copy()
        self.given["version"] = current.version
        context = self.get_context_data(form=self.get_form(), conflict=True, clashes=clashes, last=history(current).first())
        return self.render_to_response(context, status=409)

    def get_success_url(self):
        self.made = self.made or self.object
        return super().get_success_url()


def values_of(statement):
    """The fields of a draft as its form shows them."""
    kept = ("currency", "description", "merchant_reference_id", "statement_descriptor", "metadata")
    due_on = statement.due_at and timezone.localtime(statement.due_at).date()
    return {n: getattr(statement, n) for n in kept} | {"due_on": due_on, "coupon": statement.coupon and statement.coupon.code}


def told_of(statement):
    lines = [(x.description, x.quantity, x.unit_price) for x in statement.lines.all()]
    return told(values_of(statement), lines, statement.currency)


def told(data, lines, currency):
    """A draft's content in words, by field: to compare two of them."""
    names = ("currency", "due_on", "description", "merchant_reference_id", "statement_descriptor", "coupon")
    found = {n: str(data[n] or "") for n in names}
    found["metadata"] = ", ".join(f"{k}: {v}" for k, v in sorted(data["metadata"].items()))
    return found | {"lines": "; ".join(f"{q} × {text}, {Money(price, currency)}" for text, q, price in lines)}
