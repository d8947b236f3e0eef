"""The eight who may stand at a door: a client of each, to walk the routes with.

They are those of the threat model: two without an account, the four roles, one who had an account, and a program.
"""

from django.test import Client
from django.urls import reverse

from dashboard.api.keys import create_key
from dashboard.models import User
from dashboard.permissions import Role

ROLES = {"reporting": Role.REPORTING, "support": Role.SUPPORT, "manager": Role.MANAGER, "admin": Role.ADMIN}
ACTORS = ("stranger", "payer", *ROLES, "former", "api_key")
FORMER, PASSWORD = "former@example.com", "correct horse battery"
LINKS = {"pay_checkout": "token", "pay_statement": "bill_token", "pay_card": "card_token"}  # what a payer is mailed


def make_cast():
    """{role's name: a new person of that role}, for drills and long walks; tests have their own people (conftest.py)."""
    make = User.objects.create_user
    return {name: make(f"{name}@example.com", PASSWORD, role=role, name=name.title()) for name, role in ROLES.items()}


def make_actors(world, cast, **about):
    """{actor's name: Client}. `world` is routes.make_world's, `cast` a person for each role by the role's name.

    `about` goes to each client: `enforce_csrf_checks=True`, `raise_request_exception=False`.
    """
    made = {
        "stranger": Client(**about),
        "payer": _payer(world, about),
        **{name: _signed_in(cast[name], about) for name in ROLES},
        "former": _former(about),
        "api_key": _program(about),
    }
    return {name: made[name] for name in ACTORS}


def _payer(world, about):
    """A browser that opened every link that was sent to it, and has whatever cookies came back."""
    client = Client(**about)
    for name, token in LINKS.items():
        client.get(reverse(name, args=[getattr(world, token)]))
    return client


def _signed_in(user, about):
    client = Client(**about)
    client.force_login(user)
    return client


def _former(about):
    """Somebody who was an admin when they signed in, and was switched off behind the back of team.py: the session is left."""
    user = User.objects.create_user(FORMER, PASSWORD, role=Role.ADMIN, name="Frank")
    client = _signed_in(user, about)
    User.objects.filter(pk=user.pk).update(is_active=False)
    return client


def _program(about):
    """A secret key that may do everything the API has, shown at every door."""
    _key, secret = create_key(name="Walker", livemode=False, scopes=["write"], by=None)
    return Client(headers={"Authorization": f"Bearer {secret}"}, **about)
