"""The help pages: everybody may read them, every link leads somewhere, and the lines of curl work (R-68)."""

import json
import re
import subprocess
from html import unescape
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from customers.tests.factories import make_customer
from dashboard.help import TOPICS
from dashboard.tests.api_client import Api

PAGES = ["/help/", "/help/api/reference/", *[f"/help/{topic.slug}/" for topic in TOPICS]]
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
every_page = pytest.mark.parametrize("path", PAGES)


@every_page
@pytest.mark.parametrize("name", ["alice", "max", "sue", "rita"])
def test_everybody_who_is_signed_in_may_read_it(name, path, request):
    assert request.getfixturevalue(f"as_{name}").get(path).status_code == 200


@every_page
def test_strangers_sign_in_first(path, db):
    assert Client().get(path).url.startswith("/accounts/login/")


def test_there_is_a_page_for_each_area_and_no_other(as_rita):
    assert {"customers", "statements", "metadata", "collect", "api"} <= {topic.slug for topic in TOPICS}
    assert as_rita.get("/help/nothing/").status_code == 404


@every_page
def test_its_links_lead_to_pages_of_ours(path, as_alice):
    page = as_alice.get(path).text
    main = page[page.index("<main") : page.index("</main>")]
    links = {unescape(link) for link in LINK.findall(main)}

    assert links
    for link in links:
        assert not urlsplit(link).netloc, link
        if not link.startswith("#"):
            assert as_alice.get(link).status_code == 200, link


@every_page
def test_it_needs_no_other_host(path, as_alice):
    page = as_alice.get(path).text.replace(settings.SITE_URL, "")

    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page)


@pytest.mark.parametrize(
    ("where", "topic"),
    [
        ("/customers/", "customers"),
        ("/billing/statements/", "statements"),
        ("/billing/statements/new/", "statements"),
        ("/customers/{customer}/", "metadata"),
        ("/customers/{customer}/edit/", "metadata"),
        ("/billing/payment-requests/new/", "collect"),
        ("/customers/{customer}/request-payment/", "collect"),
        ("/overview/", "collect"),
        ("/api-keys/", "api"),
        ("/api-keys/new/", "api"),
        ("/profile/tokens/", "api"),
    ],
)
def test_help_is_linked_where_the_question_arises(where, topic, as_alice, alice):
    page = as_alice.get(where.format(customer=make_customer(by=alice).pk if "{" in where else ""))

    assert page.status_code == 200
    assert f'href="/help/{topic}/"' in page.text


def test_an_empty_list_of_customers_tells_what_they_are_for(as_alice):
    page = as_alice.get("/customers/").text

    assert 'href="/help/customers/"' in page[page.index('class="empty"') :]


def test_help_is_in_the_menu_of_everybody(as_rita):
    page = as_rita.get("/customers/").text

    assert page.count('href="/help/"') >= 2  # the sidebar and the account menu


def test_limits_are_those_the_program_keeps(as_rita):
    assert "At most 50 pairs" in as_rita.get("/help/metadata/").text
    assert "at most 100" in as_rita.get("/help/api/").text


# --- the lines of curl -----------------------------------------------------------------------------------------
BLOCK = re.compile(r'<pre class="body code"([^>]*)>(.*?)</pre>', re.S)


def blocks(page):
    """[(attributes, text)] of the code on a page."""
    return [(dict(re.findall(r'data-([a-z]+)="([^"]*)"', about)), unescape(text)) for about, text in BLOCK.findall(page)]


@pytest.mark.django_db(transaction=True)
def test_the_lines_of_curl_do_what_the_page_says(as_alice, live_server, settings, tmp_path):
    settings.SITE_URL = live_server.url
    found = blocks(as_alice.get("/help/api/").text)
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nnoproxy = "*"\nmax-time = 60\nwrite-out = "\\n%{http_code}"\n')
    variables = {"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path), "HOME": str(tmp_path), "KEY": Api().secret, "ID": ""}

    for about, text in found:
        if "status" not in about:
            continue
        ran = subprocess.run(["sh", "-c", text], env=variables, capture_output=True, text=True, timeout=90, check=False)
        answer, _, status = ran.stdout.rpartition("\n")
        assert (status, ran.stderr) == (about["status"], ""), text
        assert about.get("header", "").lower() in answer.lower(), text
        variables["ID"] = variables["ID"] or json.loads(answer)["id"]
        last = answer

    assert len([about for about, _ in found if "status" in about]) > 6
    assert json.loads(last)["name"] == "Cleo Diaz"
    (error,) = [text for about, text in found if text.startswith('{"errors"')]
    refused = Api().post("/customers", {"name": ""})
    assert json.loads(error) == refused.json()


# --- in a browser ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme", "scripts"), [(1440, "light", True), (390, "dark", True), (390, "light", False)])
def test_the_pages_in_a_browser(open_as, axe, rita, width, theme, scripts):
    page = open_as(rita, width=width, theme=theme, scripts=scripts)
    for path in [path for path in PAGES if "reference" not in path]:
        page.goto(path)
        if scripts:
            axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
