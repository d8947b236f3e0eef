"""Pages about subscriptions: list, details, the form that starts one, and what may be done to one afterwards."""

import secrets

from django.utils import timezone
from django.utils.functional import cached_property

from billing import periods
from billing.domain import subscriptions as domain
from billing.domain import vault
from billing.filters import SubscriptionFilter
from billing.models import Subscription
from billing.subscription_forms import CancelForm, EditForm, SubscriptionForm, currencies_of
from billing.tables import CustomerSubscriptionTable, SubscriptionTable
from billing.views.records import WIDE, CustomerSection, OfCustomer, RecordDetail, RecordList, warnings
from dashboard.forms import KitForm
from dashboard.money import Money
from dashboard.templatetags.ui import day_text
from dashboard.views import ActionView, EditView, FormView

Status = Subscription.Status
AHEAD = 3  # periods shown of those to come
SHOWN = 20  # invoices on a subscription's page


class SubscriptionList(RecordList):
    queryset = Subscription.objects.select_related("customer").defer(*WIDE)
    permission = "billing.view_subscription"
    section = "subscriptions"
    title = "Subscriptions"
    table_class = SubscriptionTable
    filterset_class = SubscriptionFilter
    list_name = "billing:subscriptions"
    help_topic = "collect"
    export_name = "subscriptions"
    noun, plural = "subscription", "subscriptions"
    search_hint = "Name, customer, email"
    csv_of = {"customer": ("customer_name",), "amount": ("period_amount", "currency"), "every": ("interval", "interval_count")}
    tabs = (
        ("All", ""),
        ("Active", "status=active"),
        ("Past due", "status=past_due"),
        ("Paused", "status=paused"),
        ("Ending", "ends=yes"),
        ("Canceled", "status=canceled"),
    )
    empty_text = "Open a customer and choose New subscription: each period’s invoice is issued and charged by itself."


class CustomerSubscriptionList(CustomerSection, SubscriptionList):
    table_class = CustomerSubscriptionTable
    empty_text = "What this customer is billed again and again is listed here."


# --- starting ------------------------------------------------------------------------------------------------
class SubscriptionNew(OfCustomer, FormView):
    """Bill a customer again and again. *Preview* sends the form without saving it; script fetches the same meanwhile."""

    permission = "billing.change_subscription"
    title = "New subscription"
    submit = "Start subscription"
    template_name = "billing/subscription_new.html"
    made = None

    @cached_property
    def methods(self):
        return list(self.customer.methods.active().shown_first())

    def get_form(self, data=None):
        given = {"methods": self.methods, "currencies": currencies_of(self.customer), "customer": self.customer}
        billing = "pay_automatically" if self.methods else "send_invoice"
        self.form = SubscriptionForm(data, initial={"form_key": secrets.token_hex(16), "billing": billing}, **given)
        return self.form

    def post(self, request, *args, **kwargs):
        return self.preview() if "preview" in request.POST else super().post(request, *args, **kwargs)

    def preview(self):
        """The form as it was typed, and what it would bill."""
        form = self.get_form(self.request.POST)
        whole = form.is_valid()
        if self.request.headers.get("HX-Request"):
            self.template_name = "billing/_subscription_preview.html"
        return self.render_to_response(self.get_context_data(form=form, **(ahead(form.unsaved) if whole else {})))

    def act(self, data):
        self.made = domain.start_subscription(self.customer, by=self.request.user, **self.form.values)
        first = self.made.next_invoice_on
        due = first and first <= timezone.localdate()
        return f"{self.made} is started. " + (
            "Its first invoice is issued within a minute." if due else f"Its first invoice is issued on {day_text(first)}."
        )

    def get_success_url(self):
        return self.made.get_absolute_url()

    def get_back_url(self):
        return f"{self.customer.get_absolute_url()}#subscriptions"

    def get_refusal(self):
        """Why no subscription can be started here at all; "" when one can."""
        if self.customer.archived:
            return self.customer.why_closed
        return "" if self.customer.email else f"{self.customer} has no email. Add one: invoices and receipts go there."

    def get_context_data(self, **kwargs):
        refusal, pinned = self.get_refusal(), warnings(self.customer)
        return super().get_context_data(refusal=refusal, methods=self.methods, warnings=pinned, **kwargs)


def ahead(subscription):
    """The next periods of a subscription that is not saved yet, and how many have begun already."""
    begun = periods.period_number_from(
        subscription.started_on, timezone.localdate(), subscription.interval, subscription.interval_count
    )
    return {"upcoming": domain.upcoming(subscription, AHEAD), "begun": begun if begun > 1 else 0, "looked": subscription}


# --- one -----------------------------------------------------------------------------------------------------
class SubscriptionMixin:
    """Pages of one subscription."""

    queryset = Subscription.objects.select_related("customer", "coupon", "method", "created_by")
    permission = "billing.change_subscription"
    section = "subscriptions"


class SubscriptionDetail(SubscriptionMixin, RecordDetail):
    """Its terms, what it billed and what it will, and what stands in the way."""

    permission = "billing.view_subscription"
    template_name = "billing/subscription.html"

    def get_context_data(self, **kwargs):
        subscription = self.object
        invoices = list(
            subscription.invoices.defer("search", "metadata", "bill_to_address").order_by("-period_start")[: SHOWN + 1]
        )
        automatic = subscription.billing == Subscription.Billing.AUTOMATIC
        return super().get_context_data(
            subscription=subscription,
            invoices=invoices[:SHOWN],
            more=len(invoices) > SHOWN,
            owed=owed_of(subscription),
            upcoming=domain.upcoming(subscription, AHEAD),
            standing=standing(subscription),
            method=(subscription.method or vault.default_method(subscription.customer)) if automatic else None,
            **kwargs,
        )


def owed_of(subscription):
    """What is still to be paid of its invoices; None when nothing is."""
    owed = sum(subscription.invoices.owed().values_list("amount_remaining", flat=True))
    return Money(owed, subscription.currency) if owed else None


def standing(subscription):
    """Where a subscription stands and what happens next, in a sentence."""
    day = subscription.next_invoice_on and day_text(subscription.next_invoice_on)
    if subscription.status == Status.CANCELED:
        return "It is canceled: nothing more is billed. Invoices issued before stay owed."
    if subscription.status == Status.PAUSED:
        return "It is paused: periods that begin meanwhile are not billed."
    if subscription.cancel_at_period_end:
        return f"It ends on {day}: no further invoice is issued."
    if subscription.status == Status.PAST_DUE:
        return f"An invoice could not be collected. The next one is issued on {day} all the same."
    return f"The next invoice is issued on {day}."


class SubscriptionEdit(SubscriptionMixin, EditView):
    title = "Change subscription"
    submit = "Save changes"
    template_name = "billing/subscription_edit.html"

    @cached_property
    def methods(self):
        return list(self.object.customer.methods.active().shown_first())

    def get_form(self, data=None):
        sub = self.object
        kept = ("name", "quantity", "billing", "days_until_due", "metadata", "version")
        initial = {n: getattr(sub, n) for n in kept} | {"amount": Money(sub.amount, sub.currency), "method": sub.method_id or ""}
        self.form = EditForm(data, initial=initial, methods=self.methods, currencies=[sub.currency])
        return self.form

    def act(self, data):
        domain.update_subscription(self.object, version=data["version"], by=self.request.user, **self.form.terms)
        return "The subscription is changed. Invoices issued before stay as they are."


class SubscriptionPause(SubscriptionMixin, ActionView):
    form_class = KitForm
    title = submit = "Pause subscription"

    def get_consequence(self):
        told = "Periods that begin while it is paused are not billed. Invoices issued before stay owed. No money moves now."
        first = self.object.next_invoice_on
        if first and first <= timezone.localdate():
            told += f" The period from {day_text(first)} is not billed yet, and will not be."
        return told

    def act(self, data):
        domain.pause(self.object, by=self.request.user)
        return "The subscription is paused. Nothing is billed until it is resumed."


class SubscriptionResume(SubscriptionMixin, ActionView):
    form_class = KitForm
    title = submit = "Resume subscription"

    def get_consequence(self):
        following = domain.upcoming(self.object, 1)
        if not following:
            return "The subscription is billed again."
        when = day_text(following[0].first)
        return f"It is billed again from {when}: {following[0].total} then. What began while it was paused is not billed."

    def act(self, data):
        resumed = domain.resume(self.object, by=self.request.user)
        return f"The subscription is active again. The next invoice is issued on {day_text(resumed.next_invoice_on)}."


class SubscriptionCancel(SubscriptionMixin, ActionView):
    title = submit = "Cancel subscription"
    danger = True
    consequence = (
        "Nothing is given back, and invoices issued before stay owed: one that is charged automatically still is. "
        "Void them, or refund their payments, on their own pages."
    )

    def get_form(self, data=None):
        sub, now = self.object, ("now", "Now. It can never be resumed.")
        choices = [now]
        if sub.status in Subscription.BILLING and sub.current_period_end and not sub.cancel_at_period_end:
            choices.insert(
                0, ("period_end", f"When its period ends, on {day_text(sub.next_invoice_on)}. Until then you can keep it.")
            )
        return CancelForm(data, choices=choices)

    def act(self, data):
        later = data["when"] == "period_end"
        done = domain.cancel_subscription(self.object, at_period_end=later, by=self.request.user, why=data["why"])
        if later:
            return f"The subscription ends on {day_text(done.next_invoice_on)}."
        return "The subscription is canceled. Nothing more is billed."


class SubscriptionKeep(SubscriptionMixin, ActionView):
    form_class = KitForm
    title = submit = "Keep subscription"

    def get_consequence(self):
        day = self.object.next_invoice_on
        return f"It goes on, and its next invoice is issued on {day_text(day)}." if day else "It goes on."

    def act(self, data):
        domain.keep_subscription(self.object, by=self.request.user)
        return "The subscription goes on."
