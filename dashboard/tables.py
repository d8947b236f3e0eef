"""Tables: django-tables2 reads the declared columns and Meta; headings and rows are written here, in one pass.

tables2's own row rendering inspects a signature and builds a template context per cell, about eight times
the cost of a hand-written loop. A column of ours is a function from a row to safe HTML instead.
"""

from copy import copy
from operator import attrgetter
from typing import NamedTuple

import django_tables2
from django.utils.functional import cached_property
from django.utils.safestring import mark_safe
from django_tables2.tables import DeclarativeColumnsMetaclass

from dashboard.masking import mask_email, mask_phone, mask_text
from dashboard.places import country_name
from dashboard.templatetags.ui import address_of, badge_html, escaped, icon_svg, money_html, today_there, when_html

SEE_MORE, SEE_MORE_ICON = "btn btn-quiet btn-icon btn-sm see-more", icon_svg("panel-right-open")


class Column(django_tables2.Column):
    """A text column.

    sort: the model column that orders it (never null, indexed), or none and the heading is plain.
    css: classes of heading and cell; m1-m4 name its place in a phone's two-line entry.
    """

    css = ""

    def __init__(self, *args, sort="", css="", contact=False, **kwargs):
        super().__init__(*args, orderable=bool(sort), **kwargs)
        self.sort, self.contact = sort, contact
        self.css = css or self.css

    def bind(self, name, viewer, link=None):
        """A copy that has looked up once what each row would look up again: where the value is, who is looking, and
        how a row's address is made."""
        found = copy(self)
        found.read = attrgetter(str(self.accessor or name).replace("__", "."))
        found.masked = self.contact and not viewer.has_perm("dashboard.view_contact_data")
        found.link = link or _link
        return found

    def value(self, row):
        """What stands there; a method such as get_status_display is asked."""
        try:
            found = self.read(row)
        except AttributeError:  # a missing relation on the way
            return None
        return found() if callable(found) else found

    def html(self, row):
        """The cell's content, escaped; hidden from whoever may not see contact data."""
        value = self.value(row)
        if value in (None, ""):
            return '<span class="muted">—</span>'
        return escaped(mask_text(value) if self.masked else value)


def _link(row):
    return escaped(row.get_absolute_url())


class LinkColumn(Column):
    """The row's one link, stretched over it. With `panel`, script opens the row's panel instead of its page."""

    css = "strong m1"

    def __init__(self, *args, avatar=False, panel="", **kwargs):
        super().__init__(*args, **kwargs)
        self.avatar, self.panel = avatar, panel

    def html(self, row):
        text, url = escaped(self.value(row) or row.pk), self.link(row)
        swap = f' hx-get="{url}{self.panel}/" hx-target="#drawer" hx-swap="innerHTML"' if self.panel else ""
        link = f'<a class="row-link" href="{url}"{swap}>{text}</a>'
        if not self.avatar:
            return link
        return f'<span class="who"><span class="avatar avatar-sm" aria-hidden="true">{escaped(row.initials)}</span>{link}</span>'


class RelatedColumn(Column):
    """A link to another record."""

    def html(self, row):
        other = self.value(row)
        return f'<a class="over" href="{escaped(other.get_absolute_url())}">{escaped(other)}</a>' if other else super().html(row)


class EmailColumn(Column):
    def html(self, row):
        value = self.value(row)
        return escaped(mask_email(value)) if value and self.masked else super().html(row)


class PhoneColumn(Column):
    css = "tnum"

    def html(self, row):
        value = self.value(row)
        return escaped(mask_phone(value)) if value and self.masked else super().html(row)


class WhenColumn(Column):
    """Date and time in the dashboard's zone."""

    css = "tnum m3"

    def bind(self, *args):
        found = super().bind(*args)
        found.today = today_there()
        return found

    def html(self, row):
        value = self.value(row)
        return when_html(value, self.today) if value else '<span class="muted">—</span>'


class MoneyColumn(Column):
    """Minor units of the row's currency; the code stands after the amount so that decimals line up."""

    css = "num m2"

    def __init__(self, *args, currency="currency", **kwargs):
        super().__init__(*args, **kwargs)
        self.currency = attrgetter(currency)

    def html(self, row):
        return money_html(self.value(row), self.currency(row))


class BadgeColumn(Column):
    """A status in words, coloured by the one map of badges."""

    css = "m4"

    def html(self, row):
        return badge_html(self.value(row))


class IdColumn(Column):
    css = "mono"


class CountryColumn(Column):
    def html(self, row):
        value = self.value(row)
        return escaped(country_name(value)) if value else super().html(row)


class Shown(NamedTuple):
    """A column on screen: its name, its heading, and the declared Column."""

    name: str
    header: str
    column: Column


class Table(metaclass=DeclarativeColumnsMetaclass):
    """A list's columns. Subclasses declare Columns, Meta.order_by, `default` (shown at first), `always`
    (shown whatever one chooses), `csv` (export columns), `see_more`, whether rows end in a link to their page, and
    `page_name`, its URL name where the id is all that the address says: it is looked up once then, not for each row.

    What a column shows from other tables: `prefetch` ({column: relation it reads}), or `annotated` ({column: function
    that gives the expression}), which saves a query and is the row's attribute of that name. `unread` names the
    model's fields that no column, sort or filter of the list reads from a row.
    """

    default = ()
    always = ()
    csv = ()
    see_more = True
    page_name = ""
    caption = ""
    prefetch = {}
    annotated = {}
    unread = ()

    def __init__(self, rows, *, viewer, shown=(), sort=""):
        self.records, self.sort = rows, sort
        columns = [(name, self.base_columns[name]) for name in self.shown(shown)]
        self.bound_columns = [Shown(name, column.verbose_name or name, column) for name, column in columns]
        self.cells = [column.bind(name, viewer, self.link) for name, column in columns]

    @classmethod
    def shown(cls, chosen=()):
        """The names of the columns to show, in the order they are declared: constant ones and chosen (or default) ones."""
        wanted = {*cls.always, *(chosen or cls.default)}
        return [name for name in cls.base_columns if name in wanted]

    @classmethod
    def sorts(cls, viewer=None):
        """{name in the URL: model column} of every sort on offer; none by what viewer may not see: a cursor would tell."""
        sees = viewer is None or viewer.has_perm("dashboard.view_contact_data")
        return {name: column.sort for name, column in cls.base_columns.items() if column.sort and (sees or not column.contact)}

    @classmethod
    def complete(cls, queryset, chosen=()):
        """The queryset with what the columns shown read from other tables, and without what none of them reads."""
        names = cls.shown(chosen)
        related = dict.fromkeys(cls.prefetch[n] for n in names if n in cls.prefetch)
        found = queryset.annotate(**{n: cls.annotated[n]() for n in names if n in cls.annotated})
        return found.defer(*cls.unread).prefetch_related(*related)

    @property
    def body(self):
        """The rows as HTML; every cell has escaped what it shows."""
        columns = [(f'<td class="{c.css}">', c.html) for c in self.cells]
        rows = ("".join([f"{td}{html(row)}</td>" for td, html in columns]) + self.actions(row) for row in self.records)
        return mark_safe("\n".join([f"<tr>{row}</tr>" for row in rows]))

    @cached_property
    def link(self):
        """The function from a row to its page's address, escaped."""
        if not self.page_name:
            return _link
        before, after = (escaped(part) for part in address_of(self.page_name, _ANY).split(_ANY))
        return lambda row: f"{before}{row.pk}{after}"

    def actions(self, row):
        """The last cell: *See more details*, to the row's page."""
        if not self.see_more:
            return ""
        label = escaped(f"See more details: {row}")
        link = f'<a class="{SEE_MORE}" href="{self.link(row)}" aria-label="{label}" title="See more details">{SEE_MORE_ICON}</a>'
        return f'<td class="actions">{link}</td>'


_ANY = "0" * 24  # an id like any other
