"""What is left to do before an installation on the open internet is in good hands. Told to its admins, until it is done."""

from typing import NamedTuple

from django.conf import settings
from django.urls import reverse

from dashboard import second_step
from dashboard.models import Event, Invitation, User

SAMPLE_MERCHANT = ("Harbour & Pine", "billing@example.com")  # what settings.py says when nobody said anything


class Step(NamedTuple):
    """One thing to do: what, why or how, the page where it is done ("" for a setting), and whether it is done."""

    title: str
    hint: str
    url: str
    done: bool


def steps_for(user):
    """The steps of a live installation for one of its admins; none once all are done, for anybody else, and over http."""
    if not settings.SECURE or not user.has_perm("dashboard.manage_team"):
        return []
    found = [_password(user), _second_step(user), _merchant(), _mail(), _team(user)]
    return [] if all(step.done for step in found) else found


def _password(user):
    chosen = bool(settings.ADMIN_PASSWORD) or Invitation.objects.filter(user=user).exists()
    done = chosen or Event.objects.filter(object_id=user.pk, type="user.password_set").exists()
    hint = "The first one stood in a terminal, where others may have seen it."
    return Step("Choose your own password", hint, reverse("account_change_password"), done)


def _second_step(user):
    hint = "An authenticator app or a passkey: a stolen password alone opens nothing then."
    return Step("Set up a second step", hint, reverse("mfa_index"), second_step.steps_of(user).exists())


def _merchant():
    done = SAMPLE_MERCHANT[0] != settings.MERCHANT_NAME and SAMPLE_MERCHANT[1] != settings.MERCHANT_EMAIL
    hint = f"Customers read {settings.MERCHANT_NAME}, {settings.MERCHANT_EMAIL}. Set MERCHANT_NAME and MERCHANT_EMAIL."
    return Step("Check the merchant’s name and address", hint, "", done)


def _mail():
    hint = "Mail is printed in the terminal and reaches nobody. Set MAIL_URL to your mail server."
    return Step("Connect a mail server", hint, "", not settings.MAIL_URL.startswith("console:"))


def _team(user):
    done = User.objects.exclude(pk=user.pk).exists() or Invitation.objects.exists()
    hint = "Everybody with an account of their own, so that history says who did what. Two admins help each other out."
    return Step("Invite your team", hint, reverse("dashboard:invite"), done)
