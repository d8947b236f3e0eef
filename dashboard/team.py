"""Who works here: making accounts, changing roles, switching people off. Every change leaves an event.

Nobody is ever deleted: history keeps names.
"""

from allauth.mfa.models import Authenticator
from django.db import IntegrityError, transaction

from dashboard import events
from dashboard.models import User
from dashboard.permissions import Role
from dashboard.states import DomainError


def create_member(*, email, name, role, password, by):
    """Make an account. Without a password nobody signs in with it until they choose one by a mailed link.

    `by` is None for somebody who accepts an invitation: they make it themselves.
    Raises DomainError when the address has an account already.
    """
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password or None, role=role, name=name)
            events.record("user.created", user, by=by or user, email=user.email, role=user.role)
    except IntegrityError:
        raise DomainError("This address has an account already.") from None
    return user


@transaction.atomic
def change_member(user, *, by, **fields):
    """Set name, role, is_active or shortcuts. A change that changes nothing writes nothing.

    Whose role changes or who is switched off is signed out everywhere at once.
    Raises DomainError for one's own role or switch, and for the last admin's.
    """
    changes = events.changed(user, fields)
    if "role" in changes or "is_active" in changes:
        _refuse_own(user, by)
        _refuse_last_admin(user, fields)
        user.sessions.all().delete()
    if changes:
        User.objects.filter(pk=user.pk).update(**{name: new for name, (_old, new) in changes.items()})
        events.record("user.updated", user, by=by, changes=changes)
    user.refresh_from_db()
    return user


def _refuse_own(user, by):
    if user.pk == by.pk:
        raise DomainError("Nobody changes their own role or switches themselves off. Ask another admin.")


def _refuse_last_admin(user, fields):
    """The admins are locked first: of two who switch each other off at once, the second is refused."""
    admins = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True).order_by("pk")
    others = [pk for pk in admins.values_list("pk", flat=True) if pk != user.pk]
    stays = fields.get("role", user.role) == Role.ADMIN and fields.get("is_active", user.is_active)
    if not others and not stays:
        raise DomainError(f"{user} is the last active admin. Make somebody else an admin first.")


@transaction.atomic
def set_password(user, password, *, by):
    """Give somebody a password. Wherever they are signed in, they are signed out."""
    user.set_password(password)
    user.save(update_fields=["password"])
    user.sessions.all().delete()
    events.record("user.password_set", user, by=by)
    return user


@transaction.atomic
def remove_second_step(user, *, by):
    """Switch off somebody's codes and passkeys after a lost phone: the password alone signs in until they set up new
    ones. Wherever they are signed in, they are signed out. Raises DomainError when there is none."""
    if not Authenticator.objects.filter(user=user).delete()[0]:
        raise DomainError(f"{user} has no second step.")
    user.sessions.all().delete()
    events.record("user.second_step_removed", user, by=by)


@transaction.atomic
def end_session(user, ref, *, by):
    """Sign somebody out of one browser, named by its session's ref. Raises DomainError when it has ended already."""
    found = next((s for s in user.sessions.all() if s.ref == ref), None)
    if not (found and user.sessions.filter(pk=found.pk).delete()[0]):
        raise DomainError("That browser is signed out already.")
    events.record("user.session_ended", user, by=by, browser=found.browser)
    return found


@transaction.atomic
def end_sessions(user, *, by, but=None):
    """Sign somebody out of every browser, but for the session with this key. Returns how many ended."""
    count = user.sessions.exclude(session_key=but or "").delete()[0]
    if count:
        events.record("user.sessions_ended", user, by=by, count=count)
    return count
