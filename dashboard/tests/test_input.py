"""Text from outside, at every entrance: what nobody types arrives cleaned or is refused in a sentence; nothing unsafe is kept."""

import importlib
import json
import re
import time
from urllib.parse import quote

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from billing.domain import checkouts
from billing.gateways.base import GatewayEvent, Rejected
from billing.gateways.sandbox import deliveries
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import Attempt, WebhookDelivery
from billing.tests.factories import make_request
from conftest import PASSWORD
from dashboard import search
from dashboard.forms import KitFormMixin, NoCardNumber
from dashboard.states import DomainError
from dashboard.tests.api_client import Api
from dashboard.tests.routes import make_world
from dashboard.tests.test_structure import sources
from dashboard.text import clean_text, unsafe

pytestmark = pytest.mark.django_db
CARD = "4539 5787 6362 1486"
HOSTILE = {
    "NUL": "Zq\0a",
    "C0": "Zq\x07\x1bb",
    "C1": "Zq\x85\x9bc",
    "lone surrogate": "Zq\ud800d",
    "direction": "Zq\ufeff\u202ee\u2066f\u2069",
    "too long": "Zq" + "h" * 30_000,
    "a card": f"Zq {CARD}",
}
ESCAPED = re.compile(r"\\u(?:00(?:0[0-8bcef]|1[0-9a-f]|7f|[89][0-9a-f])|d[89a-f][0-9a-f]{2}|202[a-e]|206[6-9]|feff)", re.I)
PAIRS = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}", re.I)
RAW = {"dashboard_importpiece", "cache", "dashboard_session"}  # a file as it came, dropped with its import; signed and packed
PERSON = {"kind": "individual", "first_name": "Ana", "currency": "USD"}
ADDRESS = {"country": "PH", "line1": "1 Rizal", "city": "Makati", "postal_code": "1226"}
WAYS = {  # a form's address and the rest of it: the box the text goes into is named after the last ":"
    "/customers/new/:first_name": PERSON,
    "/customers/new/:description": PERSON,
    "/customers/new/:reference": PERSON,
    "/customers/new/:metadata_value": PERSON | {"metadata_key": "k"},
    "/customers/new/:metadata_key": PERSON | {"metadata_value": "v"},
    "/customers/{customer}/comments/:body": {},
    "/customers/{customer}/addresses/new/:line2": ADDRESS,
    "/billing/payments/{payment}/refund/:remarks": {"amount": "0.10", "reason": "others", "destination": "credit"},
    "/billing/statements/{billingstatement}/promise/:note": {"promised_on": "2030-01-01"},
    "/billing/coupons/new/:description": {"percent_off": "10", "duration": "once"},
    "/lists/views/new/?list=customers:customers:name": {},
    "/profile/:name": {},
    "/team/invite/:name": {"email": "new@example.com", "role": "support"},
    "/team/invite/:email": {"role": "support"},
    "/api-keys/new/:name": {"scopes": "read"},
    "/accounts/login/:login": {"password": "x"},
    "/accounts/password/reset/:email": {},
    "/accounts/2fa/totp/activate/:code": {},
    "/invitation/{invitation_token}/:name": {"password": "short"},
    "/admin/dashboard/user/add/:name": {"email": "n@example.com", "role": "support", "password": "short"},
    "/sandbox/checkout/{sandbox_checkout}/:number": {"version": "0"},
    "/theme/:next": {"theme": "dark"},
    "/lists/columns/:column": {"list": "customers:customers"},
}
ASKED = {  # texts in addresses
    "/customers/?q=", "/customers/?email=", "/billing/payments/?q=", "/search/?q=", "/activity/?q=", "/customers/?after=",
    "/admin/customers/customer/?q=", "/admin/dashboard/user/?q=", "/billing/statements/?columns=", "/customers/?sort=",
    "/billing/statements/new/?customer=", "/accounts/login/?next=",
}  # fmt: skip


def sent(text):
    return quote(text, safe="", errors="surrogatepass")


def way_of(name, world):
    """(address, box) of a form."""
    path, _, box = name.rpartition(":")
    return path.format(**vars(world)), box


def everything(text, world, staff, api, by, n):
    """{entrance: response} of sending text into all of them."""
    form = "application/x-www-form-urlencoded"
    for name, rest in WAYS.items():
        path, box = way_of(name, world)
        body = "&".join(f"{sent(k)}={sent(v)}" for k, v in (rest | {box: text}).items())
        client = staff if "login" not in path and "invitation" not in path else Client(raise_request_exception=False)
        yield name, client.post(path, body, content_type=form)
    for start in ASKED:
        yield start, staff.get(f"{start}{sent(text)}")
    yield "a path", staff.get(f"/customers/{sent(text)[:2000]}/")
    yield "API name", api.post("/customers", {"name": text, "email": f"a{n}@example.com"})
    yield "API optional", api.post("/customers", {"name": "Ana", "email": f"b{n}@example.com", "phone": text})
    pairs = {"metadata": {text: text, "k": text}}
    yield "API metadata", api.post("/customers", {"name": "Ana", "email": f"c{n}@example.com"} | pairs)
    yield "API query", api.get(f"/customers?search={sent(text)[:4000]}")
    yield "API key", api.post("/customers", {"name": "Ana", "email": f"d{n}@example.com"}, idempotency_key=header(text))
    odd = Client(headers={"User-Agent": header(text)})
    yield "agent", odd.post("/accounts/login/", {"login": by.email, "password": PASSWORD})
    yield "webhook", told(text, n)
    yield "file", uploaded(staff, text)
    yield "theme cookie", with_cookie(text)


def header(text):
    """What a server makes of the bytes of a header: Latin-1, without line ends and NUL, which it refuses itself."""
    return text.encode("utf-8", "surrogatepass").replace(b"\0", b"").decode("latin-1")[:8000]


def told(text, n):
    """A delivery the gateway signed, with the text in it as it is where JSON lets it be, and escaped."""
    about = {"id": f"evt_input_{n}", "type": "charge.refunded", "created": int(time.time()), "livemode": False}
    bare = "".join(c for c in text if c >= " " and not "\ud800" <= c < "\ue000")
    note = {"object": {"id": "sbch_none", "object": "report", "note": "%BARE%", text[:300]: text}}
    raw = json.dumps(about | {"data": note}, ensure_ascii=not text.isprintable()).encode("utf-8", "surrogatepass")
    raw = raw.replace(b"%BARE%", bare.encode())
    signature = deliveries.sign(raw)
    client = Client(raise_request_exception=False, headers={"Sandbox-Signature": signature})
    return client.post("/webhooks/sandbox/", raw, content_type="application/json")


def uploaded(staff, text):
    """An import: heading, cell and file name."""
    raw = f"first_name,{text[:300]}\n{text},x\nBo,y\n".encode("utf-8", "surrogatepass")
    answer = staff.post(
        reverse("customers:import_new"), {"file": SimpleUploadedFile(f"{text[:50].encode(errors='replace').decode()}.csv", raw)}
    )
    if answer.status_code != 302:
        return answer
    staff.post(answer.url, {"column_0": "first_name"})
    return staff.get(answer.url)


def with_cookie(text):
    client = Client(raise_request_exception=False)
    client.cookies["theme"] = text.encode("utf-8", "surrogatepass").decode("latin-1")
    return client.get("/accounts/login/")


def all_kept():
    """(table, text) of every text in the database."""
    with connection.cursor() as cursor:
        for table in set(connection.introspection.table_names(cursor)) - RAW:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield from ((table, value) for value in row if isinstance(value, str))


def unsafe_kept():
    """What JSON spells is as it would be read; a delivery's body is text, shown by its own page."""
    escaped = lambda table, text: table != "billing_webhookdelivery" and ESCAPED.search(PAIRS.sub("", text))  # noqa: E731
    return sorted({(table, text[:80]) for table, text in all_kept() if unsafe(text) or escaped(table, text)})


@pytest.fixture
def answers(alice, as_alice, settings):
    """{(entrance, what was sent): response} of everything at every entrance."""
    settings.SESSION_IDLE_SECONDS = 10**6
    as_alice.raise_request_exception = False
    world, api = make_world(alice), Api()
    found = {}
    for n, (kind, text) in enumerate(HOSTILE.items()):
        for name, answer in everything(text, world, as_alice, api, alice, n):
            found[name, kind] = answer
    return found


def test_no_entrance_lets_what_nobody_types_through(answers, as_alice):
    faults = {what: answer.status_code for what, answer in answers.items() if answer.status_code >= 500}

    assert faults == {}
    assert unsafe_kept() == []
    assert not [table for table, text in all_kept() if CARD in text or CARD.replace(" ", "") in text]
    for delivery in WebhookDelivery.objects.filter(event_id__startswith="evt_input"):
        page = as_alice.get(delivery.get_absolute_url())
        assert (page.status_code, unsafe(page.text)) == (200, False)
    kept = " ".join(text for _, text in all_kept())
    for mark in "a b d e".split():  # cleaned, somewhere: an API, a file or a webhook takes what a form refuses
        assert re.search(rf"Zq\ufffd?{mark}", kept), mark
    assert {table for table, text in all_kept() if "h" * 10_001 in text} == {"billing_webhookdelivery"}  # 256 kB, signed
    for name in WAYS:
        refused = [kind for kind in ("NUL", "C0", "C1", "direction") if answers[name, kind].status_code == 422]
        assert len(refused) in (0, 4), (name, refused)
    for kind, sentence in (("C0", "invisible control characters"), ("a card", "looks like a payment card number")):
        told = {name for name, what in answers if what == kind and sentence in answers[name, kind].text}
        ours = {name for name in WAYS if name.startswith(("/customers/", "/billing/", "/lists/views", "/profile"))}
        assert ours <= told, (kind, ours - told)


def test_what_a_gateway_says_is_kept_cleaned(monkeypatch):
    text = f"No\0 way\x07 \u202ewith \ud800{CARD} " + "x" * 600
    monkeypatch.setattr(SandboxGateway, "create_checkout", lambda *_, **__: (_ for _ in ()).throw(Rejected(text)))
    with pytest.raises(DomainError):
        checkouts.start_payment(make_request())

    error = Attempt.objects.get().error
    assert (len(error), error[:41]) == (500, "No way with #### #### #### 1486 xxxxxxxxx")
    assert not unsafe(error)


def test_a_deliverys_names_fit_their_columns_whatever_was_signed(monkeypatch):
    """The sandbox takes only words of its own kind; another gateway's module may be less strict."""
    odd = "\u202e" + "z" * 5000
    event = GatewayEvent(odd, odd, "", odd, False, timezone.now())
    monkeypatch.setattr(SandboxGateway, "parse_webhook", lambda *_: event)

    assert told("\u202ex", 1).status_code == 200
    kept = WebhookDelivery.objects.get()

    assert [len(text) for text in (kept.event_id, kept.type, kept.remote_id)] == [255, 64, 255]
    assert not unsafe(kept.body)


def test_every_form_of_ours_that_takes_text_checks_it():
    """Not one form beside the kit: what cleans is in one place. The others are the packages', and take no more than a box."""
    for module in sources():
        if not module.startswith(("billing.drills", "dashboard.settings", "dashboard.wsgi")) and "management" not in module:
            importlib.import_module(module)
    found = {c for c in subclasses(forms.BaseForm) if c.__module__ in sources() and takes_text(c)}
    beside = {c.__qualname__ for c in found if not issubclass(c, (KitFormMixin, NoCardNumber))}

    assert len(found) > 40
    assert beside <= {"CardForm", "Answer", "SignInForm", "SecondStepForm", "ConfirmForm"}


def subclasses(cls):
    return {c for child in cls.__subclasses__() for c in (child, *subclasses(child))}


def takes_text(form):
    fields = getattr(form, "base_fields", {}).values()
    return any(isinstance(f, forms.CharField) and not f.disabled for f in fields)


def test_a_search_text_is_cut_at_two_hundred_and_nothing_is_asked_beyond(as_max, alice):
    text = "y" * 199 + "NX" + "%" * 5000

    assert search.LIMIT == len(search.clean_query(text)) == 200
    assert as_max.get("/customers/", {"q": text}).status_code == 200
    assert clean_text("\0" * 300 + "a" * 300, 200) == "a" * 200


def test_no_page_and_no_answer_holds_more_than_a_hundred_rows_and_the_last_of_two_parameters_counts(as_max, alice):
    api = Api()
    sizes = {asked: as_max.get(f"/customers/?per_page={asked}").context["page"].size for asked in ("100", "101", "9" * 22)}
    paging = {asked: api.get(f"/customers?pageSize={asked}").json()["paging"] for asked in ("100", "101", "1000000")}

    assert sizes == {"100": 100, "101": 25, "9" * 22: 25}
    assert {asked: found["pageSize"] for asked, found in paging.items()} == dict.fromkeys(paging, 100)
    assert as_max.get("/customers/?per_page=25&per_page=50").context["page"].size == 50
    assert api.get("/customers?pageSize=5&pageSize=7").json()["paging"]["pageSize"] == 7
    assert api.get(f"/customers?page={10**22}").status_code == 200
