"""Passkeys: what the package leaves to us. Whatever a stranger sends as a key's answer is refused, never an error."""

from contextlib import contextmanager

from allauth.mfa.webauthn import forms
from allauth.mfa.webauthn.views import ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import DatabaseError
from django.shortcuts import redirect
from django.urls import reverse_lazy

from dashboard import second_step, stepup
from dashboard.forms import NoCardNumber

NOT_READ = "This passkey's answer could not be used. Try again, or use another way to sign in."
NEEDED = "Your role needs a second step. Set up another one first, then remove this."


@contextmanager
def told_calmly():
    """A malformed answer is refused in a sentence."""
    try:
        yield
    except (ValidationError, DatabaseError):
        raise
    except Exception:  # the packages' parsers raise whatever it makes them: KeyError, AttributeError, struct.error
        raise ValidationError(NOT_READ, code="malformed") from None


class AddForm(NoCardNumber, forms.AddWebAuthnForm):
    box = "name"

    def clean(self):
        with told_calmly():
            return super().clean()

    def clean_name(self):
        return super().clean_name()[:60]


class Answer:
    def clean_credential(self):
        with told_calmly():
            return super().clean_credential()


class SignInForm(Answer, forms.LoginWebAuthnForm):
    pass


class SecondStepForm(Answer, forms.AuthenticateWebAuthnForm):
    pass


class ConfirmForm(Answer, forms.ReauthenticateWebAuthnForm):
    pass


class ConfirmByPasskey(stepup.Confirmed, ReauthenticateWebAuthnView):
    def form_invalid(self, form):
        """Back to the same page: whoever confirms is signed in."""
        for message in form.errors.get("credential", []):
            messages.error(self.request, message)
        return redirect(self.request.get_full_path())


class RemovePasskey(RemoveWebAuthnView):
    """Takes a passkey away, unless it is the last second step of somebody who must have one."""

    pk_url_kwarg = "number"  # the package's own rows have numbers
    success_url = reverse_lazy("mfa_index")

    def form_valid(self, form):
        if may_go(self.object):
            return super().form_valid(form)
        messages.error(self.request, NEEDED)
        return redirect("mfa_index")


def may_go(authenticator):
    """Whether a second step may be removed: not the last of somebody whose role needs one."""
    others = second_step.steps_of(authenticator.user).exclude(pk=authenticator.pk)
    return not second_step.is_required(authenticator.user) or others.exists()
