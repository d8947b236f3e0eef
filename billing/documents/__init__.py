"""Statements and receipts as PDF, made anew whenever they are asked for, and as attachments of mails."""

from billing.documents.receipts import receipt_pdf
from billing.documents.statements import statement_pdf
from billing.models import BillingStatement
from dashboard.ids import bare
from dashboard.mail import Unwanted, attachment

PDF = "application/pdf"
__all__ = ["attach_owed_statement", "attach_receipt", "attach_statement", "file_name", "receipt_pdf", "statement_pdf"]


def file_name(record):
    """What its PDF is called: the statement's number, or the payment's ID."""
    if isinstance(record, BillingStatement):
        return f"{record.number or f'draft-{bare(record.pk)[-6:]}'}.pdf"
    return f"receipt-{bare(record.pk)}.pdf"


@attachment
def attach_statement(statement):
    """For a mail: the statement as it is when the mail leaves. Unwanted when it was made void meanwhile."""
    if statement.status == statement.Status.VOID:
        raise Unwanted("The statement was made void before the mail left.")
    return file_name(statement), PDF, statement_pdf(statement)


@attachment
def attach_owed_statement(statement):
    """For a reminder: the same, and Unwanted when nothing is owed any more."""
    if not statement.payable:
        status = statement.get_status_display().lower()
        raise Unwanted(f"The statement was {status} before the mail left: there was nothing to remind of.")
    return file_name(statement), PDF, statement_pdf(statement)


@attachment
def attach_receipt(payment):
    """For a mail: the receipt of a payment."""
    return file_name(payment), PDF, receipt_pdf(payment)
