"""People for the erasure drill: customers with everything the product can store of one, a canary in every column."""

import io
import re
import secrets
from dataclasses import dataclass, field

from django.contrib.admin.models import CHANGE, LogEntry
from django.db import models
from django.test import Client

from billing.domain import balance, sending, statements, subscriptions
from billing.domain.checkouts import check_again, start_payment
from billing.domain.refunds import create_refund
from billing.gateways.sandbox import bank
from billing.models import BillingStatement, LineItem, Payment
from billing.tests import factories
from customers import domain
from customers.privacy.registry import Kept, Removed, holdings, person
from dashboard import events
from dashboard.api.keys import create_key
from dashboard.imports import runs
from dashboard.models import SavedView, User

CANARY = re.compile(r"qz[0-9a-f]{10}z")
LENGTH = 13
BY_HAND = {"dashboard.Event", "dashboard.SavedView", "dashboard.IdempotencyKey", "billing.BalanceEntry", "dashboard.ImportPiece"}
# append-only, or found by words: the actions below put canaries into these


@dataclass
class Someone:
    """A customer of the drill: each canary, and where it was put; which of them the law keeps."""

    customer: object
    placed: dict = field(default_factory=dict)  # {canary: "billing.Payment.description"}
    kept: set = field(default_factory=set)
    tokens: list = field(default_factory=list)  # of payers' links

    def canary(self, where):
        word = f"qz{secrets.token_hex(5)}z"
        self.placed[word] = where
        return word


def make_someone(by):
    """A customer who did everything one can do; every text of theirs holds a canary of its own."""
    email = f"qz{secrets.token_hex(5)}z@example.com"
    who = Someone(factories.make_customer(by=by, email=email, phone=f"+1415555{secrets.randbelow(9000) + 1000}"))
    who.placed[email.partition("@")[0]] = "customers.Customer.email"
    _say(who, by)
    _bill(who, by)
    _agree(who, by)
    _leave_traces(who, by, email)
    while bank.tick().sent:  # the payment company's messages arrive
        pass
    fill(who)
    return who


def _say(who, by):
    """What staff wrote down, changed and took back again: the activity log remembers it."""
    customer, word = who.customer, who.canary
    comment = domain.add_comment(customer, body=word("comment"), by=by)
    domain.edit_comment(comment, body=word("comment, edited"), by=by)
    domain.delete_comment(domain.add_comment(customer, body=word("comment, deleted"), by=by), by=by)
    domain.add_comment(customer, body=word("comment, pinned"), by=by, pinned=True)
    domain.remove_address(domain.add_address(customer, by=by, line1=word("address, removed"), city=word("city")), by=by)
    told = {"first_name": word("first name"), "last_name": word("last name"), "reference": word("reference")}
    told |= {"metadata": {word("key"): word("value")}}
    who.customer = domain.update_customer(customer, version=customer.version, by=by, **told)


def _bill(who, by):
    """A statement that was mailed, paid and partly refunded; one that was voided; a draft."""
    customer, word = who.customer, who.canary
    paid = factories.make_open_statement(customer, by=by, description=word("statement"), lines=((word("line"), 1, 4850),))
    sending.send_statement(paid, by=by, message=word("message"))
    attempt = start_payment(paid)
    factories.submit_card(attempt)
    check_again(paid)
    payment = Payment.objects.get(statement=paid)
    create_refund(payment, amount=850, reason="others", remarks=word("remarks"), by=by)
    void = factories.make_open_statement(customer, by=by)
    statements.void_statement(void, reason=word("why it was voided"), by=by)
    factories.make_statement(customer, by=by, description=word("draft"))
    who.tokens += [("pay_statement", paid.token), ("pay_statement", void.token)]


def _agree(who, by):
    """A request that was paid, cards, a coupon of their own, a subscription that ended, credit that was given and taken."""
    customer, word = who.customer, who.canary
    request = factories.make_request(customer, by=by, description=word("request"), metadata={"note": word("metadata")})
    factories.submit_card(start_payment(request))
    check_again(request)
    link = factories.make_card_link(customer, by=by, description=word("card link"))
    factories.make_method(customer, by=by, card_name=word("holder"))
    coupon = {"code": word("code"), "name": word("coupon"), "customer": customer}
    factories.make_coupon(by=by, **coupon)
    bills = factories.make_subscription(customer, by=by, name=word("subscription"), billing="send_invoice")
    subscriptions.cancel_subscription(bills, at_period_end=False, by=by, why=word("why it ended"))
    for amount in (500, -500):
        balance.adjust_credit(customer, amount=amount, currency="USD", reason=word("credit"), by=by)
    who.tokens += [("pay_checkout", request.token), ("pay_card", link.token)]


def _leave_traces(who, by, email):
    """Where others meet them: an imported file, a file that waits, a saved view, an export, a program's request."""
    customer, word = who.customer, who.canary
    events.note("customers.exported", by=by, livemode=False, list="customers:customers", filters={"q": email})
    query = f"q={email.replace('@', '%40')}&status=active"
    SavedView.objects.create(list="customers:customers", name=email, query=query, owner=by, livemode=False)
    text = f"email,description\n{email},{word('imported')}\nnot an address {email},{word('in a row with an error')}\n"
    _import(text, by)
    _import(f"email,description\n{email},{word('in a file that waits')}\n", by, apply=False)
    about = {"user": by, "object_id": customer.pk, "object_repr": str(customer), "action_flag": CHANGE}
    LogEntry.objects.create(**about, change_message=word("the admin's log"))
    key, secret = create_key(name="Drill", livemode=False, scopes=["write"], by=by)
    body = {"description": word("by API"), "email": email}
    told = Client().put(
        f"/api/v1/customers/{customer.pk}", body, "application/json",
        headers={"Authorization": f"Bearer {secret}", "Idempotency-Key": f"drill-{key.pk}"},
    )  # fmt: skip
    if told.status_code != 200:
        raise RuntimeError(f"The API refused the drill: {told.status_code} {told.content[:300]}")


def _import(text, by, apply=True):
    file = io.BytesIO(text.encode())
    file.name, file.size = "people.csv", len(text.encode())
    run = runs.start_import(file, importer="customers", livemode=False, by=by)
    if apply:
        run = runs.check_import(run, mapping=run.mapping, match="email", country="", clear=False, by=by)
        runs.confirm_import(run, by=by)
        runs.apply_rows(run.pk)


# --- every column ------------------------------------------------------------------------------------------------------
def fill(who):
    """Put a canary into every personal column of every row of theirs, as far as it takes one."""
    who.customer.refresh_from_db()
    them = person(who.customer)
    for holding in holdings():
        if holding.rows and holding.model not in BY_HAND:
            for row in list(holding.rows(them)):
                _fill_row(who, holding, row)


def _fill_row(who, holding, row):
    placed = {name: _filled(who, holding, row, name, fate) for name, fate in holding.of(Removed).items()}
    placed = {name: value for name, value in placed.items() if value is not None}
    for name, value in placed.items():
        setattr(row, name, value)
    if hasattr(row, "derive"):
        row.derive([]) if isinstance(row, BillingStatement) else row.derive()
        placed |= {name: getattr(row, name) for name in ("name", "sort_name", "search") if hasattr(row, name)}
    holding.table._default_manager.filter(pk=row.pk).update(**placed)


def _filled(who, holding, row, name, fate):
    column, was = holding.table._meta.get_field(name), getattr(row, name)
    where = f"{holding.model}.{name}"
    is_kept = isinstance(fate, Kept) and not _is_draft(row)
    if there := CANARY.findall(str(was).lower()):  # what the actions wrote stays
        who.kept.update(there if is_kept else ())
        return None
    if isinstance(column, models.JSONField) and was is not None:
        value = [who.canary(where)] if isinstance(was, list) else {"note": who.canary(where)}
    elif isinstance(column, models.JSONField) or (column.max_length or LENGTH) < LENGTH:
        return None  # too short for a canary
    else:
        value = who.canary(where)
    if is_kept:
        who.kept.add(value if isinstance(value, str) else next(iter(value.values() if isinstance(value, dict) else value)))
    return value


def _is_draft(row):
    """Whether a row is of a draft, which is no document."""
    bill = row.statement if isinstance(row, LineItem) else row
    return bill.status == BillingStatement.Status.DRAFT


def make_staff():
    """Somebody to do it all."""
    return User.objects.filter(email="drill@example.com").first() or User.objects.create_user(
        "drill@example.com", role="admin", name="Drill"
    )
