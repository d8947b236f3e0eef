"""The front door: what surrounds every page, and the pages that belong to no one app."""

from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from dashboard import second_step, team
from dashboard.forms import KitForm
from dashboard.permissions import PERMISSIONS
from dashboard.sessions import sessions_of
from dashboard.setting_up import steps_for
from dashboard.templatetags.ui import Known, address_of
from dashboard.views import FormView

THEMES = {"system": "System", "light": "Light", "dark": "Dark"}
YEAR = 365 * 24 * 3600  # seconds
SECURITY_TXT = timedelta(days=180)  # how long its contact stands
THEME_COOKIE = "__Host-theme" if settings.SECURE else "theme"  # app.js knows the names too


class Entry(NamedTuple):
    """One link of the menu or the palette. `key` is the letter after g; `permission` decides who sees it."""

    label: str
    url_name: str
    icon: str
    section: str
    permission: str = "dashboard.view"
    key: str = ""


NAV = [  # (group, entries): an entry whose URL does not exist is left out
    ("", [Entry("Overview", "dashboard:overview", "house", "home", "billing.view_overview", "h")]),
    (
        "Collect",
        [
            Entry("Customers", "customers:customers", "users", "customers", "customers.view_customer", "c"),
            Entry("Payments", "billing:payments", "credit-card", "payments", "billing.view_payment", "p"),
            Entry("Refunds", "billing:refunds", "undo-2", "refunds", "billing.view_refund", "f"),
            Entry("Payment requests", "billing:requests", "link", "requests", "billing.view_paymentrequest", "r"),
            Entry("Coupons", "billing:coupons", "ticket-percent", "coupons", "billing.view_coupon", "u"),
            Entry("Card tokenization links", "billing:card_links", "key-round", "card_links", "billing.view_cardlink", "t"),
            Entry("Billing statements", "billing:statements", "receipt-text", "statements", "billing.view_statement", "b"),
            Entry("Subscriptions", "billing:subscriptions", "repeat", "subscriptions", "billing.view_subscription", "s"),
            Entry("Invoices", "billing:invoices", "file-text", "invoices", "billing.view_subscription", "n"),
        ],
    ),
    (
        "Records",
        [
            Entry("Imports", "customers:imports", "upload", "imports", "customers.import_customer", "i"),
            Entry("Being checked", "billing:attempts", "refresh-cw", "attempts", "billing.view_attempt", "k"),
            Entry("Webhook deliveries", "billing:deliveries", "zap", "deliveries", "billing.view_delivery", "w"),
            Entry("Outbox", "dashboard:mails", "mail", "outbox", "dashboard.view_contact_data", "o"),
            Entry("Activity log", "dashboard:activity", "history", "activity", "dashboard.view", "a"),
            Entry("Sandbox log", "billing:sandbox_log", "code", "sandbox", "billing.view_sandbox"),
        ],
    ),
    (
        "Settings",
        [
            Entry("Team", "dashboard:team", "users-round", "team", "dashboard.manage_team", "m"),
            Entry("API keys", "dashboard:api_keys", "key-round", "api_keys", "dashboard.manage_keys"),
        ],
    ),
]
ACTIONS = [  # what the palette offers besides the menu
    Entry("Add a customer", "customers:new", "user-plus", "", "customers.add_customer"),
    Entry("Request payment", "billing:request_new_any", "link", "", "billing.request_payment"),
    Entry("New billing statement", "billing:statement_new", "receipt-text", "", "billing.change_statement"),
    Entry("New coupon", "billing:coupon_new", "ticket-percent", "", "billing.change_coupon"),
    Entry("Import customers", "customers:import_new", "upload", "", "customers.import_customer"),
    Entry("Invite somebody", "dashboard:invite", "user-plus", "", "dashboard.manage_team"),
    Entry("Create an API key", "dashboard:api_key_new", "key-round", "", "dashboard.manage_keys"),
    Entry("Personal tokens", "dashboard:own_tokens", "key-round", "", "dashboard.own_tokens"),
    Entry("Profile and security", "dashboard:profile", "settings", "", "dashboard.view"),
    Entry("Help", "dashboard:help", "circle-help", ""),
    Entry("API reference", "dashboard:help_reference", "code", ""),
]


def url_or_none(name):
    """The URL of a name without arguments, or None when there is no such page."""
    try:
        return address_of(name)
    except NoReverseMatch:
        return None


def open_to(user, entries):
    """The entries this person may follow, as dicts with their URL."""
    return _open_to(_role(user), tuple(entries), get_script_prefix())


def menu(user):
    """The menu's groups for this person: [(title, entries)], without empty ones."""
    return _menu(_role(user), tuple((title, tuple(entries)) for title, entries in NAV), get_script_prefix())


def _role(user):
    """What decides about a menu: permissions are the role's, of whoever may sign in."""
    return getattr(user, "role", "") if user and user.is_active else ""


@lru_cache(100)
def _open_to(role, entries, _prefix):
    linked = ((entry, url_or_none(entry.url_name)) for entry in entries if role in PERMISSIONS.get(entry.permission, ()))
    return Known([entry._asdict() | {"url": url} for entry, url in linked if url])


@lru_cache(100)
def _menu(role, nav, prefix):
    groups = [(title, _open_to(role, entries, prefix)) for title, entries in nav]
    return Known([(title, entries) for title, entries in groups if entries])


def shell(request):
    """Context of every page. Nothing here asks the database: what needs the user waits until a page shows it."""
    user = getattr(request, "user", None)
    theme = request.COOKIES.get(THEME_COOKIE, "")
    groups = SimpleLazyObject(lambda: menu(user))
    return {
        "merchant": settings.MERCHANT_NAME,
        "theme": theme if theme in ("light", "dark") else "",
        "themes": THEMES,
        "livemode": getattr(request, "livemode", False),
        "time_zone": settings.TIME_ZONE,
        "idle_minutes": settings.SESSION_IDLE_SECONDS // 60,
        "menu": groups,
        "actions": SimpleLazyObject(lambda: open_to(user, ACTIONS)),
        "here": SimpleLazyObject(lambda: here(request.path, groups)),
        "setting_up": SimpleLazyObject(lambda: steps_for(user)),
        "search_url": SimpleLazyObject(lambda: url_or_none("dashboard:search") or url_or_none("customers:customers") or "/"),
    }


def here(path, groups):
    """The menu entry a path lies under, the closest one; an empty dict when there is none."""
    entries = [entry for _, entries in groups for entry in entries if path.startswith(entry["url"])]
    return max(entries, key=lambda entry: len(entry["url"]), default={})


def back_to(request, fallback="dashboard:home"):
    """The page named in the form's `next`, if it is one of ours."""
    url = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(url, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(url if ours else reverse(fallback))


@require_safe
def home(request):
    """The first page after sign-in."""
    for name in ("dashboard:overview", "customers:customers"):
        if url := url_or_none(name):
            return redirect(url)
    raise Http404


@require_POST
def set_mode(request):
    """Switch this session between test and live records (R-2)."""
    request.session["livemode"] = live = request.POST.get("mode") == "live"
    messages.success(
        request, "Live mode: these are real customers and real money." if live else "Test mode: no real money moves."
    )
    return back_to(request)


@login_not_required
@require_safe
def security_txt(request):
    """Whom to tell of a weakness: the merchant who runs this installation. RFC 9116."""
    expires = (timezone.now() + SECURITY_TXT).strftime("%Y-%m-%dT00:00:00Z")
    where = f"{settings.SITE_URL}{request.path}"
    lines = [
        f"Contact: mailto:{settings.MERCHANT_EMAIL}",
        f"Expires: {expires}",
        "Preferred-Languages: en",
        f"Canonical: {where}",
    ]
    return HttpResponse("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")


@login_not_required
@require_POST
def set_theme(request):
    """Light, dark, or whatever the system says. A cookie, so that the sign-in page knows it too."""
    response = back_to(request)
    remember_theme(response, request.POST.get("theme"))
    return response


def remember_theme(response, theme):
    """Keep a theme in its cookie; "system" (or nonsense) takes the cookie away."""
    if theme in ("light", "dark"):
        # Not HttpOnly: the script sets it too, to change the page without loading it again.
        response.set_cookie(THEME_COOKIE, theme, max_age=YEAR, secure=settings.SECURE, samesite="Lax")
    else:
        response.set_cookie(THEME_COOKIE, "", max_age=0, secure=settings.SECURE, samesite="Lax")


class ProfileForm(KitForm):
    name = forms.CharField(max_length=150, help_text="Shown in the history of what you do.")
    theme = forms.ChoiceField(choices=list(THEMES.items()), widget=forms.RadioSelect)
    shortcuts = forms.BooleanField(
        required=False, label="Single-key shortcuts, such as / for search and j, k to move between rows"
    )


class Profile(FormView):
    """One's own name, look and keys; links to password and second factor."""

    template_name = "dashboard/profile.html"
    title = "Profile and security"
    permission = "dashboard.view"
    section = "profile"
    form_class = ProfileForm

    def get_initial(self):
        user = self.request.user
        return {"name": user.name, "shortcuts": user.shortcuts, "theme": self.request.COOKIES.get(THEME_COOKIE, "system")}

    def get_context_data(self, **kwargs):
        user = self.request.user
        return super().get_context_data(
            sessions=sessions_of(self.request),
            this_session=self.request.session.session_key,
            steps=second_step.steps_of(user),
            must_have_step=second_step.is_required(user),
            **kwargs,
        )

    def act(self, data):
        self.theme = data["theme"]
        team.change_member(self.request.user, name=data["name"], shortcuts=data["shortcuts"], by=self.request.user)
        return "Your profile is saved."

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        if response.status_code == 302:
            remember_theme(response, self.theme)
        return response

    def get_success_url(self):
        return reverse("dashboard:profile")
