"""What every list offers besides its rows: chosen columns and saved views."""

from urllib.parse import urlencode

from django import forms
from django.db import IntegrityError, transaction
from django.http import Http404, HttpResponseRedirect, QueryDict
from django.urls import NoReverseMatch, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

from dashboard.forms import KitForm
from dashboard.models import SavedView
from dashboard.states import DomainError
from dashboard.views import ActionView, FormView, ListView, StaffMixin


def list_view(name):
    """The ListView class behind a URL name such as customers:customers; 404 for anything else."""
    try:
        found = resolve(reverse(name)).func.view_class
    except (NoReverseMatch, AttributeError):
        raise Http404 from None
    if not issubclass(found, ListView):
        raise Http404
    return found


class ChooseColumns(StaffMixin, View):
    """POST the columns one wants to see on a list; they are kept for this person."""

    permission = "dashboard.save_view"

    def post(self, request):
        name = request.POST.get("list", "")[:64]
        known = list_view(name).table_class.base_columns
        chosen = [c for c in request.POST.getlist("column") if c in known]
        user = request.user
        user.list_columns = {**user.list_columns, name: [] if "reset" in request.POST else list(dict.fromkeys(chosen))}
        user.save(update_fields=["list_columns"])
        return HttpResponseRedirect(back(request, name))


def back(request, name):
    """The list as it was, without `columns` in its address: what was chosen applies from now on."""
    url = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}):
        return reverse(name)
    path, _, query = url.partition("?")
    kept = {k: v for k, v in QueryDict(query).items() if k != "columns"}
    return f"{path}?{urlencode(kept)}" if kept else path


class ViewForm(KitForm):
    name = forms.CharField(max_length=60, label="Name", help_text="The view keeps the filters, the columns and the order.")
    shared = forms.BooleanField(required=False, label="Everyone on the team sees it")


class ViewCreate(FormView):
    """Keep a list's filter, columns and order under a name."""

    permission = "dashboard.save_view"
    title = "Save view"
    submit = "Save view"
    form_class = ViewForm
    template_name = "dashboard/action.html"

    def dispatch(self, request, *args, **kwargs):
        self.list_name = request.GET.get("list", "")[:64]
        self.list_class = list_view(self.list_name)
        return super().dispatch(request, *args, **kwargs)

    @property
    def query(self):
        """The state worth keeping: no paging, no format."""
        kept = {k: v for k, v in self.request.GET.items() if v and k not in ("list", "after", "before", "format", "per_page")}
        return urlencode(kept)[:2000]

    def get_form(self, data=None):
        form = super().get_form(data)
        if not self.request.user.has_perm("dashboard.share_view"):
            del form.fields["shared"]
        return form

    def act(self, data):
        view = SavedView(
            list=self.list_name,
            name=data["name"],
            query=self.query,
            shared=data.get("shared", False),
            owner=self.request.user,
            livemode=self.request.livemode,
        )
        try:
            with transaction.atomic():
                view.save(force_insert=True)
        except IntegrityError:
            raise DomainError("You have a view of this name already. Choose another name.") from None
        return f"The view “{view.name}” is saved."

    def get_success_url(self):
        url = reverse(self.list_name)
        return f"{url}?{self.query}" if self.query else url


class ViewDelete(ActionView):
    """Delete one's own view, or, with the right to share, one everybody sees."""

    queryset = SavedView.objects.all()
    permission = "dashboard.save_view"
    title = submit = "Delete view"
    danger = True
    form_class = KitForm

    def get_queryset(self):
        mine = super().get_queryset()
        return mine if self.request.user.has_perm("dashboard.share_view") else mine.filter(owner=self.request.user)

    def get_consequence(self):
        whose = " for everyone" if self.object.shared else ""
        return f"The view “{self.object}” goes away{whose}. The rows it shows are not touched."

    def act(self, data):
        self.object.delete()
        return f"The view “{self.object.name}” is deleted."

    def get_success_url(self):
        return reverse(self.object.list)
