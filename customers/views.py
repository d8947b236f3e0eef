"""Pages about customers: list, panel, details, create, edit, archive."""

import re

from django.http import HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from customers import domain
from customers.filters import CustomerFilter
from customers.forms import CommentForm, CustomerForm, EditCustomerForm
from customers.models import Comment, Customer
from customers.privacy_views import erased_context
from customers.tables import CustomerTable
from dashboard import events
from dashboard.forms import KitForm
from dashboard.ids import HEX
from dashboard.together import CountOf, fetch_together
from dashboard.views import ActionView, CreateView, DetailView, EditView, ListView

_ID = re.compile(rf"(?:cus_)?{HEX}")


class CustomerList(ListView):
    queryset = Customer.objects.listed().defer("search", "metadata", "description")
    permission = "customers.view_customer"
    section = "customers"
    title = "Customers"
    table_class = CustomerTable
    filterset_class = CustomerFilter
    list_name = "customers:customers"
    help_topic = "customers"
    audited = settled = True
    export_name = "customers"
    noun, plural = "customer", "customers"
    search_hint = "Name, email, phone, reference"
    tabs = (
        ("All", ""),
        ("Overdue", "delinquent=yes"),
        ("New this month", "created=this_month"),
        ("Archived", "status=archived"),
    )
    create_url, create_label, create_permission = "customers:new", "Add customer", "customers.add_customer"
    import_name, import_permission = "customers:import_new", "customers.import_customer"
    empty_text = "People and companies that pay you. Add one, import a file, or let a payment make the record."

    def jump(self):
        """A pasted ID or a whole e-mail address that only one customer has leads straight there."""
        text = self.request.GET.get("q", "").strip()
        if _ID.fullmatch(text):
            return self.named(pk=text)
        if "@" in text[1:-1] and self.request.user.has_perm("dashboard.view_contact_data") and "\0" not in text:
            return self.named(email=text.lower()[:512])
        return None

    def named(self, **exactly):
        """The one customer of this mode with these values, or None; just enough of it to go to its page."""
        found = list(Customer.objects.filter(livemode=self.request.livemode, **exactly).only("pk")[:2])
        return found[0] if len(found) == 1 else None

    def export_columns(self):
        """`metadata.<key>` exports one key of the metadata as its own column."""
        asked = self.request.GET.get("columns", "").split(",")
        keys = [
            CustomerTable.metadata_csv(n.removeprefix("metadata.")) for n in asked if re.fullmatch(r"metadata\.[\w -]{1,40}", n)
        ]
        return super().export_columns() + keys


class CustomerMixin:
    """Views of one customer."""

    queryset = Customer.objects.all()
    permission = "customers.view_customer"
    section = "customers"


class CustomerDetail(CustomerMixin, DetailView):
    """Everything about a customer: contact data, addresses, money, comments, what happened.

    Three queries, whatever there is: the customer; what this room knows; what billing shows of it (billing.sections).
    """

    queryset = Customer.objects.with_delinquent().select_related("created_by")
    template_name = "customers/customer.html"

    def get_template_names(self):
        return ["customers/erased.html" if self.object.erased else self.template_name]

    def get_context_data(self, **kwargs):
        if self.object.erased:
            told = erased_context(self.object) | {"timeline": events.timeline(self.object.pk, limit=12)}
            return super().get_context_data(customer=self.object, **told, **kwargs)
        customer, shown = self.object, 1000 if self.request.GET.get("comments") == "all" else 50
        comments = Comment.objects.filter(customer=customer).select_related("author")
        found = fetch_together(
            addresses=customer.addresses.all()[:1000],
            comments=comments[:shown],
            comment_count=CountOf(comments, 1000),
            warnings=pinned(customer)[:20],
            timeline=events.timeline(customer.pk, limit=12),
        )
        return super().get_context_data(customer=customer, comment_form=CommentForm(), **found, **kwargs)


class CustomerPanel(CustomerMixin, DetailView):
    """The same customer in brief, for the drawer beside the list; a page of its own without script."""

    queryset = Customer.objects.with_delinquent()

    def get_template_names(self):
        return ["customers/_panel.html" if self.request.headers.get("HX-Request") else "customers/panel.html"]

    def get_context_data(self, **kwargs):
        return super().get_context_data(customer=self.object, warnings=pinned(self.object), **kwargs)


def pinned(customer):
    """The warnings that follow a customer."""
    return Comment.objects.filter(customer=customer, pinned=True, deleted_at=None).select_related("author")


class CustomerCreate(CreateView):
    """Adds a customer; says first who it might be already."""

    permission = "customers.add_customer"
    section = "customers"
    title = "Add customer"
    submit = "Add customer"
    form_class = CustomerForm
    template_name = "customers/form.html"
    list_url = "customers:customers"

    def post(self, request, *args, **kwargs):
        form = self.get_form(request.POST)
        if form.is_valid() and not request.POST.get("not_a_duplicate"):
            same = Customer.objects.filter(livemode=request.livemode).named_like(
                form.cleaned_data["email"], form.cleaned_data["phone"]
            )[:5]
            if same:
                return self.render_to_response(self.get_context_data(form=form, duplicates=same), status=409)
        return super().post(request, *args, **kwargs)

    def create(self, data):
        return domain.create_customer(by=self.request.user, livemode=self.request.livemode, **data)


class CustomerEdit(CustomerMixin, EditView):
    """Edits a customer. When someone else saved first, both sets of changes are laid side by side."""

    permission = "customers.change_customer"
    title = "Edit customer"
    form_class = EditCustomerForm
    template_name = "customers/form.html"

    def get_initial(self):
        initial = super().get_initial()
        return initial | {"was": {n: initial[n] for n in domain.EDITABLE}}

    def post(self, request, *args, **kwargs):
        form = self.get_form(request.POST)
        if not form.is_valid():
            return self.refuse(form)
        try:
            self.act(form.cleaned_data)
        except domain.Stale as stale:
            return self.show_conflict(form, stale.current)
        except domain.DomainError as error:
            form.add_error(None, str(error))
            return self.refuse(form)
        return HttpResponseRedirect(self.get_success_url())

    def act(self, data):
        domain.update_customer(self.object, by=self.request.user, **{k: v for k, v in data.items() if k != "was"})

    def get_success_url(self):
        """The page named in `next`, such as the statement one came from (R-15), if it is one of ours."""
        back = self.request.GET.get("next", "")
        ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
        return back if ours else super().get_success_url()

    def show_conflict(self, form, current):
        """The form again: what I typed where I typed, what they saved everywhere else."""
        mine, theirs = form.mine(), form.values_of(current)
        clashes = [
            (form.fields[n].label, theirs[n], mine[n])
            for n in mine
            if n in theirs and theirs[n] not in (form.original[n], mine[n])
        ]
        merged = theirs | mine
        again = self.form_class(initial=merged | {"version": current.version, "was": theirs})
        last = events.timeline(current.pk, limit=1).first()
        context = self.get_context_data(form=again, conflict=True, clashes=clashes, current=current, last=last)
        return self.render_to_response(context, status=409)


class CustomerArchive(CustomerMixin, ActionView):
    permission = "customers.archive_customer"
    form_class = KitForm
    title = "Archive customer"
    submit = "Archive customer"
    danger = True

    def get_consequence(self):
        return (
            f"{self.object} leaves the lists and takes no new statements, requests, charges or cards. "
            "Open statements and links stay payable. Nothing is deleted, and you can restore the customer at any time."
        )

    def act(self, data):
        domain.archive_customer(self.object, by=self.request.user)
        return f"{self.object} is archived."


class CustomerRestore(CustomerMixin, ActionView):
    permission = "customers.archive_customer"
    form_class = KitForm
    title = "Restore customer"
    submit = "Restore customer"

    def get_consequence(self):
        return f"{self.object} is active again: on the lists, and ready for statements and payments."

    def act(self, data):
        domain.restore_customer(self.object, by=self.request.user)
        return f"{self.object} is active again."
