"""What surrounds every page: menu, modes, themes, palette, keys, error pages, and how values look."""

import datetime
import re
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import connection
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard import errors, pages
from dashboard.money import Money
from dashboard.templatetags import ui

PROFILE = "/profile/"


def stub_request(path="/x/"):
    request = RequestFactory().get(path)
    request.id = "abc123abc123"
    return request


# --- menu and modes --------------------------------------------------------------------------------


def test_the_menu_holds_customers_under_collect(as_rita):
    page = as_rita.get(PROFILE).text

    assert re.search(
        r'aria-labelledby="nav-\d">\s*<div class="nav-title" id="nav-\d">Collect</div>\s*<a href="/customers/"', page
    )


def test_the_menu_marks_the_page_one_is_on(as_max):
    page = as_max.get(reverse("customers:customers")).text

    assert '<a href="/customers/" aria-current="page"' in page
    assert page.count('aria-current="page" data-go') == 1


def test_the_menu_leaves_out_what_a_role_may_not_do(max, rita, monkeypatch):
    entry = pages.Entry("Profile", "dashboard:profile", "settings", "", "customers.import_customer")
    monkeypatch.setattr(pages, "NAV", [("Records", [entry])])

    assert pages.menu(rita) == []
    assert [e["label"] for _, entries in pages.menu(max) for e in entries] == ["Profile"]


def test_an_entry_without_a_page_is_left_out(alice, monkeypatch):
    monkeypatch.setattr(pages, "NAV", [("", [pages.Entry("Coupons", "billing:no_such_page", "tag", "coupons")])])

    assert pages.menu(alice) == []


def test_the_shell_asks_the_database_nothing(alice):
    request = stub_request()
    request.user = alice
    with CaptureQueriesContext(connection) as queries:
        context = pages.shell(request)
        assert context["menu"][0]
        assert context["search_url"]
        bool(context["here"])

    assert not queries.captured_queries


def test_the_mode_is_test_until_somebody_switches_it(as_max):
    page = as_max.get(PROFILE)
    assert page.wsgi_request.livemode is False
    assert 'class="band"' in page.text

    as_max.post("/mode/", {"mode": "live", "next": PROFILE})

    page = as_max.get(PROFILE)
    assert page.wsgi_request.livemode is True
    assert 'class="band"' not in page.text
    as_max.post("/mode/", {"mode": "nonsense"})
    assert as_max.get(PROFILE).wsgi_request.livemode is False


def test_a_get_switches_neither_mode_nor_theme(as_max):
    assert as_max.get("/mode/?mode=live").status_code == 405
    assert as_max.get("/theme/?theme=dark").status_code == 405


def test_switching_the_mode_asks_for_the_token(max):
    client = Client(enforce_csrf_checks=True)
    client.force_login(max)

    assert client.post("/mode/", {"mode": "live"}).status_code == 403
    assert not client.session.get("livemode")


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil.example", ""])
def test_a_switch_goes_back_to_our_pages_only(as_max, url):
    assert as_max.post("/mode/", {"mode": "test", "next": url}).url == "/"
    assert as_max.post("/theme/", {"theme": "dark", "next": url}).url == "/"


@pytest.mark.parametrize(
    ("theme", "shown"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ("system", ""), ('"><script>', "")]
)
def test_a_theme_is_kept_in_a_cookie_and_printed_by_the_server(client, db, theme, shown):
    client.post("/theme/", {"theme": theme})

    html = client.get("/accounts/login/").text
    assert f'<html lang="en"{shown}>' in html


def test_a_forged_theme_cookie_is_ignored(client, db):
    client.cookies["theme"] = '"><b>'

    assert '<html lang="en">' in client.get("/accounts/login/").text


# --- profile -----------------------------------------------------------------------------------------


def test_a_profile_keeps_name_theme_and_keys(as_sue, sue):
    done = as_sue.post(PROFILE, {"name": "Sue Ellen", "theme": "dark"})

    sue.refresh_from_db()
    assert done.url == PROFILE
    assert (sue.name, sue.shortcuts) == ("Sue Ellen", False)
    assert done.cookies["theme"].value == "dark"
    assert '<body data-shortcuts="off">' in as_sue.get(PROFILE).text


def test_a_nonsense_profile_answers_422_and_saves_nothing(as_sue, sue):
    page = as_sue.post(PROFILE, {"name": "", "theme": "purple"})

    sue.refresh_from_db()
    assert page.status_code == 422
    assert sue.name == "Sue"


def test_a_profile_changes_nobodys_role(as_sue, sue):
    as_sue.post(PROFILE, {"name": "Sue", "theme": "system", "role": "admin", "email": "x@example.com", "is_active": ""})

    sue.refresh_from_db()
    assert (sue.role, sue.email, sue.is_active) == ("support", "sue@example.com", True)


# --- health and error pages ----------------------------------------------------------------------------


def test_healthz_answers_strangers_and_says_nothing_else(client, db):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert client.post("/healthz").status_code == 405


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (errors.bad_request, 400),
        (errors.forbidden, 403),
        (errors.csrf_failure, 403),
        (errors.not_found, 404),
        (errors.too_many_requests, 429),
        (errors.server_error, 500),
    ],
)
def test_each_error_page_names_the_request_and_asks_the_database_nothing(view, status, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        page = view(stub_request())

    assert page.status_code == status
    assert "<code>abc123abc123</code>" in page.text
    assert "<h1>" in page.text


def test_the_503_page_needs_no_database(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        html = Template('{% include "503.html" %}').render(Context({"request": stub_request()}))

    assert "cannot reach its data" in html


def test_a_request_body_past_the_limit_is_413(as_max):
    assert errors.bad_request(stub_request(), RequestDataTooBig()).status_code == 413

    page = as_max.post(
        "/mode/", data="x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1), content_type="application/x-www-form-urlencoded"
    )
    assert page.status_code in (400, 413)


def test_a_fault_shows_the_calm_page_and_no_trace(as_max, monkeypatch):
    def break_down(*args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(pages.Profile, "get_initial", break_down)
    as_max.raise_request_exception = False

    page = as_max.get(PROFILE)

    assert page.status_code == 500
    assert page["X-Request-ID"] in page.text
    assert "secret detail" not in page.text


def test_a_forbidden_page_is_told_in_words(as_max, monkeypatch):
    def refuse(*args):
        raise PermissionDenied

    monkeypatch.setattr(pages.Profile, "get_initial", refuse)

    page = as_max.get(PROFILE)

    assert page.status_code == 403
    assert "Your role does not allow this" in page.text


# --- templates and static files --------------------------------------------------------------------------


def test_no_template_holds_inline_code():
    inline = re.compile(
        r"""\sstyle=|\son[a-z]+=|javascript:|<style|<script(?![^>]*\bsrc=)|hx-on|hx-vals=["']js:|\bdata:[a-z]+/""", re.I
    )
    files = [f for f in (settings.BASE_DIR / "templates").rglob("*.html") if f.relative_to(settings.BASE_DIR).parts[1] != "mail"]

    assert len(files) > 30
    assert {f.name: m[0] for f in files if (m := inline.search(f.read_text()))} == {}


def test_every_file_the_style_sheet_asks_for_is_there():
    css = (settings.BASE_DIR / "static/css/app.css").read_text()
    names = re.findall(r'url\("([^"]+)"\)', css)

    assert len(names) >= 5
    assert "data:" not in css
    for name in names:
        path = (settings.BASE_DIR / "static/css" / name).resolve()
        assert finders.find(str(path.relative_to(settings.BASE_DIR / "static"))), name


def test_every_icon_the_templates_name_is_there():
    used = set()
    for file in (settings.BASE_DIR / "templates").rglob("*.html"):
        used |= set(re.findall(r'{%\s*icon "([^"]+)"', file.read_text()))
    used |= {entry.icon for _, entries in pages.NAV for entry in entries} | {entry.icon for entry in pages.ACTIONS}
    used |= {icon for _, icon in [*ui.BADGES.values(), *ui.NOUN_BADGES.values()] if icon}

    assert len(used) > 20
    assert {name for name in used if not (ui.ICONS / f"{name}.svg").exists()} == set()


# --- how values look -------------------------------------------------------------------------------------


def test_an_icon_is_hidden_from_screen_readers_and_never_a_path():
    assert ui.icon_svg("check", "i-sm").startswith('<svg class="i i-sm" viewBox="0 0 24 24" aria-hidden="true">')
    with pytest.raises(FileNotFoundError):
        ui.icon_svg("../settings")


@pytest.mark.parametrize(
    ("word", "noun", "css"),
    [
        ("Succeeded", "", "badge badge-ok"),
        ("partly_refunded", "", "badge badge-alt"),
        ("Active", "customer", "badge badge-plain"),
        ("Active", "coupon", "badge badge-ok"),
        ("Expired", "paymentrequest", "badge"),
        ("Expired", "paymentmethod", "badge badge-bad"),
        ("Never heard of", "", "badge"),
    ],
)
def test_a_status_has_one_colour_wherever_it_shows(word, noun, css):
    assert f'<span class="{css}">' in ui.badge_html(word, noun)


def test_a_badge_escapes_its_word():
    assert "<b>" not in ui.badge_html("<b>x</b>")


def test_a_badge_reads_its_word_from_an_object():
    thing = SimpleNamespace(_meta=SimpleNamespace(model_name="coupon"), badge="Active")

    assert "badge-ok" in Template("{% badge thing %}").render(Context({"thing": thing}))


def test_money_in_a_column_lines_up_by_its_own_decimals():
    assert ui.money_html(485000, "PHP") == '4,850.00<span class="cur">PHP</span>'
    assert ui.money_html(-128000, "JPY") == '−128,000<span class="cur">JPY</span>'
    assert "—" in ui.money_html(None, "PHP")
    assert "₱4,850.00" in ui.money(Money(485000, "PHP"))


def test_times_are_told_in_the_merchants_zone(settings):
    settings.TIME_ZONE = "Asia/Manila"
    moment = datetime.datetime(2020, 11, 22, 18, 2, tzinfo=datetime.UTC)

    html = ui.when_html(moment)

    assert 'datetime="2020-11-23T02:02:00+08:00"' in html
    assert ">23 Nov 2020, 02:02<" in html
    assert ">23 Nov 2020<" in ui.day_html(moment)


def test_today_and_yesterday_are_said_so():
    now = timezone.now()

    assert ">Today, " in ui.when_html(now)
    assert ">Yesterday, " in ui.when_html(now - datetime.timedelta(days=1))
    assert "Today" not in ui.when_html(now + datetime.timedelta(days=1))
    assert "—" in ui.when_html(None)


@pytest.mark.parametrize(("name", "letters"), [("Maria Teresa Santos", "MS"), ("Østergaard", "Ø"), ("(x) --", ""), ("", "")])
def test_initials_are_the_first_and_last_words(name, letters):
    assert ui.initials_of(name) == letters


# --- in the browser ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_the_shell_is_accessible_and_fits(open_as, axe, alice, width, theme):
    page = open_as(alice, width=width, theme=theme)
    page.goto(PROFILE)
    axe(page)
    page.click("summary.mode")
    axe(page)
    page.click(".topbar summary.btn-icon")
    axe(page)

    assert page.locator("details.menu[open]").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_menu_opens_on_a_phone_without_scripts(open_as, alice):
    page = open_as(alice, width=390, scripts=False)
    page.goto(PROFILE)
    assert not page.locator(".sidebar").is_visible()

    page.click("[popovertarget=nav]")

    page.locator(".sidebar a[href='/customers/']").wait_for()


def test_mode_and_theme_change_without_scripts(open_as, alice):
    page = open_as(alice, scripts=False)
    page.goto(PROFILE)
    page.click("summary.mode")
    page.click("button[value=live]")
    page.locator("summary.mode", has_text=re.compile("Live$")).wait_for()

    page.goto(PROFILE)
    page.click(".topbar summary.btn-icon")
    page.click("button[value=dark]")
    page.locator("html[data-theme=dark]").wait_for()


def test_the_palette_filters_and_goes_by_arrow_and_enter(open_as, axe, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    page.keyboard.press("Control+k")
    axe(page)
    box = page.locator("[data-palette]")
    first = box.get_attribute("aria-activedescendant")
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") != first
    page.keyboard.press("ArrowUp")
    assert box.get_attribute("aria-activedescendant") == first

    page.keyboard.type("activity")
    axe(page)
    assert page.locator("#palette-list [role=option]:visible").count() == 2
    page.keyboard.press("Enter")

    page.wait_for_url("**/activity/**")


def test_the_palette_searches_for_what_it_does_not_know(open_as, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    page.keyboard.press("Control+k")
    page.keyboard.type("o'brien & co")
    page.keyboard.press("Enter")

    page.wait_for_url("**/search/?q=o%27brien%20%26%20co")


def test_escape_closes_the_palette_and_gives_the_focus_back(open_as, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    page.focus("#id_name")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")

    page.locator("#palette").wait_for(state="hidden")
    page.wait_for_selector("#id_name:focus")


def test_single_keys_work_outside_fields_and_can_be_switched_off(open_as, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("/gc")
    assert page.input_value(".topbar [name=q]") == "/gc"
    page.evaluate("document.activeElement.blur()")
    page.clock.set_fixed_time(datetime.datetime(2026, 11, 22))  # the second key of two counts for 900 ms
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/customers/")

    type(alice).objects.update(shortcuts=False)
    page.goto(PROFILE)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_swap_into_the_drawer_opens_it_over_the_page(open_as, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    page.route(
        "**/panel/",
        lambda route: route.fulfill(
            body='<div class="drawer-head"><h2>Ana</h2><button data-close>Close</button></div>', content_type="text/html"
        ),
    )
    page.evaluate(
        """() => { const a = document.createElement('a'); a.href = '/profile/'; a.id = 'row'; a.textContent = 'Ana';
        a.setAttribute('hx-get', '/panel/'); a.setAttribute('hx-target', '#drawer'); a.setAttribute('hx-swap', 'innerHTML');
        document.querySelector('main').append(a); htmx.process(a); }"""
    )
    for leave in (
        lambda: page.keyboard.press("Escape"),
        lambda: page.click("#drawer [data-close]"),
        lambda: page.mouse.click(300, 400),
    ):
        page.click("#row")
        page.wait_for_selector("#drawer:modal h2")
        leave()
        page.wait_for_selector("#drawer:modal", state="detached")
        page.wait_for_selector("#drawer:empty", state="attached")  # the dialog's close event comes a moment after it
        page.wait_for_selector("#row:focus")
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


ANSWERS_BY_HAND = """() => { window.sent = window.ended = 0; window.answers = {};
  document.addEventListener('htmx:finally:request', () => { ended += 1; });
  window.fetch = (url) => new Promise((done) => { sent += 1;
  answers[new URL(url, location).pathname] = (html) => done(Object.assign(new Response(), { text: async () => html })); }); }"""
LINK = """(about) => { const a = Object.assign(document.createElement('a'), { href: '/profile/', textContent: about.id });
  Object.entries(about).forEach(([name, value]) => a.setAttribute(name, value));
  document.querySelector('main').append(a); htmx.process(a); }"""


def in_haste(page, *links):
    """Click them before there is any answer; answers["/path/"](html) in the page gives one."""
    page.goto(PROFILE)
    page.evaluate(ANSWERS_BY_HAND)
    for about in links:
        page.evaluate(LINK, about)
    for about in links:
        page.click(f"#{about['id']}")
    page.wait_for_function(f"() => sent === {len(links)}")


def row(name):
    return {"id": name, "hx-get": f"/{name}/", "hx-target": "#drawer", "hx-swap": "innerHTML"}


def test_of_two_rows_clicked_in_haste_the_drawer_shows_the_last(open_as, alice):
    page = open_as(alice)
    in_haste(page, row("ana"), row("ben"))

    page.evaluate("answers['/ben/']('<h2>Ben</h2>')")
    page.wait_for_selector("#drawer:modal h2")
    page.evaluate("answers['/ana/']('<h2>Ana</h2>')")
    page.wait_for_function("() => ended === 2")

    assert page.inner_text("#drawer") == "Ben"


def test_a_row_clicked_twice_fills_the_drawer_once(open_as, alice):
    page = open_as(alice)
    in_haste(page, row("ana"))
    page.click("#ana")

    page.evaluate("answers['/ana/']('<h2>Ana</h2>')")
    page.wait_for_selector("#drawer:modal h2")
    page.wait_for_function("() => ended === 2 || sent === 2")

    assert page.evaluate("sent") == 1


def test_a_drawer_opened_again_at_once_keeps_what_it_shows(open_as, alice):
    """Closing tells of itself a moment later: by then it may be open again."""
    page = open_as(alice)
    page.goto(PROFILE)

    told = """async () => { const drawer = document.getElementById('drawer');
        drawer.innerHTML = '<h2>Ana</h2>'; drawer.showModal();
        const closed = new Promise((done) => drawer.addEventListener('close', () => setTimeout(done)));
        drawer.close(); drawer.showModal(); await closed; return drawer.innerText; }"""

    assert page.evaluate(told) == "Ana"


def test_the_list_follows_the_search_box_however_slow_the_answers(open_as, alice):
    page = open_as(alice)
    page.goto("/customers/")
    page.evaluate(ANSWERS_BY_HAND)

    for sent, typed in enumerate(("a", "an", "ana"), 1):
        page.fill(".toolbar [name=q]", typed)
        page.wait_for_function(f"() => sent === {sent}")
    page.evaluate("""answers['/customers/']('<div id="results">Ana alone</div>')""")

    page.get_by_text("Ana alone").wait_for()


def test_of_two_dialogs_asked_for_in_haste_the_last_is_shown(open_as, alice):
    page = open_as(alice)
    in_haste(page, *({"id": name, "href": f"/{name}/", "data-dialog": ""} for name in ("archive", "edit")))

    for name in ("edit", "archive"):
        path, html = f"/{name}/", f"<dialog data-autoshow open><h2>{name}</h2></dialog>"
        page.evaluate("([name, html]) => { answers[name](html); return new Promise((done) => setTimeout(done)); }", [path, html])

    page.wait_for_selector("dialog:modal h2")
    assert page.locator("dialog:modal h2").all_inner_texts() == ["edit"]


def test_a_form_sends_once_however_often_one_clicks(open_as, alice):
    page = open_as(alice)
    page.goto(PROFILE)
    sent = []
    page.on("request", lambda r: sent.append(r) if r.method == "POST" else None)

    page.evaluate("() => { const b = document.querySelector('.card button.btn-primary'); b.click(); b.click(); }")
    page.wait_for_selector("[role=status][data-note]")

    assert len(sent) == 1


def made_customer(by):
    from customers.domain import create_customer  # a page with actions: the kit itself has none

    return create_customer(by=by, livemode=False, first_name="Ana", last_name="Reyes", currency="PHP")


def test_an_action_opens_over_the_page_and_gives_the_focus_back(open_as, axe, alice):
    customer = made_customer(alice)
    page = open_as(alice)
    page.goto(customer.get_absolute_url())
    page.locator("main details.menu summary").first.click()
    page.locator("main a[data-dialog]:visible", has_text="Archive").click()
    page.wait_for_selector("dialog:modal h2")
    axe(page)
    assert page.url.endswith(customer.get_absolute_url())

    page.keyboard.press("Escape")

    page.wait_for_selector("dialog:modal", state="detached")
    page.wait_for_selector("main details.menu summary:focus")


def test_an_action_at_its_own_address_closes_to_the_record(open_as, alice):
    customer = made_customer(alice)
    page = open_as(alice)
    for leave in (lambda: page.keyboard.press("Escape"), lambda: page.click("dialog a.btn-icon[data-close]")):
        page.goto(reverse("customers:archive", args=[customer.pk]))
        page.wait_for_selector("dialog:modal")
        leave()
        page.wait_for_url(f"**{customer.get_absolute_url()}")


def test_an_action_works_without_scripts(open_as, alice):
    customer = made_customer(alice)
    page = open_as(alice, scripts=False)
    page.goto(reverse("customers:archive", args=[customer.pk]))
    page.click("dialog .btn-danger, dialog .btn-primary")
    page.wait_for_url(f"**{customer.get_absolute_url()}")

    customer.refresh_from_db()
    assert customer.archived


def test_a_search_while_typing_keeps_empty_filters_out_of_the_address(open_as, alice):
    made_customer(alice)
    page = open_as(alice)
    page.goto("/customers/")
    page.fill(".toolbar [name=q]", "reyes")
    page.wait_for_url(lambda url: "q=reyes" in url)
    assert "created" not in page.url
    assert page.evaluate("document.activeElement.name") == "q"

    page.go_back()
    page.wait_for_url(lambda url: url.endswith("/customers/"))
    page.wait_for_function("() => document.querySelector('.toolbar [name=q]')?.value === ''")
    page.wait_for_selector("a.row-link")


def test_a_session_that_ended_leads_to_sign_in_not_into_a_part_of_the_page(open_as, alice):
    made_customer(alice)
    page = open_as(alice)
    page.goto("/customers/")
    page.context.clear_cookies()
    page.locator("a.row-link").click()

    page.wait_for_url("**/accounts/login/?next=/customers/**")
