"""Every route of the project, what it needs to be asked, and one record of each kind to ask it about.

A route nobody described here fails the walk (test_route_walk.py): that is how a new page gets its row.
"""

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from django.db import connection
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from dashboard.permissions import PERMISSIONS, Role

EVERYONE_OUTSIDE = {  # strangers are answered: liveness, the sign-in, the payer's pages
    ".well-known/security.txt",
    "healthz",
    "readyz",
    "theme/",
    "accounts/login/",
    "accounts/signup/",
    "accounts/inactive/",
    "accounts/logout/",
    "accounts/password/reset/",
    "accounts/password/reset/done/",
    "accounts/password/reset/key/done/",
    r"accounts/^password/reset/key/(?P<uidb36>[0-9a-z_]+)-(?P<key>.+)/$",
    "accounts/2fa/authenticate/",
    "accounts/2fa/passkeys/sign-in/",
    "invitation/<slug:token>/",  # the token says who it is
    "admin/login/",  # leads on to ours
    "pay/checkout/<slug:token>/",
    "pay/checkout/<slug:token>/receipt/<id:payment>/",
    "pay/checkout/<slug:token>/receipt/<id:payment>/receipt.pdf",
    "pay/bill/<slug:token>/",
    "pay/bill/<slug:token>/statement.pdf",
    "pay/bill/<slug:token>/receipt/<id:payment>/",
    "pay/bill/<slug:token>/receipt/<id:payment>/receipt.pdf",
    "pay/card/<slug:token>/",
    "pay/return/<id:attempt>/",
    "sandbox/checkout/<id:pk>/",
    "sandbox/authenticate/<id:pk>/",
    "webhooks/<slug:gateway>/",  # the signature says who it is
}
ANYONE_SIGNED_IN = {  # one's own session and sign-in
    "",
    "mode/",
    "accounts/password/change/",
    "accounts/password/set/",
    "accounts/reauthenticate/",
    "accounts/2fa/",
    "accounts/2fa/reauthenticate/",
    "accounts/2fa/passkeys/add/",
    "accounts/2fa/passkeys/<int:number>/remove/",
    "accounts/2fa/passkeys/confirm/",
    "accounts/2fa/totp/activate/",
    "accounts/2fa/totp/deactivate/",
    "accounts/2fa/recovery-codes/",
    "accounts/2fa/recovery-codes/generate/",
    "accounts/2fa/recovery-codes/download/",
}
API = "api/v1/"  # a path of it has several operations, one for each verb: see api_operations.py
SUPPORT, TEAM = "dashboard.view_contact_data", "dashboard.manage_team"  # what the admin asks for
ADMIN_OF = {  # model: what its pages in the admin ask for, where that is more
    "user": TEAM,
    "invitation": TEAM,
    "apikey": "dashboard.manage_keys",
    "idempotencykey": "dashboard.manage_keys",
    "import": "customers.import_customer",
    "webhookdelivery": "billing.view_delivery",
}
QUERY = {"lists/views/new/": "list=customers:customers"}
DATA = {"lists/columns/": {"list": "customers:customers"}}


@dataclass(frozen=True)
class Route:
    path: str
    name: str
    view: object = field(compare=False)

    @property
    def view_class(self):
        return getattr(self.view, "view_class", None)

    @property
    def params(self):
        return re.findall(r"<(?:\w+:)?(\w+)>", self.path)

    def permission(self):
        """A permission of the table, "" for signed in, None for everybody; KeyError when nobody said."""
        if self.path in EVERYONE_OUTSIDE:
            return None
        if self.path in ANYONE_SIGNED_IN:
            return ""
        if self.path.startswith("admin/"):
            if not self.name:  # Django's old address of a record: it leads to the new one, which asks for more
                return SUPPORT
            return ADMIN_OF.get(f"{self.path}/".split("/")[2], SUPPORT)
        found = getattr(self.view_class, "permission", None)
        if found not in PERMISSIONS:
            raise KeyError(f"{self.path or '/'} ({self.name}) has no row: give its view a permission, or list it in routes.py.")
        return found

    def open_to(self, role):
        """Whether a role may be here: True, False, or None for what everybody may."""
        permission = self.permission()
        return None if permission is None else permission == "" or role in PERMISSIONS[permission]

    def url(self, world, **changes):
        """The route's address about the world's records."""
        kwargs = {name: changes.get(name) or argument(self, name, world) for name in self.params}
        query = QUERY.get(self.path)
        where = reverse(self.name, kwargs=kwargs) if self.name else self._filled(kwargs)
        return f"{where}?{query}" if query else where

    def _filled(self, kwargs):
        """The address of a route without a name: its path with the values put in."""
        plain = re.sub(r"\(\?P(<\w+>).*?\)", r"\1", self.path).strip("^$")
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda m: str(kwargs[m[1]]), plain)


def routes():
    """All routes, the admin's included; but for the API's."""
    return [route for route in _walk(get_resolver().url_patterns, "", "") if not route.path.startswith(API)]


def _walk(patterns, path, namespace):
    for pattern in patterns:
        here = path + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, here, inner)
        else:
            yield Route(here, f"{namespace}{pattern.name}" if pattern.name else "", pattern.callback)


def argument(route, name, world):
    """The record a parameter of a route is about."""
    if route.path.startswith(("pay/bill/", "pay/checkout/<slug:token>/receipt/")):
        return getattr(world, f"{'bill' if 'bill' in route.path else 'paid'}_{name}")
    if route.path.startswith("pay/card/"):
        return world.card_token
    if route.path.startswith("invitation/"):
        return world.invitation_token
    if "sessions/<id:pk>" in route.path and name == "pk":
        return world.session
    if name == "topic":
        return "customers"
    if name in ("customer", "token", "attempt", "uidb36", "key", "app_label", "url", "content_type_id", "gateway"):
        return getattr(world, name)
    if route.path.startswith("admin/"):
        return getattr(world, route.path.split("/")[2] if name == "object_id" and "admin/r/" not in route.path else "customer")
    for word, kind in KINDS:
        if word in route.path:
            return getattr(world, kind)
    raise KeyError(f"{route.path}: say in routes.py which record <{name}> is.")


KINDS = [  # the first word found in a path says what its pk is
    ("lists/views/", "view"),
    ("api-keys/", "apikey"),
    ("profile/tokens/", "apikey"),
    ("team/invitations/", "invitation"),
    ("team/", "colleague"),
    ("passkeys/", "passkey"),
    ("outbox/", "mail"),
    ("activity/", "event"),
    ("sandbox/checkout/", "sandbox_checkout"),
    ("sandbox/authenticate/", "sandbox_charge"),
    ("sandbox-log/messages/", "sandbox_message"),
    ("sandbox-log/disputes/", "sandbox_dispute"),
    ("/addresses/", "address"),
    ("/comments/", "comment"),
    ("/methods/", "paymentmethod"),
    ("imports/", "import_run"),
    ("statements/", "billingstatement"),
    ("subscriptions/", "subscription"),
    ("invoices/", "invoice"),
    ("payment-requests/", "paymentrequest"),
    ("coupons/", "coupon"),
    ("tokenization-links/", "tokenizationlink"),
    ("payments/", "payment"),
    ("refunds/", "refund"),
    ("attempts/", "attempt"),
    ("deliveries/", "webhookdelivery"),
    ("customers/", "customer"),
]


def make_world(by):
    """One test-mode record of every kind, by public id, and what else a path needs."""
    from allauth.account.utils import user_pk_to_url_str

    from billing.domain.checkouts import check_again, start_payment
    from billing.domain.invoicing import bill_subscription
    from billing.domain.payments import record_payment
    from billing.domain.refunds import create_refund
    from billing.gateways.sandbox import models as sandbox
    from billing.models import Attempt
    from billing.tests.factories import (
        make_card_link,
        make_coupon,
        make_delivery,
        make_dispute,
        make_method,
        make_open_statement,
        make_request,
        make_subscription,
        submit_card,
    )
    from customers.tests.factories import make_address, make_comment, make_customer
    from dashboard.api.keys import create_key
    from dashboard.api_models import IdempotencyKey
    from dashboard.imports import runs
    from dashboard.invitations import invite
    from dashboard.models import Event, Mail, SavedView, Session, User
    from dashboard.tests import canaries

    customer = canaries.make_customer(by=by)
    request = make_request(customer, by=by)
    statement = make_open_statement(customer, by=by)
    payment = record_payment(customer, amount=100, currency="USD", by=by)
    start_payment(request)
    attempt = Attempt.objects.get()
    part = record_payment(customer, amount=100, currency="USD", statement=statement, by=by)
    paid = make_request(customer, by=by)
    submit_card(start_payment(paid))
    check_again(paid)
    refund = create_refund(payment, amount=40, reason="others", destination="credit", by=by)
    link = make_card_link(customer, by=by)
    billed = make_subscription(make_customer(by=by, email="billed@example.com"), by=by)
    bill_subscription(billed.pk)
    charge = sandbox.SandboxCharge.objects.first()
    upload = io.BytesIO(b"name,email\nAna,ana@example.com\n")
    upload.name, upload.size = "walk.csv", 31
    run = runs.start_import(upload, importer="customers", livemode=False, by=by)
    colleague = User.objects.create_user("colleague@example.com", role="support", name="Colin")
    Client().force_login(colleague)
    Session.objects.filter(user=colleague).update(seen_at=timezone.now())
    invitation = invite(email="invited@example.com", name="Ivy", role="support", by=by)
    view = SavedView.objects.create(list="customers:customers", name="Walk", owner=by, livemode=False, shared=True)
    key, _secret = create_key(name="Walk", livemode=False, scopes=["read"], by=by)
    return SimpleNamespace(
        apikey=key.pk,
        idempotencykey=IdempotencyKey.objects.create(owner=key.pk, livemode=False, key="walk-1", fingerprint="0" * 64).pk,
        customer=customer.pk,
        address=make_address(customer, by=by).pk,
        comment=make_comment(customer, by=by).pk,
        import_run=run.pk,
        **{"import": run.pk},
        view=view.pk,
        mail=Mail.objects.get(object_id=paid.payments.get().pk).pk,
        user=by.pk,
        colleague=colleague.pk,
        session=colleague.sessions.get().ref,
        passkey=1,
        invitation=invitation.pk,
        invitation_token=invitation.token,
        event=Event.objects.latest().pk,
        billingstatement=statement.pk,
        lineitem=statement.lines.first().pk,
        subscription=billed.pk,
        invoice=billed.invoices.get().pk,
        payment=payment.pk,
        paymentmethod=(method := make_method(customer, by=by)).pk,
        vault_token=method.vault_token,
        refund=refund.pk,
        balanceentry=refund.balance_entries.get().pk,
        dispute=make_dispute(payment).pk,
        reminder=statement.reminders.create(kind="overdue").pk,
        webhookdelivery=make_delivery().pk,
        paymentrequest=request.pk,
        coupon=(coupon := make_coupon(by=by)).pk,
        couponredemption=make_open_statement(customer, by=by, coupon=coupon).redemptions.get().pk,
        attempt=attempt.pk,
        sandbox_checkout=attempt.remote_id,
        sandbox_charge=charge.pk,
        sandbox_message=sandbox.SandboxDelivery.objects.first().pk,
        sandbox_dispute=sandbox.SandboxDispute.objects.create(charge=charge, amount=charge.amount).pk,
        gateway="sandbox",
        token=request.token,
        tokenizationlink=link.pk,
        card_token=link.token,
        bill_token=statement.token,
        bill_payment=part.pk,
        paid_token=paid.token,
        paid_payment=paid.payments.get().pk,
        uidb36=user_pk_to_url_str(by),
        key="abc-def",
        app_label="customers",
        url="nowhere",
        content_type_id=1,
    )


@contextmanager
def undone():
    """Whatever is written in this block is not. A bare savepoint: code that refuses transactions sees none."""
    before = connection.savepoint()
    try:
        yield
    finally:
        connection.savepoint_rollback(before)
        connection.needs_rollback = False


ROLES = dict(zip(("alice", "max", "sue", "rita"), Role, strict=True))
