"""The Django admin: every model deliberately in or out, records to read and to find, and the few things to do to many."""

import re
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.messages import get_messages
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from billing.models import BillingStatement, Coupon
from customers.domain import archive_customer
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.admin import site
from dashboard.admin.actions import MOST, REASONS
from dashboard.admin.base import CreatedFilter, PublicIdList
from dashboard.models import Event, Mail
from dashboard.permissions import PERMISSIONS, Role
from dashboard.tests.routes import ROLES, undone

pytestmark = pytest.mark.django_db
OUTSIDE = {  # models without pages here, and why
    "dashboard.SavedView": "somebody's own way to look at a list",
    "dashboard.Bucket": "how much somebody may still ask: it fills by itself within minutes",
    "dashboard.EventSeal": "each event's page names its seal, and verify_audit proves the chain",
    "dashboard.SealedEvent": "the same",
    "dashboard.Redaction": "signatures alone: the same",
    "dashboard.ImportPiece": "an uploaded file, gone when the import is over",
    "dashboard.ImportRow": "on its import's own page, which stands a hundred thousand of them",
    "dashboard.ImportMapping": "columns somebody chose, offered to them again",
    "dashboard.Session": "its key signs somebody in; the page of a person lists and ends them",
    "customers.KeptRecord": "what the law keeps of an erased customer: read on one page, by admins",
    "billing.GatewayCustomer": "a name that charges at a gateway",
    "billing.CustomerTotal": "sums of rows that are here, on the customer's page; check_ledger proves them",
    "billing.LineItem": "on its statement's page",
    "sandbox.SandboxCustomer": "the books of the play bank, as a real one's are not ours to read: the sandbox log tells of them",
    "sandbox.SandboxMethod": "the same",
    "sandbox.SandboxCheckout": "the same",
    "sandbox.SandboxCharge": "the same",
    "sandbox.SandboxRefund": "the same",
    "sandbox.SandboxDispute": "the same",
    "sandbox.SandboxRequestLog": "the same",
    "sandbox.SandboxDelivery": "the same",
    "admin.LogEntry": "nothing writes it: events say what happened, and nobody can edit those",
    "auth.Permission": "not used: permissions are a table in the code",
    "auth.Group": "not used: a person has one role",
    "auth.Group_permissions": "not used",
    "contenttypes.ContentType": "Django's own list of tables",
    "sessions.Session": "not used: sessions are dashboard.Session",
    "account.EmailAddress": "a copy of a person's address, kept by the sign-in",
    "account.EmailConfirmation": "its key confirms an address",
    "mfa.Authenticator": "the seeds of second steps; admins remove them from a person",
    "django_tasks_database.DBTaskResult": "its arguments and traces may hold anything; what fails is told by mails and imports",
}
ACCOUNTS = "user"  # the one model with a form
NO_PAGE = {"user", "attempt", "idempotencykey", "invitation"}  # their pages here do not lead to one in the dashboard
INLINE = re.compile(r"<[^>]+\s(?:style|on[a-z]+)=|<script(?![^>]*\ssrc=)|<style|javascript:", re.I)
ADMIN_LINK = re.compile(r'href="(/admin/[^"?#]*)')
NOW = {"confirmed": "yes"}
DENIED = "access.denied"


@pytest.fixture(scope="module")
def world(world_of_this_file):
    return world_of_this_file


def models_there():
    """(short name, model, its admin), in the order of the site."""
    return [(model._meta.model_name, model, there) for model, there in site._registry.items()]


def url(model, what, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


def who_may(permission):
    return PERMISSIONS[permission] & PERMISSIONS["dashboard.view_contact_data"]


# --- what is there, and for whom -----------------------------------------------------------------------------


def test_every_model_is_here_or_says_why_not():
    everything = {m._meta.label for m in apps.get_models(include_auto_created=True)}
    here = {m._meta.label for m in site._registry}

    assert here | OUTSIDE.keys() == everything
    assert here & OUTSIDE.keys() == set()
    assert all(OUTSIDE.values())


def test_who_sees_a_record_here_may_open_its_page_in_the_dashboard(world):
    for name, model, there in models_there():
        if name not in NO_PAGE:
            page = there.page_of(model.objects.get(pk=getattr(world, name)))
            needed = resolve(page.get_absolute_url()).func.view_class.permission
            assert who_may(there.permission) <= PERMISSIONS[needed], name


def test_every_model_is_readable_searchable_and_filtered():
    for name, model, there in models_there():
        assert len(there.list_display) > 3, name
        assert there.search_help_text, name
        assert there.ordering == ("-id",), name
        assert there.list_filter, name
        if name != ACCOUNTS:
            assert there.fields, name
        for column in [f for f in there.list_filter if isinstance(f, str)]:
            field = model._meta.get_field(column)  # anything else would look for its values in every row
            assert field.choices or isinstance(field, models.BooleanField), (name, column)
        for column in there.named_by:
            assert is_indexed(model, column), (name, column)
        if any(isinstance(f, type) and issubclass(f, CreatedFilter) for f in there.list_filter) and name != "event":
            assert starts_an_index(model, ["livemode", "created_at"]), name


def is_indexed(model, column):
    field = model._meta.pk if column == "pk" else model._meta.get_field(column)
    return field.primary_key or field.db_index or field.unique or starts_an_index(model, [field.name])


def starts_an_index(model, columns):
    """Whether an index or a unique constraint of a model begins with these columns."""
    kept = [*model._meta.indexes, *[c for c in model._meta.constraints if hasattr(c, "fields")]]
    starts = [list(i.fields) or [getattr(getattr(e, "expression", e), "name", "") for e in i.expressions] for i in kept]
    return any([name.lstrip("-") for name in start[: len(columns)]] == columns for start in starts)


# --- reading ---------------------------------------------------------------------------------------------------


@pytest.fixture
def eager(monkeypatch):
    """Lists that load anything for a single row fail."""
    rows = PublicIdList.get_queryset
    monkeypatch.setattr(PublicIdList, "get_queryset", lambda self, *a, **k: rows(self, *a, **k).fetch_mode(models.FETCH_RAISE))


def test_each_record_is_listed_found_and_shown_and_leads_on(world, as_alice, eager):
    for name, model, there in models_there():
        pk = getattr(world, name)
        found = as_alice.get(url(model, "changelist"), {"q": pk})
        shown = as_alice.get(url(model, "change", pk))
        html = shown.text

        assert pk in [row.pk for row in found.context["cl"].result_list], name
        assert f'href="{there.url_of(model(pk=pk))}' in found.text, name
        assert shown.status_code == 200, name
        assert ('name="_save"' in html) == (name == ACCOUNTS), name
        assert ("in the dashboard</a> (in test mode)" in html) == (name not in NO_PAGE), name
        assert pk in html, name
        for answer in (found, shown):
            assert "'unsafe-inline'" not in answer["Content-Security-Policy"], name
            assert "default-src 'none'" in answer["Content-Security-Policy"], name
            assert not INLINE.search(answer.text), name


def test_what_is_nowhere_is_404(as_alice):
    for _name, model, _there in models_there():
        for wrong in ("cus_000000000000000000000000", "nonsense", "1"):
            assert as_alice.get(url(model, "change", wrong)).status_code == 404


def test_no_link_leads_where_support_is_refused(world, as_sue):
    """What somebody may not open is told by its name alone."""
    asked_for = {f"{m._meta.app_label}/{name}": there.permission for name, m, there in models_there()}
    links = set()
    for name, model, there in models_there():
        if Role.SUPPORT in who_may(there.permission):
            links |= set(ADMIN_LINK.findall(as_sue.get(url(model, "change", getattr(world, name))).text))
    links |= set(ADMIN_LINK.findall(as_sue.get("/admin/billing/payment/").text + as_sue.get("/admin/").text))
    there = {"/".join(link.split("/")[2:4]) for link in links if link.count("/") > 3}

    assert len(there) > 15
    assert {link for link in there if Role.SUPPORT not in PERMISSIONS[asked_for[link]]} == set()


def test_a_record_leads_to_the_lists_of_what_belongs_to_it(world, as_sue):
    page = as_sue.get(url(Customer, "change", world.customer))
    lists = dict(page.context["related"])

    assert lists.keys() >= {"addresses", "comments", "payments", "billing statements", "refunds", "payment methods", "coupons"}
    for name, where in lists.items():
        rows = as_sue.get(where).context["cl"].result_list
        assert {getattr(row, "customer_id", None) for row in rows} <= {world.customer}, name
        assert rows or name in ("coupons", "subscriptions"), name
    assert "users" not in dict(as_sue.get(url(BillingStatement, "change", world.billingstatement)).context["related"])


def test_every_filter_answers_and_no_list_counts_or_sorts_all_rows(world, as_alice, monkeypatch):
    for name, model, there in models_there():
        monkeypatch.setattr(there, "list_per_page", 1)  # Django asks for all rows when they make one page
        table, page = model._meta.db_table, as_alice.get(url(model, "changelist")).context["cl"]
        choices = [choice["query_string"] for spec in page.filter_specs for choice in list(spec.choices(page))[1:2]]
        for query in ["", *choices]:
            with CaptureQueriesContext(connection) as asked:
                answer = as_alice.get(url(model, "changelist") + query)
            rows = [q["sql"] for q in asked if f'FROM "{table}"' in q["sql"] and "session_key" not in q["sql"]]
            few = answer.context["cl"].result_count < 2

            assert answer.status_code == 200, (name, query)
            assert len(asked) < 10, (name, query)
            assert [sql for sql in rows if "COUNT(" in sql], name
            assert [sql for sql in rows if " LIMIT " not in sql and not few and '"id" = ' not in sql] == [], name
            sorted_by = {sql.rpartition("ORDER BY ")[2].partition(" LIMIT")[0] for sql in rows if "ORDER BY" in sql}
            assert sorted_by <= {f'"{table}"."id" DESC'}, name


def test_what_nobody_offers_is_not_looked_up(as_sue, world):
    for query in ("email__startswith=w", "created_by__password__startswith=a", "search__contains=w"):
        assert as_sue.get(f"/admin/customers/customer/?{query}").status_code in (302, 400)
    asked = {"app_label": "billing", "model_name": "payment", "field_name": "created_by", "term": "a"}
    assert as_sue.get("/admin/autocomplete/", asked).status_code == 403


def test_more_actions_lead_support_here_and_reporting_nowhere(world, as_sue, as_rita):
    for model, pk in ((Customer, world.customer), (BillingStatement, world.billingstatement)):
        page, here = model.objects.get(pk=pk).get_absolute_url(), f'href="{url(model, "change", pk)}"'
        assert here in as_sue.get(page).text
        assert here not in as_rita.get(page).text


# --- not writing -------------------------------------------------------------------------------------------------

CRAFTED = {
    "amount": "1",
    "status": "paid",
    "state": "done",
    "livemode": "on",
    "name": "x",
    "email": "x@example.com",
    "_save": "1",
}
LINES = {"lines-TOTAL_FORMS": "1", "lines-INITIAL_FORMS": "1", "lines-0-description": "x", "lines-0-DELETE": "on"}
EDITED = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-status": "paid", "form-0-name": "x", "_save": "1"}


def kept(model):
    """What a table holds. Of the events, those that were there: each refusal leaves one."""
    rows = model.objects.exclude(type=DENIED) if model is Event else model.objects.all()
    return list(rows.order_by("pk").values())


def done():
    return Event.objects.exclude(type=DENIED).count()


def test_nobody_adds_changes_or_deletes_a_record(world, as_alice):
    """By no door: forms, popups, copies, lines of a statement, editable lists, Django's own deleting."""
    for name, model, _there in models_there():
        if name == ACCOUNTS:
            continue
        pk, before, events = getattr(world, name), kept(model), done()
        add, change, delete, rows = (
            url(model, "add"),
            *[url(model, w, pk) for w in ("change", "delete")],
            url(model, "changelist"),
        )
        refused = [
            as_alice.get(add),
            as_alice.post(f"{add}?_popup=1&_to_field=id", CRAFTED | {"_popup": "1"}),
            as_alice.post(change, CRAFTED | LINES | {"lines-0-id": world.lineitem}),
            as_alice.post(f"{change}?_popup=1", {"_saveasnew": "1", "_popup": "1", **CRAFTED}),
            as_alice.get(delete),
            as_alice.post(f"{delete}?_popup=1", {"post": "yes", "_popup": "1"}),
        ]
        for sent in ({"action": "delete_selected", "_selected_action": [pk], "post": "yes"}, EDITED | {"form-0-id": pk}):
            assert as_alice.post(rows, sent).status_code in (200, 302), name

        assert [a.status_code for a in refused] == [403] * 6, name
        assert as_alice.get(f"{change}?_popup=1&_to_field=id").status_code == 200, name
        assert as_alice.get(f"{change}?_to_field=livemode").status_code == 400, name
        assert kept(model) == before, name
        assert done() == events, name


# --- doing something to many ---------------------------------------------------------------------------------


def archived(world, by):
    return archive_customer(make_customer(by=by), by=by).pk


def failed(world, by):
    Mail.objects.filter(pk=world.mail).update(state="failed")
    return world.mail


def paused(world, by):
    BillingStatement.objects.filter(pk=world.billingstatement).update(reminders_paused=True)
    return world.billingstatement


def off(world, by):
    Coupon.objects.filter(pk=world.coupon).update(active=False)
    return world.coupon


BULK = {  # (model, action): (what the table of permissions asks for, the maker of a record in the right state)
    ("customer", "archive"): ("customers.archive_customer", None),
    ("customer", "restore"): ("customers.archive_customer", archived),
    ("comment", "remove"): ("customers.moderate_comment", None),
    ("mail", "retry"): ("billing.send_statement", failed),
    ("invitation", "withdraw"): ("dashboard.manage_team", None),
    ("apikey", "revoke"): ("dashboard.manage_keys", None),
    ("billingstatement", "pause"): ("billing.send_statement", None),
    ("billingstatement", "resume"): ("billing.send_statement", paused),
    ("paymentrequest", "cancel"): ("billing.cancel_paymentrequest", None),
    ("attempt", "check"): ("billing.check_attempt", None),
    ("webhookdelivery", "replay"): ("billing.replay_delivery", None),
    ("tokenizationlink", "end"): ("billing.add_cardlink", None),
    ("coupon", "switch_off"): ("billing.change_coupon", None),
    ("coupon", "switch_on"): ("billing.change_coupon", off),
}


@pytest.fixture
def people(as_alice, as_max, as_sue, as_rita):
    clients = {"alice": as_alice, "max": as_max, "sue": as_sue, "rita": as_rita}
    return [SimpleNamespace(name=name, role=ROLES[name], client=client) for name, client in clients.items()]


def run(client, model, action, *pks, **more):
    return client.post(url(model, "changelist"), {"action": action, "_selected_action": pks, **more})


def told(answer):
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_every_action_of_the_admin_is_in_the_table_above():
    own = {(n, a if isinstance(a, str) else a.__name__) for n, _model, there in models_there() for a in there.actions}

    assert own == BULK.keys() | {(ACCOUNTS, "mail_password_link"), (ACCOUNTS, "remove_second_step")}
    assert dict(site.actions) == {}


@pytest.mark.parametrize(("name", "action"), BULK)
def test_an_action_is_done_and_recorded_for_who_may_and_refused_to_others(name, action, world, people, alice):
    """Shown or not, sent from the list or by hand: the table of permissions decides."""
    permission, make = BULK[name, action]
    model = next(m for n, m, _ in models_there() if n == name)
    for person in people:
        with undone():
            pk = make(world, alice) if make else getattr(world, name)
            before, may = Event.objects.latest().pk, person.role in who_may(permission)
            listed = person.client.get(url(model, "changelist"))
            answer = run(person.client, model, action, pk, **NOW)
            new = Event.objects.filter(pk__gt=before, by__name=person.name.title())

            assert (f'value="{action}"' in getattr(listed, "text", "")) == may, person
            assert answer.status_code == (302 if may else 403), person
            assert new.exclude(type=DENIED).exists() == may, person
            if not may:
                again = person.client.post(url(model, "change", pk), {"CHANGE_FORM-action": action, "_selected_action": pk})
                assert again.status_code == 403, person


def test_an_action_asks_first(world, as_max):
    before = Event.objects.latest().pk
    page = run(as_max, Customer, "archive", world.customer, index="0")

    assert page.status_code == 200
    assert "Nothing is deleted" in page.text
    assert str(Customer.objects.get(pk=world.customer)) in page.text
    assert 'name="confirmed" value="yes"' in page.text
    assert not INLINE.search(page.text)
    assert Event.objects.latest().pk == before


def test_from_a_record_s_page_an_action_only_asks(world, as_max):
    """Django would run it inside a transaction, in which no gateway is asked."""
    sent = {"CHANGE_FORM-action": "archive", "_selected_action": world.customer} | NOW
    page = as_max.post(url(Customer, "change", world.customer), sent)

    assert page.status_code == 200
    assert f'action="{url(Customer, "changelist")}"' in page.text
    assert not Customer.objects.get(pk=world.customer).archived


def test_an_action_tells_how_many_were_done_and_why_others_were_not(world, as_max, alice):
    gone = [archive_customer(make_customer(by=alice), by=alice) for _ in range(REASONS + 2)]
    answer = run(as_max, Customer, "archive", world.customer, *[c.pk for c in gone], **NOW)

    assert told(answer)[0] == "1 archived."
    assert told(answer)[1].endswith("This customer is archived and cannot become archived.")
    assert told(answer)[1].startswith("Left as it is: ")
    assert told(answer)[-1] == "2 more were left as they are."
    assert len(told(answer)) == REASONS + 2


def test_an_action_is_for_a_page_of_records_at_most(world, as_max, alice):
    more = [make_customer(by=alice).pk for _ in range(MOST + 1)]
    before = Event.objects.latest().pk
    for answer in (
        run(as_max, Customer, "archive", *more, **NOW),
        run(as_max, Customer, "archive", world.customer, select_across="1", **NOW),
        run(as_max, Customer, "archive", "cus_000000000000000000000000", **NOW),
    ):
        assert told(answer)[-1].endswith("Nothing was changed.")
    assert Event.objects.latest().pk == before


def test_a_popup_and_a_page_without_a_token_do_nothing(world, max):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(max)
    assert run(client, Customer, "archive", world.customer, **NOW).status_code == 403
    assert not Customer.objects.get(pk=world.customer).archived
