"""Pages about what hangs on a customer: addresses and comments."""

from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property

from customers import domain
from customers.forms import AddressForm, CommentForm
from customers.models import Address, Comment, Customer
from dashboard.forms import KitForm
from dashboard.views import ActionView, EditView, FormView, StaffMixin


class OfCustomer(StaffMixin):
    """A page under /customers/<id>/…; it goes back to the customer, to the section `anchor`."""

    permission = "customers.change_customer"
    section = "customers"
    anchor = ""

    @cached_property
    def customer(self):
        return get_object_or_404(Customer, pk=self.kwargs["customer"], livemode=self.request.livemode)

    def get_queryset(self):
        return self.queryset.filter(customer=self.customer, livemode=self.request.livemode)

    def get_success_url(self):
        return f"{self.customer.get_absolute_url()}#{self.anchor}"

    def get_context_data(self, **kwargs):
        return super().get_context_data(customer=self.customer, **kwargs)


class LabelsFollowCountry:
    """A form posted with `relabel` comes back as it was typed, with the labels of the country now chosen."""

    def post(self, request, *args, **kwargs):
        if "relabel" not in request.POST:
            return super().post(request, *args, **kwargs)
        form = self.form_class(initial=request.POST.dict())
        return self.render_to_response(self.get_context_data(form=form))


class AddressCreate(LabelsFollowCountry, OfCustomer, FormView):
    title = "Add new address"
    submit = "Add address"
    form_class = AddressForm
    template_name = "customers/address_form.html"
    anchor = "addresses"

    def get_initial(self):
        return {"country": self.customer.country} if self.customer.country else {}

    def act(self, data):
        domain.add_address(self.customer, by=self.request.user, **data)
        return "The address was added."


class AddressEdit(LabelsFollowCountry, OfCustomer, EditView):
    queryset = Address.objects.all()
    title = "Edit address"
    form_class = AddressForm
    template_name = "customers/address_form.html"
    anchor = "addresses"

    def act(self, data):
        domain.update_address(self.object, by=self.request.user, **data)
        return "The address was saved."


class AddressDefault(OfCustomer, ActionView):
    queryset = Address.objects.all()
    form_class = KitForm
    title = "Make default address"
    submit = "Make default"
    consequence = "Statements, invoices and receipts made from now on print this address. Finalised ones keep theirs."
    anchor = "addresses"

    def act(self, data):
        domain.make_default_address(self.object, by=self.request.user)
        return "This is the default address now."


class AddressRemove(OfCustomer, ActionView):
    queryset = Address.objects.all()
    form_class = KitForm
    title = "Remove address"
    submit = "Remove address"
    danger = True
    consequence = "The address is deleted. Statements that already print it keep their copy."
    anchor = "addresses"

    def act(self, data):
        domain.remove_address(self.object, by=self.request.user)
        return "The address was removed."


class CommentCreate(OfCustomer, FormView):
    permission = "customers.comment"
    title = "Add comment"
    submit = "Add comment"
    form_class = CommentForm
    anchor = "comments"

    def act(self, data):
        domain.add_comment(self.customer, by=self.request.user, **data)


class CommentEdit(OfCustomer, EditView):
    queryset = Comment.objects.filter(deleted_at=None)
    permission = "customers.comment"
    title = "Edit comment"
    template_name = "dashboard/action.html"
    form_class = CommentForm
    anchor = "comments"

    def act(self, data):
        domain.edit_comment(self.object, body=data["body"], by=self.request.user)
        domain.pin_comment(self.object, pinned=data["pinned"], by=self.request.user)


class CommentDelete(OfCustomer, ActionView):
    queryset = Comment.objects.filter(deleted_at=None)
    permission = "customers.comment"
    form_class = KitForm
    title = "Delete comment"
    submit = "Delete comment"
    danger = True
    consequence = "The words are hidden from everyone; that there was a comment, whose and when, stays on record."
    anchor = "comments"

    def act(self, data):
        domain.delete_comment(self.object, by=self.request.user)
        return "The comment was deleted."


class CommentPin(OfCustomer, ActionView):
    queryset = Comment.objects.filter(deleted_at=None)
    permission = "customers.comment"
    form_class = KitForm
    title = submit = "Pin as warning"
    consequence = "The comment is shown on top wherever your team works on this customer."
    anchor = "comments"
    pinned = True

    def act(self, data):
        domain.pin_comment(self.object, pinned=self.pinned, by=self.request.user)


class CommentUnpin(CommentPin):
    title = submit = "Unpin warning"
    consequence = "The comment is no longer shown on top. It stays in the thread."
    pinned = False
