"""Pages about billing statements: list, details, finalise, and what may be done to one afterwards."""

import secrets
from types import SimpleNamespace

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property

from billing.ages import days_late
from billing.domain import checkouts, credit
from billing.domain import statements as domain
from billing.domain.payments import record_payment
from billing.filters import StatementFilter
from billing.gateways import gateways_for
from billing.models import Attempt, BillingStatement
from billing.statement_forms import FinalizeForm, MetadataForm, OnceForm, ReasonForm, RecordPaymentForm, WhyForm
from billing.tables import CustomerStatementTable, StatementTable
from billing.views.records import SHARES, WIDE, CustomerSection, LinkQr, RecordDetail, RecordList, warnings
from customers.domain import Stale
from dashboard.forms import KitForm
from dashboard.models import Event
from dashboard.places import FIELDS
from dashboard.states import DomainError
from dashboard.views import ActionView, EditView, ObjectFormView


class StatementList(RecordList):
    queryset = BillingStatement.objects.select_related("customer").defer("bill_to_address", *WIDE)  # the filter leaves one-offs
    permission = "billing.view_statement"
    section = "statements"
    title = "Billing statements"
    table_class = StatementTable
    filterset_class = StatementFilter
    list_name = "billing:statements"
    help_topic = "statements"
    export_name = "statements"
    exact = "number"
    noun, plural = "statement", "statements"
    search_hint = "Number, customer, line, reference"
    create_url, create_label, create_permission = "billing:statement_new", "New billing statement", "billing.change_statement"
    tabs = (
        ("All", ""),
        ("Draft", "status=draft"),
        ("Open", "status=open"),
        ("Overdue", "status=overdue"),
        ("Paid", "status=paid"),
        ("Void", "status=void"),
        ("Uncollectible", "status=uncollectible"),
    )
    empty_text = "A statement is a bill a customer pays through a link. Imported invoices are listed here as well."


class CustomerStatementList(CustomerSection, StatementList):
    table_class = CustomerStatementTable
    empty_text = "What this customer is billed is listed here."


class StatementMixin:
    """Pages of one statement."""

    queryset = BillingStatement.objects.select_related("customer", "created_by", "fulfilled_by", "coupon", "subscription")
    permission = "billing.change_statement"

    @property
    def section(self):
        return "invoices" if self.object.is_invoice else "statements"

    def get_title(self):
        """An invoice is called one, though the same buttons serve it."""
        return self.words(super().get_title())

    def get_context_data(self, **kwargs):
        found = super().get_context_data(**kwargs)
        return found | ({"submit": self.words(found["submit"])} if "submit" in found else {})

    def words(self, text):
        return text.replace("statement", "invoice") if self.object.is_invoice else text


class StatementDetail(StatementMixin, RecordDetail):
    """A statement as its customer gets it, and beside it what staff want to know and may do."""

    permission = "billing.view_statement"
    template_name = "billing/statement.html"

    @cached_property
    def payments(self):
        return list(self.object.payments.prefetch_related("refunds").order_by("-created_at", "-pk")[:50])

    def told_here(self):
        """What happened to its payments is told with it."""
        return [payment.pk for payment in self.payments]

    def get_context_data(self, **kwargs):
        statement = self.object
        return super().get_context_data(
            statement=statement,
            lines=statement.lines.all(),
            bill_to=bill_to(statement),
            payments=self.payments,
            days_overdue=days_late(statement) if statement.overdue else 0,
            shares=bool(statement.finalized_at) and self.request.user.has_perm(SHARES),
            checking=Attempt.objects.for_target(statement, Attempt.Kind.CHECKOUT).unknown().exists(),
            views=views_of(statement),
            copies=copies_of(statement),
            reminders=statement.reminders.order_by("pk"),
            entries=statement.balance_entries.select_related("created_by").order_by("-pk"),
            credit=credit.balance(statement.customer, statement.currency) if statement.payable else None,
            **kwargs,
        )


def views_of(statement):
    """How often payers opened a statement's page, and when last."""
    found = Event.objects.filter(object_id=statement.pk, type="billing_statement.viewed")
    return found.aggregate(count=Count("pk"), last=Max("created_at"))


def copies_of(statement):
    """The statements this one was copied from and to."""
    links = Event.objects.filter(
        object_id=statement.pk, type__in=["billing_statement.duplicated", "billing_statement.copied_from"]
    )
    told = [(e.data.get("original"), e.data.get("copy")) for e in links]
    rows = BillingStatement.objects.in_bulk([pk for pair in told for pk in pair if pk])
    return {"original": [rows[o] for o, _ in told if o in rows], "copies": [rows[c] for _, c in told if c in rows]}


class StatementQr(StatementMixin, LinkQr):
    permission = SHARES


def bill_to(statement):
    """Whom a statement is billed to: what was frozen when it was finalised; for a draft, the customer as it is now."""
    if statement.finalized_at:
        address = statement.bill_to_address and address_of(statement.bill_to_address)
        return SimpleNamespace(
            name=statement.bill_to_name, email=statement.bill_to_email, tax_id=statement.bill_to_tax_id, address=address
        )
    customer = statement.customer
    return SimpleNamespace(name=customer.name, email=customer.email, tax_id=customer.tax_id, address=customer.address)


def address_of(parts):
    """A frozen address with the attributes of an Address."""
    return SimpleNamespace(**{name: parts.get(name, "") for name in (*FIELDS, "country")})


# --- finalise ------------------------------------------------------------------------------------------------


class StatementFinalize(StatementMixin, ObjectFormView):
    """What the customer will see, the number it gets, what follows; then the button."""

    template_name = "billing/statement_finalize.html"
    title = "Review and finalise"
    submit = "Finalise statement"
    stale = False

    def get_form(self, data=None):
        money = credit.balance(self.object.customer, self.object.currency)
        usable = min(money.minor, self.object.amount_remaining)
        return FinalizeForm(data, initial={"version": self.object.version}, credit=money if usable else None)

    def act(self, data):
        try:
            done = domain.finalize_statement(
                self.object, by=self.request.user, version=data["version"], apply_credit=data.get("apply_credit", False)
            )
        except Stale:
            self.stale = True
            messages.warning(
                self.request, "This draft was changed while you looked at it. Nothing is finalised. Review it again."
            )
            return None
        return f"{done} is finalised." + (
            " Nothing remains to be paid." if done.status == "paid" else " Send it, or copy its link."
        )

    def get_success_url(self):
        return self.request.path if self.stale else super().get_success_url()

    def get_back_url(self):
        return self.object.get_absolute_url()

    def get_context_data(self, **kwargs):
        statement = self.object
        return super().get_context_data(
            statement=statement,
            lines=(lines := list(statement.lines.all())),
            bill_to=bill_to(statement),
            number=domain.next_number(statement.customer),
            note=statement.description or domain.default_description(domain.next_number(statement.customer)),
            missing=missing(statement, lines),
            collectable=bool(gateways_for(statement.livemode, statement.currency)),
            warnings=warnings(statement.customer),
            **kwargs,
        )


def missing(statement, lines):
    """Why a draft cannot be finalised as it stands, in a sentence; "" when it can."""
    if statement.status != BillingStatement.Status.DRAFT:
        return f"{statement} is {statement.get_status_display().lower()} already. There is nothing to finalise."
    try:
        domain.refuse_unfinished(statement, statement.customer, lines)
    except DomainError as error:
        return str(error)
    return ""


# --- what may be done to one -----------------------------------------------------------------------------------
class StatementDelete(StatementMixin, ActionView):
    form_class = KitForm
    title = submit = "Delete draft"
    danger = True
    consequence = "The draft and its lines are deleted. It never had a number or a link. That it was there stays on record."
    deleted = False

    def act(self, data):
        domain.delete_draft(self.object, by=self.request.user)
        self.deleted = True
        return "The draft is deleted."

    def get_success_url(self):
        return reverse("billing:statements") if self.deleted else super().get_success_url()


class StatementDuplicate(StatementMixin, ActionView):
    form_class = OnceForm
    title = submit = "Duplicate statement"
    consequence = "A new draft for the same customer with the same lines, due in 14 days. This statement stays as it is."
    made = None

    def get_initial(self):
        return {"form_key": secrets.token_hex(16)}

    def act(self, data):
        self.made = domain.duplicate_statement(self.object, by=self.request.user, form_key=data["form_key"])
        return f"This draft is a copy of {self.object}." + self.without_coupon()

    def without_coupon(self):
        """That the coupon was left out, and why."""
        coupon = self.object.coupon
        if not coupon or self.made.coupon_id:
            return ""
        return f" Its coupon {coupon} was left out: {domain.why_no_coupon(self.object) or 'it could not be used.'}"

    def get_success_url(self):
        return self.made.get_absolute_url() if self.made else super().get_success_url()


class StatementVoid(StatementMixin, ActionView):
    form_class = ReasonForm
    title = submit = "Void statement"
    danger = True

    def get_consequence(self):
        told = ["Its link stops taking payment at once, and its number is not used again. This cannot be undone."]
        if self.object.credit_applied:
            told.append(f"{self.object.credit_applied_money} of credit goes back to the customer.")
        if self.object.coupon_id:
            told.append(f"The coupon {self.object.coupon} gets its use back.")
        if self.object.amount_paid:
            told.append(f"{self.object.amount_paid_money} was paid already and stays with you: refund it from its payment.")
        return " ".join(told)

    def act(self, data):
        domain.void_statement(self.object, reason=data["reason"], by=self.request.user)
        return f"{self.object} is void. Its link no longer takes payment."


class StatementUncollectible(StatementMixin, ActionView):
    form_class = WhyForm
    title = submit = "Mark uncollectible"
    consequence = "You do not expect this money any more. The link still takes payment, should the customer pay after all."

    def act(self, data):
        domain.mark_uncollectible(self.object, by=self.request.user, why=data["why"])
        return f"{self.object} is marked uncollectible."


class StatementFulfil(StatementMixin, ActionView):
    form_class = KitForm
    title = submit = "Mark fulfilled"
    consequence = "What this statement bills was delivered. The customer is told nothing, and nothing is charged."
    fulfilled = True

    def act(self, data):
        domain.fulfil_statement(self.object, by=self.request.user, fulfilled=self.fulfilled)
        return f"{self.object} is marked {'fulfilled' if self.fulfilled else 'not fulfilled'}."


class StatementUnfulfil(StatementFulfil):
    title = submit = "Mark not fulfilled"
    consequence = "The fulfilled mark is taken off. When it was set stays in the timeline."
    fulfilled = False


class StatementMetadata(StatementMixin, EditView):
    """Metadata may change whatever the status: no customer sees it."""

    form_class = MetadataForm
    title = "Edit metadata"
    template_name = "dashboard/action.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(danger=False, consequence="", **kwargs)

    def act(self, data):
        domain.update_metadata(self.object, by=self.request.user, **data)
        return "The metadata is saved."


class StatementRecordPayment(StatementMixin, ActionView):
    """Money that came as cash, by bank transfer or elsewhere. The gateway's page is closed first."""

    permission = "billing.record_payment"
    title = submit = "Record payment"
    consequence = "For money you have received already. Nothing is charged."

    def get_form(self, data=None):
        remaining = self.object.amount_remaining_money
        initial = {"amount": remaining, "form_key": secrets.token_hex(16)}
        self.form = RecordPaymentForm(data, initial=initial, remaining=remaining)
        return self.form

    def post(self, request, *args, **kwargs):
        """The same form, sent again, shows what it did the first time."""
        key = request.POST.get("form_key", "")
        if key and self.object.payments.filter(form_key=key[:64]).exists():
            return HttpResponseRedirect(self.get_success_url())
        return super().post(request, *args, **kwargs)

    def act(self, data):
        checkouts.close_checkout(self.object)
        money = data["amount"]
        record_payment(
            self.object.customer,
            amount=money.minor,
            currency=money.currency,
            by=self.request.user,
            method_type=data["method"],
            statement=self.object,
            paid_at=self.form.paid_at,
            description=self.object.description,
            merchant_reference_id=data["reference"],
            email=data["email"],
            form_key=data["form_key"],
        )
        return f"{money} is recorded as paid."
