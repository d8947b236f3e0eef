"""Cells that several of the lists share."""

from django.urls import reverse
from django.utils.html import escape, format_html

from dashboard import tables
from dashboard.templatetags.ui import badge_html, day_html, icon_svg

METHODS = {
    "card": "Card",
    "bank_account": "Bank account",
    "bank_transfer": "Bank transfer",
    "bank_redirect": "Bank redirect",
    "cash": "Cash",
    "ewallet": "E-wallet",
}
PAGES = {  # what an ID names, by its prefix: the noun and the page it has
    "checkout": ("Payment request", "billing:request"),
    "bstm": ("Billing statement", "billing:statement"),
    "hp": ("Card tokenization link", "billing:card_link"),
    "pay": ("Payment", "billing:payment"),
    "re": ("Refund", "billing:refund"),
    "sub": ("Subscription", "billing:subscription"),
}


class TitleColumn(tables.LinkColumn):
    """The row's link, with the record's own words."""

    def value(self, row):
        return str(row)


class StatusColumn(tables.BadgeColumn):
    """The status as people read it: overdue is open, seen by the clock."""

    def html(self, row):
        return badge_html(row.badge)


class StateColumn(tables.BadgeColumn):
    """The state of an attempt or a delivery, in words."""

    def value(self, row):
        return row.get_state_display()


class DayColumn(tables.Column):
    """A day without its time."""

    css = "tnum"

    def html(self, row):
        return day_html(self.value(row))


class MethodColumn(tables.Column):
    def html(self, row):
        return method_html(row)


class ProductColumn(tables.Column):
    def html(self, row):
        return escape(row.get_product_type_display())


class MethodTypesColumn(tables.Column):
    """The methods a request lets its payer choose from."""

    def html(self, row):
        return escape(method_words(row.method_types))


class TargetColumn(tables.Column):
    """What an attempt is for: the record's noun, leading to its page."""

    css = "strong m1"

    def html(self, row):
        noun, url = target_of(row.target_id)
        return format_html('<a class="row-link" href="{}">{}</a>', url, noun) if url else escape(noun)


def target_of(public_id):
    """(noun, URL or "") of the record an ID names."""
    noun, page = PAGES.get(str(public_id).partition("_")[0], ("Record", ""))
    return noun, reverse(page, args=[public_id]) if page else ""


def action_link(url, label, icon):
    """The last cell of a row: a button that leads to an action's page."""
    button = '<td class="actions m5"><a class="btn btn-sm over" href="{}" data-dialog>{}{}</a></td>'
    return format_html(button, url, icon_svg(icon), label)


def method_html(payment):
    """How a payment was made: a mark for the brand and the last four digits, or the kind of method in words."""
    if not payment.method_last4:
        return escape(payment.method)
    brand = payment.method_brand or payment.get_method_type_display()
    return format_html('<span class="pm"><span class="pm-mark">{}</span>•••• {}</span>', brand, payment.method_last4)


def method_words(types):
    """Method types in words: "Card, E-wallet"."""
    return ", ".join(METHODS.get(t, t.replace("_", " ").capitalize()) for t in types)
