"""Mounted under customers/<id:customer>/: the same lists, one customer's rows; and what one starts from a customer."""

from django.urls import path

from billing.views import builder, credit, payments, requests, sending, statements

app_name = "customer_billing"

urlpatterns = [
    path("statements/", statements.CustomerStatementList.as_view(), name="statements"),
    path("statements/new/", builder.CustomerStatementNew.as_view(), name="statement_new"),
    path("balance/", credit.Balance.as_view(), name="balance"),
    path("balance/adjust/", credit.BalanceAdjust.as_view(), name="balance_adjust"),
    path("payments/", payments.CustomerPaymentList.as_view(), name="payments"),
    path("requests/", requests.CustomerRequestList.as_view(), name="requests"),
    path("request-payment/", requests.RequestPayment.as_view(), name="request_new"),
    path("reminders/", sending.CustomerPause.as_view(), name="reminders"),
]
