"""The team and what opens doors: accounts, invitations, keys of the API. Admins alone see these."""

from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Q
from django.shortcuts import redirect
from django.urls import reverse

from dashboard import events, invitations, stepup, team
from dashboard.accounts import mail_reset
from dashboard.admin.actions import bulk
from dashboard.admin.base import ModeFilter, ReadOnlyAdmin, SupportAdmin, site
from dashboard.admin.looks import when_column
from dashboard.api import keys
from dashboard.forms import KitFormMixin
from dashboard.models import ApiKey, IdempotencyKey, User
from dashboard.people_models import Invitation
from dashboard.states import DomainError

LAST_LOGIN = when_column("last_login", "last sign-in")
TEAM, KEYS = "dashboard.manage_team", "dashboard.manage_keys"


@admin.register(ApiKey, site=site)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Who may call the API. What is stored of a secret is not shown: it is nobody's business."""

    permission = KEYS
    list_display = ("name", "shown_key", "mode_badge", "user", "status", "last_used_at", "created_at")
    list_filter = (ModeFilter,)
    list_select_related = ("user",)
    search_help_text = "A whole ID, or part of a name"
    named_by = ("pk", "user")
    fields = (
        "in_dashboard", "id", "name", "shown_key", "mode", "status", "scopes", "addresses", "user", "created_by", "created_at",
        "expires_at", "revoked_at", "last_used_at",
    )  # fmt: skip
    actions = (
        bulk(
            keys.revoke_key, name="revoke", title="Revoke keys", permission=KEYS, done="revoked: requests with them are refused",
            consequence="Requests with these keys are refused at once, for good. Whatever uses them stops working.",
        ),
    )  # fmt: skip

    @admin.display(description="Key")
    def shown_key(self, obj):
        return obj.shown

    def by_words(self, queryset, text):
        return queryset.filter(name__icontains=text)


@admin.register(IdempotencyKey, site=site)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Requests that must not be carried out twice. Their answers hold contact data and are not shown."""

    permission = KEYS
    list_display = ("key", "owner", "mode_badge", "status", "created_at")
    list_filter = (ModeFilter,)
    search_help_text = "A whole ID, or the key as it was sent"
    fields = ("id", "key", "owner", "mode", "status", "created_at")

    def by_words(self, queryset, text):
        return queryset.filter(key=text)


@admin.register(Invitation, site=site)
class InvitationAdmin(ReadOnlyAdmin):
    """Who was asked to join. Links are mailed and shown to nobody here."""

    permission = TEAM
    list_display = ("email", "name", "role", "badge", "invited_by", "sent_at", "expires_at")
    list_filter = ("status", "role")
    list_select_related = ("invited_by",)
    search_help_text = "Name or e-mail, or a whole ID"
    fields = ("id", "email", "name", "role", "badge", "invited_by", "user", "created_at", "sent_at", "expires_at")
    actions = (
        bulk(
            invitations.withdraw_invitation, name="withdraw", title="Withdraw invitations", permission=TEAM, done="withdrawn",
            consequence="The links that were mailed stop working. Nobody is told.",
        ),
    )  # fmt: skip

    def by_words(self, queryset, text):
        return queryset.filter(Q(email__icontains=text) | Q(name__icontains=text))


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

    permission = TEAM
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
            return ("email", "name", "role", "is_active", "password", LAST_LOGIN, *confirm)
        return ("email", "name", "role", "password", *confirm)

    def get_readonly_fields(self, request, obj=None):
        return ("email", LAST_LOGIN) if obj else ()  # another address is another account

    def by_words(self, queryset, text):
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
                transaction.on_commit(lambda: mail_link(obj))
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
            mail_link(user)
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


def mail_link(user):
    """Send the mail of *Forgot password?* to somebody."""
    mail_reset.enqueue(user.pk, events.where())
