"""How allauth behaves here: nobody signs up by themselves, words are ours, links carry SITE_URL."""

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm, ResetPasswordForm
from allauth.account.views import LogoutView
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.urls import reverse

from dashboard.forms import without_card_numbers


class Adapter(DefaultAccountAdapter):
    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "That address and password do not match. Check both and try again.",
        "account_inactive": "This account is switched off. Ask an admin.",
        "enter_current_password": "This is not your current password.",
        "incorrect_password": "This is not your password.",
        "incorrect_code": "This code is not right. Codes change every 30 seconds: use the newest.",
        "too_many_login_attempts": "Too many wrong tries. Wait five minutes, then try again, or use “Forgot password?”.",
        "rate_limited": "Too many tries. Wait a few minutes.",
    }

    def is_open_for_signup(self, request):
        return False

    def format_email_subject(self, subject):
        return subject

    def get_reset_password_from_key_url(self, key):
        """The mailed link names our own address, whatever Host the request claimed."""
        uid, _, token = key.partition("-")
        return settings.SITE_URL + reverse("account_reset_password_from_key", args=[uid, token])

    def send_notification_mail(self, template_prefix, user, context=None, email=None):
        super().send_notification_mail(template_prefix, user, context, email or user.email)


class MFAAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {"incorrect_code": Adapter.error_messages["incorrect_code"]}

    def build_totp_svg(self, url):
        """The QR code as an element to put into a page: without the XML declaration."""
        return super().build_totp_svg(url).partition("?>")[2]


class NoCardNumber:
    """An address that holds a card number is not an address: its box comes back empty."""

    box = "email"

    def full_clean(self):
        if self.is_bound:
            self.data = without_card_numbers(self.data, self.box)
        super().full_clean()


class SignIn(NoCardNumber, LoginForm):
    box = "login"


class ForgotPassword(NoCardNumber, ResetPasswordForm):
    pass


class Logout(LogoutView):
    """Signs out and has the browser drop what it kept of our pages (the theme's cookie stays)."""

    def post(self, *args, **kwargs):
        response = super().post(*args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response
