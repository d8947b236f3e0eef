"""Small things a reviewer looks for and no other file is about: fields, verbs, files, lengths of secrets, ends of links."""

import base64
import re
import ssl
from datetime import timedelta

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.core import signing
from django.core.mail import mailers
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone
from django.utils.html import escape

from billing.models.links import make_token
from billing.tests.factories import make_open_statement
from conftest import PASSWORD
from customers.tests.factories import make_customer
from dashboard import encryption, first_start, second_step, tokens
from dashboard.api.keys import create_key
from dashboard.backups import sealed
from dashboard.models import Event, Invitation, User
from dashboard.tests.test_settings import load  # noqa: F401  a fixture
from dashboard.tokens import hash_token

pytestmark = pytest.mark.django_db
BOX = re.compile(r"<input[^>]*\bname=\"(?:password\d?|oldpassword)\"[^>]*>")


# --- signing in ---------------------------------------------------------------------------------------------
def test_password_boxes_hide_what_is_typed_and_let_a_password_manager_fill_them(client, as_sue):
    pages = client.get("/accounts/login/").text + as_sue.get("/accounts/password/change/").text
    boxes = BOX.findall(pages)

    assert len(boxes) == 4
    for box in boxes:
        assert 'type="password"' in box
        assert re.search(r'autocomplete="(current|new)-password"', box)
        assert "maxlength" not in box
        assert "readonly" not in box
    assert "paste" not in pages


def test_a_password_does_not_run_out(client, sue):
    User.objects.filter(pk=sue.pk).update(created_at=timezone.now() - timedelta(days=2000), last_login=None)

    assert client.post("/accounts/login/", {"login": sue.email, "password": PASSWORD}).status_code == 302
    assert client.get("/customers/").status_code == 200


def test_a_reset_link_ends_after_its_days(client, sue, monkeypatch):
    key = f"{user_pk_to_url_str(sue)}-{default_token_generator.make_token(sue)}"
    later = type(default_token_generator)._now(default_token_generator) + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT + 1)
    path = f"/accounts/password/reset/key/{key}/"

    assert client.get(path).status_code == 302  # on to the form, with the key out of the address
    monkeypatch.setattr(type(default_token_generator), "_now", lambda self: later)
    told = Client().get(path)
    assert told.status_code == 200
    assert 'type="password"' not in told.text


def test_a_code_of_an_authenticator_is_good_for_its_half_minute(sue, monkeypatch):
    from allauth.mfa.totp.internal import auth

    secret, now = generate_totp_secret(), 1_800_000_015
    monkeypatch.setattr(auth.time, "time", lambda: now)
    found = TOTP.activate(sue, secret)

    def code(at):
        return format_hotp_value(hotp_value(secret, at // 30))

    assert not found.validate_code(code(now - 60))
    assert not found.validate_code(code(now + 60))
    assert found.validate_code(code(now))


def test_seeds_and_codes_cannot_be_guessed(sue):
    seeds = {generate_totp_secret() for _ in range(200)}
    codes = RecoveryCodes.activate(sue).generate_codes()

    assert len(seeds) == 200
    assert all(len(seed) * 5 >= 160 for seed in seeds)  # base32
    assert len(set(codes)) == 10
    assert all(len(code) == 8 and code.isdecimal() for code in codes)  # 26 bits


def test_the_first_password_of_a_live_installation_opens_nothing_but_a_new_one(settings, client):
    settings.SECURE, settings.ADMIN_PASSWORD, settings.REQUIRE_SECOND_STEP = True, "", ()
    User.objects.all().delete()
    email, password = first_start.create_first_admin()
    admin = User.objects.get(email=email)
    client.post("/accounts/login/", {"login": email, "password": password})

    for path in ("/customers/", "/team/", "/admin/"):
        assert client.get(path).url == "/accounts/password/change/"
    made = client.post("/team/invite/", {"email": "x@example.com", "role": "admin"})
    assert (made.url, Invitation.objects.count()) == ("/accounts/password/change/", 0)
    assert "of your own" in client.get("/accounts/password/change/").text

    new = "four quiet otters sing"
    client.post("/accounts/password/change/", {"oldpassword": password, "password1": new, "password2": new})
    assert not second_step.has_printed_password(admin)
    assert client.get("/customers/").status_code == 200


def test_a_password_from_the_environment_was_chosen(settings, client):
    settings.SECURE, settings.ADMIN_PASSWORD, settings.REQUIRE_SECOND_STEP = True, "five quiet otters sing", ()
    User.objects.all().delete()
    email, _none = first_start.create_first_admin()
    client.post("/accounts/login/", {"login": email, "password": settings.ADMIN_PASSWORD})

    assert client.get("/customers/").status_code == 200
    assert Event.objects.filter(type="user.created").count() == 1


def test_every_page_of_staff_has_a_way_out(as_alice):
    for path in ("/customers/", "/overview/", "/profile/", "/team/", "/help/", "/activity/", "/billing/payments/", "/admin/"):
        assert re.search(r'<form[^>]*action="/accounts/logout/"', as_alice.get(path).text), path


# --- secrets are long and drawn by the system -----------------------------------------------------------------
def test_whatever_opens_something_has_128_bits_or_more(as_alice, alice):
    session = as_alice.cookies[settings.SESSION_COOKIE_NAME].value
    _key, secret = create_key(name="Shop", livemode=False, scopes=["read"], by=alice)
    statement = make_open_statement(make_customer(by=alice, email="ana@example.com"), by=alice)

    assert (len(session), len(VALID_KEY_CHARS)) == (32, 36)  # 165 bits
    assert len(secret.removeprefix("sk_test_")) == 43  # 256 bits
    assert len(make_token(statement.pk, statement.token_nonce)) == 43  # 256 bits
    assert len({tokens.new_nonce() for _ in range(1000)}) == 1000
    assert len(tokens.new_nonce()) == 32


# --- verbs, files, kinds of answers --------------------------------------------------------------------------
def test_nothing_answers_trace(client, as_alice):
    for path in ("/accounts/login/", "/customers/", "/api/v1/customers", "/healthz"):
        answer = as_alice.generic("TRACE", path, headers={"x-secret": "canary-of-trace"})
        assert answer.status_code in (403, 405), path
        assert "canary-of-trace" not in answer.text


@pytest.mark.parametrize("path", ["/.git/HEAD", "/.git/config", "/static/", "/static/css/", "/manage.py", "/requirements.txt"])
def test_neither_folders_nor_files_of_ours_are_served(client, as_alice, path):
    for visitor in (client, as_alice):
        answer = visitor.get(path)
        assert answer.status_code == 404 or answer.url.startswith("/accounts/login/")


def test_every_kind_of_answer_says_what_it_is_and_how_its_letters_are_written(client, as_alice):
    kinds = {
        "/customers/": "text/html; charset=utf-8",
        "/no/such/page/": "text/html; charset=utf-8",
        "/customers/?format=csv": "text/csv; charset=utf-8",
        "/api/v1/customers": "application/json; charset=utf-8",
        "/api/v1/nothing": "application/json",  # UTF-8 by RFC 8259
        "/healthz": "text/plain",
        "/static/css/app.css": 'text/css; charset="utf-8"',
        "/static/js/app.js": 'text/javascript; charset="utf-8"',
    }

    assert {path: as_alice.get(path)["Content-Type"] for path in kinds} == kinds


@pytest.mark.parametrize("path", ["/api/v1/customers", "/webhooks/sandbox/"])
def test_programs_that_ask_over_plain_http_are_refused_and_people_led_on(client, path):
    with override_settings(SECURE_SSL_REDIRECT=True):
        for answer in (client.get(path), client.post(path, b"{}", content_type="application/json")):
            assert answer.status_code == 403
            assert "Location" not in answer
            assert answer["Content-Type"] == "application/json"
            assert "https" in answer.json()["errors"][0]["detail"]
        assert client.get("/customers/").url == "https://testserver/customers/"


def test_what_looks_like_a_template_or_a_format_is_text(as_alice, alice):
    name = "{0.__class__} %s %(name)s {{ 7|add:7 }} ${x} \\1"
    customer = make_customer(by=alice, company_name=name)

    assert escape(name) in as_alice.get(f"/customers/{customer.pk}/").text
    assert name in as_alice.get("/customers/?format=csv").getvalue().decode("utf-8-sig")


# --- on its way out ------------------------------------------------------------------------------------------
def test_the_mail_servers_certificate_is_checked():
    with override_settings(
        MAILERS={
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": {"host": "mail.example.com", "use_tls": True},
            }
        }
    ):
        context = mailers["default"].ssl_context

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.one_database
def test_a_database_elsewhere_can_be_asked_over_tls_alone(load):  # noqa: F811
    found = load(DATABASE_URL="postgres://shop:secret@db.example.com/counterfoil?sslmode=verify-full")["DATABASES"]["default"]

    assert found["OPTIONS"]["sslmode"] == "verify-full"


@pytest.mark.one_database
def test_the_proxies_speak_new_tls_alone_with_certificates_everybody_trusts():
    nginx, caddy = ((settings.BASE_DIR / "deploy" / name).read_text() for name in ("nginx.conf", "Caddyfile"))

    assert re.findall(r"ssl_protocols (.*);", nginx) == ["TLSv1.2 TLSv1.3"]
    ciphers = re.search(r"ssl_ciphers (.*);", nginx)[1].split(":")
    assert all(name.startswith("ECDHE-") and name.endswith(("SHA256", "SHA384", "POLY1305")) for name in ciphers)
    assert "/etc/letsencrypt/" in nginx
    assert "tls internal" not in caddy
    assert "tls " not in caddy
    for text in (nginx, caddy):
        assert re.search(r"(api\|webhooks|/api/\* /webhooks/\*)", text)
        assert "403" in text


@pytest.mark.one_database
def test_cookies_of_a_live_installation_are_bound_to_host_and_tls():
    """Read as a start would: each is a constant of its module."""
    import os
    import subprocess
    import sys
    import tempfile

    script = (
        "import django; django.setup(); from django.conf import settings as s; from dashboard import pages, throttle;"
        "from billing.views import pay; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, pages.THEME_COOKIE, throttle.COOKIE,"
        "pay.COOKIE)"
    )
    with tempfile.TemporaryDirectory() as folder:
        live = {"SITE_URL": "https://billing.example.com", "MAIL_URL": "smtp://mail.example.com", "DATA_DIR": folder}
        env = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "dashboard.settings"} | live
        said = subprocess.run([sys.executable, "-c", script], env=env, cwd=settings.BASE_DIR, capture_output=True, text=True)

    names = said.stdout.split()
    assert len(names) == 5, said.stderr
    assert all(name.startswith("__Host-") for name in names[:4])
    assert names[4].startswith("__Secure-")  # bound to one path besides, which __Host- forbids
    script = (settings.BASE_DIR / "static" / "js" / "app.js").read_text()
    assert '"__Host-theme"' in script


# --- signatures and ciphers ------------------------------------------------------------------------------------
@pytest.mark.one_database
def test_a_token_chooses_neither_its_algorithm_nor_its_key():
    """Signed values of ours are data, time and signature; what else they claim is not read."""
    good = signing.dumps({"user": 1}, salt="a")

    assert signing.loads(good, salt="a") == {"user": 1}
    weak = signing.TimestampSigner(salt="a", algorithm="sha1").sign_object({"user": 1})
    for forged in (
        weak,
        signing.dumps({"user": 1}, salt="b"),
        signing.dumps({"user": 1}, salt="a", key="a key of somebody else's " * 2),
        good.rpartition(":")[0],
        good.rpartition(":")[0] + ":",
        "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoxfQ.",  # a JWT that wants no signature
        good[:-1] + ("A" if good[-1] != "A" else "B"),
    ):
        with pytest.raises(signing.BadSignature):
            signing.loads(forged, salt="a")


@pytest.mark.one_database
def test_the_ciphers_in_use_are_the_approved_ones():
    token = encryption.encrypt("a quiet otter", "test")
    raw = base64.urlsafe_b64decode(token)

    assert raw[0] == 0x80  # Fernet: AES-128-CBC, and HMAC-SHA256 over all of it
    assert b"otter" not in raw
    assert encryption.encrypt("a quiet otter", "test") != token  # another IV each time
    assert encryption.decrypt(token[:-6] + "AAAAA=", "test") is None
    assert sealed.AESGCM.generate_key(bit_length=256)
    assert len(signing.TimestampSigner().signature("x")) == 43  # SHA-256
    assert len(hash_token("x")) == 64


@pytest.mark.one_database
def test_no_password_is_preset(load):  # noqa: F811
    """Neither of the database, nor of mail, nor of the admin, nor the key all hangs on."""
    found, other = load(), load(DATA_DIR=f"{settings.DATA_DIR}/other")

    assert found["ADMIN_PASSWORD"] == ""
    assert found["MAIL_URL"] == "console:"
    assert not found["DATABASES"]["default"].get("PASSWORD")
    assert found["SECRET_KEY"] != other["SECRET_KEY"]
    example = (settings.BASE_DIR / "deploy" / "counterfoil.env").read_text()
    assert "SECRET_KEY=" not in example
    assert "ADMIN_PASSWORD=" not in example
