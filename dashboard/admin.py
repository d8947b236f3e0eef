"""Django admin as the support desk's second look: records to read, accounts of the team to change.

Business records change through domain functions only, so here they are shown and lead to their page in the
dashboard. The same sign-in, the same table of permissions and the same security headers stand before it.
"""

import re
from urllib.parse import urlencode

from allauth.account.forms import ResetPasswordForm
from allauth.core import context
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html

from dashboard import search, stepup, team
from dashboard.forms import KitFormMixin
from dashboard.ids import HEX
from dashboard.models import ApiKey, Event, IdempotencyKey, User
from dashboard.states import DomainError
from dashboard.text import unsafe

PUBLIC_ID = re.compile(rf"(?:(?:[a-z]+_)+)?{HEX}")
LOOKUPS = ("exact", "isnull", "gte", "lt")  # what the filters beside a list send; nothing else is asked


class SupportSite(admin.AdminSite):
    """The admin behind the dashboard's own doors: its sign-in, sign-out and password pages are the only ones."""

    site_header = site_title = "Counterfoil support"
    index_title = "Records"
    empty_value_display = "—"

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

    def password_change(self, request, extra_context=None):
        return redirect("account_change_password")

    def password_change_done(self, request, extra_context=None):
        return redirect("dashboard:profile")


site = SupportSite()


def plain_id(object_id):
    """The public id in a path. Django writes its underscore escaped (cus_5F…) in some links; 404 if it is none."""
    found = object_id.replace("_5F", "_")
    if not PUBLIC_ID.fullmatch(found):
        raise Http404
    return found


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


class PublicIdList(ChangeList):
    def url_for_result(self, result):
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[result.pk])


class SupportAdmin(admin.ModelAdmin):
    """Newest first, found by public id or the dashboard's own search, never deleted; history is its events."""

    permission = "dashboard.view_contact_data"
    actions = None
    search_fields = ("id",)  # shows the box; `find` says what it finds
    ordering = ("-id",)
    sortable_by = ()
    paginator = CappedPaginator
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    view_on_site = False

    def has_view_permission(self, request, obj=None):
        return request.user.has_perm(self.permission)

    def has_delete_permission(self, request, obj=None):
        return False

    def has_module_permission(self, request):
        return self.has_view_permission(request)

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
        """The rows a search text means: one by its id, else the dashboard's search."""
        return queryset.filter(pk=text) if PUBLIC_ID.fullmatch(text) else search.matching(queryset, text)

    def changelist_view(self, request, extra_context=None):
        if any(unsafe(key + value) for key, value in request.GET.items()):
            raise BadRequest("Control characters in a filter.")
        return super().changelist_view(request, extra_context)

    def change_view(self, request, object_id, form_url="", extra_context=None):
        return super().change_view(request, quote(plain_id(object_id)), form_url, extra_context)

    def delete_view(self, request, object_id, extra_context=None):
        raise PermissionDenied

    def history_view(self, request, object_id, extra_context=None):
        if not self.has_view_permission(request):
            raise PermissionDenied
        return redirect(f"{reverse('admin:dashboard_event_changelist')}?q={plain_id(object_id)}")

    def _get_obj_does_not_exist_redirect(self, request, opts, object_id):
        raise Http404


class ReadOnlyAdmin(SupportAdmin):
    """A record to look at. Subclasses list every field they show: no new column, token or nonce shows by itself."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def get_readonly_fields(self, request, obj=None):
        return self.fields

    @admin.display(description="Mode")
    def mode(self, obj):
        return "Live" if obj.livemode else "Test"

    def page_of(self, obj):
        """The record whose page in the dashboard shows this one."""
        return obj

    @admin.display(description="In the dashboard")
    def in_dashboard(self, obj):
        record = self.page_of(obj)
        mode = self.mode(obj).lower()
        return format_html('<a href="{}">Open {} in the dashboard</a> (in {} mode)', record.get_absolute_url(), record, mode)


@admin.register(Event, site=site)
class EventAdmin(ReadOnlyAdmin):
    """What happened, to what, by whom. Nobody changes it: the database itself refuses."""

    list_display = ("created_at", "who", "sentence", "object_id", "mode")
    list_filter = (ModeFilter, "actor")
    list_select_related = ("by",)
    search_help_text = "A record's or customer's whole ID, or the beginning of an event type such as customer.up"
    fields = (
        *("id", "created_at", "type", "object_type", "object_id", "customer_id", "mode"),
        *("by", "actor", "ip", "request_id", "changes", "data"),
    )

    def find(self, queryset, text):
        if PUBLIC_ID.fullmatch(text):
            return queryset.filter(Q(object_id=text) | Q(customer_id=text) | Q(pk=text))
        return queryset.filter(type__startswith=text)


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Who may call the API. What is stored of a secret is not shown: it is nobody's business."""

    permission = "dashboard.manage_keys"
    list_display = ("name", "shown", "mode", "user", "status", "last_used_at", "created_at")
    list_filter = (ModeFilter,)
    list_select_related = ("user",)
    search_help_text = "A whole ID, or part of a name"
    fields = (
        "id", "name", "shown", "mode", "scopes", "addresses", "user", "created_by", "created_at", "expires_at", "revoked_at",
        "last_used_at", "in_dashboard",
    )  # fmt: skip

    def find(self, queryset, text):
        return queryset.filter(pk=text) if PUBLIC_ID.fullmatch(text) else queryset.filter(name__icontains=text)


@admin.register(IdempotencyKey, site=site)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Requests that must not be carried out twice. Their answers hold contact data and are not shown."""

    permission = "dashboard.manage_keys"
    list_display = ("key", "owner", "mode", "status", "created_at")
    list_filter = (ModeFilter,)
    search_help_text = "A whole ID, or the key as it was sent"
    fields = ("id", "key", "owner", "mode", "status", "created_at")

    def find(self, queryset, text):
        return queryset.filter(pk=text) if PUBLIC_ID.fullmatch(text) else queryset.filter(key=text)


class MemberForm(KitFormMixin, forms.ModelForm):
    """Somebody's account. Saving goes through dashboard.team."""

    password = forms.CharField(
        required=False,
        strip=False,
        max_length=128,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        label="New password",
        help_text="Leave it empty to keep the present one.",
    )
    confirm_password = forms.CharField(
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        label="Your own password",
        help_text="You signed in more than five minutes ago: confirm that it is you.",
    )
    request = None  # set by UserAdmin.get_form

    class Meta:
        model = User
        fields = ("name", "role", "is_active")

    def clean(self):
        data = super().clean()
        if not self.errors and not stepup.is_fresh(self.request):
            problem = stepup.why_not_confirmed(self.request, data.get("confirm_password"))
            if problem:
                self.add_error("confirm_password", problem)
        return data

    def clean_password(self):
        password = self.cleaned_data["password"]
        if password:
            validate_password(password, self.instance)
        return password


class NewMemberForm(MemberForm):
    class Meta(MemberForm.Meta):
        fields = ("email", "name", "role")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["password"].label = "Password"
        self.fields["password"].help_text = "Leave it empty to mail a link with which they choose their own."

    def clean_email(self):
        return self.cleaned_data["email"].lower()


@admin.register(User, site=site)
class UserAdmin(SupportAdmin):
    """The team: admins make accounts, change roles, switch people off, and help who is locked out."""

    permission = "dashboard.manage_team"
    form = MemberForm
    list_display = ("email", "name", "role", "is_active", "last_login")
    list_filter = ("role", "is_active")
    search_help_text = "Name or e-mail"
    actions = ("mail_password_link", "remove_second_step")

    def has_add_permission(self, request):
        return self.has_view_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request)

    def get_form(self, request, obj=None, change=False, **kwargs):
        form = super().get_form(request, obj, change, **kwargs if change else kwargs | {"form": NewMemberForm})
        return type(form.__name__, (form,), {"request": request})

    def get_fields(self, request, obj=None):
        confirm = () if stepup.is_fresh(request) else ("confirm_password",)
        if obj:
            return ("email", "name", "role", "is_active", "password", "last_login", *confirm)
        return ("email", "name", "role", "password", *confirm)

    def get_readonly_fields(self, request, obj=None):
        return ("email", "last_login") if obj else ()  # another address is another account

    def find(self, queryset, text):
        if PUBLIC_ID.fullmatch(text):
            return queryset.filter(pk=text)
        return queryset.filter(Q(email__icontains=text) | Q(name__icontains=text))

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as error:
            messages.error(request, str(error))
            return redirect(request.get_full_path())

    def save_model(self, request, obj, form, change):
        given = {name: value for name, value in form.cleaned_data.items() if not name.endswith("password")}
        password = form.cleaned_data["password"]
        if not change:
            obj.pk = team.create_member(**given, password=password, by=request.user).pk
            if not password:
                transaction.on_commit(lambda: mail_link(obj.email, request))
            return
        stored = team.change_member(User.objects.get(pk=obj.pk), by=request.user, **given)
        if password:
            team.set_password(stored, password, by=request.user)

    def log_addition(self, request, obj, message):
        """Events say what happened; Django's own log, which anyone may edit, says nothing."""

    log_change = log_addition

    @admin.action(description="Mail a link to choose a new password")
    def mail_password_link(self, request, queryset):
        for user in queryset.filter(is_active=True)[: self.list_per_page]:
            mail_link(user.email, request)
            messages.success(request, f"A link to choose a password was mailed to {user.email}.")

    @admin.action(description="Switch off the second step (lost phone)")
    def remove_second_step(self, request, queryset):
        if not stepup.is_fresh(request):
            messages.error(request, "Confirm that it is you, then do it again. Nothing was changed.")
            return redirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.get_full_path()})}")
        for user in queryset[: self.list_per_page]:
            try:
                team.remove_second_step(user, by=request.user)
                messages.success(request, f"{user} signs in with the password alone until a new second step is set up.")
            except DomainError as error:
                messages.error(request, str(error))


def mail_link(email, request):
    """Send the mail of *Forgot password?* for somebody."""
    form = ResetPasswordForm({"email": email})
    with context.request_context(request):
        if form.is_valid():
            form.save(request)
