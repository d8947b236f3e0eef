"""What every list offers besides its rows: chosen columns, saved views; and the list of events itself."""

from urllib.parse import urlencode

import django_filters
from django import forms
from django.db import IntegrityError, transaction
from django.http import Http404, HttpResponseRedirect, QueryDict
from django.urls import NoReverseMatch, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View

from dashboard import tables
from dashboard.export import Csv
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, TextFilter, ToFilter
from dashboard.forms import KitForm
from dashboard.models import Event, SavedView
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


class EventTable(tables.Table):
    created_at = tables.WhenColumn(sort="pk", css="tnum m3", verbose_name="When")
    by = tables.Column(accessor="who", verbose_name="Who", css="m4")
    what = tables.Column(accessor="sentence", verbose_name="What", css="strong m1")
    object_id = tables.IdColumn(accessor="object_id", verbose_name="ID")

    class Meta:
        model = Event
        fields = ()
        order_by = "-created_at"

    caption = "Activity"
    always = default = ("created_at", "by", "what", "object_id")
    see_more = False
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("type", kind="code"),
        Csv("object_type", kind="code"),
        Csv("object_id", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("actor", kind="code"),
        Csv("by", "by__email"),
        Csv("changes", kind="json", contact="text"),
        Csv("data", kind="json", contact="text"),
    )


class EventFilter(FilterSet):
    created = PeriodFilter(field_name="created_at", label="When")
    created_from = FromFilter(field_name="created_at", label="From")
    created_to = ToFilter(field_name="created_at", label="To")
    actor = django_filters.ChoiceFilter(choices=[(a.value, a.label) for a in Event.Actor], label="Who", empty_label="Anyone")
    type = TextFilter(field_name="type", label="Event type", lookup_expr="startswith")
    customer = TextFilter(field_name="customer_id", label="Customer ID")
    object = TextFilter(field_name="object_id", label="Record ID")

    groups = {"When": ["created", "created_from", "created_to"], "Who": ["actor"], "Record": ["type", "customer", "object"]}

    class Meta:
        model = Event
        fields = []


class Activity(ListView):
    """Everything that happened in this mode, newest first."""

    queryset = Event.objects.select_related("by")
    permission = "dashboard.view"
    section = "activity"
    title = "Activity log"
    table_class = EventTable
    filterset_class = EventFilter
    list_name = "dashboard:activity"
    export_name = "events"
    noun, plural = "event", "events"
    search_hint = ""
    empty_text = "Everything staff, payers and the system do is written down here."
