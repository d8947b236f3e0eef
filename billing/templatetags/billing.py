"""Money on other nouns' pages: the sections of a customer and its figures, methods in words, QR codes."""

import qrcode
from django import template
from django.utils.safestring import mark_safe

from billing import sections
from billing.ages import days_late
from billing.tables import method_html, method_words

register = template.Library()


@register.simple_tag
def customer_sections(customer):
    """{% customer_sections customer as sections %}: every section of the customer's page, and sections.figures.

    `sections.payments` (of other products than statements, R-45), `.statements`, `.overdue`, `.requests`, `.methods`,
    `.card_links`, `.redemptions`, `.coupons`, `.subscriptions`, `.invoices`: each with rows, count and more. One query
    for all of them, however often a page names the tag.
    """
    return sections.customer_sections(customer)


@register.simple_tag
def panel_sections(customer):
    """{% panel_sections customer as sections %}: the latest payments, the methods and the figures, in one query."""
    return sections.panel_sections(customer)


@register.simple_tag
def customer_figures(customer):
    """{% customer_figures customer as figures %}: collected, payments, overdue, open requests (billing.sections.Figures)."""
    return sections.customer_figures(customer)


@register.filter
def late(statement):
    """{{ statement|late }}: "11 days", or a dash for one that is not past due."""
    days = days_late(statement) if statement.due_at else 0
    return f"{days} day{'' if days == 1 else 's'}" if days > 0 else "—"


@register.simple_tag
def method(payment):
    """{% method payment %}: brand and last four digits, or the kind of method."""
    return method_html(payment)


@register.filter
def methods(types):
    """{{ request.method_types|methods }}: "Card, E-wallet"."""
    return method_words(types)


def qr_svg(text):
    """A QR code of text as an SVG of one path, black on white with its quiet zone; no style, no script."""
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=4)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    size = len(matrix)
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(matrix) for x, length in _runs(row))
    return mark_safe(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<rect width="{size}" height="{size}" fill="#fff"/><path d="{path}" fill="#000"/></svg>'
    )


def _runs(row):
    """(start, length) of each run of dark modules in a row."""
    start = None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            yield start, x - start
            start = None


@register.simple_tag
def qr_code(text):
    """{% qr_code request.url %}"""
    return qr_svg(text)
