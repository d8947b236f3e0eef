"""The short form of the drill of hostile texts in every field, and that it can fail. All of it: `./run drill xss --rounds 60`."""

import re

import pytest
from django.utils.html import escape

from billing.domain.attempts import page_address
from billing.drills import xss, xss_browser, xss_forms, xss_walk
from billing.drills.markup import Page
from billing.drills.xss_strings import ADDRESSES, BREAKERS, ELEMENTS, EVALUATED, FORMULAS, STRINGS, TOGETHER
from billing.management.commands import drill as command
from dashboard.text import clean_text, unsafe, visible

CONTEXTS = ("<p>{}</p>", '<input value="{}">', "<a title='{}'>x</a>", "<b class={}>x</b>", '<a href="{}">x</a>', "<!-- {} -->")
BARE = ("<script>let x = '{}'</script>", "<textarea>{}</textarea>", "<title>{}</title>")


@pytest.fixture(scope="module")
def walked(django_db_setup, django_db_blocker):
    """The parts of the short form, and the pages it looked at; made once for this file."""
    with django_db_blocker.unblock(), xss.stage() as world:
        pages = []
        parts = [*xss.brief(world, pages), *xss.controls(world)]
    return parts, pages  # the database is let go: with a browser's loop in this thread, Django takes another connection


def test_no_text_is_more_than_text_on_any_page_in_any_mail_or_file(walked):
    parts, pages = walked

    assert [lines for lines, violated in parts if violated] == []
    assert int(re.search(r"rows: (\d+) text fields", parts[0][0][0])[1]) > 200
    assert len(pages) > 250
    assert {page.name.partition(" ")[0] for page in pages} == {"admin", "reporting", "payer", "mail"}
    assert [line for lines, _ in parts for line in lines if "control" in line and not line.endswith(", caught")] == []


@pytest.mark.one_database
def test_chromium_sees_no_dialog_no_refusal_and_nothing_wider_than_its_window(walked, browser):
    _parts, pages = walked

    opened, wrong = xss_browser.open_all(browser, xss.seen(pages))

    assert wrong == []
    assert opened > 150


@pytest.mark.one_database
def test_the_parser_sees_every_text_that_is_not_escaped_and_none_that_is():
    seen = {text: [c for c in (*CONTEXTS, *BARE) if Page(c.format(text)).faults] for text in STRINGS}
    false = {text: [c for c in CONTEXTS[:3] if Page(c.format(escape(text))).faults] for text in STRINGS}

    assert len(STRINGS) == len(set(STRINGS)) == 60
    assert [text for text in (*ELEMENTS, *BREAKERS, *TOGETHER) if not seen[text]] == []
    assert [text for text in ADDRESSES[:3] if CONTEXTS[4] not in seen[text]] == []
    assert {text: contexts for text, contexts in false.items() if contexts} == {}
    assert Page(f"<p>{EVALUATED}</p>").faults
    assert Page('<a href="https://zqx.example/" rel="noopener">x</a>').faults == []
    assert Page('<a href="https://zqx.example/">x</a>').faults == [
        'a link of a user\'s without rel=noopener: <a href="https://zqx.example/">'
    ]


@pytest.mark.one_database
def test_formulas_split_headers_and_acting_documents_are_seen():
    rows, wrong = xss_walk.read_csv("a,b\r\n" + "".join(f"{xss_forms.quoted(text)},1\r\n" for text in FORMULAS))

    assert (rows, len(wrong)) == (6, 6)
    assert xss_walk.read_csv("a\r\n'=1+1\r\n-5.00\r\n'+63917\r\n") == (3, [])
    assert xss_walk.read_csv("a,b\r\n1\r\n")[1] == ["a row of 1 cells below 2 headings"]
    assert xss_walk._is_split("Content-Disposition", 'attachment; filename="a".exe"')
    assert not xss_walk._is_split("Content-Disposition", 'attachment; filename="a\\"<b zqx>.pdf"')
    assert xss_walk.look_into_pdf(b"1 0 obj << /S /JavaScript /JS (alert\\(1\\)) >>") == [
        "a PDF that acts: JavaScript",
        "a PDF that acts: JS",
    ]


@pytest.mark.one_database
@pytest.mark.parametrize("sign", "\u00ad\u061c\u200b\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff")
def test_what_nobody_sees_is_taken_out_of_a_name_or_shown(sign):
    assert clean_text(f"Ana{sign} Cruz") == "Ana Cruz"
    assert visible(f"Ana{sign} Cruz") == "Ana� Cruz"
    assert not unsafe("👩\u200d🚀")
    assert clean_text("👩\u200d🚀 می\u200cخواهم") == "👩\u200d🚀 می\u200cخواهم"  # joiners are part of how these are written


@pytest.mark.one_database
def test_the_drill_is_one_of_the_drills_and_one_round_is_its_short_form(monkeypatch):
    asked = []
    monkeypatch.setattr(xss, "run", lambda rounds: asked.append(rounds) or iter([(["1 fault"], True)]))

    assert [list(command.DRILLS["xss"](rounds)) for rounds in (1, 60)] == [[(["1 fault"], True)]] * 2
    assert asked == [1, 60]


@pytest.mark.one_database
def test_a_gateway_leads_to_pages_of_the_web_and_of_ours_and_nowhere_else():
    kept = ("https://bank.example/3ds?a=1", "http://localhost:8000/x", "/sandbox/checkout/x/", "")
    dropped = ("javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//evil.example/", "x")

    assert [page_address(url) for url in kept] == list(kept)
    assert {page_address(url) for url in dropped} == {""}
