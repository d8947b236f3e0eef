"""Pages about coupons: list, details with their uses and a bill to try one on, make, change, switch, duplicate."""

import secrets
from copy import copy
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, Sum
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.functional import cached_property

from billing.coupon_forms import EditCouponForm, NewCouponForm, SwitchForm, TryForm, local_day
from billing.domain import coupons as domain
from billing.filters import CouponFilter, RedemptionFilter
from billing.forms import currencies_for
from billing.models import Coupon, CouponRedemption
from billing.tables import CouponTable, CustomerCouponTable, RedemptionTable
from billing.views.builder import customer_of, find_customers
from billing.views.records import WIDE, CustomerSection, OfCustomer, RecordDetail, RecordList, warnings
from customers.domain import Stale
from customers.models import Customer
from dashboard.money import CURRENCIES, Money
from dashboard.states import DomainError
from dashboard.views import ActionView, EditView, FormView, ObjectMixin

SHOWN = 20  # uses on a coupon's page
TESTS = "dashboard.view_contact_data"  # whoever may search customers by e-mail may try a coupon on one
USED_ON = ("statement", "request", "subscription")
OFF = (
    "Nobody can use it from now on, and drafts that name it cannot be finalised with it. "
    "What it took off already stays, and subscriptions that began with it keep it."
)
COPIED = ("percent_off", "duration", "duration_in_months", "name", "description", "max_redemptions", "max_per_customer")


def customers_named(livemode, text):
    """The active customers an ID, an e-mail or part of a name leads to: those of just this e-mail, if there are any."""
    if found := customer_of(livemode, text):
        return [] if found.archived else [found]
    mailed = Customer.objects.active().filter(livemode=livemode, email=text.lower()) if "@" in text else Customer.objects.none()
    return list(mailed[:8]) or list(find_customers(livemode, text))


def currencies(livemode, first):
    """Those a gateway of a mode takes, `first` in front; all when there is no gateway yet."""
    found = currencies_for(livemode, []) or sorted(CURRENCIES)
    return [first, *[c for c in found if c != first]]


# --- lists ---------------------------------------------------------------------------------------------------
class CouponList(RecordList):
    queryset = Coupon.objects.select_related("customer").defer(*WIDE)
    permission = "billing.view_coupon"
    section = "coupons"
    title = "Coupons"
    table_class = CouponTable
    filterset_class = CouponFilter
    list_name = "billing:coupons"
    export_name = "coupons"
    noun, plural = "coupon", "coupons"
    search_hint = "Code, name, description"
    create_url, create_label, create_permission = "billing:coupon_new", "New coupon", "billing.change_coupon"
    csv_of = {
        "discount": ("percent_off", "amount_off", "currency"),
        "duration": ("duration", "duration_in_months"),
        "redeemed": ("times_redeemed", "max_redemptions"),
        "customer": ("customer_name",),
    }
    tabs = (
        ("All", ""),
        ("Active", "status=active"),
        ("Scheduled", "status=scheduled"),
        ("Used up", "status=used_up"),
        ("Expired", "status=expired"),
        ("Off", "status=off"),
    )
    empty_text = "A coupon takes a percentage or an amount off statements, payment requests and subscriptions."

    def jump(self):
        """A code leads to its coupon, as an ID does."""
        if self.request.headers.get("HX-Request"):
            return None
        return super().jump() or domain.find(self.request.GET.get("q", ""), self.request.livemode)


class CustomerCouponList(CustomerSection, CouponList):
    """Those the customer has used, and those nobody else may use."""

    table_class = CustomerCouponTable
    empty_text = "Coupons this customer has used, and those made for this customer, are listed here."

    def get_queryset(self):
        return CouponList.get_queryset(self).of_customer(self.customer)


class RedemptionList(RecordList):
    queryset = CouponRedemption.objects.select_related("coupon", "customer", *USED_ON).defer(
        *(f"{of}__{n}" for of in ("coupon", "customer", *USED_ON) for n in ("search", "metadata"))
    )
    permission = "billing.view_coupon"
    section = "coupons"
    title = "Uses of coupons"
    table_class = RedemptionTable
    filterset_class = RedemptionFilter
    list_name = "billing:redemptions"
    export_name = "coupon-redemptions"
    noun, plural = "use", "uses"
    search_hint = ""
    csv_of = {
        "used_on": ("statement_number", "request_id", "subscription_id"),
        "coupon": ("code",),
        "customer": ("customer_name",),
        "amount_discounted": ("amount_discounted", "currency"),
    }
    tabs = (("All", ""), ("Used", "state=used"), ("Given back", "state=released"))
    empty_text = "Each statement, payment request, subscription and invoice a coupon took something off is listed here."


class CustomerRedemptionList(CustomerSection, RedemptionList):
    empty_text = "What coupons took off this customer's bills is listed here."


# --- one coupon ------------------------------------------------------------------------------------------------
class CouponMixin:
    """Pages of one coupon."""

    queryset = Coupon.objects.select_related("customer", "created_by")
    permission = "billing.change_coupon"
    section = "coupons"


class Given(NamedTuple):
    """What a coupon took off in one currency, and in how many bills."""

    money: Money
    count: int


class Tried(NamedTuple):
    """What a coupon would do for a bill: why nothing, or how much."""

    why: str
    gives: Money | None = None
    leaves: Money | None = None


class CouponDetail(CouponMixin, RecordDetail):
    """A coupon's terms, its status and why, who used it where, and a bill to try it on."""

    permission = "billing.view_coupon"
    template_name = "billing/coupon.html"

    def get_context_data(self, **kwargs):
        coupon = self.object
        uses = coupon.redemptions.select_related("customer", *USED_ON).order_by("-pk")
        return super().get_context_data(
            coupon=coupon,
            why=domain.why_not_now(coupon),
            uses=uses[:SHOWN],
            uses_count=uses.count(),
            given=given(coupon),
            locked=domain.is_used(coupon),
            **self.trial(),
            **kwargs,
        )

    def trial(self):
        """The form to try the coupon with, and what came of it."""
        if not self.request.user.has_perm(TESTS):
            return {"try_form": None, "tried": None}
        asked = self.request.GET if "amount" in self.request.GET else None
        form = TryForm(asked, **form_context(self.request.livemode, self.object.currency or settings.DEFAULT_CURRENCY))
        return {"try_form": form, "tried": try_on(self.object, form.cleaned_data) if form.is_valid() else None}


def given(coupon):
    """What a coupon took off in all, by currency."""
    rows = coupon.redemptions.standing().exclude(amount_discounted=0).order_by("currency").values_list("currency")
    return [Given(Money(minor, currency), n) for currency, minor, n in rows.annotate(Sum("amount_discounted"), Count("pk"))]


def try_on(coupon, data):
    """What a coupon would do for a customer's bill; nothing is used."""
    money = data["amount"]
    about = {"currency": money.currency, "subtotal": money.minor}
    if why := domain.why_not_valid(coupon, customer=data["customer"], **about):
        return Tried(why)
    off = Money(domain.discount_of(coupon, money.minor, money.currency), money.currency)
    return Tried("", off, money - off)


class CouponNew(FormView):
    """Make a coupon. `?customer=` fills in whom it is for."""

    permission = "billing.change_coupon"
    section = "coupons"
    title = "New coupon"
    submit = "Create coupon"
    template_name = "billing/coupon_form.html"
    success_url = reverse_lazy("billing:coupons")
    bound = None  # the only customer it is for, when that is not asked
    made = None

    def get_form(self, data=None):
        first = self.bound.currency if self.bound else settings.DEFAULT_CURRENCY
        coupon = Coupon(livemode=self.request.livemode, customer=self.bound)
        about = form_context(self.request.livemode, first) | {"initial": self.get_initial(), "bound": bool(self.bound)}
        self.form = NewCouponForm(data, coupon=coupon, **about)
        return self.form

    def get_initial(self):
        found = customer_of(self.request.livemode, self.request.GET.get("customer", ""))
        return {"form_key": secrets.token_hex(16), "customer": named(found)}

    def act(self, data):
        values = ({"customer": self.bound} if self.bound else {}) | self.form.values
        about = {"livemode": self.request.livemode, "form_key": data["form_key"], "by": self.request.user}
        self.made = domain.create_coupon(**about, **values)
        return f"Coupon {self.made} was created: {self.made.off}."

    def get_success_url(self):
        return self.made.get_absolute_url() if self.made else super().get_success_url()


def form_context(livemode, first):
    """What a coupon's form needs besides the coupon: how customers are found, and currencies, `first` in front."""
    return {"find": partial(customers_named, livemode), "currencies": currencies(livemode, first)}


def named(customer):
    """A customer as the form's box shows it, and reads it."""
    return f"{customer} {customer.pk}" if customer else ""


class CustomerCouponNew(OfCustomer, CouponNew):
    """A coupon for one customer: 10 % off one bill, ready to be created; more of it can be said."""

    title = "Create coupon"
    submit = "Create"
    template_name = "billing/coupon_new.html"

    @property
    def bound(self):
        return self.customer

    def get_initial(self):
        code = domain.generate_code(self.request.livemode)
        return {"form_key": secrets.token_hex(16), "percent_off": "10", "max_redemptions": 1, "code": code}

    def get_form(self, data=None):
        form = super().get_form(data)
        form.fields["percent_off"].widget.attrs["autofocus"] = True
        return form

    def get_back_url(self):
        return self.customer.get_absolute_url()

    def get_context_data(self, **kwargs):
        return super().get_context_data(warnings=warnings(self.customer), **kwargs)


class CouponDuplicate(CouponMixin, ObjectMixin, CouponNew):
    """A new coupon with the terms of another: the form, filled in but for the code and days that have passed."""

    title = "Duplicate coupon"

    def get_initial(self):
        was = self.object
        over = was.redeem_by and was.redeem_by < timezone.now()
        days = {"starts_on": None if over else local_day(was.starts_at), "redeem_on": None if over else local_day(was.redeem_by)}
        kept = {n: getattr(was, n) for n in (*COPIED, "metadata")} | {"amount": was.amount_off_money}
        return {**kept, **days, "customer": named(was.customer), "form_key": secrets.token_hex(16)}

    def get_back_url(self):
        return self.object.get_absolute_url()


class CouponEdit(CouponMixin, EditView):
    """Edit a coupon. Once it is used, its terms stand; its name, limits and days do not."""

    title = "Edit coupon"
    template_name = "billing/coupon_form.html"

    @cached_property
    def locked(self):
        return domain.is_used(self.object)

    def get_form(self, data=None):
        about = form_context(self.request.livemode, self.object.currency or settings.DEFAULT_CURRENCY)
        about |= {"initial": self.get_initial(), "locked": self.locked}
        self.form = EditCouponForm(data, coupon=self.object, **about)
        return self.form

    def get_initial(self):
        coupon = self.object
        days = {"starts_on": local_day(coupon.starts_at), "redeem_on": local_day(coupon.redeem_by)}
        kept = {n: getattr(coupon, n) for n in (*COPIED, "code", "metadata", "version")}
        return {**kept, **days, "customer": named(coupon.customer), "amount": coupon.amount_off_money}

    def act(self, data):
        try:
            domain.update_coupon(self.object, version=data["version"], by=self.request.user, **self.form.values)
        except Stale as stale:
            self.form.data = self.form.data.copy()
            self.form.data["version"] = stale.current.version
            raise DomainError(
                "Someone saved this coupon while you were editing. Nothing of yours is saved yet. Save again to replace theirs."
            ) from None
        return "The coupon is saved."

    def get_context_data(self, **kwargs):
        return super().get_context_data(coupon=self.object, locked=self.locked, **kwargs)


class CouponSwitch(CouponMixin, ActionView):
    """Switch a coupon off, or on again."""

    form_class = SwitchForm

    @property
    def submit(self):
        return "Switch off" if self.object.active else "Switch on"

    @property
    def danger(self):
        return self.object.active

    def get_title(self):
        return f"{self.submit.replace('Switch', 'Switch coupon')}"

    def get_initial(self):
        return {"active": "off" if self.object.active else "on"}

    def get_consequence(self):
        if self.object.active:
            return OFF
        again = copy(self.object)
        again.active = True
        why = domain.why_not_now(again)
        return f"It is switched on, but all the same: {why}" if why else f"It can be used again: {again.off}."

    def act(self, data):
        coupon = domain.switch(self.object, active=data["active"] == "on", by=self.request.user)
        return f"{coupon} is switched {'on' if coupon.active else 'off'}."
