"""Who may go where: every route, every role. And what those who may not see contact data never see."""

import base64
import re
from copy import deepcopy

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.tests.test_documents import text_of
from conftest import PASSWORD
from dashboard.models import User
from dashboard.permissions import PERMISSIONS, Role, allowed
from dashboard.tests.routes import DATA, ROLES, make_world, routes, undone

LOGIN = "/accounts/login/"
FINE = {200, 302, 405, 409, 422}
NOTHING_THERE = {  # 404 until an import has errors, or a second step is set up
    "customers/imports/<id:pk>/errors.csv",
    "accounts/2fa/totp/deactivate/",
    "accounts/2fa/recovery-codes/",
    "accounts/2fa/recovery-codes/download/",
    "accounts/2fa/passkeys/<int:number>/remove/",
    "profile/sessions/<id:pk>/end/",  # somebody else's
    "profile/tokens/<id:pk>/roll/",
    "profile/tokens/<id:pk>/revoke/",
}
OF_EITHER_MODE = ("admin/", "team/")  # staff are real whatever the mode
UNSIGNED = "webhooks/<slug:gateway>/"  # takes no form and no token, but what a gateway signed: 400 for anything else
SOMEBODY_ELSES = "lists/views/<id:pk>/delete/"  # 404 for those who may delete only their own
LEAD_ON = (
    "accounts/logout/",
    "accounts/2fa/authenticate/",
    "accounts/2fa/passkeys/sign-in/",
    "admin/login/",
)  # open doors that end at the sign-in
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.I)
REFUSED = "access.denied"  # the event of a refusal: the page itself has not run
OWN_BUSINESS = ("dashboard_session", '"cache"', "last_login", "account_emailaddress")  # of sessions and of the sign-in


@pytest.fixture
def world(alice):
    cache.clear()
    return make_world(alice)


def expect(route, role, method):
    """The statuses a role may get; admin pages that change records are closed to everybody."""
    if not route.name and route.path.endswith("<path:object_id>/") and role is not Role.REPORTING:
        return {302}  # Django's old address of a record's page leads to its new one
    if route.open_to(role) is False:
        return {403}
    if route.path.startswith("admin/"):
        return expect_in_admin(route, method)
    if route.path == SOMEBODY_ELSES and role not in PERMISSIONS["dashboard.share_view"]:
        return {404}
    if route.path == UNSIGNED and method == "post":
        return {400}
    return FINE | {404} if route.path in NOTHING_THERE else FINE


def expect_in_admin(route, method):
    closed = route.path.endswith("/delete/") or (
        "/user/" not in route.path and (route.path.endswith("/add/") or (route.path.endswith("/change/") and method == "post"))
    )
    if closed or "autocomplete" in route.path:
        return {403, 405}
    return {404} if "admin/r/" in route.path or "?P<url>" in route.path else {200, 302, 405}


def ask(client, route, world, method):
    cookies = deepcopy(client.cookies)  # a sign-out among the routes is undone as well
    with undone():
        answer = getattr(client, method)(route.url(world), DATA.get(route.path, {}) if method == "post" else None)
    client.cookies = cookies
    return answer


def test_every_route_has_its_row():
    unsaid = []
    for route in routes():
        try:
            route.permission()
        except KeyError as error:
            unsaid.append(error.args[0])

    assert len(routes()) > 60
    assert unsaid == []


def test_every_permission_a_view_asks_for_is_in_the_table_and_used():
    asked = {route.permission() for route in routes()} - {None, ""}
    inside = {"customers.moderate_comment", "dashboard.share_view", "dashboard.export", "billing.import_billing"}

    assert asked <= PERMISSIONS.keys()
    assert PERMISSIONS.keys() - asked - inside == set()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", ROLES)
def test_each_role_gets_everywhere_it_may_and_nowhere_else(name, method, world, request):
    client = request.getfixturevalue(f"as_{name}")
    wrong = {}
    for route in routes():
        status = ask(client, route, world, method).status_code
        if status not in expect(route, ROLES[name], method):
            wrong[route.url(world)] = (status, expect(route, ROLES[name], method))

    assert wrong == {}


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_sent_to_sign_in_everywhere_but_at_the_doors(world, method):
    wrong = {}
    for route in routes():
        answer = ask(Client(), route, world, method)
        sent = answer.status_code == 302 and answer.url.startswith((LOGIN, "/admin/login/"))
        if sent != (route.permission() is not None) and route.path not in LEAD_ON:
            wrong[route.path] = answer.status_code

    assert wrong == {}


def test_somebody_switched_off_is_signed_out_at_once(world, as_sue, sue):
    assert as_sue.get("/customers/").status_code == 200
    User.objects.filter(pk=sue.pk).update(is_active=False)

    assert as_sue.get("/customers/").url.startswith(LOGIN)


def test_a_get_writes_nothing(world, as_alice):
    """A payer's own view of a link is the one GET that leaves an event (billing/tests/test_visits.py); staff's is none."""
    written = {}

    def watch(execute, sql, params, many, context):
        if WRITES.match(sql) and not any(word in sql for word in OWN_BUSINESS) and REFUSED not in (params or ()):
            written.setdefault(here, []).append(sql[:120])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        for route in routes():
            here = route.path
            ask(as_alice, route, world, "get")

    assert written == {}


def test_the_watch_on_writes_sees_one(as_alice, alice):
    seen = []
    with connection.execute_wrapper(lambda execute, sql, *rest: (seen.append(bool(WRITES.match(sql))), execute(sql, *rest))[1]):
        as_alice.post("/profile/", {"name": "A", "theme": "system"})

    assert any(seen)


def test_no_post_passes_without_its_token(world, alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    passed = {r.path: s for r in routes() if (s := ask(client, r, world, "post").status_code) != 403}

    assert passed == {UNSIGNED: 400}


def test_other_methods_change_nothing(world, as_alice):
    wrong = {}
    for route in routes():
        for method in ("put", "delete", "patch"):
            status = ask(as_alice, route, world, method).status_code
            if status not in (302, 403, 404, 405) and not route.path.startswith(("accounts/", "admin/")):
                wrong[method, route.path] = status

    assert wrong == {}


def named_by_id():
    return [r for r in routes() if {"pk", "customer", "object_id"} & set(r.params) and r.name and "admin/r/" not in r.path]


def test_an_unknown_id_is_404(world, as_alice):
    wrong = {}
    for route in named_by_id():
        for name in set(route.params) & {"pk", "customer", "object_id"}:
            url = route.url(world, **{name: "cus_" + "f" * 24})
            if not url.endswith(("/delete/", "/history/")) or "/admin/" not in url:
                with undone():
                    wrong[url] = as_alice.get(url).status_code

    assert {url: status for url, status in wrong.items() if status != 404 and status != 405} == {}
    assert len(wrong) > 30


def test_an_id_of_the_other_mode_is_404(world, as_alice):
    as_alice.post("/mode/", {"mode": "live"})
    ours = [r for r in named_by_id() if r.permission() and not r.path.startswith(OF_EITHER_MODE)]

    wrong = {r.path: s for r in ours if (s := ask(as_alice, r, world, "get").status_code) not in (404, 405)}
    posted = {r.path: s for r in ours if (s := ask(as_alice, r, world, "post").status_code) not in (404, 405)}

    assert len(ours) > 25
    assert (wrong, posted) == ({}, {})


def test_the_bare_id_is_as_good(world, as_alice):
    assert as_alice.get(f"/customers/{world.customer.removeprefix('cus_')}/").status_code == 200


def test_only_the_table_gives_rights(rita, sue, max, alice):
    assert not any(allowed(user, "customers.delete_customer") for user in (rita, sue, max, alice))
    assert [r for r in Role if r in PERMISSIONS["dashboard.export"]] == [Role.ADMIN, Role.MANAGER, Role.REPORTING]
    assert [user.is_staff for user in (alice, max, sue, rita)] == [True, True, True, False]


# --- contact data ------------------------------------------------------------------------------------

CANARIES = {
    "email": "canary@secret.example",
    "phone": "+639175550123",
    "line1": "77 Canary Lane",
    "postal": "C4N4RY",
    "metadata": "canary-meta",
}


@pytest.fixture
def canary(alice, world):
    """The walk's records with contact data one would recognise anywhere."""
    from billing.tests.factories import make_open_statement, make_request
    from customers.tests.factories import make_address, make_customer

    found = make_customer(
        by=alice, first_name="Ana", last_name="Bird", email=CANARIES["email"], phone=CANARIES["phone"],
        metadata={"crm": CANARIES["metadata"]},
    )  # fmt: skip
    make_address(found, by=alice, line1=CANARIES["line1"], postal_code=CANARIES["postal"], phone_number=CANARIES["phone"])
    world.customer = found.pk
    world.billingstatement = make_open_statement(found, by=alice).pk
    world.paymentrequest = make_request(found, by=alice).pk
    return found


def words_of(answer):
    """The text of an answer, a PDF's included."""
    body = answer.getvalue() if answer.streaming else answer.content
    if answer.get("Content-Type") == "application/pdf":
        return text_of(body)
    return body.decode()


def leaks(answer):
    """The canaries in an answer, plain, spaced, or inside a cursor."""
    body = words_of(answer)
    for cursor in re.findall(r"(?:after|before)=([\w%-]+)", body):
        body += base64.urlsafe_b64decode(cursor.replace("%3D", "") + "==").decode(errors="replace")
    squeezed = re.sub(r"[\s-]", "", body)
    return [name for name, text in CANARIES.items() if text in body or re.sub(r"[\s-]", "", text) in squeezed]


def lists():
    return [r for r in routes() if hasattr(r.view_class, "table_class")]


def test_reporting_never_sees_contact_data(world, canary, as_rita, as_sue):
    assert set(leaks(as_sue.get(canary.get_absolute_url()))) == set(CANARIES)  # the search for them works
    found = {}
    for route in routes():
        if route.permission() is not None and (told := leaks(ask(as_rita, route, world, "get"))):
            found[route.path] = told
    for route in lists():
        if told := leaks(as_rita.get(route.url(world) + "?format=csv")):
            found[route.path, "csv"] = told

    assert found == {}


def test_reporting_sees_who_it_is_and_masked_how_to_reach_them(canary, as_rita):
    page = as_rita.get(canary.get_absolute_url()).text

    assert "Ana Bird" in page
    assert "c•••@secret.example" in page
    assert "•••23" in page


def test_reporting_finds_nobody_by_contact_data(canary, as_rita, as_sue):
    for text in (CANARIES["email"], "canary", CANARIES["phone"], "9175550123", CANARIES["metadata"]):
        assert as_sue.get("/customers/", {"q": text}, follow=True).text.count("Ana Bird"), text
        assert "Ana Bird" not in as_rita.get("/customers/", {"q": text}, follow=True).text, text
    assert "Ana Bird" in as_rita.get("/customers/", {"q": "bird"}).text
    for text in (CANARIES["email"], CANARIES["phone"], CANARIES["metadata"]):
        assert canary.get_absolute_url() not in as_rita.get("/search/", {"q": text}, follow=True).text, text
    assert canary.get_absolute_url() in as_rita.get("/search/", {"q": "bird"}).text


def test_reporting_sorts_by_no_contact_data_and_no_cursor_tells_any(canary, as_rita, as_sue, alice):
    from customers.tests.factories import make_customer

    for n in range(30):
        make_customer(by=alice, email=f"a{n:02}@secret.example")
    for sort in ("email", "-email"):
        page = as_rita.get("/customers/", {"sort": sort})
        assert "@secret.example" not in "".join(
            base64.urlsafe_b64decode(c + "==").decode(errors="replace") for c in re.findall(r"after=([\w-]+)", page.text)
        )
        assert page.context["page"].order.column == "created_at"
    assert as_sue.get("/customers/", {"sort": "email"}).context["page"].order.column == "email"


@pytest.mark.parametrize(
    "query", ["email=canary@secret.example", "email__startswith=c", "phone=%2B639175550123", "search=canary"]
)
def test_a_filter_nobody_offered_filters_nothing(canary, as_rita, query):
    assert "Ana Bird" in as_rita.get(f"/customers/?{query}").text
    assert "Ana Bird" in as_rita.get(f"/customers/?{query.replace('canary', 'nobody').replace('=c', '=zz')}").text


def test_support_does_not_export(as_sue, as_rita):
    assert as_sue.get("/customers/?format=csv").status_code == 403
    assert as_rita.get("/customers/?format=csv").status_code == 200


# --- the team, in the admin --------------------------------------------------------------------------


def change_url(user):
    return reverse("admin:dashboard_user_change", args=[user.pk])


def test_an_admin_makes_an_account_and_it_is_recorded(as_alice, alice, client, django_capture_on_commit_callbacks, mailoutbox):
    from dashboard.models import Event

    with django_capture_on_commit_callbacks(execute=True):
        done = as_alice.post("/admin/dashboard/user/add/", {"email": "Zoe@Example.com", "name": "Zoe", "role": "manager"})

    zoe = User.objects.get(email="zoe@example.com")
    assert done.status_code == 302
    assert (zoe.role, zoe.has_usable_password()) == ("manager", False)
    made, mailed = Event.objects.filter(object_id=zoe.pk).order_by("pk")
    assert (made.type, made.by) == ("user.created", alice)
    assert mailed.type == "user.reset_asked"
    assert [m.to for m in mailoutbox] == [["zoe@example.com"]]
    assert "/accounts/password/reset/key/" in mailoutbox[0].body


def test_a_weak_password_is_refused_and_a_good_one_signs_in(as_alice, client, db):
    data = {"email": "zoe@example.com", "name": "Zoe", "role": "support"}
    assert as_alice.post("/admin/dashboard/user/add/", data | {"password": "short"}).status_code == 200
    assert not User.objects.filter(email="zoe@example.com").exists()

    as_alice.post("/admin/dashboard/user/add/", data | {"password": PASSWORD})

    cache.clear()
    assert client.post(LOGIN, {"login": "zoe@example.com", "password": PASSWORD}).status_code == 302


def test_an_admin_changes_a_role_and_it_is_recorded(as_alice, alice, sue):
    from dashboard.models import Event

    as_alice.post(change_url(sue), {"name": "Sue", "role": "manager", "is_active": "on"})

    sue.refresh_from_db()
    assert sue.role == "manager"
    event = Event.objects.latest()
    assert (event.type, event.by, event.changes) == ("user.updated", alice, {"role": ["support", "manager"]})


@pytest.mark.parametrize("change", [{"role": "support", "is_active": "on"}, {"role": "admin"}])
def test_nobody_changes_their_own_role_or_switches_themselves_off(as_alice, alice, change, max):
    User.objects.filter(pk=max.pk).update(role="admin")

    told = as_alice.post(change_url(alice), {"name": "Alice"} | change, follow=True)

    alice.refresh_from_db()
    assert (alice.role, alice.is_active) == ("admin", True)
    assert "Nobody changes their own role" in told.text


def test_the_last_admin_stays(alice, max):
    from dashboard import team
    from dashboard.states import DomainError

    User.objects.filter(pk=max.pk).update(is_active=False, role="admin")
    for change in ({"role": "support"}, {"is_active": False}):
        with pytest.raises(DomainError, match="last active admin"):
            team.change_member(alice, by=max, **change)

    User.objects.filter(pk=max.pk).update(is_active=True)
    assert team.change_member(alice, by=max, role="support").role == "support"


@pytest.mark.django_db(transaction=True)
def test_of_two_admins_who_demote_each_other_at_once_one_stays(alice, max):
    from customers.tests.test_customers import at_once
    from dashboard import team
    from dashboard.states import DomainError

    refused = []

    def demote(n):
        other, by = ((alice, max), (max, alice))[n]
        try:
            team.change_member(User.objects.get(pk=other.pk), by=by, role="support")
        except DomainError as error:
            refused.append(str(error))

    for _ in range(5):
        refused.clear()
        User.objects.filter(pk__in=[alice.pk, max.pk]).update(role="admin")
        at_once(2, demote)
        assert User.objects.filter(role="admin").count() == 1
        assert len(refused) == 1


def test_a_new_password_signs_its_owner_out(as_alice, as_sue, sue):
    as_alice.post(change_url(sue), {"name": "Sue", "role": "support", "is_active": "on", "password": "another good passphrase"})

    assert as_sue.get("/customers/").status_code == 302


def test_users_are_never_deleted_and_their_address_stays(as_alice, sue):
    assert as_alice.post(f"/admin/dashboard/user/{sue.pk}/delete/", {"post": "yes"}).status_code == 403
    as_alice.post("/admin/dashboard/user/", {"action": "delete_selected", "_selected_action": [sue.pk], "post": "yes"})
    as_alice.post(change_url(sue), {"name": "Sue", "role": "support", "is_active": "on", "email": "x@example.com"})

    sue.refresh_from_db()
    assert sue.email == "sue@example.com"


def test_an_admin_mails_a_link_and_switches_off_a_lost_second_step(as_alice, sue, mailoutbox):
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=sue, type="totp", data={})
    for action in ("mail_password_link", "remove_second_step"):
        as_alice.post("/admin/dashboard/user/", {"action": action, "_selected_action": [sue.pk], "index": 0})

    assert [m.to for m in mailoutbox] == [["sue@example.com"]]
    assert not Authenticator.objects.filter(user=sue).exists()


# --- records, in the admin -----------------------------------------------------------------------------


def admin_lists():
    return [r for r in routes() if r.name.startswith("admin:") and r.name.endswith("_changelist")]


def test_the_admin_shows_public_ids_in_its_addresses(world, as_sue):
    page = as_sue.get("/admin/customers/customer/?q=ana").text

    assert f'href="/admin/customers/customer/{world.customer}/change/' in page
    assert as_sue.get(f"/admin/customers/customer/{world.customer}/change/").status_code == 200
    assert as_sue.get(f"/admin/customers/customer/{world.customer.replace('_', '_5F')}/change/").status_code == 200
    history = as_sue.get(f"/admin/customers/customer/{world.customer}/history/", follow=True)
    assert "customer.created" in history.text or "Customer created" in history.text


def test_the_admin_searches_as_the_dashboard_does(world, canary, as_sue):
    for text in ("bird ana", CANARIES["email"], "+63 917 555 0123", canary.pk):
        assert "Ana Bird" in as_sue.get("/admin/customers/customer/", {"q": text}).text, text
    assert "Ana Bird" not in as_sue.get("/admin/customers/customer/", {"q": "nobody"}).text
    assert "Ana Bird" in as_sue.get("/admin/customers/address/", {"q": "bird"}).text


def test_no_admin_page_shows_what_opens_a_link(world, as_alice):
    from billing.models import Attempt, PaymentRequest

    request, attempt = PaymentRequest.objects.get(pk=world.paymentrequest), Attempt.objects.get(pk=world.attempt)
    secrets = [request.token, request.token_nonce, request.token_hash, attempt.url, attempt.request_hash]
    pages = [ask(as_alice, r, world, "get") for r in routes() if r.path.startswith("admin/")]

    assert not [p.request["PATH_INFO"] for p in pages for secret in secrets if secret and secret in getattr(p, "text", "")]
    assert all(secrets[:3])


def test_an_admin_list_takes_a_fixed_number_of_queries(world, as_alice, alice, django_assert_max_num_queries):
    from customers.tests.factories import make_address, make_customer

    for _ in range(10):
        make_address(make_customer(by=alice), by=alice)
    for route in admin_lists():
        with django_assert_max_num_queries(9):
            as_alice.get(route.url(world))


def test_the_admin_signs_in_and_out_by_the_same_doors(client, as_sue, as_rita, sue):
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == f"{LOGIN}?next=/admin/"
    assert as_sue.get("/admin/login/").url == "/admin/"
    assert as_sue.get("/admin/password_change/").url == "/accounts/password/change/"
    assert as_rita.get("/admin/").status_code == 403


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_admin_keeps_the_policy_in_a_browser(open_as, axe, alice, theme, transactional_db):
    page = open_as(alice, theme=theme)
    world = make_world(alice)
    for path in ("", "customers/customer/", f"customers/customer/{world.customer}/change/", f"dashboard/user/{alice.pk}/change/"):
        page.goto(f"/admin/{path}")
        axe(page)
    assert page.locator("#site-name").inner_text() == "Counterfoil support"
