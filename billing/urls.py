from django.urls import path

from billing.views import payments, requests, statements

app_name = "billing"

urlpatterns = [
    path("statements/", statements.StatementList.as_view(), name="statements"),
    path("statements/<id:pk>/", statements.StatementDetail.as_view(), name="statement"),
    path("payments/", payments.PaymentList.as_view(), name="payments"),
    path("payments/<id:pk>/", payments.PaymentDetail.as_view(), name="payment"),
    path("payment-requests/", requests.RequestList.as_view(), name="requests"),
    path("payment-requests/<id:pk>/", requests.RequestDetail.as_view(), name="request"),
    path("payment-requests/<id:pk>/cancel/", requests.RequestCancel.as_view(), name="request_cancel"),
    path("payment-requests/<id:pk>/qr.svg", requests.RequestQr.as_view(), name="request_qr"),
]
