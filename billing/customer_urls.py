"""Mounted under customers/<id:customer>/: the same lists, one customer's rows; and what one starts from a customer."""

from django.urls import path

from billing.views import payments, requests, statements

app_name = "customer_billing"

urlpatterns = [
    path("statements/", statements.CustomerStatementList.as_view(), name="statements"),
    path("payments/", payments.CustomerPaymentList.as_view(), name="payments"),
    path("requests/", requests.CustomerRequestList.as_view(), name="requests"),
    path("request-payment/", requests.RequestPayment.as_view(), name="request_new"),
]
