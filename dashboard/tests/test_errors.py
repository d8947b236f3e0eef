"""Our own page for every error: in words, with a reference, the exact security headers, and nothing of our insides."""

import re

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import Client
from django.test.utils import override_settings

from dashboard import pages
from dashboard.tests.test_headers import EXACT, HSTS, INLINE, OVER_TLS, PAYERS, differing


@pytest.fixture
def ask(alice, rita, monkeypatch):
    """ask(status) makes such an error happen, over TLS."""

    def client(user=None, **how):
        made = Client(raise_request_exception=False, **how)
        if user:
            made.force_login(user)
        return made

    def profile(error):
        def fail(self, request, *args, **kwargs):
            raise error

        monkeypatch.setattr(pages.Profile, "dispatch", fail)
        return client(alice).get("/profile/", secure=True)

    def too_often():
        for _ in range(6):
            answer = client().post("/accounts/login/", {"login": "x@example.com", "password": "wrong"}, secure=True)
        return answer

    ways = {
        400: lambda: client().get("/accounts/login/", headers={"host": "evil.example"}, secure=True),
        403: lambda: client(rita).get("/customers/new/", secure=True),
        404: lambda: client(alice).get("/no/such/page/", secure=True),
        413: lambda: profile(RequestDataTooBig("larger than DATA_UPLOAD_MAX_MEMORY_SIZE")),
        429: too_often,
        500: lambda: profile(ZeroDivisionError("a secret reason")),
        503: lambda: profile(OperationalError("connection to server at 10.0.0.7 failed")),
        "csrf": lambda: client(alice, enforce_csrf_checks=True).post("/mode/", {"mode": "live"}, secure=True),
    }

    def ask(status):
        with override_settings(**HSTS):
            return ways[status]()

    return ask


@pytest.mark.django_db
@pytest.mark.parametrize("status", [400, 403, 404, 413, 429, 500, 503, "csrf"])
def test_every_error_has_a_page_of_ours_with_a_reference_and_the_exact_headers_and_nothing_of_our_insides(ask, status):
    answer = ask(status)

    assert answer.status_code == (403 if status == "csrf" else status)
    assert differing(answer, EXACT | OVER_TLS) == {}
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert "Counterfoil</title>" in answer.text
    assert f"<code>{answer['X-Request-ID']}</code>" in answer.text
    assert re.fullmatch(r"[0-9a-f]{12}", answer["X-Request-ID"])
    assert not re.search(r"Traceback|/dashboard/|\.py|Error\b|Exception|DATA_UPLOAD|10\.0\.0\.7|a secret reason", answer.text)
    assert not INLINE.search(answer.text)
    assert "please" not in answer.text.lower()


@pytest.mark.django_db
def test_no_error_of_a_payers_page_tells_its_address_on(monkeypatch):
    """Whatever goes wrong, and wherever: the address of the page is what opens it."""
    from billing.tests.factories import make_request
    from billing.views import pay, public

    request, strict = make_request(), Client(enforce_csrf_checks=True, raise_request_exception=False)
    link = f"/pay/checkout/{request.token}/"
    answers = [strict.get("/pay/checkout/guess/"), strict.get("/pay/nowhere/at/all/"), strict.post(link), Client().put(link)]
    for _ in range(10):
        public.TRIES.spend(request.pk)
    answers.append(Client().post(link))
    for error in (ZeroDivisionError, OperationalError):
        monkeypatch.setattr(pay.Page, "page", lambda self, error=error: (_ for _ in ()).throw(error("for the test")))
        answers.append(strict.get(link))

    assert [a.status_code for a in answers] == [404, 404, 403, 405, 429, 500, 503]
    assert [differing(a, EXACT | PAYERS) for a in answers] == [{}] * 7


@pytest.mark.django_db
def test_those_that_pass_say_when_to_come_again(ask):
    assert int(ask(429)["Retry-After"]) > 0
    assert int(ask(503)["Retry-After"]) > 0


@pytest.mark.django_db
def test_an_upload_that_is_really_too_large_is_413(alice, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    client = Client(raise_request_exception=False)
    client.force_login(alice)

    answer = client.post("/profile/", {"name": "x" * 2000}, content_type="application/x-www-form-urlencoded")

    assert answer.status_code in (400, 413)
    assert differing(answer) == {}


@pytest.mark.django_db
def test_a_fault_inside_the_fault_page_still_tells_nobody_anything(alice, monkeypatch):
    """What is raised before any view, where no middleware of ours has run yet, ends in our page as well."""
    from dashboard.middleware import StaffSession

    monkeypatch.setattr(StaffSession, "__call__", lambda self, request: 1 / 0)
    client = Client(raise_request_exception=False)

    answer = client.get("/accounts/login/")

    assert answer.status_code == 500
    assert answer["X-Request-ID"] in answer.text
    assert differing(answer) == {}
