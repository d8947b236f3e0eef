"""A billing statement as PDF: what the customer is billed, as it was frozen, and what is still due."""

from django.conf import settings

from billing.documents.paper import GREY, INK, NEXT, Paper, foot
from billing.models import BillingStatement
from dashboard.masking import HIDDEN, mask_email
from dashboard.money import CURRENCIES
from dashboard.places import address_lines, country_name
from dashboard.templatetags.ui import day_text

Status = BillingStatement.Status
WIDTHS = (84, 22, 33, 35)  # mm: item, quantity, unit price, amount
ALIGNS = ("L", "R", "R", "R")
MARKS = {Status.DRAFT: "DRAFT", Status.VOID: "VOID"}


def statement_pdf(statement, *, masked=False):
    """The statement as the bytes of a PDF. Finalised, it is the same whatever becomes of the customer.

    masked hides how to reach the customer, and the link to pay, for staff who may not see them.
    """
    at = statement.finalized_at or statement.created_at
    merchant = statement.merchant_name or settings.MERCHANT_NAME
    paper = Paper(
        title=f"{noun(statement)} {statement}", at=at, foot=foot(merchant, statement.livemode),
        mark=MARKS.get(statement.status, ""),
    )  # fmt: skip
    _write_head(paper, statement, merchant)
    paper.columns(_billed_to(statement, masked), _from(merchant), _dates(statement))
    paper.ln(7)
    _write_lines(paper, statement)
    _write_totals(paper, statement)
    _write_rest(paper, statement, masked)
    return paper.made()


def _write_head(paper, statement, merchant):
    paper.ink(bold=True, size=13)
    paper.paragraph(merchant)
    paper.ln(6)
    paper.ink(bold=True, size=20)
    paper.paragraph(noun(statement))
    paper.ink(GREY, size=10)
    number = statement.number or "DRAFT, without a number yet: nothing is owed on it."
    paper.paragraph(number if statement.status in (Status.DRAFT, Status.OPEN) else f"{number} · {standing(statement)}")
    paper.ln(5)


def noun(statement):
    """What it is called on paper."""
    return "Invoice" if statement.is_invoice else "Billing statement"


def standing(statement):
    """Where it stands, in a word for its customer: an open one with money still due needs none."""
    return {Status.PAID: "Paid", Status.VOID: "Void: nothing is owed on it", Status.UNCOLLECTIBLE: "Open"}.get(
        statement.status, ""
    )


def _billed_to(statement, masked):
    who = _bill_to(statement)
    address, email = address_lines(who["address"] or {}), who["email"]
    if masked:
        country = (who["address"] or {}).get("country")
        address = [HIDDEN, *([country_name(country)] if country else [])] if address else []
        email = mask_email(email)
    rest = [*address, email, f"Tax ID {who['tax_id']}" if who["tax_id"] else ""]
    return [("Billed to", False, GREY), (who["name"], True, INK), *[(text, False, INK) for text in rest if text]]


def _bill_to(statement):
    """Whom it is billed to: what was frozen when it was finalised; of a draft, the customer as it is now."""
    if statement.finalized_at:
        names = ("name", "email", "tax_id", "address")
        return {n: getattr(statement, f"bill_to_{n}") for n in names}
    customer, address = statement.customer, statement.customer.address
    parts = (
        {n: getattr(address, n) for n in ("line1", "line2", "line3", "city", "state", "postal_code", "country")}
        if address
        else {}
    )
    return {"name": customer.name, "email": customer.email, "tax_id": customer.tax_id, "address": parts}


def _from(merchant):
    return [("From", False, GREY), (merchant, True, INK), (settings.MERCHANT_EMAIL, False, INK)]


def _dates(statement):
    dates = (("Issued", statement.finalized_at), ("Due", statement.due_at), ("Paid", statement.paid_at))
    found = [(label, day_text(moment.astimezone(settings.ZONE))) for label, moment in dates if moment]
    return [part for label, day in found for part in ((label, False, GREY), (day, True, INK))]


def _write_lines(paper, statement):
    paper.on_new_page = lambda: _write_heading(paper)
    _write_heading(paper)
    lines = list(statement.lines.all())
    for line in lines:
        line.statement = statement  # its currency is the statement's
        paper.ink(size=9)
        texts = (line.description, f"{line.quantity:,}", line.unit_price_money, line.amount_money)
        paper.row(list(zip(texts, WIDTHS, ALIGNS, strict=True)), keep=4)
        paper.rule()
    if not lines:
        paper.ink(GREY, size=9)
        paper.paragraph("No lines yet.")
    paper.on_new_page = None


def _write_heading(paper):
    paper.ink(GREY, size=8.5)
    paper.row(list(zip(("Item", "Quantity", "Unit price", "Amount"), WIDTHS, ALIGNS, strict=True)))
    paper.rule()


def _write_totals(paper, statement):
    rows = [("Subtotal", statement.subtotal_money)]
    rows += [("Discount", -statement.discount_money)] if statement.discount_amount else []
    rows += [("Total", statement.total_money)] if statement.discount_amount else []
    rows += [("Credit applied", -statement.credit_applied_money)] if statement.credit_applied else []
    rows += [("Paid", -statement.amount_paid_money)] if statement.amount_paid else []
    if paper.will_page_break(8 * len(rows) + 14):
        paper.add_page()
    paper.ln(1)
    for label, money in rows:
        _write_sum(paper, label, money, size=9)
    void = statement.status in (Status.VOID,)
    _write_sum(paper, "Amount due", "None" if void else statement.amount_remaining_money, size=12, bold=True)
    paper.ink(GREY, size=8)
    name = CURRENCIES.get(statement.currency, "")
    paper.cell(0, paper.leading, f"Amounts in {statement.currency}{f', {name}' if name else ''}", align="R", **NEXT)


def _write_sum(paper, label, money, *, size, bold=False):
    paper.ink(INK if bold else GREY, bold=bold, size=size)
    paper.set_x(paper.l_margin + WIDTHS[0])
    paper.cell(WIDTHS[1] + WIDTHS[2], paper.leading * 1.2, label)
    paper.ink(bold=bold, size=size)
    paper.cell(0, paper.leading * 1.2, paper.shown(money), align="R", **NEXT)


def _write_rest(paper, statement, masked):
    paper.ln(6)
    if statement.description and not statement.is_invoice:  # whose line says it already
        paper.ink(GREY, size=9)
        paper.paragraph(statement.description)
    if statement.payable and statement.url and not masked:
        paper.ln(3)
        paper.ink(bold=True, size=9.5)
        paper.link_line("Pay online", statement.url)
        paper.ink(GREY, size=8)
        paper.multi_cell(0, paper.leading, statement.url, link=statement.url, align="L", **NEXT)
