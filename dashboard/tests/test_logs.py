"""The log: a line for each request, JSON a machine reads, and no secret, address or card number in it."""

import io
import json
import logging
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError
from django.test import Client

from billing.drills.canaries import Canaries, tables
from billing.tests.factories import make_customer, make_request
from dashboard import logs, pages
from dashboard.ids import new_hex
from dashboard.logs import JsonLines, Lines, scrub
from dashboard.middleware import RequestIdFilter
from dashboard.tests.test_signin import SECRET as SEED
from dashboard.tests.test_signin import code_now

CARD = "4242424242424242"


@pytest.fixture
def log():
    """log(JsonLines) collects everything that is logged from now on, in a format."""
    handlers, root = [], logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in (None, "dashboard.access")}

    def listen(formatter):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter())
        handler.addFilter(RequestIdFilter())
        for logger in (root, logging.getLogger("django.server")):
            logger.addHandler(handler)
            handlers.append((logger, handler))
        root.setLevel(logging.DEBUG)
        return stream

    yield listen
    for logger, handler in handlers:
        logger.removeHandler(handler)
    root.setLevel(levels[None])


def lines(stream, logger=None):
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [told for told in found if told["logger"] == logger] if logger else found


def faulty(client, monkeypatch, error):
    """A request that ends in a fault of ours."""

    def raise_it(self):
        raise error

    monkeypatch.setattr(pages.Profile, "get_initial", raise_it)
    client.raise_request_exception = False
    return client.get("/profile/?q=Elisabeth+Canary", headers={"authorization": "Bearer abcDEF123456"})


# --- lines -------------------------------------------------------------------------------------------------


def test_each_request_is_one_json_line_with_who_what_and_how_long(as_max, max, log):
    stream = log(JsonLines)

    answer = as_max.get("/customers/?q=marta")

    (told,) = lines(stream, "dashboard.access")
    assert told["request"] == answer["X-Request-ID"]
    assert (told["user"], told["ip"], told["method"], told["path"]) == (max.pk, "127.0.0.1", "GET", "/customers/")
    assert (told["status"], told["level"]) == (200, "INFO")
    assert told["ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["time"])
    assert "marta" not in stream.getvalue()


def test_a_fault_is_one_line_with_its_traceback_and_the_same_reference(as_max, monkeypatch, log):
    stream = log(JsonLines)

    answer = faulty(as_max, monkeypatch, ValueError("broken"))

    (told,) = [line for line in lines(stream) if "exception" in line]
    assert told["request"] == answer["X-Request-ID"]
    assert "ValueError: broken" in told["exception"]
    assert told["path"] == "/profile/"


def test_probes_and_static_files_make_no_noise(client, db, log):
    stream = log(JsonLines)
    logging.getLogger().setLevel(logging.INFO)

    for path in ("/healthz", "/readyz", "/static/css/app.css"):
        client.get(path)

    assert lines(stream, "dashboard.access") == []


@pytest.mark.parametrize("formatter", [JsonLines, Lines])
def test_nothing_anybody_sends_can_begin_a_line(formatter, log, rf):
    stream = log(formatter)
    forged = "2026-01-01T00:00:00.000Z INFO dashboard.access [-] GET /forged 200"

    try:
        raise ValueError(f"x\r\n{forged}")
    except ValueError:
        logging.getLogger("dashboard.test").exception("said: %s", f"a\n{forged}\u2028{forged}\x1b[2J")

    written = stream.getvalue()
    assert not re.search(r"^" + re.escape(forged), written, re.M)
    assert "\x1b" not in written
    assert "\u2028" not in written


def test_people_read_a_line_too(as_max, max, log):
    stream = log(Lines)

    answer = as_max.get("/customers/")

    line = next(line for line in stream.getvalue().splitlines() if "dashboard.access" in line)
    assert re.search(rf"Z INFO dashboard\.access \[{answer['X-Request-ID']}\] GET /customers/ 200 [\d.]+ms {max.pk} 127", line)


# --- what is not in it -------------------------------------------------------------------------------------


def test_a_payers_link_is_not_in_the_log(client, db, log):
    stream, request = log(JsonLines), make_request()

    client.get(f"/pay/checkout/{request.token}/")
    client.get(f"/pay/checkout/{request.token}x/")
    client.get(f"/pay/card/{request.token}/nothing/")
    client.get("/accounts/password/reset/key/3-cnbk2i-0123456789abcdef0123456789abcdef/")

    assert request.token not in stream.getvalue()
    assert "cnbk2i" not in stream.getvalue()
    assert "/pay/checkout/\\u2026/" in stream.getvalue()


@pytest.mark.parametrize("formatter", [JsonLines, Lines])
def test_canaries_sent_by_any_way_are_not_in_the_log(formatter, alice, as_alice, client, db, monkeypatch, log):
    stream = log(formatter)
    canaries = {
        "header": "Hq7canaryHEADER9zk", "cookie": "Cq7canaryCOOKIE9zk", "query": "canary Elisabeth", "body": "canary Ottilie",
        "password": "hunter2 canary", "json": "json canary Leopold", "email": "canary@private.example", "card": CARD,
    }  # fmt: skip

    def tell_all(request, *args, **kwargs):
        request.body  # noqa: B018  (read, as a view would)
        logging.getLogger("dashboard.test").error("got %s", dict(request.headers))
        logging.getLogger("dashboard.test").error("cookies %s and %s", request.COOKIES, request.META.get("HTTP_COOKIE"))
        logging.getLogger("dashboard.test").error("sent %s %s %s", dict(request.POST), dict(request.GET), request.body[:3000])
        raise RuntimeError(" | ".join(value for name, value in canaries.items() if name != "json" or not request.POST))

    for name in ("home", "set_theme"):
        monkeypatch.setattr(pages, name, tell_all)
    monkeypatch.setattr(pages.Profile, "dispatch", lambda self, request, *a, **k: tell_all(request))
    as_alice.raise_request_exception = False
    as_alice.cookies["other"] = canaries["cookie"]
    headers = {"authorization": f"Bearer {canaries['header']}", "x-api-key": canaries["header"]}
    form = {"name": canaries["body"], "password": canaries["password"], "to": canaries["email"], "number": CARD}
    session = as_alice.cookies[settings.SESSION_COOKIE_NAME].value

    as_alice.post("/profile/?q=" + canaries["query"], form, headers=headers)
    as_alice.post(
        "/profile/", json.dumps({"a": {"b": canaries["json"]}} | form), content_type="application/json",
        headers=headers, query_params={"q": canaries["query"]},
    )  # fmt: skip

    written = stream.getvalue()
    assert "RuntimeError" in written
    told = {name for name, value in canaries.items() if value in written}
    assert told == set()
    assert session not in written


def test_a_sign_in_that_fails_logs_neither_password_nor_address(client, db, log):
    stream = log(JsonLines)

    client.post("/accounts/login/", {"login": "someone@private.example", "password": "canary-password-1"})

    assert "canary-password-1" not in stream.getvalue()
    assert "private.example" not in stream.getvalue()


def test_what_a_form_held_is_not_in_the_log_as_a_browser_spells_it(client, db, log):
    """A line of ours that told the raw body would tell names: "%20" hides where a card number begins."""
    stream, typed = log(JsonLines), "Ottilie Å 4539-5787-6362-1486 / x"
    answer = client.post("/accounts/login/", {"login": typed, "password": "x"})

    for spelled in (typed, quote(typed), quote(typed, safe=""), quote_plus(typed)):
        logging.getLogger("dashboard.test").error("got b'login=%s&x=1'", spelled, extra={"request": answer.wsgi_request})

    assert "Ottilie" not in stream.getvalue()
    assert "1486" not in stream.getvalue()


@pytest.mark.parametrize(
    "text, gone",
    [
        ("Authorization: Bearer sk_live_abc", "sk_live_abc"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("Cookie: session=abcdef; csrf=ghijkl", "ghijkl"),
        ("password=hunter2 and more", "hunter2"),
        ('{"client_secret": "pi_1_secret_2"}', "pi_1_secret_2"),
        ("postgres://shop:pw-of-db@10.0.0.1/shop", "pw-of-db"),
        ("mail to ana.maria+x@example.co.uk failed", "ana.maria"),
        ("/team/?q=ana%40example.com", "ana%40"),
        ("key sk_test_4eC39HqLyjWDarjtT1zdp7dc was used", "4eC39HqLyjWDarjtT1zdp7dc"),
        ("session 0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p ended", "0a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p"),
        ("DETAIL:  Failing row contains (cus_1, Ana, 12 Hill\nRoad, null).\nCONTEXT: x", "Road"),
        ("LINE 1: INSERT INTO customers VALUES ('Ana Santos')\n   ^", "Santos"),
        (f"card {CARD}", CARD),
    ],
)
def test_what_has_the_form_of_a_secret_is_taken_out(text, gone):
    assert gone in text
    assert gone not in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "GET /customers/cus_0193f0c1d2a7b34e5f607182/ 200",
        "File dashboard/migrations/0006_comments_by_api_and_more.py, line 12, in database_forwards",
        "relation customers_customer_created_by_id_8f2a1b does not exist",
        "ContentSecurityPolicyMiddleware.process_response",
        "0193f0c1-d2a7-4b34-8e5f-607182aabbcc",
        "the total says 5 in 1 payments",
    ],
)
def test_what_helps_to_find_a_fault_stays(text):
    assert scrub(text) == text


def test_the_value_of_a_unique_row_is_not_logged(db, log):
    stream = log(JsonLines)
    try:
        raise IntegrityError('duplicate key value violates unique constraint "x"\nDETAIL:  Key (name)=(Ottilie) already exists.')
    except IntegrityError:
        logging.getLogger("dashboard.test").exception("not saved")

    assert "duplicate key value" in stream.getvalue()
    assert "Ottilie" not in stream.getvalue()


def test_reading_what_a_request_sent_reads_no_body_of_its_own(rf):
    request = rf.post("/x/", {"name": "Ottilie the first"})

    assert logs.sent_values(request) == []
    assert request.POST["name"] == "Ottilie the first"
    assert "Ottilie the first" in logs.sent_values(request)


def test_scrubbing_a_long_line_is_quick():
    for text in ("a@" * 10_000, "x" * 20_000, "password=" * 2_000, "DETAIL:" * 3_000, "4 " * (logs.LONGEST // 2), "://" * 6_000):
        began = time.process_time()
        scrub(text)
        assert time.process_time() - began < 3, text[:10]


def test_no_mail_is_sent_about_a_fault(as_max, monkeypatch, mailoutbox):
    faulty(as_max, monkeypatch, ValueError("broken"))

    assert mailoutbox == []
    assert not getattr(settings, "ADMINS", None)
    handlers = {type(h).__name__ for name in (None, "django", "django.request") for h in logging.getLogger(name).handlers}
    assert "AdminEmailHandler" not in handlers


def test_the_request_is_forgotten_when_it_is_over(client, db):
    make_customer()
    Client().get("/accounts/login/")

    assert logs._request.get() is None


# --- what opens a door ---------------------------------------------------------------------------------------


def signed_in_by_every_way(client, alice, by_mail):
    """{what: [secrets]} of a password that is reset, mistyped and changed, of codes that are set up, of a key that is made."""
    wrong, reset, changed = "Hq7 wrong CANARY", "Hq7 reset CANARY horse", "Hq7 changed CANARY horse"
    client.post("/accounts/password/reset/", {"email": alice.email})
    link = re.search(r"/accounts/password/reset/key/\S+", by_mail())[0]
    form = client.get(link, follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": reset, "password2": reset})
    client.logout()
    client.post("/accounts/login/", {"login": alice.email, "password": wrong})
    client.post("/accounts/login/", {"login": wrong, "password": reset})
    client.post("/accounts/login/", {"login": alice.email, "password": reset})
    client.post("/accounts/password/change/", {"oldpassword": reset, "password1": changed, "password2": changed})
    client.post("/accounts/reauthenticate/", {"password": changed})
    seed = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    client.post("/accounts/2fa/totp/activate/", {"code": code_now(seed)})
    codes = re.findall(r"\b[0-9a-f]{8}\b", client.get("/accounts/2fa/recovery-codes/", follow=True).text)
    made = client.post(
        "/api-keys/new/", {"name": "Shop", "scopes": ["read"], "lasts": "", "addresses": "", "form_key": new_hex()}
    )
    key = re.search(r"sk_test_[\w-]{43}", made.text)[0]
    client.get("/api/v1/customers", headers={"authorization": f"Bearer {key}"})
    client.get(f"/customers/?token={key}&password={changed}")
    assert client.get("/api/v1/customers", headers={"authorization": f"Bearer {key}"}).status_code == 200
    alice.refresh_from_db()
    assert alice.check_password(changed)
    assert len(codes) >= 10
    kept = {"passwords": [wrong, reset, changed], "seed": [seed], "recovery code": codes, "API key": [key], "reset key": [link]}
    return kept | {"form token": [client.cookies[settings.CSRF_COOKIE_NAME].value]}


def test_nothing_that_opens_a_door_is_in_log_mail_or_table(client, alice, log, mailoutbox):
    cache.clear()
    streams = log(JsonLines), log(Lines)

    known = Canaries(signed_in_by_every_way(client, alice, lambda: mailoutbox[0].body))

    for stream in streams:
        assert known.found("log", stream.getvalue()) == []
        assert stream.getvalue().count("/accounts/login/") >= 3
    assert {table: found for table, rows in tables().items() if (found := known.found("database", rows))} == {}
    assert known.found("mails", "".join(str(message.message()) for message in mailoutbox[1:])) == []
    assert known.found("mails", mailoutbox[0].body) == ["reset key"]  # where it belongs: the search finds what is there


def test_a_seed_that_was_kept_plainly_is_still_read_and_without_the_key_no_code_fits(alice, settings):
    totp = TOTP.activate(alice, SEED)
    assert totp.validate_code(code_now(SEED))
    Authenticator.objects.filter(pk=totp.instance.pk).update(data={"secret": SEED})
    cache.clear()  # a code is good once
    assert TOTP(Authenticator.objects.get(pk=totp.instance.pk)).validate_code(code_now(SEED))

    cache.clear()
    Authenticator.objects.all().delete()
    totp = TOTP.activate(alice, SEED)
    settings.SECRET_KEY = "another key that nothing was encrypted under"
    assert not totp.validate_code(code_now(SEED))
    assert not totp.validate_code(code_now(""))
