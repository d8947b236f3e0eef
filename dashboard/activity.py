"""The audit trail to read: everything that happened, by whom, from where, to what, and what was there before."""

import json
import re
from collections import defaultdict
from functools import cache

import django_filters
from django.apps import apps
from django.db.models import Q
from django.urls import resolve

from dashboard import tables
from dashboard.export import Csv
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, StaffFilter, TextFilter, ToFilter
from dashboard.ids import HEX
from dashboard.masking import HIDDEN, mask_email, mask_phone
from dashboard.models import Event, Redaction, SealedEvent, User
from dashboard.money import Money
from dashboard.templatetags.ui import badge_html, escaped
from dashboard.together import fetch_together
from dashboard.views import DetailView, ListView

CONTACT = "dashboard.view_contact_data"
ABOUT_STAFF = ("user", "invitation")  # people work in both modes: what happens to them is shown in both
MOST_TIMES = 10  # an event is redacted: mostly once
AMOUNTS = re.compile(r"(^|_)(amount|total|price|subtotal)($|_)")


# --- the records events are about ---------------------------------------------------------------------


@cache
def kinds():
    """{name in an event: model} of our records that have a page."""
    ours = [m for m in apps.get_models() if m.__module__.partition(".")[0] in ("dashboard", "customers", "billing")]
    return {m._meta.model_name: m for m in ours if hasattr(m, "get_absolute_url") and m is not Event}


def add_records(events, viewer, livemode):
    """Give each event `record_link`: (address, text) of its record's page or else its customer's; None without either.
    And `erased_by`: the ID of the event in whose course personal data was taken out of it, "" if none was.

    One query, however many kinds of records there are among them. What is deleted, of the other mode, or not for this
    person has no link.
    """
    wanted = defaultdict(set)
    for event in events:
        for kind, pk in _about(event, livemode):
            wanted[kind].add(pk)
    records = {k: kinds()[k]._base_manager.filter(pk__in=ids).order_by("pk")[: len(ids)] for k, ids in wanted.items()}
    redactions = Redaction.objects.filter(event_id__in=[e.pk for e in events]).order_by("-nth")[: MOST_TIMES * len(events)]
    rows = fetch_together(redactions=redactions, **records)
    erased = {redaction.event_id: redaction.erasure for redaction in reversed(rows.pop("redactions"))}  # the last one stays
    found = {kind: {record.pk: record for record in records} for kind, records in rows.items()}
    for event in events:
        event.erased_by = erased.get(event.pk, "")
        about = (found[kind].get(pk) for kind, pk in _about(event, livemode))
        event.record_link = next((link for record in about if record and (link := _link(record, viewer))), None)


def _about(event, livemode):
    """(kind, ID) of the record of an event and of its customer, the closest first."""
    if event.livemode != livemode and event.object_type not in ABOUT_STAFF:
        return []
    both = [(event.object_type, event.object_id), ("customer", event.customer_id)]
    return [(kind, pk) for kind, pk in both if kind in kinds() and pk]


def _link(record, viewer):
    url = record.get_absolute_url()
    permission = getattr(getattr(resolve(url).func, "view_class", None), "permission", None)
    return (url, str(record)) if permission and viewer.has_perm(permission) else None


# --- the list -----------------------------------------------------------------------------------------


class WhatColumn(tables.LinkColumn):
    """What happened, and whether personal data was taken out of it since."""

    def html(self, row):
        mark = '<br><span class="sm muted">Personal data removed</span>' if row.erased_by else ""
        return super().html(row) + mark


class RecordColumn(tables.Column):
    def html(self, row):
        if not row.record_link:
            return super().html(row)
        url, text = row.record_link
        return f'<a class="over" href="{escaped(url)}">{escaped(text[:60])}</a>'


class HiddenColumn(tables.Column):
    """Hidden whole from who may not see contact data."""

    def html(self, row):
        return HIDDEN if self.masked and self.value(row) else super().html(row)


class ModeColumn(tables.Column):
    def html(self, row):
        return badge_html("Live" if row.livemode else "Test")


class EventTable(tables.Table):
    created_at = tables.WhenColumn(sort="pk", css="tnum m3", verbose_name="When")
    by = tables.Column(accessor="who", verbose_name="Who", css="m4")
    what = WhatColumn(accessor="sentence", verbose_name="What", css="strong m1")
    record = RecordColumn(accessor="object_id", verbose_name="Record", css="m2")
    why = HiddenColumn(contact=True, verbose_name="Why")
    ip = HiddenColumn(contact=True, verbose_name="From", css="tnum")
    request_id = tables.IdColumn(verbose_name="Request")
    object_id = tables.IdColumn(verbose_name="ID")
    mode = ModeColumn(accessor="livemode", verbose_name="Mode")

    class Meta:
        model = Event
        fields = ()
        order_by = "-created_at"

    caption = "Activity"
    always = ("what",)
    default = ("created_at", "by", "what", "record", "ip")
    page_name = "dashboard:event"
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("type", kind="code"),
        Csv("object_type", kind="code"),
        Csv("object_id", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("actor", kind="code"),
        Csv("by", "by__email"),
        Csv("ip", contact="text"),
        Csv("request_id", kind="code"),
        Csv("livemode", kind="flag"),
        Csv("changes", kind="json", contact="text"),
        Csv("data", kind="json", contact="text"),
    )


class WhereFilter(TextFilter):
    """An exact IP address or request ID. Their indexes leave out the events that have none: it says so, to be given one."""

    def filter(self, queryset, value):
        return queryset.filter(~Q(**{self.field_name: ""}), **{self.field_name: value}) if value else queryset


class ModeFilter(django_filters.ChoiceFilter):
    """This mode's events and what concerns staff, unless one asks for all."""

    def filter(self, queryset, value):
        if value == "both":
            return queryset
        return queryset.filter(Q(livemode=self.parent.request.livemode) | Q(object_type__in=ABOUT_STAFF))


class EventFilter(FilterSet):
    created = PeriodFilter(field_name="created_at", label="When")
    created_from = FromFilter(field_name="created_at", label="From")
    created_to = ToFilter(field_name="created_at", label="To")
    by = StaffFilter(label="Person", queryset=User.objects.order_by("name", "email"), empty_label="Anybody")
    actor = django_filters.ChoiceFilter(
        choices=[(a.value, "API" if a == Event.Actor.API else a.label) for a in Event.Actor], label="Who", empty_label="Anyone"
    )
    type = TextFilter(
        field_name="type", label="Event type", lookup_expr="startswith", help_text="All of it or its beginning: customer.updated"
    )
    customer = TextFilter(field_name="customer_id", label="Customer ID")
    object = TextFilter(field_name="object_id", label="Record ID")
    ip = WhereFilter(field_name="ip", label="IP address")
    request = WhereFilter(field_name="request_id", label="Request ID")
    mode = ModeFilter(choices=[("this", "This mode"), ("both", "Test and live")], label="Mode", empty_label=None)

    groups = {
        "When": ["created", "created_from", "created_to"],
        "Who": ["by", "actor"],
        "What": ["type", "customer", "object"],
        "From": ["ip", "request", "mode"],
    }
    defaults = {"mode": "this"}
    ordered = ("customer", "object", "mode")
    hidden_from_masked = ("ip",)

    class Meta:
        model = Event
        fields = []


class Activity(ListView):
    """Everything that happened in this mode, newest first."""

    queryset = Event.objects.select_related("by").defer("signature")
    permission = "dashboard.view"
    section = "activity"
    title = "Activity log"
    table_class = EventTable
    filterset_class = EventFilter
    list_name = "dashboard:activity"
    export_name = "events"
    noun, plural = "event", "events"
    search_hint = ""
    tabs = (("All", ""), ("Sign-in", "type=sign_in."), ("Team", "type=user."), ("Refused access", "type=access."))
    empty_text = "Everything staff, payers and the system do is written down here."

    def get_queryset(self):
        return self.queryset.all()  # the filter keeps to the mode

    def get_context_data(self, **kwargs):
        add_records(self.page.rows, self.request.user, self.request.livemode)
        return super().get_context_data(**kwargs)


# --- one event ----------------------------------------------------------------------------------------


class EventDetail(DetailView):
    """One event in full: before and after, why, from where, and whether it is sealed."""

    permission = "dashboard.view"
    section = "activity"
    template_name = "dashboard/event.html"

    def get_queryset(self):
        return Event.objects.filter(Q(livemode=self.request.livemode) | Q(object_type__in=ABOUT_STAFF)).select_related("by")

    def get_title(self):
        return self.object.sentence

    def get_context_data(self, **kwargs):
        event, viewer = self.object, self.request.user
        add_records([event], viewer, self.request.livemode)
        return super().get_context_data(
            event=event,
            changes=[(words(n), *pair, _nothing(event, pair)) for n, pair in shown_changes(event, viewer).items()],
            facts=[(words(name), value) for name, value in shown_data(event, viewer).items()],
            erasure=Event.objects.filter(pk=event.erased_by).select_related("by").first() if event.erased_by else None,
            seal=SealedEvent.objects.select_related("seal").filter(pk=event.pk).first(),
            sees=viewer.has_perm(CONTACT),
            **kwargs,
        )


def _nothing(event, pair):
    """What stands for a value that is not there, before or after."""
    return "removed" if event.erased_by and not any(pair) else "empty"


def words(name):
    """A field's name for people: "line1" stays, "due_at" is "due at"."""
    return name.replace("_", " ").capitalize()


def shown_changes(event, viewer):
    """{field: [before, after]} in words, as this person may see them."""
    currency = _currency(event)
    pairs = {n: v if isinstance(v, list) and len(v) == 2 else [None, v] for n, v in event.changes.items()}
    return {n: [shown(n, value, viewer, currency) for value in pair] for n, pair in pairs.items()}


def shown_data(event, viewer):
    """{name: value} of what else an event says, but for the reason, which has its own place."""
    rest = {n: v for n, v in event.data.items() if n not in ("why", "reason")}
    return {n: shown(n, value, viewer, _currency(event)) for n, value in rest.items()}


def _currency(event):
    told = event.data.get("currency") or event.changes.get("currency")
    return told[-1] if isinstance(told, list) and told else told


def shown(name, value, viewer, currency=None):
    """A value of an event in words. Who may not see contact data sees what plainly is none, and HIDDEN for the rest."""
    if value in (None, "", [], {}):
        return ""
    if not viewer.has_perm(CONTACT) and not is_plain(name, value):
        return _hidden(name, value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, int) and currency and AMOUNTS.search(name):
        return str(Money(value, currency))
    return json.dumps(value, ensure_ascii=False, indent=1) if isinstance(value, dict | list) else str(value)


NAMES = {"name", "first_name", "last_name", "company_name", "number", "code", "role", "browser", "method"}  # everybody sees them
OURS = re.compile(rf"[a-z_]+_{HEX}|[a-z]+(_[a-z]+)*|[A-Z]{{2,3}}|\d{{4}}-\d\d-\d\d(T[\d:.+Z-]+)?")  # IDs, words, codes, times
PRIVATE = re.compile(r"mail|phone|^line\d|postal|^zip|address|metadata|body|^to$|^ip$|agent")


def is_plain(name, value):
    """Whether a value cannot be contact data: a number, one of our own words, a name everybody sees."""
    if PRIVATE.search(name):
        return False
    return name in NAMES or isinstance(value, int) or (isinstance(value, str) and bool(OURS.fullmatch(value)))


def _hidden(name, value):
    if isinstance(value, str) and "mail" in name:
        return mask_email(value)
    return mask_phone(value) if isinstance(value, str) and "phone" in name else HIDDEN
