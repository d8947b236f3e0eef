"""The receipt of a payment as PDF."""

from django.conf import settings

from billing.documents.paper import GREY, INK, NEXT, Paper, foot
from billing.documents.statements import noun
from billing.models import Payment
from dashboard.masking import HIDDEN, mask_email
from dashboard.money import Money
from dashboard.places import address_lines, country_name
from dashboard.states import DomainError
from dashboard.templatetags.ui import day_text


def receipt_pdf(payment, *, masked=False):
    """The receipt of a paid payment as the bytes of a PDF. Raises DomainError for one that is not paid.

    masked hides how to reach the payer, for staff who may not see it.
    """
    if payment.status != Payment.Status.PAID:
        raise DomainError(f"There is no receipt: this payment is {payment.get_status_display().lower()}.")
    merchant = (payment.statement and payment.statement.merchant_name) or settings.MERCHANT_NAME
    paper = Paper(
        title=f"Receipt {payment.pk}", at=payment.paid_at, foot=foot(merchant, payment.livemode),
    )  # fmt: skip
    _write_head(paper, payment, merchant)
    paper.columns(
        _paid_by(payment, masked), [("Paid to", False, GREY), (merchant, True, INK), (settings.MERCHANT_EMAIL, False, INK)]
    )
    paper.ln(7)
    paper.rule()
    for label, text in facts(payment):
        _write_fact(paper, label, text)
    return paper.made()


def _write_head(paper, payment, merchant):
    paper.ink(bold=True, size=13)
    paper.paragraph(merchant)
    paper.ln(6)
    paper.ink(bold=True, size=20)
    paper.paragraph("Receipt")
    paper.ink(bold=True, size=15)
    paper.paragraph(f"{payment.amount_money} paid")
    paper.ink(GREY, size=10)
    paper.paragraph(_moment(payment.paid_at))
    paper.ln(5)


def _moment(moment):
    local = moment.astimezone(settings.ZONE)
    return f"{day_text(local)}, {local:%H:%M} ({settings.TIME_ZONE})"


def _paid_by(payment, masked):
    address, email = address_lines(payment.billing_address or {}), payment.billing_email
    if masked:
        country = payment.billing_address.get("country")
        address = [HIDDEN, *([country_name(country)] if country else [])] if address else []
        email = mask_email(email)
    rest = [(text, False, INK) for text in (*address, email) if text]
    return [("Paid by", False, GREY), (payment.billing_name or "Not known", True, INK), *rest]


def facts(payment):
    """(label, text) of what a receipt tells; what staff noted for themselves is not among it."""
    found = [("Amount", str(payment.amount_money)), ("Currency", payment.currency), ("Paid with", payment.method)]
    if payment.statement:
        found.append(("For", f"{noun(payment.statement)} {payment.statement.number}"))
    elif payment.request and payment.request.description:
        found.append(("For", payment.request.description))
    found.append(("Receipt number", payment.pk))
    if back := sum(r.amount for r in payment.refunds.all() if r.status == r.Status.SUCCEEDED):
        found += [
            ("Refunded since", str(Money(back, payment.currency))),
            ("Kept", str(payment.amount_money - Money(back, payment.currency))),
        ]
    return found


def _write_fact(paper, label, text):
    paper.ink(GREY, size=9)
    paper.cell(45, paper.leading, label)
    paper.ink(size=9)
    paper.multi_cell(0, paper.leading, paper.shown(text), align="L", **NEXT)
    paper.rule()
