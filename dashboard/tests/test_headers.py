"""The exact security headers of the trust model, on every kind of answer; and nothing inline anywhere."""

import re

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.test.utils import override_settings

from dashboard.tests.routes import make_world, routes, undone

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
ALWAYS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
PAGES = {"X-Frame-Options": "DENY"}


def missing(answer, wanted):
    return {name: answer.get(name) for name, text in wanted.items() if answer.get(name) != text}


def test_every_answer_of_every_route_has_them(alice, as_alice):
    cache.clear()
    world = make_world(alice)
    wrong = {}
    for client in (as_alice, Client()):
        for route in routes():
            with undone():
                answer = client.get(route.url(world))
            lacks = missing(answer, ALWAYS | PAGES) | missing_privacy(answer, route)
            if lacks:
                wrong[route.path or "/", answer.status_code] = lacks

    assert wrong == {}


def missing_privacy(answer, route):
    """Nothing is stored, and a payer's secret link is told to nobody."""
    found = {}
    if (
        "no-store" not in answer.get("Cache-Control", "")
        and "jsi18n" not in route.path
        and not answer.get("Location", "").startswith("/admin/")
    ):
        found["Cache-Control"] = answer.get("Cache-Control")
    referrer = "no-referrer" if route.path.startswith("pay/") else "same-origin"
    if answer.get("Referrer-Policy") != referrer and not route.path.startswith("sandbox/"):
        found["Referrer-Policy"] = answer.get("Referrer-Policy")
    return found


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts/login/", 200),
        ("/customers/", 302),
        ("/no/such/page/", 404),
        ("/mode/", 405),
        ("/healthz", 200),
        ("/static/css/app.css", 200),
    ],
)
def test_strangers_get_them_too(client, db, path, status):
    answer = client.get(path, follow=False)
    if path == "/mode/":
        assert answer.status_code == 302
    else:
        assert answer.status_code == status
    assert missing(answer, ALWAYS if path.startswith("/static/") else ALWAYS | PAGES) == {}


def test_refusals_and_faults_have_them(as_rita, as_max, monkeypatch, max):
    from dashboard import pages

    assert missing(as_rita.get("/customers/new/"), ALWAYS | PAGES) == {}
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(max)
    assert missing(strict.post("/mode/"), ALWAYS | PAGES) == {}
    assert missing(as_max.get("/mode/"), ALWAYS | PAGES) == {}
    assert missing(as_max.get("/customers/", headers={"host": "evil.example"}), ALWAYS) == {}

    monkeypatch.setattr(pages.Profile, "get_initial", lambda self: 1 / 0)
    as_max.raise_request_exception = False
    fault = as_max.get("/profile/")
    assert fault.status_code == 500
    assert missing(fault, ALWAYS | PAGES) == {}


def test_http_promises_no_tls_and_https_does(client, db):
    assert "Strict-Transport-Security" not in client.get("/accounts/login/")

    with override_settings(SECURE_HSTS_SECONDS=31536000, SECURE_HSTS_INCLUDE_SUBDOMAINS=True, SECURE_HSTS_PRELOAD=True):
        answer = Client().get("/accounts/login/", secure=True)
    assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"


def test_nobody_elses_pages_may_read_ours(client, db):
    answer = client.get("/accounts/login/", headers={"origin": "https://evil.example"})

    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_cookies_of_the_session_are_for_the_server_alone(client, alice):
    client.force_login(alice)
    client.get("/profile/")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]

    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert settings.CSRF_COOKIE_HTTPONLY


def test_a_host_that_is_not_ours_is_refused(client, db):
    assert client.get("/accounts/login/", headers={"host": "evil.example"}).status_code == 400


INLINE = re.compile(
    r"""<style[\s>]|\sstyle\s*=|\son\w+\s*=\s*["']|javascript:|<script(?![^>]*\ssrc=)[^>]*>"""
    r"""|(?:src|href)\s*=\s*["']?data:|hx-on|<iframe|<object|<embed""",
    re.I,
)


def our_templates():
    folders = [
        settings.BASE_DIR / "templates",
        *[
            config.path
            for config in apps.get_app_configs()
            if str(config.path).startswith(str(settings.BASE_DIR)) and ".venv" not in str(config.path)
        ],
    ]
    return sorted(
        {
            f
            for folder in folders
            for kind in ("*.html", "*.svg")
            for f in settings.BASE_DIR.joinpath(folder).rglob(kind)
            if ".venv" not in f.parts
        }
    )


def test_no_template_of_ours_holds_anything_inline():
    found = {
        str(f.relative_to(settings.BASE_DIR)): m[0]
        for f in our_templates()
        if "mail" not in f.parts and (m := INLINE.search(f.read_text()))
    }

    assert len(our_templates()) > 60
    assert found == {}


def test_the_search_for_inline_code_finds_it():
    for bad in (
        '<p style="x">',
        '<a onclick="x()">',
        "<script>x</script>",
        '<a href="javascript:x">',
        '<img src="data:x">',
        "<style>",
    ):
        assert INLINE.search(bad), bad
    assert not INLINE.search('<script src="/static/js/app.js" defer></script><a href="/x" data-once="1">')


def test_no_page_anybody_gets_holds_anything_inline(alice, as_alice):
    cache.clear()
    world = make_world(alice)
    found = {}
    for route in routes():
        with undone():
            answer = as_alice.get(route.url(world))
        if "text/html" in answer.get("Content-Type", "") and (m := INLINE.search(answer.text)):
            found[route.path] = answer.text[max(0, m.start() - 60) : m.end() + 40]

    assert found == {}


def test_no_style_sheet_or_script_of_ours_reaches_outside():
    files = [f for f in (settings.BASE_DIR / "static").rglob("*") if f.suffix in (".css", ".js") and "vendor" not in f.parts]

    assert len(files) >= 3
    for file in files:
        text = file.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org)|//[a-z]+\.[a-z]+/|eval\(|new Function|innerHTML\s*=", text), file.name
