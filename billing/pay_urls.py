"""The pages payers see. No sign-in leads to them; a secret link does."""

from django.urls import path

from billing.views import pay, sandbox

urlpatterns = [
    path("pay/checkout/<slug:token>/", pay.Checkout.as_view(), name="pay_checkout"),
    path("pay/return/<id:attempt>/", pay.Return.as_view(), name="pay_checkout_return"),
    path("sandbox/checkout/<id:pk>/", sandbox.Checkout.as_view(), name="sandbox_checkout"),
]
