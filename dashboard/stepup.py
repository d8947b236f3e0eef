"""Confirming that it is still the same person, before what cannot be undone or opens a door.

Who signed in, or gave their password again, in the last five minutes is asked nothing. Anybody else gets the same form
back, as they filled it in, with a box for the password below it. Nothing is done by itself afterwards: the button that
sends the password is the button that does it.
"""

import time

from allauth.account.adapter import get_adapter
from django import forms
from django.conf import settings

from dashboard.forms import KitForm
from dashboard.limits import TooOften
from dashboard.sessions import SINCE

FRESH = 300  # seconds
CONFIRMED = "confirmed"  # Unix seconds of the last time, in the session


class ConfirmForm(KitForm):
    """The box below a form."""

    confirm_password = forms.CharField(
        required=False,
        strip=False,
        max_length=1000,
        label="Your password",
        help_text="You signed in more than five minutes ago. Nothing is done until you confirm that it is you.",
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    mark_optional = False


def is_fresh(request):
    """Whether this session's owner signed in or confirmed it a moment ago."""
    last = max(request.session.get(SINCE, 0), request.session.get(CONFIRMED, 0))
    return time.time() - last < FRESH


def note_confirmed(request):
    """Remember that it is them. The session gets a new key: one that leaked before is worth nothing now."""
    request.session.cycle_key()
    request.session[CONFIRMED] = int(time.time())


def why_not_confirmed(request, password, nothing="Nothing was changed."):
    """Check a password: "" when it is right, and the session is fresh from now on; else the sentence to show.

    Wrong ones count as failed sign-ins, and too many are refused before anything is hashed.
    """
    if not password:
        return f"Enter your password to go on. {nothing}"
    try:
        right = get_adapter().reauthenticate(request.user, password)
    except TooOften as error:
        return f"Too many wrong tries. Wait {error.wait}, then try again. {nothing}"
    if not right:
        return f"This is not your password. {nothing}"
    note_confirmed(request)
    return ""


def is_large(money):
    """Whether a refund asks for confirmation: above STEP_UP_REFUND (minor units of DEFAULT_CURRENCY), or in another
    currency, which is not compared."""
    return money.currency != settings.DEFAULT_CURRENCY or money.minor > settings.STEP_UP_REFUND


class Confirmed:
    """Mixin of the pages that ask for password, code or passkey again: the session is fresh afterwards."""

    def form_valid(self, form):
        note_confirmed(self.request)
        return super().form_valid(form)


class StepUp:
    """Mixin, before a FormView of any kind: asks for the password when the sign-in is not fresh.

    `stepup_needed(data)` may look at the cleaned form and say that this one is harmless.
    """

    nothing = "Nothing was changed."  # what a refusal says became of it

    def stepup_needed(self, data):
        return True

    def post(self, request, *args, **kwargs):
        if not is_fresh(request):
            form = self.get_form(request.POST)
            if form.is_valid() and self.stepup_needed(form.cleaned_data) and (problem := self._problem()):
                return self.ask(form, problem)
        return super().post(request, *args, **kwargs)

    def _problem(self):
        return why_not_confirmed(self.request, self.request.POST.get("confirm_password", ""), self.nothing)

    def ask(self, form, problem):
        """The form as it was filled in, with the box."""
        confirm = ConfirmForm({})
        if confirm.is_valid() and "confirm_password" in self.request.POST:
            confirm.add_error("confirm_password", problem)
        return self.render_to_response(self.get_context_data(form=form, confirm_form=confirm), status=422)
