"""The table of permissions, and records nobody may reach by their ids. Who gets where is walked in test_route_walk.py."""

from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command

from dashboard import role_table
from dashboard.permissions import PERMISSIONS, Role, allowed, held_by
from dashboard.tests.routes import make_world, routes, undone

OF_EITHER_MODE = ("admin/", "team/")  # staff are real whatever the mode
PAGE = Path(settings.BASE_DIR) / "docs" / "permissions.md"


@pytest.fixture
def world(alice):
    cache.clear()
    return make_world(alice)


def ask(client, route, world, method):
    with undone():
        return getattr(client, method)(route.url(world))


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


# --- in words ------------------------------------------------------------------------------------------------------
def test_every_permission_says_what_it_lets_one_do():
    assert [name for name, held in PERMISSIONS.items() if len(getattr(held, "words", "").split()) < 2] == []
    assert len({held.words for held in PERMISSIONS.values()}) == len(PERMISSIONS)
    assert sum(len(rows) for _, rows in role_table.areas()) == len(PERMISSIONS)


def test_the_page_in_the_docs_is_what_the_code_says(capsys):
    call_command("permissions")

    assert PAGE.read_text() == capsys.readouterr().out, "Run ./run permissions > docs/permissions.md"


def test_the_page_would_differ_if_a_role_got_more(monkeypatch):
    held = PERMISSIONS["dashboard.manage_team"]
    monkeypatch.setitem(PERMISSIONS, "dashboard.manage_team", held_by(held | {Role.SUPPORT}, held.words))

    assert role_table.markdown() != PAGE.read_text()


def test_the_help_page_has_the_same_table(as_rita, as_alice):
    page = as_rita.get("/help/roles/")

    assert page.status_code == 200
    assert 'yours is <b class="b">Reporting</b>' in page.text
    for _, rows in role_table.areas():
        for row in rows:
            told = page.text[page.text.index(f"<td>{row.words}<") :].partition("</tr>")[0]
            assert told.endswith(f">{row.who}</td>"), row.name
    assert {row.who for _, rows in role_table.areas() for row in rows} >= {"Everybody", "Admin", "Admin, Manager"}
    assert 'href="/help/roles/"' in as_alice.get("/team/").text
