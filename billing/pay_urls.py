"""The pages payers see. No sign-in leads to them; a secret link does."""

from django.urls import include, path

from billing.models import BillingStatement, PaymentRequest
from billing.views import pay, pay_card, receipts, sandbox, webhooks


def receipts_of(model, name):
    """The receipts under a link of one kind. Pages lead to them by relative addresses, whichever kind they show."""
    return [
        path("receipt/<id:payment>/", receipts.Receipt.as_view(model=model), name=name),
        path("receipt/<id:payment>/receipt.pdf", receipts.ReceiptPdf.as_view(model=model), name=f"{name}_pdf"),
    ]


urlpatterns = [
    path("pay/checkout/<slug:token>/", pay.Page.as_view(model=PaymentRequest), name="pay_checkout"),
    path("pay/checkout/<slug:token>/", include(receipts_of(PaymentRequest, "pay_checkout_receipt"))),
    path("pay/bill/<slug:token>/", pay.Page.as_view(model=BillingStatement), name="pay_statement"),
    path("pay/bill/<slug:token>/statement.pdf", receipts.StatementPdf.as_view(model=BillingStatement), name="pay_statement_pdf"),
    path("pay/bill/<slug:token>/", include(receipts_of(BillingStatement, "pay_receipt"))),
    path("pay/card/<slug:token>/", pay_card.CardPage.as_view(), name="pay_card"),
    path("pay/return/<id:attempt>/", pay.Return.as_view(), name="pay_checkout_return"),
    path("sandbox/checkout/<id:pk>/", sandbox.Checkout.as_view(), name="sandbox_checkout"),
    path("sandbox/authenticate/<id:pk>/", sandbox.Authenticate.as_view(), name="sandbox_authenticate"),
    path("webhooks/<slug:gateway>/", webhooks.receive, name="webhooks"),
]
