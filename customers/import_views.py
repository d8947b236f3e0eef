"""Pages of an import, one step after the other: file, columns, check, confirm, progress, result."""

import django_filters
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.views import View
from django.views.generic import TemplateView

from customers.import_forms import ColumnsForm, FormatForm, UploadForm
from customers.imports import IMPORTER
from dashboard import tables
from dashboard.filters import FilterSet, PeriodFilter
from dashboard.forms import KitForm
from dashboard.import_models import Import, ImportRow
from dashboard.imports import runs
from dashboard.states import DomainError
from dashboard.templatetags.ui import badge_html
from dashboard.views import ActionView, FormView, ListView, ObjectMixin, StaffMixin

ROWS = 50  # on a page of the check
TEMPLATE = (
    "reference,first_name,last_name,company_name,email,phone,address_line1,address_line2,address_city,address_state,"
    "address_postal_code,address_country,currency,tax_id,description\r\n"
)


class ImportMixin:
    queryset = Import.objects.filter(importer=IMPORTER.name).select_related("created_by", "applied_by")
    permission = "customers.import_customer"
    section = "imports"


class StatusColumn(tables.BadgeColumn):
    def html(self, row):
        return badge_html(row.get_status_display())


class ImportTable(tables.Table):
    file_name = tables.LinkColumn(verbose_name="File")
    created_at = tables.WhenColumn(sort="created_at", verbose_name="Uploaded")
    created_by = tables.Column(verbose_name="By")
    status = StatusColumn(verbose_name="Status")
    total = tables.Column(verbose_name="Rows", css="num")
    creates = tables.Column(verbose_name="Created", css="num")
    updates = tables.Column(verbose_name="Changed", css="num")
    errors = tables.Column(verbose_name="Errors", css="num m2")

    class Meta:
        model = Import
        fields = ()
        order_by = "-created_at"

    caption = "Imports"
    default = ("file_name", "created_at", "created_by", "status", "total", "creates", "updates", "errors")


class ImportFilter(FilterSet):
    status = django_filters.ChoiceFilter(choices=Import.Status.choices, label="Status", empty_label="Any status")
    created = PeriodFilter(field_name="created_at", label="Uploaded")

    groups = {"Status": ["status"], "Uploaded": ["created"]}

    class Meta:
        model = Import
        fields = []


class ImportList(ImportMixin, ListView):
    title = "Imports"
    table_class = ImportTable
    filterset_class = ImportFilter
    list_name = "customers:imports"
    noun, plural = "import", "imports"
    search_hint = ""
    create_url, create_label, create_permission = "customers:import_new", "Import a file", "customers.import_customer"
    empty_text = "Bring your customers from another system: any CSV file with a row of headings will do."


class ImportStart(ImportMixin, FormView):
    """Choose a file. It is read through and kept; no customer is touched."""

    template_name = "customers/import_new.html"
    form_class = UploadForm
    title = "Import customers"
    submit = "Upload"
    run = None

    def get_form(self, data=None):
        return UploadForm(data, self.request.FILES if data is not None else None)

    def act(self, data):
        self.run = runs.start_import(data["file"], importer=IMPORTER.name, livemode=self.request.livemode, by=self.request.user)

    def get_success_url(self):
        return self.run.get_absolute_url() if self.run else reverse("customers:imports")


class ImportTemplate(ImportMixin, StaffMixin, View):
    """An empty file with the headings that need no mapping."""

    def get(self, request):
        headers = {"Content-Disposition": 'attachment; filename="customers-template.csv"'}
        return HttpResponse("\ufeff" + TEMPLATE, content_type="text/csv; charset=utf-8", headers=headers)


class ImportDetail(ImportMixin, ObjectMixin, TemplateView):
    """An import at the step it has reached. POST chooses the columns."""

    def get_template_names(self):
        return [f"customers/import_{'columns' if self.object.status == Import.Status.UPLOADED else 'run'}.html"]

    def get_context_data(self, form=None, **kwargs):
        run = self.object
        step = self._columns(form) if run.status == Import.Status.UPLOADED else self._rows()
        return super().get_context_data(run=run, before=runs.same_file_before(run), **step, **kwargs)

    def _columns(self, form):
        form = form or ColumnsForm(run=self.object)
        preview = runs.preview(self.object)
        reading = FormatForm(initial={"encoding": self.object.encoding, "delimiter": self.object.delimiter}, prefix="format")
        return {"form": form, "columns": form.columns(preview), "reading": reading}

    def _rows(self):
        asked = self.request.GET.get("show", "")
        tab = next((t for t in self.tabs if t["name"] == asked), None) or next((t for t in self.tabs if t["count"]), self.tabs[0])
        after = self.request.GET.get("after", "")
        rows = tab["rows"].filter(number__gt=int(after) if after.isdecimal() and len(after) < 9 else 0).order_by("number")
        found = list(rows[: ROWS + 1])
        return {
            "tabs": [t for t in self.tabs if t["count"] or t is tab],
            "tab": tab,
            "rows": found[:ROWS],
            "labels": IMPORTER.label,
            "next": found[ROWS - 1].number if len(found) > ROWS else None,
            "began": int(after) if after.isdecimal() and len(after) < 9 else 0,
        }

    @cached_property
    def tabs(self):
        """What rows there are to look at, with their counts: errors first, then what changes."""
        run, rows = self.object, self.object.rows.all()
        kinds = ImportRow.Action
        return [
            {"name": "errors", "label": "Errors", "count": run.errors, "rows": rows.filter(action=kinds.ERROR)},
            {"name": "creates", "label": "New", "count": run.creates, "rows": rows.filter(action=kinds.CREATE)},
            {"name": "updates", "label": "Changed", "count": run.updates, "rows": rows.filter(action=kinds.UPDATE)},
            {
                "name": "duplicates",
                "label": "Perhaps there already",
                "count": run.duplicates,
                "rows": rows.filter(duplicate=True, action=kinds.CREATE),
            },
            {
                "name": "notices",
                "label": "With notices",
                "count": run.notices,
                "rows": rows.exclude(notes=[]).exclude(action=kinds.ERROR),
            },
            {"name": "skips", "label": "Unchanged", "count": run.skips, "rows": rows.filter(action=kinds.SKIP)},
        ]

    def post(self, request, pk):
        if self.object.status != Import.Status.UPLOADED:
            return HttpResponseRedirect(self.object.get_absolute_url())
        form = ColumnsForm(request.POST, run=self.object)
        if form.is_valid():
            try:
                chosen = {name: form.cleaned_data[name] for name in ("match", "country", "clear")}
                runs.check_import(self.object, mapping=form.mapping, by=request.user, **chosen)
                return HttpResponseRedirect(self.object.get_absolute_url())
            except DomainError as error:
                form.add_error(None, str(error))
        return self.render_to_response(self.get_context_data(form=form), status=422)


class ImportFormat(ImportMixin, ObjectMixin, View):
    """POST another encoding or delimiter."""

    def post(self, request, pk):
        form = FormatForm(request.POST, prefix="format")
        try:
            if form.is_valid():
                runs.read_as(self.object, by=request.user, **form.cleaned_data)
        except DomainError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(self.object.get_absolute_url())


class ImportAction(ImportMixin, ActionView):
    form_class = KitForm


class ImportAgain(ImportAction):
    title = "Choose columns again"
    submit = "Choose columns again"
    consequence = "What was found out about the rows is dropped. No customer was changed yet."

    def act(self, data):
        runs.choose_again(self.object, by=self.request.user)


class ImportConfirm(ImportAction):
    title = "Import these customers"

    @property
    def submit(self):
        return f"Import {self.object.to_write:,} {'row' if self.object.to_write == 1 else 'rows'}"

    def get_consequence(self):
        run = self.object
        left = f", left out because of errors: {run.errors:,}" if run.errors else ""
        return (
            f"New customers: {run.creates:,}, changed: {run.updates:,}, unchanged: {run.skips:,}{left}. Nobody is sent a message."
        )

    def act(self, data):
        runs.confirm_import(self.object, by=self.request.user)


class ImportContinue(ImportAction):
    title = "Continue this import"
    submit = "Continue"
    consequence = "The import goes on behind the last rows that were finished. No row is written twice."

    def act(self, data):
        runs.continue_import(self.object, by=self.request.user)


class ImportCancel(ImportAction):
    title = "Cancel this import"
    submit = "Cancel import"
    danger = True
    consequence = "The uploaded file is deleted. No customer was changed."

    def act(self, data):
        runs.cancel_import(self.object, by=self.request.user)
        return "The import is canceled. No customer was changed."


class ImportErrors(ImportMixin, ObjectMixin, View):
    """The rows with errors as CSV, with what is wrong in each, to correct and upload again."""

    def get(self, request, pk):
        if not self.object.error_rows.exists():
            raise Http404
        headers = {"Content-Disposition": f'attachment; filename="import-errors-{self.object.pk}.csv"'}
        return StreamingHttpResponse(runs.error_file(self.object), content_type="text/csv; charset=utf-8", headers=headers)
