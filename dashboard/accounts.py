"""How allauth behaves here: nobody signs up by themselves, words are ours, links carry SITE_URL."""

import re

from allauth.account import views as account
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.forms import LoginForm, ResetPasswordForm, default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import views as mfa
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import generate_totp_secret
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.tasks import task
from django.template.loader import render_to_string
from django.urls import reverse

from dashboard import doors, events, passkeys, stepup, team, throttle
from dashboard.encryption import decrypt, encrypt
from dashboard.forms import NoCardNumber
from dashboard.limits import TooOften
from dashboard.models import User

SECOND_STEP = "second step"  # what a seed is encrypted for
_PLAIN_SEED = re.compile(r"[A-Z2-7]+=*")
NOTED = {  # what allauth mails its owner about -> what happened, as an event
    "mfa/email/totp_activated": "user.second_step_added",
    "mfa/email/totp_deactivated": "user.second_step_switched_off",
    "mfa/email/webauthn_added": "user.passkey_added",
    "mfa/email/webauthn_removed": "user.passkey_removed",
    "mfa/email/recovery_codes_generated": "user.recovery_codes_made",
}


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
        if kind := NOTED.get(template_prefix):
            events.record(kind, user, by=user)
        super().send_notification_mail(template_prefix, user, context, email or user.email)

    def pre_authenticate(self, request, **credentials):
        """Refuses to look at a password after too many wrong ones; that is recorded. Raises TooOften."""
        try:
            throttle.spend(request, credentials.get("email") or "")
        except throttle.Flood as flood:
            if flood.noticed:
                doors.sign_in_flooded()
            raise
        except TooOften:
            doors.sign_in_throttled(credentials)
            raise

    def authenticate(self, request, **credentials):
        user = super().authenticate(request, **credentials)
        if user:
            throttle.give_back(request)
        return user

    def post_login(self, request, user, **how):
        response = super().post_login(request, user, **how)
        throttle.remember_browser(request, response, user)
        return response

    def set_password(self, user, password):
        """Changing, setting or resetting it signs its owner out elsewhere, and is recorded."""
        team.set_password(user, password, by=user)

    def reauthenticate(self, user, password):
        """Whether it is their password. Limited as the sign-in is, before anything is hashed."""
        return self.authenticate(context.request, email=user.email, password=password) == user

    def is_reauthentication_required(self, *, app, **kwargs):
        """Who signed in, or confirmed it, a moment ago is not asked again: the same rule as before a large refund."""
        return not stepup.is_fresh(context.request)

    def get_reauthentication_methods(self, user):
        words = {"reauthenticate": "Use your password", "mfa_reauthenticate": "Use a code"}
        methods = super().get_reauthentication_methods(user)
        return [method | {"description": words.get(method["id"], "Use a passkey")} for method in methods]


class MFAAdapter(DefaultMFAAdapter):
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": Adapter.error_messages["incorrect_code"],
        "cannot_delete_authenticator": passkeys.NEEDED,
    }

    def encrypt(self, text):
        """What the seed of somebody's codes is kept as: a copy of the database makes nobody's code."""
        return encrypt(text, SECOND_STEP)

    def decrypt(self, encrypted_text):
        """The seed; one that is kept plainly is from before. Without the key it was encrypted under, one no code fits."""
        if _PLAIN_SEED.fullmatch(encrypted_text):
            return encrypted_text
        return decrypt(encrypted_text, SECOND_STEP) or generate_totp_secret()

    def build_totp_svg(self, url):
        """The QR code as an element to put into a page: without the XML declaration."""
        return super().build_totp_svg(url).partition("?>")[2]

    def can_delete_authenticator(self, authenticator):
        """Not the last step of somebody whose role needs one."""
        return passkeys.may_go(authenticator)

    def get_public_key_credential_rp_entity(self):
        """Whom a passkey is for: the host of this dashboard, by the merchant's name."""
        host = context.request.get_host().rpartition(":")[0] or context.request.get_host()
        return {"id": host, "name": f"{settings.MERCHANT_NAME} (Counterfoil)"}

    def generate_authenticator_name(self, user, type):
        return "Passkey"


class SignIn(NoCardNumber, LoginForm):
    box = "login"


class ForgotPassword(NoCardNumber, ResetPasswordForm):
    """Does the same for an address with an account and for one without: a task. Sending the mail takes a while, and tells."""

    box = "email"

    def save(self, request, **kwargs):
        mail_reset.enqueue(self.users[0].pk if self.users else "", events.where())
        return self.cleaned_data["email"]


@task
def mail_reset(user_id, where):
    """Mail the link to choose a new password. `where` is what the event says of who asked."""
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if not user:
        return
    with events.acting(**where):
        doors.reset_asked(user)
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    about = {"password_reset_url": Adapter().get_reset_password_from_key_url(key), "merchant": settings.MERCHANT_NAME}
    subject, text = (render_to_string(f"account/email/password_reset_key_{part}.txt", about) for part in ("subject", "message"))
    send_mail(subject.strip(), text.strip() + "\n", None, [user.email])


class ActivateCodes(NoCardNumber, ActivateTOTPForm):
    box = "code"


class Logout(account.LogoutView):
    """Signs out and has the browser drop what it kept of our pages (the theme's cookie stays)."""

    def post(self, *args, **kwargs):
        response = super().post(*args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response


# --- confirming that it is the same person: the session is fresh then, under a new key -----------------------
class ConfirmByPassword(stepup.Confirmed, account.ReauthenticateView):
    pass


class ConfirmByCode(stepup.Confirmed, mfa.ReauthenticateView):
    pass


# --- passwords ----------------------------------------------------------------------------------------------
class NoOwnNames:
    """Validator: refuses a password that is little more than the name of this dashboard or its merchant.

    ASVS 6.2.11. What is left without those words, digits and signs must still be some letters of one's own.
    """

    LEAST = 6  # letters

    def validate(self, password, user=None):
        left = password.lower()
        for word in sorted(own_words(), key=len, reverse=True):
            left = left.replace(word, "")
        if left != password.lower() and sum(c.isalpha() for c in left) < self.LEAST:
            raise ValidationError(self.get_help_text(), code="password_own_name")

    def get_help_text(self):
        return "This is little more than the name of this dashboard. Choose words nobody would guess."


def own_words():
    """The words a guesser tries first: product, merchant, host."""
    host = settings.SITE_URL.partition("://")[2].partition("/")[0].partition(":")[0]
    named = re.findall(r"\w+", f"{settings.MERCHANT_NAME} {host}".lower())
    return {"counterfoil", "dashboard", "password", "admin", *(word for word in named if len(word) > 3)}


class MostLength:
    """Validator: a length nobody types, whose hashing would keep a core busy."""

    MOST = 1000

    def validate(self, password, user=None):
        if len(password) > self.MOST:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self):
        return f"Use at most {self.MOST:,} characters."
