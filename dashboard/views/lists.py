"""Lists: one query object serves the rows, the counts, the tabs and the export. All state is in the URL."""

from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseRedirect
from django.utils.functional import cached_property
from django.views.generic import TemplateView

from dashboard import export, search
from dashboard.models import SavedView
from dashboard.paging import SIZES, Order, Page, capped_counts, queries, recent_counts
from dashboard.templatetags.ui import address_of
from dashboard.views.base import ModeMixin


class ListView(ModeMixin, TemplateView):
    """A list: queryset, filterset, table, columns. All state is in the URL; CSV leaves at the same query.

    `list_name` is its URL name and the key of saved views and chosen columns. `tabs` are ready-made views:
    (label, query string). `export_name` starts the file's name; None means no export here.
    """

    template_name = "dashboard/list.html"
    table_class = None
    filterset_class = None
    list_name = ""
    audited = False  # every change of what it shows writes an event: counts hold as long as no event came
    settled = False  # what it asks the database depends on path, mode, role and columns alone, not on the clock
    export_name = None
    tabs = ()
    noun = "row"
    plural = "rows"
    search_hint = "Search"
    create_url = None
    create_label = ""
    create_permission = None
    import_name = ""  # URL name and permission of the page that imports such rows
    import_permission = ""
    empty_text = ""
    help_topic = ""  # the help page about such rows

    def get(self, request, *args, **kwargs):
        if request.GET.get("format") == "csv":
            return self.export()
        if not request.headers.get("HX-Request") and (found := self.jump()):
            return HttpResponseRedirect(found.get_absolute_url())
        return super().get(request, *args, **kwargs)

    def jump(self):
        """The one record a pasted id or e-mail names, or None."""
        return None

    # --- the query -------------------------------------------------------------------------------
    @cached_property
    def base(self):
        """Every row there is in this mode, with what the columns shown read from other tables."""
        return queries.recall(("base", self.shape), self._complete) if self.settled else self._complete()

    def _complete(self):
        return self.table_class.complete(self.get_queryset(), self.chosen)

    @property
    def shape(self):
        """Names what the list asks before anybody filters or sorts it."""
        return self.request.path, self.request.livemode, self.request.user.role, *self.table_class.shown(self.chosen)

    @cached_property
    def filterset(self):
        return self.filterset_class(self.request.GET, self.base, request=self.request)

    @cached_property
    def sorts(self):
        """{name in the URL: model column} of the sorts this person is offered."""
        return self.table_class.sorts(self.request.user)

    @cached_property
    def order(self):
        name = self.request.GET.get("sort", "")
        if name.lstrip("-") not in self.sorts:
            name = self.table_class._meta.order_by[0]
        return Order(self.sorts[name.lstrip("-")], name.startswith("-"))

    @cached_property
    def sort(self):
        """The sort in force, by its name in the URL."""
        name = next(name for name, column in self.sorts.items() if column == self.order.column)
        return f"-{name}" if self.order.descending else name

    @cached_property
    def page(self):
        get = self.request.GET
        size = int(get["per_page"]) if get.get("per_page") in map(str, SIZES) else SIZES[0]
        return Page(
            self.base,
            self.filterset.qs,
            self.order,
            size=size,
            after=get.get("after"),
            before=get.get("before"),
            narrowed=self.narrows,
            key=self.key_of(self.parameters),
            as_of=self.beside[0] if self.audited else None,
            shape=self.shape if self.settled and not self.parameters else None,
        )

    @property
    def narrows(self):
        """Whether the rows a filter leaves must be found before they are sorted: no index has them in this order."""
        own = self.order.column == self.table_class.sorts()[self.table_class._meta.order_by[0].lstrip("-")]
        return bool(set(self.filterset.active) - set(self.filterset.ordered if own else ()))

    @cached_property
    def asked(self):
        """All that stands in the URL."""
        return self.request.GET.dict()

    @cached_property
    def parameters(self):
        """The filters in the URL, as they stand there."""
        return {k: v for k, v in self.asked.items() if k in self.filterset_class.base_filters and v}

    def key_of(self, parameters):
        """Names this list under these filters, for whoever sees the same rows in it."""
        return self.request.path, self.request.livemode, self.request.user.role, frozenset(parameters.items())

    @cached_property
    def beside(self):
        """(the newest event's id, the views saved of this list)."""
        return SavedView.objects.beside(self.list_name, self.request.user, self.request.livemode)

    # --- columns and export ------------------------------------------------------------------------
    @cached_property
    def chosen(self):
        """The columns asked for in the URL, else those this person chose before."""
        if asked := self.request.GET.get("columns"):
            return asked.split(",")
        return self.request.user.list_columns.get(self.list_name, [])

    def export(self):
        if not self.export_name:
            raise Http404
        if not self.request.user.has_perm("dashboard.export"):
            raise PermissionDenied("dashboard.export")
        note = {"query": self.request.GET.urlencode()}
        rows = self.filterset.qs.order_by(*self.order.fields)
        return export.csv_response(
            rows, self.export_columns(), name=self.export_name, list_name=self.list_name, request=self.request, note=note
        )

    def export_columns(self):
        """All columns, or those named in `columns`, in that order; unknown names are left out."""
        by_name = {c.name: c for c in self.table_class.csv}
        asked = [by_name[n] for n in self.request.GET.get("columns", "").split(",") if n in by_name]
        return list(dict.fromkeys(asked)) or list(self.table_class.csv)

    # --- the page ----------------------------------------------------------------------------------
    def get_context_data(self, **kwargs):
        table = self.table_class(self.page.rows, viewer=self.request.user, shown=self.chosen, sort=self.sort)
        return super().get_context_data(
            view=self,
            table=table,
            page=self.page,
            filterset=self.filterset,
            **self.view_context(),
            **self.column_context(table),
            **self.paging_context(),
            **kwargs,
        )

    def view_context(self):
        """Ready-made and saved views, applied filters, and what was wrong with a filter."""
        errors = self.filterset.errors.items()
        may_create = self.create_permission and self.request.user.has_perm(self.create_permission)
        _, saved = self.beside
        return {
            "list_tabs": self.list_tabs(),
            "saved": saved,
            "saved_view": next((v for v in saved if v.pk == self.request.GET.get("view")), None),
            "chips": [
                {"label": label, "value": value, "remove": self.url(**{name: None})}
                for label, value, name in self.filterset.chips
            ],
            "filter_errors": [
                f"{self.filterset.filters[n].label}: {e[0]} The list is shown without this filter." for n, e in errors
            ],
            "near": [] if self.page.rows else self.near(),
            "can_create": bool(may_create),
            "import_url": address_of(self.import_name) if self.request.user.has_perm(self.import_permission) else "",
        }

    def column_context(self, table):
        """Headings with their sort links, the columns one may choose, and the export links."""
        shown = self.csv_shown(table)
        return {
            "headings": [self.heading(c) for c in table.bound_columns],
            "choices": self.column_choices(table),
            "can_export": bool(self.export_name) and self.request.user.has_perm("dashboard.export"),
            "csv_url": self.url(format="csv", columns=None, per_page=None),
            "csv_shown": shown,
            "csv_shown_url": self.url(format="csv", columns=shown, per_page=None),
        }

    def paging_context(self):
        page = self.page
        return {
            "next_url": page.next and self.url(after=page.next),
            "previous_url": page.previous and self.url(before=page.previous),
            "sizes": [{"count": n, "url": self.url(per_page=n), "current": n == page.size} for n in SIZES],
        }

    def url(self, **changes):
        """This list's URL with some parameters changed; None takes one away, paging always goes."""
        changes = {"after": None, "before": None, "format": None, "view": None} | changes
        query = urlencode({k: v for k, v in (self.asked | changes).items() if v})
        return f"{self.request.path}?{query}" if query else self.request.path

    def heading(self, bound):
        """A column's heading; with a sort, the link that sorts by it or turns the order round."""
        column, name = bound.column, bound.name
        if name not in self.sorts:
            return {"label": bound.header, "css": column.css}
        states = {name: "ascending", f"-{name}": "descending"}
        turned = f"-{name}" if self.sort == name else name
        return {"label": bound.header, "css": column.css, "state": states.get(self.sort, "none"), "url": self.url(sort=turned)}

    def list_tabs(self):
        """The ready-made views with their capped counts, counted in one query; the one shown is counted already."""
        tabs = [(label, query, dict(_pairs(query))) for label, query in self.tabs]
        shown = [found == self.parameters and "view" not in self.request.GET for *_, found in tabs]
        others = [found for (*_, found), here in zip(tabs, shown, strict=True) if not here]
        counts = recent_counts({self.key_of(o): lambda o=o: self.narrowed(o).qs for o in others}, self.page)
        return [
            {
                "label": label,
                "url": f"{self.request.path}?{query}" if query else self.request.path,
                "count": count_text(self.page.count if here else counts[self.key_of(found)]),
                "current": here,
            }
            for (label, query, found), here in zip(tabs, shown, strict=True)
        ]

    def narrowed(self, parameters):
        """The list with these parameters in the place of the URL's, to count it."""
        return self.filterset_class(dict(parameters), self.get_queryset(), request=self.request)

    @property
    def state(self):
        """The list as one sees it, for a saved view: filters, order, and the columns even if chosen earlier."""
        kept = {k: v for k, v in self.asked.items() if v and k not in ("after", "before", "format", "view")}
        shown = ",".join(self.table_class.shown(self.chosen))
        return urlencode({"list": self.list_name, **kept, "columns": shown})

    def column_choices(self, table):
        """(name, heading, shown) of every column one may choose."""
        shown = [c.name for c in table.bound_columns]
        rest = [n for n in self.table_class.base_columns if n not in shown]
        return [
            (n, self.table_class.base_columns[n].verbose_name, n in shown)
            for n in [*shown, *rest]
            if n not in self.table_class.always
        ]

    def csv_shown(self, table):
        """The export columns that match the columns on screen, for *The columns shown*."""
        names = {c.name for c in self.table_class.csv}
        return ",".join(dict.fromkeys(n for n in ("id", *[c.name for c in table.bound_columns]) if n in names))

    def near(self):
        """Where an empty list has rows after all: with one filter less, the search alone, the other mode."""
        names = self.filterset.active[:6]
        without = [{k: v for k, v in self.filterset.data.items() if k != name} for name in names]
        labels = [f"without {(self.filterset.filters[n].label or n).lower()}" for n in names]
        if "q" in names and "status" in self.filterset.defaults and len(names) == 1:
            without, labels = [{**self.filterset.data, "status": "all"}], ["among archived ones as well"]
        counts = capped_counts([self.narrowed(w).qs for w in without])
        found = zip(counts, labels, without, strict=True)
        return [(count_text(n), label, f"{self.request.path}?{urlencode(w)}") for n, label, w in found if n]

    @property
    def clear_url(self):
        keep = {k: self.request.GET[k] for k in ("sort", "columns", "per_page") if k in self.request.GET}
        return f"{self.request.path}?{urlencode(keep)}" if keep else self.request.path


def _pairs(query):
    return [part.split("=", 1) for part in query.split("&") if part]


def count_text(count):
    return f"{search.CAP:,}+" if count > search.CAP else f"{count:,}"
