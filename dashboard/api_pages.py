"""The pages of the API's keys: all of them for admins, and everybody's personal tokens.

A secret is shown on the answer to the form that made it and nowhere else: it is in no session, no address, no message
and no log. The same form sent again makes no second key.
"""

from datetime import timedelta

import django_filters
from django import forms
from django.conf import settings
from django.db.models import Q
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.generic import TemplateView

from dashboard import tables
from dashboard.api import keys
from dashboard.filters import FilterSet, SearchField, TextFilter
from dashboard.forms import KitForm
from dashboard.ids import new_hex
from dashboard.models import ApiKey, Event
from dashboard.states import DomainError
from dashboard.stepup import StepUp
from dashboard.views import ActionView, DetailView, FormView, ListView, StaffMixin

MANAGE, OWN = "dashboard.manage_keys", "dashboard.own_tokens"
LASTS = {"": "Never", "7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}  # days
HISTORY = 20  # events shown on a key's page
REVOKED = "Requests with it are refused at once. A revoked key never works again."


# --- the list ------------------------------------------------------------------------------------------------
class ScopesColumn(tables.Column):
    def value(self, row):
        return ", ".join(keys.SHORT[scope] for scope in keys.SHORT if scope in row.scopes)


class StatusColumn(tables.BadgeColumn):
    def value(self, row):
        return row.status


class KeyTable(tables.Table):
    name = tables.LinkColumn(sort="name", verbose_name="Name")
    secret = tables.IdColumn(accessor="shown", css="mono m3", verbose_name="Key")
    scopes = ScopesColumn(verbose_name="May")
    user = tables.Column(accessor="user", verbose_name="Person")
    last_used_at = tables.WhenColumn(css="tnum", verbose_name="Last used")
    expires_at = tables.WhenColumn(css="tnum", verbose_name="Expires")
    status = StatusColumn(verbose_name="Status")
    created_at = tables.WhenColumn(sort="pk", css="tnum", verbose_name="Created at")

    class Meta:
        model = ApiKey
        fields = ()
        order_by = "-created_at"

    caption = "API keys"
    always = ("name",)
    default = ("name", "secret", "scopes", "user", "last_used_at", "expires_at", "status")
    page_name = "dashboard:api_key"
    prefetch = {"user": "user"}


class NameFilter(TextFilter):
    field_class = SearchField

    def filter(self, queryset, value):
        return queryset.filter(Q(name__icontains=value) | Q(hint=value[-4:])) if value else queryset


class KeyFilter(FilterSet):
    q = NameFilter(label="Search")
    status = django_filters.ChoiceFilter(
        choices=[("active", "Active"), ("ended", "Expired or revoked")], label="Status", empty_label="Any", method="by_status"
    )
    kind = django_filters.ChoiceFilter(
        choices=[("key", "Key of the business"), ("personal", "Personal token")],
        label="Kind",
        empty_label="Any",
        method="by_kind",
    )

    groups = {"Status": ["status"], "Kind": ["kind"]}

    class Meta:
        model = ApiKey
        fields = []

    def by_status(self, queryset, _name, value):
        return queryset.usable() if value == "active" else queryset.ended()

    def by_kind(self, queryset, _name, value):
        return queryset.filter(user__isnull=value == "key")


class Keys(ListView):
    """Every key of the session's mode, personal tokens among them."""

    queryset = ApiKey.objects.all()
    permission = MANAGE
    section = "api_keys"
    title = "API keys"
    table_class = KeyTable
    filterset_class = KeyFilter
    template_name = "dashboard/api_keys.html"
    list_name = "dashboard:api_keys"
    help_topic = "api"
    noun, plural = "key", "keys"
    search_hint = "Search name or last four"
    tabs = (("All", ""), ("Active", "status=active"), ("Expired or revoked", "status=ended"))
    create_url = "dashboard:api_key_new"
    create_label = "Create a key"
    create_permission = MANAGE
    empty_text = "A key lets a program of yours work with customers and their money."


# --- one key -------------------------------------------------------------------------------------------------
class KeyMixin:
    queryset = ApiKey.objects.select_related("user", "created_by")
    permission = MANAGE
    section = "api_keys"


class Key(KeyMixin, DetailView):
    template_name = "dashboard/api_key.html"

    def get_context_data(self, **kwargs):
        key = self.object
        return super().get_context_data(
            key=key,
            scopes=[words for scope, words in keys.SCOPES.items() if scope in key.scopes],
            may_roll=key.status == "active" and key.user_id in (None, self.request.user.pk),
            history=Event.objects.filter(object_id=key.pk).select_related("by").order_by("-id")[:HISTORY],
            **kwargs,
        )


class SecretOnce:
    """Mixin, before a FormView of any kind: what the form makes is shown on its answer, this once.

    `make(data)` calls the domain and returns (key, secret).
    """

    result_url = "dashboard:api_keys"

    def post(self, request, *args, **kwargs):
        form = self.get_form(request.POST)
        if not form.is_valid():
            return self.refuse(form)
        try:
            key, secret = self.make(form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
            return self.refuse(form)
        found = {"key": key, "secret": secret, "done_url": reverse(self.result_url), "section": self.section, "title": key.name}
        return render(request, "dashboard/api_key_made.html", found | {"address": settings.SITE_URL})

    def get_initial(self):
        return {"form_key": new_hex()}


def _expires(data):
    """The moment a form's choice of days means; None for never."""
    return timezone.now() + timedelta(days=int(data["lasts"])) if data["lasts"] else None


class LastsForm(KitForm):
    """What a new and a rolled key have in common: it may expire, and its form makes one key."""

    lasts = forms.ChoiceField(choices=list(LASTS.items()), required=False, label="Expires")
    form_key = forms.RegexField(r"^[0-9a-f]{24}$", widget=forms.HiddenInput)
    mark_optional = False


class KeyForm(LastsForm):
    name = forms.CharField(max_length=60, help_text="Where it is used, such as “Web shop” or “Nightly import”.")
    scopes = forms.MultipleChoiceField(
        choices=list(keys.SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
        error_messages={"required": "Choose at least one: a key without any can do nothing."},
    )
    addresses = forms.CharField(
        required=False,
        max_length=2000,
        label="Only from these networks (optional)",
        help_text="One a line, such as 203.0.113.7 or 203.0.113.0/24. Left empty, the key is taken from anywhere.",
        widget=forms.Textarea(attrs={"rows": 3, "class": "mono", "autocomplete": "off"}),
    )
    field_order = ("name", "scopes", "lasts", "addresses")

    def clean_addresses(self):
        try:
            return keys.networks(self.cleaned_data["addresses"].split())
        except DomainError as error:
            raise forms.ValidationError(str(error)) from None


class KeyCreate(StepUp, SecretOnce, FormView):
    """A key of the session's mode, which belongs to nobody in particular."""

    permission = MANAGE
    section = "api_keys"
    title = "Create an API key"
    submit = "Create the key"
    form_class = KeyForm
    template_name = "dashboard/api_key_new.html"

    def make(self, data):
        about = {"name": data["name"], "scopes": data["scopes"], "addresses": data["addresses"], "form_key": data["form_key"]}
        return keys.create_key(
            livemode=self.request.livemode, expires_at=_expires(data), by=self.request.user, user=self.person, **about
        )

    @property
    def person(self):
        """Whose token it is; None for a key of the business."""
        return None

    def get_success_url(self):
        return reverse(self.result_url)


class RollForm(LastsForm):
    hours = forms.TypedChoiceField(
        choices=[(hours, words.capitalize()) for hours, words in keys.OVERLAPS.items()],
        coerce=int,
        initial=24,
        label="The present key ends",
        help_text="Until then both work, so that you can change over without a gap.",
    )
    field_order = ("hours", "lasts")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["lasts"].label = "The new key expires"


class KeyRoll(KeyMixin, StepUp, SecretOnce, ActionView):
    title = "Roll the key"
    submit = "Make the new key"
    form_class = RollForm
    consequence = "A new key with the same name and rights takes its place. Its secret is shown once, on the next page."

    def make(self, data):
        about = {"hours": data["hours"], "expires_at": _expires(data), "form_key": data["form_key"]}
        return keys.roll_key(self.object, by=self.request.user, **about)


class KeyRevoke(KeyMixin, ActionView):
    title = submit = "Revoke the key"
    form_class = KitForm
    danger = True

    def get_consequence(self):
        used = "It was never used." if not self.object.last_used_at else "Whatever still uses it stops working."
        return f"{REVOKED} {used}"

    def act(self, data):
        key = keys.revoke_key(self.object, by=self.request.user)
        return f"“{key.name}” is revoked."


# --- one's own tokens ----------------------------------------------------------------------------------------
class OwnMixin:
    permission = OWN
    section = "profile"
    result_url = "dashboard:own_tokens"

    def get_queryset(self):
        return super().get_queryset().filter(user=self.request.user)

    def get_success_url(self):
        return reverse("dashboard:own_tokens")


class OwnTokens(StaffMixin, TemplateView):
    """A person's tokens in the session's mode: those that work, and those that did not long ago."""

    permission = OWN
    section = "profile"
    title = "Personal tokens"
    template_name = "dashboard/api_tokens.html"

    def get_context_data(self, **kwargs):
        mine = self.request.user.api_keys.filter(livemode=self.request.livemode)
        return super().get_context_data(
            tokens=[(token, [keys.SHORT[scope] for scope in token.scopes]) for token in mine.usable()],
            ended=mine.ended()[:HISTORY],
            **kwargs,
        )


class OwnTokenCreate(OwnMixin, KeyCreate):
    title = "Create a personal token"
    submit = "Create the token"

    @property
    def person(self):
        return self.request.user

    def get_queryset(self):
        return ApiKey.objects.none()

    def get_form(self, data=None):
        form = super().get_form(data)
        form.fields["scopes"].choices = list(keys.scopes_for(self.request.user).items())
        return form


class OwnTokenRoll(OwnMixin, KeyRoll):
    title = "Roll the token"
    submit = "Make the new token"


class OwnTokenRevoke(OwnMixin, KeyRevoke):
    title = submit = "Revoke the token"
