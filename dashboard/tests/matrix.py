"""What each actor gets at each door by each method: one table, of permissions.py and the few exceptions below.

A door is a route of the pages or a path of the API. The walk (test_route_walk.py) asks all of them and compares.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from dashboard.permissions import PERMISSIONS
from dashboard.tests.actors import ROLES
from dashboard.tests.api_operations import operations
from dashboard.tests.routes import routes

METHODS = ("GET", "POST", "PUT", "DELETE")
SIGN_IN = "led to the sign-in"
OURS = ("dashboard.", "customers.", "billing.")
SHOWN, DONE = {200}, {302, 409, 422}  # done, or refused with a sentence
LET_IN = {"GET": SHOWN, "POST": DONE}  # what a page answers to whom it serves, unless an exception says otherwise
API_LET_IN = {200, 201, 400, 404, 409}  # of what changes something, asked with the example of its document
INSIDE, OUTSIDE, ALL = "inside", "outside", "all"


class Otherwise(NamedTuple):
    """An exception for whom a page serves: paths (a pattern of the whole path), methods, whom, what they get, and why."""

    paths: str
    methods: str
    whom: str
    get: object
    why: str


BOTH = "GET POST"
NO_OTHER = r"2fa/(totp/deactivate|passkeys/<int:number>/remove|recovery-codes/download)"
LEADING = r"login|password/set|2fa/(authenticate|reauthenticate|passkeys/confirm|passkeys/sign-in)"
RESETTING = r"login/|password/reset/|\^password/reset/key/.+/\$"
ASKING = r"reauthenticate|password/change|2fa/(totp/activate|passkeys/add|recovery-codes/generate)"
SAYING = r"signup|inactive|password/reset/(key/)?done"
EXCEPTIONS = [
    # pages that lead on
    Otherwise("|second-step/", "GET", INSIDE, {302}, "lead to what one is there for"),
    Otherwise(r"accounts/2fa/(authenticate|passkeys/sign-in)/|admin/login/", BOTH, OUTSIDE, SIGN_IN, "begin at the sign-in"),
    Otherwise("accounts/logout/", "GET", OUTSIDE, {302}, "nobody is signed in"),
    Otherwise(rf"accounts/({LEADING})/", BOTH, INSIDE, {302}, "is signed in, has a password and no second step"),
    Otherwise(r"admin/(login|logout|password_change(/done)?)/", BOTH, INSIDE, {302}, "the dashboard has the only such pages"),
    Otherwise(r"admin/\w+/\w+/<path:object_id>/(history/)?", BOTH, INSIDE, {302}, "lead to the events, to the new address"),
    Otherwise("billing/statements/<id:pk>/edit/", "GET", INSIDE, {302}, "a finalised one is not edited"),
    # forms that are shown again without the fields they need
    Otherwise(rf"accounts/({RESETTING})", "POST", ALL, SHOWN, "the package answers so"),
    Otherwise(rf"accounts/({ASKING})/", "POST", INSIDE, SHOWN, "the package answers so"),
    Otherwise("pay/return/<id:attempt>/", "POST", ALL, SHOWN, "asks the gateway and shows itself again"),
    # pages that take no form, or nothing but one, or answer with something else
    Otherwise(rf"healthz|readyz|\.well-known/security\.txt|accounts/({SAYING})/", "POST", ALL, {405}, "take no form"),
    Otherwise(r"|accounts/2fa/(recovery-codes/)?|admin/(autocomplete|jsi18n)/", "POST", INSIDE, {405}, "take no form"),
    Otherwise("theme/|mode/|webhooks/<slug:gateway>/", "GET", ALL, {405}, "take a form and nothing else"),
    Otherwise("webhooks/<slug:gateway>/", "POST", ALL, {400}, "takes what a gateway signed"),
    Otherwise("customers/<id:pk>/data/", "POST", INSIDE, SHOWN, "a file"),
    # what there is nothing of
    Otherwise(r"profile/(sessions|tokens)/<id:pk>/\w+/", BOTH, INSIDE, {404}, "somebody else's"),
    Otherwise(rf"accounts/{NO_OTHER}/", BOTH, INSIDE, {404}, "no second step is set up"),
    Otherwise("accounts/2fa/recovery-codes/|customers/imports/<id:pk>/errors.csv", "GET", INSIDE, {404}, "none there yet"),
    Otherwise(r"admin/r/.+|admin/\(\?P<url>\.\*\)\$", BOTH, INSIDE, {404}, "no such page"),
    # the admin
    Otherwise("admin/dashboard/user/(add|<path:object_id>/change)/", BOTH, INSIDE, SHOWN, "the one record made there"),
    Otherwise(r"admin/(autocomplete/|.+/(add|delete)/)", "GET", INSIDE, {403}, "records are made and ended in the dashboard"),
    Otherwise(r"admin/.+/(add|delete|change)/", "POST", INSIDE, {403}, "records are changed in the dashboard"),
    Otherwise(r"admin/.*", "POST", INSIDE, SHOWN, "a list without an action is shown again"),
]
SHARED_VIEW = "lists/views/<id:pk>/delete/"
SOMEBODY_ELSES = {(SHARED_VIEW, "support"), (SHARED_VIEW, "reporting")}  # 404: they delete their own


@dataclass(frozen=True)
class ApiPath:
    """A path of the API with its operations by verb."""

    path: str
    verbs: dict = field(compare=False)

    def url(self, world):
        return f"/api/v1{next(iter(self.verbs.values())).url(world)}"


def doors():
    """Every route of the pages, the admin's and allauth's included, and every path of the API."""
    return [*routes(), *api_paths()]


def api_paths():
    found = {}
    for operation in operations():
        found.setdefault(operation.path, {})[operation.verb] = operation
    return [ApiPath(f"api/v1{path}", verbs) for path, verbs in found.items()]


def wanted(door, actor, method):
    """The statuses an actor may get, or SIGN_IN."""
    return at_the_api(door, actor, method) if isinstance(door, ApiPath) else at_a_page(door, actor, method)


def at_a_page(route, actor, method):
    if method not in LET_IN:
        return {405}
    permission, whom = route.permission(), INSIDE if actor in ROLES else OUTSIDE
    if permission is not None and whom == OUTSIDE:
        return SIGN_IN
    if permission and ROLES[actor] not in PERMISSIONS[permission]:
        return {403}
    if (route.path, actor) in SOMEBODY_ELSES:
        return {404}
    if one := exception(route, method, whom):
        return one.get
    return LET_IN[method] if takes(route, method) else {405}


def exception(route, method, whom):
    """The first exception that fits, or None."""
    fits = (e for e in EXCEPTIONS if method in e.methods.split() and e.whom in (whom, ALL) and re.fullmatch(e.paths, route.path))
    return next(fits, None)


def takes(route, method):
    """Whether a view of ours has a handler for a method; of the packages' views only that they may."""
    view = route.view_class
    return view is None or not view.__module__.startswith(OURS) or hasattr(view, method.lower())


def at_the_api(door, actor, method):
    operation = door.verbs.get(method)
    if operation is None:
        return {405}
    if actor not in ROLES and actor != "api_key":
        return {401}
    if actor in ROLES and ROLES[actor] not in PERMISSIONS[operation.asks]:
        return {403}
    return API_LET_IN if method != "GET" else SHOWN if door.path != "api/v1/customers/search" else {400}  # says what for
