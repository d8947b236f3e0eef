"""The exact security headers of the trust model, on every kind of answer; and nothing inline anywhere."""

import re

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings

from dashboard.tests.routes import make_world, routes, undone

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
EXACT = {  # trust model §4, every name and value
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",
}
PAYERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}
OVER_TLS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload"}
HSTS = {"SECURE_HSTS_SECONDS": 31536000, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True, "SECURE_HSTS_PRELOAD": True}
OWN = {  # what an answer says of itself
    "Content-Type", "Content-Length", "Content-Disposition", "Location", "Allow", "Vary", "X-Request-ID", "Retry-After",
    "WWW-Authenticate", "Last-Modified", "ETag", "Clear-Site-Data", "Content-Language", "Content-Encoding", "HX-Redirect",
}  # fmt: skip


def differing(answer, wanted=EXACT):
    """{header: value} of those an answer has, lacks or has otherwise than it should. Its own facts are its own affair."""
    found = {name: value for name, value in answer.headers.items() if name not in OWN}
    return dict(found.items() ^ wanted.items())


def test_every_answer_of_every_route_has_exactly_these_and_nothing_inline(alice, as_alice):
    """Staff over TLS, strangers without; what it costs to ask every route is paid once for both questions."""
    world = make_world(alice)
    wrong, inline = {}, {}
    with override_settings(**HSTS):
        signed_in = Client()
        signed_in.cookies = as_alice.cookies
        for client, tls in ((signed_in, True), (Client(), False)):
            for route in routes():
                with undone():
                    answer = client.get(route.url(world), secure=tls)
                wanted = EXACT | (PAYERS if route.path.startswith(("pay/", "sandbox/")) else {}) | (OVER_TLS if tls else {})
                if found := differing(answer, wanted):
                    wrong[route.path or "/", answer.status_code] = found
                if "text/html" in answer.get("Content-Type", "") and (m := INLINE.search(answer.text)):
                    inline[route.path] = answer.text[max(0, m.start() - 60) : m.end() + 40]

    assert wrong == {}
    assert inline == {}


@pytest.mark.django_db
@pytest.mark.parametrize("tls", [True, False])
def test_other_answers_have_exactly_them_too(alice, as_alice, tls):
    """Files, downloads, the API, refused deliveries, verbs and addresses that do not exist."""
    with override_settings(**HSTS):
        client = Client()
        client.cookies = as_alice.cookies
        answers = {
            "csv": client.get("/customers/?format=csv", secure=tls),
            "api": client.get("/api/v1/customers", secure=tls),
            "api refuses": Client().get("/api/v1/customers", secure=tls),
            "no verb": client.get("/theme/", secure=tls),
            "nowhere": client.get("/no/such/page/", secure=tls),
            "slash": client.get("/customers", secure=tls),
            "unsigned": client.post("/webhooks/sandbox/", b"{}", content_type="application/json", secure=tls),
            "signed out": client.post("/accounts/logout/", secure=tls),
        }
        files = [Client().get(f"/static/{name}", secure=tls) for name in ("css/app.css", "js/app.js")]

    wanted = EXACT | (OVER_TLS if tls else {})
    assert {what: found for what, answer in answers.items() if (found := differing(answer, wanted))} == {}
    assert [a.status_code for a in answers.values()] == [200, 200, 401, 405, 404, 301, 400, 302]
    for file in files:
        assert differing(file, wanted | {"Cache-Control": "max-age=60, public"}) == {}
        assert file.status_code == 200


@pytest.mark.django_db
def test_the_redirect_to_tls_has_them(client):
    with override_settings(SECURE_SSL_REDIRECT=True, **HSTS):
        answer = Client().get("/accounts/login/")

    assert (answer.status_code, answer.url) == (301, "https://testserver/accounts/login/")
    assert differing(answer) == {}


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


def test_no_style_sheet_or_script_of_ours_reaches_outside():
    files = [f for f in (settings.BASE_DIR / "static").rglob("*") if f.suffix in (".css", ".js") and "vendor" not in f.parts]

    assert len(files) >= 3
    for file in files:
        text = file.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org)|//[a-z]+\.[a-z]+/|eval\(|new Function|innerHTML\s*=", text), file.name


def test_scripts_and_styles_of_ours_carry_what_a_browser_checks_them_by(tmp_path, monkeypatch):
    """SRI, wherever file names are made from contents. Every template that names such a file says it."""
    from whitenoise.storage import CompressedManifestStaticFilesStorage

    from dashboard.templatetags import ui

    storage = CompressedManifestStaticFilesStorage(location=tmp_path, base_url="/static/")
    (tmp_path / "a.1234.js").write_bytes(b"alert(1)")
    storage.hashed_files = {"a.js": "a.1234.js"}
    monkeypatch.setattr(ui, "staticfiles_storage", storage)
    named = [
        (f, m[1], m[0])
        for f in our_templates()
        for m in re.finditer(r"""static '((?:js|css|vendor)/[^']+)' %}"[^>]*>""", f.read_text())
    ]
    bare = [(str(f), name) for f, name, tag in named if "{% integrity '" + name + "' %}" not in tag]

    # $ printf 'alert(1)' | openssl dgst -sha384 -binary | openssl base64 -A
    assert ui.integrity("a.js") == ' integrity="sha384-HT2E9NfWiuQ/w1PRai+hTyqW16NIoCGA/m8VQDUopfAtcz6YQjtsMmQd5uRbVDpW"'
    assert len(named) >= 8
    assert bare == []
