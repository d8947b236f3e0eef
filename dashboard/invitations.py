"""Inviting somebody to the team: a mail with a link that works once, for 72 hours. Every step leaves an event."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from dashboard import events, mail, states, team
from dashboard.mail_models import Mail
from dashboard.models import Invitation, User
from dashboard.people_models import in_three_days, new_nonce
from dashboard.states import DomainError

Status = Invitation.Status
GONE = "This invitation was used or withdrawn in the meantime. Reload the page."


def invite(*, email, name, role, by):
    """Ask somebody to join with a role. The mail leaves after the commit.

    Raises DomainError for an address that has an account or an invitation already.
    """
    email = mail.checked_address(email).lower()
    if User.objects.filter(email=email).exists():
        raise DomainError("This address has an account already. Change it on the person’s page.")
    invitation = Invitation(email=email, name=name, role=role, invited_by=by).seal()
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
            events.record("invitation.created", invitation, by=by, email=email, role=role)
            _send(invitation, by)
    except IntegrityError:
        raise DomainError("This address is invited already. Send that invitation again instead.") from None
    return invitation


@transaction.atomic
def resend_invitation(invitation, *, by):
    """Mail a new link, for another 72 hours. The old link is dead. Raises DomainError when it was used or withdrawn."""
    invitation.nonce, invitation.sent_at, invitation.expires_at = new_nonce(), timezone.now(), in_three_days()
    new = {name: getattr(invitation.seal(), name) for name in ("nonce", "hashed", "sent_at", "expires_at")}
    if not Invitation.objects.filter(pk=invitation.pk, status=Status.OPEN).update(**new):
        raise DomainError(GONE)
    events.record("invitation.resent", invitation, by=by, email=invitation.email)
    _send(invitation, by)
    return invitation


def withdraw_invitation(invitation, *, by):
    """Take an invitation back: its link is dead. Raises DomainError when it was used or withdrawn."""
    return states.move(invitation, Status.WITHDRAWN, by=by)


@transaction.atomic
def accept_invitation(invitation, *, name, password):
    """Make the account an invitation promised. Of two who use one link at once, one succeeds.

    Raises DomainError when it is used, withdrawn, sent anew or too old, or the address got an account meanwhile.
    """
    ours = Invitation.objects.filter(pk=invitation.pk, status=Status.OPEN, hashed=invitation.hashed)
    if not ours.filter(expires_at__gt=timezone.now()).update(status=Status.ACCEPTED):
        raise DomainError("This link does not work any more. No account was made. Ask for a new invitation.")
    user = team.create_member(email=invitation.email, name=name, role=invitation.role, password=password, by=None)
    Invitation.objects.filter(pk=invitation.pk).update(user=user)
    events.record("invitation.accepted", invitation, by=user, user=user.pk, invited_by=invitation.invited_by_id)
    return user


def _send(invitation, by):
    about = {"invitation": invitation, "merchant": settings.MERCHANT_NAME, "mark": Mail.MARK, "zone": settings.TIME_ZONE}
    text = render_to_string("mail/invitation.txt", about).strip()
    subject = f"{by} invites you to the dashboard of {settings.MERCHANT_NAME}"
    mail.queue("invitation", invitation, to=invitation.email, subject=subject, text=text, by=by)
