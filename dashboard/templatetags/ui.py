"""How a value looks: icons, badges, money, times. Tags for templates, plain functions for table columns.

The functions return safe HTML; whatever a person may have typed is escaped in them.
"""

import hashlib
import json
import re
from base64 import b64encode
from functools import cache, lru_cache
from html import escape as escape_text
from pathlib import Path

from django import template
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.serializers.json import DjangoJSONEncoder
from django.template.loader import render_to_string
from django.urls import get_script_prefix, reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from dashboard.masking import HIDDEN, mask_email, mask_phone, mask_text
from dashboard.money import Money
from dashboard.phones import pretty
from dashboard.places import address_lines, country_name

register = template.Library()
ICONS = Path(__file__).resolve().parent.parent / "icons"
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
NONE = mark_safe('<span class="muted">—</span>')

# Every status word the product shows -> (colour, icon). Normal is quiet: "plain" is text without a badge.
BADGES = {
    # payments and refunds
    "succeeded": ("ok", "check"),
    "processing": ("info", "clock"),
    "pending": ("info", "clock"),
    "authorised": ("info", "lock"),
    "authorized": ("info", "lock"),
    "action needed": ("warn", "circle-alert"),
    "failed": ("bad", "x"),
    "disputed": ("bad", "shield"),
    "partly refunded": ("alt", "undo-2"),
    "refunded": ("", "undo-2"),
    "canceled": ("", "ban"),
    "differs": ("warn", "triangle-alert"),
    "matches": ("ok", "check"),
    "not checked": ("plain", ""),
    "nothing to compare": ("plain", ""),
    # attempts, webhook deliveries and disputes
    "unknown": ("warn", "clock"),
    "received": ("info", ""),
    "processed": ("ok", "check"),
    "not ours": ("plain", ""),
    "waiting": ("info", "clock"),
    "won": ("ok", "check"),
    "lost": ("bad", "x"),
    # statements and invoices
    "paid": ("ok", "check"),
    "open": ("info", ""),
    "due soon": ("warn", "clock"),
    "overdue": ("bad", "circle-alert"),
    "uncollectible": ("bad", ""),
    "partly paid": ("alt", ""),
    "draft": ("", ""),
    "void": ("", "ban"),
    # payment requests and card links
    "completed": ("ok", "check"),
    "done": ("ok", "check"),
    "sent": ("info", "send"),
    "expired": ("", "clock"),
    "revoked": ("", "ban"),
    # mail
    "sending": ("info", "send"),
    "not sent": ("", "ban"),
    # coupons and subscriptions
    "scheduled": ("alt", "calendar"),
    "used up": ("", ""),
    "trial": ("alt", ""),
    "past due": ("warn", "clock"),
    # customers, payment methods, staff
    "active": ("plain", ""),
    "expires soon": ("warn", "clock"),
    "archived": ("", "archive"),
    "on": ("ok", "check"),
    "off": ("", ""),
    "switched off": ("", "ban"),
    "default": ("", ""),
    # imports
    "ready": ("info", ""),
    "queued": ("info", "clock"),
    "running": ("info", "refresh-cw"),
    "finished": ("ok", "check"),
    "stopped": ("bad", "circle-alert"),
    "new": ("ok", "plus"),
    "create": ("ok", "plus"),
    "update": ("info", "pencil"),
    "changed": ("info", "pencil"),
    "unchanged": ("plain", ""),
    "skip": ("plain", ""),
    "error": ("bad", "circle-alert"),
}
# The same word weighs differently on some nouns: an active coupon is worth green, an expired card is trouble.
NOUN_BADGES = {
    ("dispute", "open"): ("bad", "shield"),
    ("coupon", "active"): ("ok", ""),
    ("subscription", "active"): ("ok", ""),
    ("paymentmethod", "expired"): ("bad", "circle-alert"),
    ("tokenizationlink", "new"): ("info", ""),
}


def escaped(value) -> str:
    """Any value as HTML text: django.utils.html.escape without its detour for lazy text, which costs a table's row dear."""
    return escape_text(str(value))


@cache
def icon_svg(name: str, css: str = "") -> SafeString:
    """The named Lucide icon as an inline SVG, hidden from screen readers. `css` adds classes: "i-sm", "i-lg".

    Raises FileNotFoundError for an icon that dashboard/icons does not hold. Names are ours, never a user's.
    """
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise FileNotFoundError(name)
    source = (ICONS / f"{name}.svg").read_text()
    inner = re.search(r"<svg[^>]*>(.*)</svg>", source, re.S)[1]
    inner = re.sub(r"\s*\n\s*", "", inner).replace(" />", "/>")
    return mark_safe(f'<svg class="{escape(f"i {css}".strip())}" viewBox="0 0 24 24" aria-hidden="true">{inner}</svg>')


def badge_html(word, noun: str = "") -> SafeString:
    """The badge of a status word as people read it ("Partly paid"); noun is a model name where it matters."""
    return _badge(str(word), noun)


@lru_cache(1000)
def _badge(word, noun):
    text = word.replace("_", " ")
    key = text.lower()
    colour, icon = NOUN_BADGES.get((noun, key)) or BADGES.get(key, ("", ""))
    css = f"badge badge-{colour}" if colour else "badge"
    shown = escape(text[:1].upper() + text[1:])
    return mark_safe(f'<span class="{css}">{icon_svg(icon, "i-sm") if icon else ""}{shown}</span>')


def money_html(minor: int | None, currency: str) -> SafeString:
    """An amount for a table column: digits, then the code at a fixed width so that decimals line up."""
    return NONE if minor is None else _money(minor, currency)


@lru_cache(5000)
def _money(minor, currency):
    return mark_safe(f'{Money(minor, currency).digits}<span class="cur">{escaped(currency)}</span>')


def when_html(moment, today=None) -> SafeString:
    """A point in time in the merchant's zone: "22 Nov 2026, 11:02", or "Today, 11:02", or "Yesterday, 11:02".

    today is `today_there()`, for whoever shows many.
    """
    return NONE if moment is None else _when(moment, timezone.get_default_timezone(), today or today_there())


def today_there():
    """The day it is where the merchant is."""
    return timezone.now().astimezone(timezone.get_default_timezone()).date()


@lru_cache(5000)
def _when(moment, zone, today):
    local = moment.astimezone(zone)
    age = (today - local.date()).days
    day = day_text(local)
    date = "Today" if age == 0 else "Yesterday" if age == 1 else day
    clock = f"{local.hour:02}:{local.minute:02}"
    return mark_safe(
        f'<time datetime="{local.isoformat(timespec="seconds")}" title="{day}, {clock} {zone}">{date}, {clock}</time>'
    )


def day_text(date) -> str:
    """A date in words no country reads differently: "22 Nov 2026"."""
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}"


def day_html(date) -> SafeString:
    """A calendar day; a point in time is taken in the merchant's zone first."""
    if date is None:
        return NONE
    if hasattr(date, "astimezone"):
        date = date.astimezone(timezone.get_default_timezone()).date()
    return mark_safe(f'<time datetime="{date.isoformat()}">{day_text(date)}</time>')


def initials_of(name) -> str:
    """Up to two letters for a round mark: the first of the first and of the last word."""
    found = [word for word in str(name).split() if word[0].isalnum()]
    return "".join(word[0] for word in (found[:1] + found[-1:] if len(found) > 1 else found)).upper()


def address_of(name, *args) -> str:
    """The URL of a page, looked up once for the same name and arguments: for addresses of which there are few.

    Raises NoReverseMatch when there is no such page.
    """
    return _address(get_script_prefix(), name, *args)


@cache
def _address(prefix, name, *args):
    return reverse(name, args=args)


@register.simple_tag
def page_url(name):
    """{% page_url "dashboard:profile" %}: {% url %} of a page without variable parts, looked up once."""
    return address_of(name)


class Kept:
    """Parts of pages by what they are made of, so that none is rendered twice. Each process keeps its own."""

    MOST = 200  # parts: what is typed into a search makes ever new ones

    def __init__(self):
        self.known = {}

    def render(self, template_name, values):
        key = template_name, get_script_prefix(), _frozen(values)
        html = self.known.get(key)
        if html is None or settings.DEBUG:
            html = mark_safe(render_to_string(template_name, values).strip())
            if len(self.known) >= self.MOST:
                self.known.clear()
            self.known[key] = html
        return html


parts = Kept()


class Known(list):
    """A list nobody alters, for {% kept %}: what it is as a key is found once."""

    def __init__(self, items):
        super().__init__(items)
        self.key = tuple([_frozen(item) for item in self])


def _frozen(value):
    """A value as the key of a dictionary; text that is safe as it stands is not the same as that text unescaped."""
    if isinstance(value, Known):
        return value.key
    if isinstance(value, dict):  # nearly everything in it is plain text: no call for that
        return tuple([(name, part if type(part) is str else _frozen(part)) for name, part in value.items()])
    if isinstance(value, (list, tuple)):
        return tuple([part if type(part) is str else _frozen(part) for part in value])
    if isinstance(value, str):
        return (SafeString, value) if isinstance(value, SafeString) else str(value)
    if value is None or isinstance(value, (bool, int)):
        return type(value), value
    raise TypeError(f"{{% kept %}} takes texts, numbers, and lists and dicts of them; not {type(value).__name__}.")


@register.simple_tag
def kept(template_name, **values):
    """{% kept "dashboard/_sidebar.html" menu=menu %}: an include that is rendered once for the same values.

    It sees these values and nothing else: it cannot show one person what was rendered for another.
    """
    return parts.render(template_name, values)


@register.simple_tag
def integrity(name):
    """{% integrity "js/app.js" %}: what a browser checks a script or style of ours by, where its address names its content.

    Elsewhere, while one works on these files, nothing: a page may be older than the file.
    """
    return _integrity(name) if hasattr(staticfiles_storage, "stored_name") else ""


@cache
def _integrity(name):
    with staticfiles_storage.open(staticfiles_storage.stored_name(name)) as file:
        digest = b64encode(hashlib.sha384(file.read()).digest()).decode()
    return mark_safe(f' integrity="sha384-{digest}"')


@register.simple_tag
def icon(name, css=""):
    """{% icon "search" %} or {% icon "search" "i-lg" %}."""
    return icon_svg(name, css)


@register.simple_tag
def badge(status, noun=""):
    """{% badge statement %} or {% badge "Paid" %}: an object shows its `badge`, else its status in words."""
    if meta := getattr(status, "_meta", None):
        word = getattr(status, "badge", None) or status.get_status_display()
        return badge_html(word, noun or meta.model_name)
    return badge_html(getattr(status, "label", status), noun)


@register.simple_tag
def money(amount):
    """{% money statement.total %}: "₱4,850.00", for running text and figures; columns use money_html."""
    return NONE if amount is None else mark_safe(f'<span class="tnum">{escape(str(amount))}</span>')


@register.simple_tag
def amount(value):
    """{% amount statement.total %}: digits and code as in a column."""
    return NONE if value is None else money_html(value.minor, value.currency)


@register.simple_tag
def when(moment):
    """{% when payment.created_at %}: date and time, see when_html."""
    return when_html(moment)


@register.simple_tag
def day(date):
    """{% day statement.due_at %}: the day alone."""
    return day_html(date)


@register.filter
def initials(name):
    """{{ user|initials }}: letters for an avatar."""
    return initials_of(name)


@register.filter
def with_commas(number):
    """{{ total|with_commas }}: 1,284."""
    return f"{number:,}" if isinstance(number, int) else number


@register.simple_tag(takes_context=True)
def contact(context, value, kind):
    """{% contact customer.email "email" %}: a mailto or tel link; masked text for roles that may not see it."""
    user = context["user"]
    if not user.has_perm("dashboard.view_contact_data"):
        return {"email": mask_email, "phone": mask_phone}.get(kind, mask_text)(value)
    if kind == "phone":
        return mark_safe(f'<a href="tel:{escape(value)}">{escape(pretty(value))}</a>')
    return mark_safe(f'<a href="mailto:{escape(value)}">{escape(value)}</a>') if kind == "email" else value


@register.simple_tag(takes_context=True)
def address_block(context, address):
    """{% address_block address %}: the lines as that country writes them; street hidden from masked roles."""
    lines = address_lines(address)
    if not context["user"].has_perm("dashboard.view_contact_data"):
        lines = [HIDDEN, *[part for part in (address.city, country_name(address.country)) if part]]
    return mark_safe("<br>".join(escape(line) for line in lines))


@register.simple_tag
def as_json(value):
    """data-options="{% as_json options %}": for a script to read. Escaped like any text."""
    return json.dumps(value, cls=DjangoJSONEncoder)
