"""People and records in the admin: accounts and roles, public ids, the dashboard's own search, the same doors.

Who gets which of its pages, and that none shows what opens a link, is the walk's business (test_route_walk.py).
"""

import pytest
from django.core.cache import cache
from django.urls import reverse

from conftest import PASSWORD
from dashboard.models import User
from dashboard.tests.canaries import CANARIES
from dashboard.tests.routes import make_world, routes

LOGIN = "/accounts/login/"


@pytest.fixture
def world(alice):
    """One record of each kind; its customer is Ana Bird, with the canaries' contact data."""
    cache.clear()
    return make_world(alice)


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


def test_the_admin_searches_as_the_dashboard_does(world, as_sue):
    for text in ("bird ana", CANARIES["email"], "+63 917 555 0123", world.customer):
        assert "Ana Bird" in as_sue.get("/admin/customers/customer/", {"q": text}).text, text
    assert "Ana Bird" not in as_sue.get("/admin/customers/customer/", {"q": "nobody"}).text
    assert "Ana Bird" in as_sue.get("/admin/customers/address/", {"q": "bird"}).text


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
