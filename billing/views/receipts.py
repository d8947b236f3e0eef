"""Receipts and statements a payer may keep: on the screen and as PDF."""

from django.http import HttpResponse
from django.utils.http import content_disposition_header

from billing import documents
from billing.views.public import LinkView
from dashboard.limits import Limit
from dashboard.places import address_lines

FILES = Limit("pay-file", rate=20 / 60, burst=20, lenient=True)  # PDFs made for a link


class ReceiptView(LinkView):
    """Something of a payment made for this link. Another link's payment is 404, and so is one that was not paid."""

    def get(self, request, payment):
        found = self.target.payments.paid().filter(pk=payment).first()
        return self.receipt(found) if found else self.unknown()


class Receipt(ReceiptView):
    """The receipt on the screen, with what was given back so far."""

    def receipt(self, payment):
        refunds = payment.refunds.counted().order_by("created_at", "id")
        facts = {"number": getattr(self.target, "number", ""), "address": address_lines(payment.billing_address or {})}
        return self.show("pay/receipt.html", payment=payment, refunds=refunds, **facts)


class ReceiptPdf(ReceiptView):
    """The same as a file."""

    def receipt(self, payment):
        FILES.spend(self.target.pk)
        return pdf(documents.receipt_pdf(payment), documents.file_name(payment))


class StatementPdf(LinkView):
    """The statement as a file: what was frozen when it was finalised."""

    def get(self, request):
        FILES.spend(self.target.pk)
        return pdf(documents.statement_pdf(self.target), documents.file_name(self.target))


def pdf(content, name):
    """A PDF to keep under a name."""
    return HttpResponse(
        content, content_type=documents.PDF, headers={"Content-Disposition": content_disposition_header(True, name)}
    )
