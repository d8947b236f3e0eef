"""Everybody asks for every page of a world of records, and every answer is looked at: HTML, CSV, PDF and headers."""

import csv
import io
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from billing.drills.markup import Page, grown
from billing.drills.xss_strings import MARK
from dashboard.tests.routes import EVERYONE_OUTSIDE, routes, undone

WALKERS = ("admin", "manager", "support", "reporting", "payer")
SHORT_QUERY = 1500  # characters of an address
LEFT_ALONE = re.compile(r"logout/$|^admin/.*(/history/|/delete/|/add/|<path:object_id>/)$")  # sign out, lead on or refuse
SIGNS = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠]")
DISPOSITION = re.compile(r"""(attachment|inline)(; filename=("([^"\\]|\\.)*"|[\w.-]+)|; filename\*=utf-8''[^";\s]+)""")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
SEARCHES = (
    " filtered",
    " search/",
    "/statements/customers/",
    "/payment-requests/customers/",
    "/erase/",  # looks for what is known of the customer in texts
)  # what a text finds depends on the text
ACTIVE = re.compile(rb"/(JavaScript|JS|AA|Launch|SubmitForm|EmbeddedFile|RichMedia|OpenAction(?!\s*\[))\b")


@dataclass
class Answer:
    """One answer, as it came, and what is wrong with it."""

    name: str  # the same whatever text is asked with
    url: str
    status: int
    headers: dict
    body: bytes
    page: Page | None = None
    rows: int = 0
    faults: list = field(default_factory=list)

    @property
    def kind(self):
        return self.headers.get("Content-Type", "").partition(";")[0]


def walk(actor, client, world, text, *, paths=None):
    """Every answer to an actor's GETs, about the world's records and with the text in the query, the path and the headers."""
    for name, url, headers in requests(actor, world, text, paths):
        with undone():
            answer = client.get(url, headers={**about(text), **headers})
            body = answer.getvalue()
        yield look(Answer(f"{actor} {name}", url, answer.status_code, dict(answer.headers), body))


def about(text):
    """Headers that come from outside and might be shown."""
    line = " ".join(text.split())[:SHORT_QUERY].encode("ascii", "replace").decode()
    return {"User-Agent": line, "Referer": line, "X-Request-ID": line, "Accept-Language": line}


def requests(actor, world, text, paths):
    """(a name, an address, headers) of what an actor asks for."""
    asked = text[:SHORT_QUERY]
    for route in walked(actor, paths):
        url = route.url(world)
        query = {"next": asked, asked: asked, "view": asked}
        if _is_admin_list(route):
            yield route.path, url, {}
        else:
            yield route.path, _with(url, query if _is_list(route) else query | {"q": asked}), {}
        if _is_admin_list(route):
            yield f"{route.path} filtered", _with(url, {"q": asked}), {}
        if _is_list(route):
            filters = dict.fromkeys(route.view_class.filterset_class.base_filters, asked)
            yield (
                f"{route.path} filtered",
                _with(url, {"q": asked, "sort": asked, "columns": asked} | filters),
                {"HX-Request": "true"},
            )
            if route.view_class.export_name and actor != "payer":
                yield f"{route.path} CSV", _with(url, {"format": "csv"}), {}
    if paths is None:
        yield "no such page", _with(f"/{quote(asked, safe='')}/", {asked: asked}), {}


def walked(actor, paths=None):
    """The routes an actor may open; others are refused with the same page (test_route_walk.py). Help knows no records."""
    chosen = [r for r in routes() if (r.path in paths if paths is not None else not LEFT_ALONE.search(r.path))]
    if actor == "payer":
        return [r for r in chosen if r.path in EVERYONE_OUTSIDE]
    return [r for r in chosen if r.open_to(actor) and (actor == "admin" or not r.path.startswith("help/"))]


def _is_admin_list(route):
    return route.name.startswith("admin:") and route.name.endswith("_changelist")


def _is_list(route):
    return hasattr(route.view_class, "table_class")


def _with(url, query):
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


# --- one answer --------------------------------------------------------------------------------------------
def look(answer):
    """Note what is wrong with an answer by itself."""
    answer.faults += [f"a text in the header {name}" for name, value in answer.headers.items() if _is_split(name, value)]
    if answer.status >= 500:
        answer.faults.append(f"a fault: {answer.status}")
    if answer.kind == "text/html":
        answer.page = Page(answer.body.decode())
        answer.faults += answer.page.faults
    elif answer.kind == "text/csv":
        answer.rows, wrong = read_csv(answer.body.decode("utf-8-sig"))
        answer.faults += wrong
    elif answer.kind == "application/pdf":
        answer.faults += look_into_pdf(answer.body)
    elif MARK.encode() in answer.body and answer.kind not in ("application/json", "text/plain"):
        answer.faults.append(f"a text in an answer of the kind {answer.kind or 'none'}")
    if MARK.encode() in answer.body and answer.headers.get("X-Content-Type-Options") != "nosniff":
        answer.faults.append("a browser may guess what it is")
    return answer


def _is_split(name, value):
    """A header that a text made, ended or broke out of: what of a text stands in one is quoted."""
    broken = name == "Content-Disposition" and not DISPOSITION.fullmatch(value)
    return broken or MARK in name.lower() or re.search(r"[\r\n\0]", value) or (name == "Location" and "<" in value)


def read_csv(text):
    """(rows, what is wrong): every row whole, and no cell that a spreadsheet might run."""
    head, *rows = csv.reader(io.StringIO(text))
    wrong = [f"a row of {len(row)} cells below {len(head)} headings" for row in rows if len(row) != len(head)]
    loose = [cell for row in rows for cell in row if len(cell.strip()) > 2 and SIGNS.match(cell) and not NUMBER.fullmatch(cell)]
    return len(rows), wrong + [f"a formula: {cell[:40]!r}" for cell in loose]


def look_into_pdf(body):
    """What in a PDF would do something, its streams unpacked; and links that lead where a text says."""
    streams = re.compile(rb"stream\r?\n(.*?)\nendstream", re.DOTALL)
    bare = streams.sub(b"", body)
    wrong = [f"a PDF that acts: {found.decode()}" for found in ACTIVE.findall(bare)]
    wrong += ["a link of a text in a PDF" for uri in re.findall(rb"/URI \((.*?)\)", bare) if MARK.encode() in uri]
    return wrong + ["a PDF that cannot be read" for part in streams.findall(body) if not _unpacks(part)]


def _unpacks(part):
    try:
        return bool(zlib.decompressobj().decompress(part)) if part[:1] == b"x" else True
    except zlib.error:
        return False


def compare(answer, plain):
    """What the page has that it has not when all texts are harmless; a list of rows keeps its number."""
    if plain is None or plain.status != answer.status or answer.name.endswith(SEARCHES):
        return []
    if answer.page and plain.page:
        return grown(answer.page, plain.page)
    return [] if answer.rows == plain.rows else [f"{answer.rows} rows of CSV instead of {plain.rows}"]


def told(counts):
    """`12 × 200, 3 × 404`."""
    return ", ".join(f"{number:,} × {status}" for status, number in sorted(Counter(counts).items()))
