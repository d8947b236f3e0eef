"""The admin's site, and what all of its pages share: who may see them, how records are found and shown."""

import re
from datetime import timedelta

from django.contrib import admin
from django.contrib.admin import ActionLocation
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.text import capfirst

from dashboard import search
from dashboard.admin import looks
from dashboard.ids import HEX, PublicIdField, bare
from dashboard.templatetags.ui import badge_html
from dashboard.text import unsafe

PUBLIC_ID = re.compile(rf"(?:(?:[a-z]+_)+)?{HEX}")
LOOKUPS = ("exact", "isnull", "gte", "lt")  # what the filters beside a list send; nothing else is asked


class SupportSite(admin.AdminSite):
    """The admin behind the dashboard's own doors: its sign-in, sign-out and password pages are the only ones."""

    site_header = site_title = "Counterfoil support"
    index_title = "Records"
    empty_value_display = "—"
    enable_nav_sidebar = False  # the first page has it all; the dashboard's way back is on top

    def has_permission(self, request):
        """Strangers go and sign in; signed-in staff without a role for this are refused."""
        if request.user.is_authenticated and not request.user.is_staff:
            raise PermissionDenied("dashboard.view_contact_data")
        return request.user.is_authenticated

    @method_decorator(login_not_required)
    def login(self, request, extra_context=None):
        if request.user.is_authenticated:
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def logout(self, request, extra_context=None):
        return redirect("account_logout")

    def app_index(self, request, app_label, extra_context=None):
        return super().app_index(request, app_label, {"title": app_label.capitalize()})

    def password_change(self, request, extra_context=None):
        return redirect("account_change_password")

    def password_change_done(self, request, extra_context=None):
        return redirect("dashboard:profile")


site = SupportSite()
site.disable_action("delete_selected")  # nothing is ever deleted here


class CappedPaginator(Paginator):
    """Pages of the newest rows: counting stops where the dashboard's lists stop counting."""

    @cached_property
    def count(self):
        return self.object_list.order_by().values("pk")[: search.CAP].count()


class ModeFilter(admin.SimpleListFilter):
    """Test or live records; both at first."""

    title = "mode"
    parameter_name = "mode"

    def lookups(self, request, model_admin):
        return [("test", "Test"), ("live", "Live")]

    def queryset(self, request, queryset):
        return queryset.filter(livemode=self.value() == "live") if self.value() else queryset


class CreatedFilter(admin.SimpleListFilter):
    """The newest records, by the day. For tables with an index that begins with the mode and `column`."""

    title = "created"
    parameter_name = "created"
    column = "created_at"
    DAYS = {"today": 0, "week": 7, "month": 30}

    def lookups(self, request, model_admin):
        return [("today", "Today"), ("week", "Past 7 days"), ("month", "Past 30 days")]

    def queryset(self, request, queryset):
        return self.since(queryset, self.first_moment()) if self.value() in self.DAYS else queryset

    def first_moment(self):
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=self.DAYS[self.value()])

    def since(self, queryset, moment):
        """Both modes are named so that the index serves."""
        return queryset.filter(**{"livemode__in": (True, False), f"{self.column}__gte": moment})


class PublicIdList(ChangeList):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.title = capfirst(self.opts.verbose_name_plural)

    def url_for_result(self, result):
        return self.model_admin.url_of(result)


class SupportAdmin(admin.ModelAdmin):
    """Newest first, found by public id or the dashboard's own search, never deleted; history is its events.

    `permission` is asked for besides what opens the admin. `named_by` are the columns a whole id is looked for in.
    """

    permission = "dashboard.view_contact_data"
    named_by = ("pk",)
    actions = ()
    search_fields = ("id",)  # shows the box; `find` says what it finds
    ordering = ("-id",)
    sortable_by = ()
    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    view_on_site = False

    # --- who may ---
    def has_view_permission(self, request, obj=None):
        return request.user.has_perm(self.permission)

    def has_delete_permission(self, request, obj=None):
        return False

    def has_module_permission(self, request):
        return self.has_view_permission(request)

    def delete_view(self, request, object_id, extra_context=None):
        raise PermissionDenied

    def get_actions(self, request, action_location=ActionLocation.CHANGE_LIST):
        """Those this person may run. Asking for another one of the list is refused, not ignored."""
        found = super().get_actions(request, action_location)
        mine = {n: a for n, a in found.items() if request.user.has_perm(getattr(a.func, "permission", self.permission))}
        asked = {*request.POST.getlist("action"), *request.POST.getlist(f"{ActionLocation.CHANGE_FORM.value}-action")}
        if refused := asked & (found.keys() - mine.keys()):
            raise PermissionDenied(f"{self.opts.model_name}: {min(refused)}")
        return mine

    def get_action_choices(self, request, default_choices=None, action_location=ActionLocation.CHANGE_LIST):
        return super().get_action_choices(request, [("", "Choose an action")], action_location)

    # --- how records are found ---
    def get_changelist(self, request, **kwargs):
        return PublicIdList

    def lookup_allowed(self, lookup, value, request):
        name, _, kind = lookup.partition("__")
        own = [f.parameter_name for f in self.list_filter if not isinstance(f, str)]
        return lookup in own or (name in self.list_filter and kind in LOOKUPS)

    def get_search_results(self, request, queryset, search_term):
        text = search.clean_query(search_term)
        return (self.find(queryset, text) if text else queryset), False

    def find(self, queryset, text):
        """The rows a search text means: by a whole id, or else by words."""
        return queryset.filter(self.named(text)) if PUBLIC_ID.fullmatch(text) else self.by_words(queryset, text)

    def by_words(self, queryset, text):
        return search.matching(queryset, text)

    def named(self, text):
        """Where an id may stand: its beginning says of what it is, so other columns are not looked at."""
        columns = [name for name in self.named_by if self.may_hold(name, text)]
        return Q(*[(name, text) for name in columns], _connector=Q.OR) if columns else Q(pk__in=[])

    def may_hold(self, name, text):
        field = self.target(name)
        return not isinstance(field, PublicIdField) or bare(text) == text or text.startswith(f"{field.prefix}_")

    def target(self, name):
        """The column a column points to; itself when it points to none."""
        field = self.opts.pk if name == "pk" else self.opts.get_field(name)
        return field.target_field if field.is_relation else field

    # --- how they are shown ---
    def get_list_display(self, request):
        """The first column is the link to the record, and shows what it says without links of its own."""
        first, *rest = [self.shown(name, request.user) for name in self.list_display]
        return [self.list_display[0] if looks.is_record(self.model, self.list_display[0]) else first, *rest]

    def shown(self, name, viewer):
        return looks.shown(self.admin_site, self.model, name, viewer)

    # --- pages ---
    def url_of(self, record):
        """The address of a record's page here."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[record.pk])

    @staticmethod
    def plain_id(object_id):
        """The public id in a path. Django writes its underscore escaped (cus_5F…) in some links; 404 if it is none."""
        found = object_id.replace("_5F", "_")
        if not PUBLIC_ID.fullmatch(found):
            raise Http404
        return found

    def changelist_view(self, request, extra_context=None):
        if any(unsafe(key + value) for key, value in request.GET.items()):
            raise BadRequest("Control characters in a filter.")
        return super().changelist_view(request, extra_context)

    def change_view(self, request, object_id, form_url="", extra_context=None):
        return super().change_view(request, quote(self.plain_id(object_id)), form_url, extra_context)

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        context["related"] = related(self, obj.pk, request.user) if change else []
        if change and not self.has_change_permission(request, obj):
            context["title"] = capfirst(self.opts.verbose_name)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def history_view(self, request, object_id, extra_context=None):
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect(f"{reverse('admin:dashboard_event_changelist')}?q={self.plain_id(object_id)}")

    def _get_obj_does_not_exist_redirect(self, request, opts, object_id):
        raise Http404


def related(to, pk, viewer):
    """[(what, address)] of the lists of records that belong to this one, as far as a person may see them."""
    found = []
    for model, other in site._registry.items():
        columns = [name for name in other.named_by if name != "pk" and model._meta.get_field(name).is_relation]
        if viewer.has_perm(other.permission) and any(model._meta.get_field(n).related_model is to.model for n in columns):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            found.append((model._meta.verbose_name_plural, f"{url}?q={pk}"))
    return sorted(found)


class ReadOnlyAdmin(SupportAdmin):
    """A record to look at. Subclasses list every field they show: no new column, token or nonce shows by itself."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def get_fields(self, request, obj=None):
        return [self.shown(name, request.user) for name in self.fields]

    get_readonly_fields = get_fields

    @admin.display(description="Mode")
    def mode(self, obj):
        return "Live" if obj.livemode else "Test"

    @admin.display(description="Mode")
    def mode_badge(self, obj):
        return badge_html(self.mode(obj))

    def page_of(self, obj):
        """The record whose page in the dashboard shows this one."""
        return obj

    @admin.display(description="In the dashboard")
    def in_dashboard(self, obj):
        record = self.page_of(obj)
        mode = self.mode(obj).lower()
        return format_html('<a href="{}">Open {} in the dashboard</a> (in {} mode)', record.get_absolute_url(), record, mode)


class ReadOnlyInline(admin.TabularInline):
    """Rows on the page of the record they belong to: whoever may see it sees them, and nobody changes them there."""

    extra = 0
    can_delete = False

    def get_fields(self, request, obj=None):
        return [looks.shown(self.admin_site, self.model, name, request.user) for name in self.fields]

    get_readonly_fields = get_fields

    def has_view_permission(self, request, obj=None):
        return True

    def has_add_permission(self, request, obj=None):
        return False

    has_change_permission = has_delete_permission = has_add_permission
