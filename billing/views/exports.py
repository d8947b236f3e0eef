"""The page that asks which columns an export shall have (R-48)."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.template.response import TemplateResponse

from dashboard.views import StaffMixin


class ChoosesColumns:
    """Put before a list view: `?format=columns` asks for the columns of its export, metadata and all."""

    csv_of = {}  # a column on screen -> the export's columns that say the same under names of their own

    def get(self, request, *args, **kwargs):
        return self.choose() if request.GET.get("format") == "columns" else super().get(request, *args, **kwargs)

    def choose(self):
        if not self.export_name:
            raise Http404
        if not self.request.user.has_perm("dashboard.export"):
            raise PermissionDenied("dashboard.export")
        table = self.table_class([], viewer=self.request.user, shown=self.chosen)
        shown, own = self.csv_shown(table).split(","), ("format", "column", "columns", "after", "before")
        context = StaffMixin.get_context_data(
            self,
            view=self,
            page=self.page,
            columns=[(c.name, c.heading(), c.name in shown) for c in self.table_class.csv],
            kept=[(k, v) for k, v in self.request.GET.items() if v and k not in own],
            back_url=self.url(columns=None),
        )
        return TemplateResponse(self.request, "billing/export.html", context)

    def column_context(self, table):
        return super().column_context(table) | {"choose_url": self.url(format="columns", per_page=None)}

    def csv_shown(self, table):
        """The export columns that match the columns on screen, in their order."""
        names = {c.name for c in self.table_class.csv}
        shown = [n for c in table.bound_columns for n in self.csv_of.get(c.name, (c.name,))]
        return ",".join(dict.fromkeys(n for n in ("id", *shown) if n in names))

    def export_columns(self):
        """Those ticked on the page above, in the order they stand there; else as every list does it."""
        ticked = self.request.GET.getlist("column")
        return [c for c in self.table_class.csv if c.name in ticked] or super().export_columns()
