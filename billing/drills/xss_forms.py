"""The texts typed into every form and sent to every operation of the API; and every mail that is sent meanwhile."""

import copy
import re
from email import message_from_bytes, policy
from html.parser import HTMLParser

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings

from billing.drills.markup import Page
from billing.drills.xss_strings import MARK
from billing.drills.xss_walk import Answer, about, look, walked
from dashboard import mail as outgoing
from dashboard.models import Mail
from dashboard.tests.api_client import Api
from dashboard.tests.api_operations import operations
from dashboard.tests.routes import DATA, undone
from dashboard.text import unsafe

TEXT = ("text", "search", "email", "tel", "url", "")
STRICT = re.compile(
    r"amount|price|quantity|currency|country|email|phone|code|count|customer$|months|percent|prefix|did$|_on$|_at$|form_key$|^to$"
)
HEADERS = {
    *("Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"),
    *("Content-Transfer-Encoding", "Reply-To"),
}
INVISIBLE = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class Forms(HTMLParser):
    """The POST forms of a page: [(action, {name: (kind, [values])})]."""

    def __init__(self, html):
        super().__init__()
        self.found, self.select, self.area = [], "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        if tag == "form":
            self.found.append((at.get("method", "get").lower(), at.get("action") or "", {}))
        if not self.found or (tag != "option" and not at.get("name")):
            return
        fields, name = self.found[-1][2], at.get("name", "")
        if tag == "input":
            self._input(fields, name, at)
        elif tag == "textarea":
            self.area = name
            fields.setdefault(name, ("text", [""]))
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and (self.select not in fields or "selected" in at):
            fields[self.select] = ("select", [at.get("value", "")])

    def _input(self, fields, name, at):
        kind = at.get("type", "text")
        if kind in ("checkbox", "radio") and "checked" not in at and not (kind == "radio" and name not in fields):
            return
        if kind != "submit":
            values = [] if kind == "radio" else fields.get(name, ("", []))[1]
            number = at.get("inputmode") in ("numeric", "decimal")
            fields[name] = ("number" if number else "text" if kind in TEXT else kind, [*values, at.get("value", "")])

    def handle_data(self, data):
        if self.area:
            kind, values = self.found[-1][2][self.area]
            self.found[-1][2][self.area] = kind, [values[0] + data.lstrip("\n")]

    def handle_endtag(self, tag):
        self.select = "" if tag == "select" else self.select
        self.area = "" if tag == "textarea" else self.area

    def of(self, url):
        """The fields of the largest form that is sent to this address."""
        ours = [
            fields for method, action, fields in self.found if method == "post" and action in ("", url, url.partition("?")[0])
        ]
        return max(ours, key=len, default={})


def filled(fields, text, *, strictly):
    """What is sent: the text in every field that takes one; not in those that take amounts or addresses, if strictly."""
    sent = {}
    for name, (kind, values) in fields.items():
        if kind == "file":
            sent[name] = SimpleUploadedFile(f"{text[:60]}.csv", f"name,{quoted(text)}\n{quoted(text)},x\n".encode())
        elif kind in ("text", "number") and not strictly:
            sent[name] = [text[:480]] * len(values)
        elif kind == "text" and not STRICT.search(name):
            sent[name] = [typed(text)[: 40 if name.endswith("_key") else 60]] * len(values)
        else:
            sent[name] = values
    return sent


def typed(text):
    """What of a text a form does not refuse as such."""
    return "".join(sign for sign in text if not unsafe(sign)).strip()


def quoted(text):
    """A cell of CSV."""
    return '"' + text.replace('"', '""') + '"'


def send_forms(actor, client, world, text):
    """Send every form there is twice, once with nothing but the text. Yields the answers, and the page each leads to."""
    for route in walked(actor):
        if route.path.startswith(("admin/", "help/")) and "/user/" not in route.path:
            continue
        url = route.url(world)
        with undone():
            shown = client.get(url)
            fields = Forms(shown.text).of(url) if shown.status_code == 200 and not shown.streaming and _is_html(shown) else {}
        if not any(kind in ("text", "file") for kind, _ in fields.values()):
            continue
        for strictly in (False, True):
            with undone():
                yield from _send(
                    f"{actor} {route.path}", client, url, filled(fields, text, strictly=strictly) | DATA.get(route.path, {})
                )


def _is_html(response):
    return response["Content-Type"].startswith("text/html")


def _send(name, client, url, data):
    last = Mail.objects.order_by("-pk").values_list("pk", flat=True).first() or ""
    answer = client.post(url, data, headers=about(MARK))
    yield look(Answer(f"{name} sent", url, answer.status_code, dict(answer.headers), answer.getvalue()))
    if answer.status_code in (302, 303):
        after = client.get(answer["Location"])
        found = look(Answer(f"{name} done", url, after.status_code, dict(after.headers), after.getvalue()))
        if found.page and INVISIBLE.search(found.body.decode()):
            found.faults.append("a form kept an invisible sign")
        yield found
    for row in Mail.objects.filter(pk__gt=last):
        yield look_at_mail(f"{name} mail", row)


# --- the API -----------------------------------------------------------------------------------------------
def ask_api(world, text, user):
    """Every operation, with the text in every field of its example body. The key it is asked with is undone as well."""
    with undone():
        api = Api(user=user)
        for operation in operations():
            body = operation.example if operation.takes_body else None
            with undone():
                answer = api.send(operation.verb, operation.url(world), body and worded(body, text))
            yield _of_api(
                Answer(f"api {operation}", operation.path, answer.status_code, dict(answer.headers), answer.getvalue()), body
            )


def _of_api(answer, body):
    look(answer)
    if answer.body and answer.kind != "application/json":
        answer.faults.append(f"an answer of the API of the kind {answer.kind}")
    if answer.status in (200, 201) and body and INVISIBLE.search(answer.body.decode("unicode_escape", "ignore")):
        answer.faults.append("the API kept an invisible sign")
    return answer


def worded(body, text):
    """A body with the text in its free fields."""
    if isinstance(body, dict):
        return {
            name: text[:250] if isinstance(value, str) and not _is_strict(name) else worded(value, text)
            for name, value in body.items()
        }
    return [worded(item, text) for item in body] if isinstance(body, list) else copy.copy(body)


def _is_strict(name):
    return STRICT.search(name) or name.endswith(
        ("_id", "_type", "status", "type", "reason", "interval", "billing", "destination")
    )


# --- mail --------------------------------------------------------------------------------------------------
def look_at_mails(to):
    """Every mail in the outbox as it would be sent; those that could not be are told by their error."""
    for row in Mail.objects.all():
        yield look_at_mail(f"mail {row.kind}", row)
        row.to, row.subject = to, " ".join(row.subject.split())  # as it would stand there: line ends are refused just above
        yield look_at_mail(f"mail {row.kind} to staff", row)


def look_at_mail(name, row):
    """A mail made: the headers it should have and no other, and HTML that is ours. Status 0 when it cannot be made."""
    try:
        with override_settings(MAIL_URL="console:"):  # printed mail is made whoever it is for
            message = outgoing._message(row).message()
    except Exception:  # whatever it is: sending notes it in the outbox and sends nothing (dashboard.mail.send)
        return Answer(name, row.pk, 0, {}, b"")
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    html = read.get_body(("html",)).get_content()
    page = Page(html, mail=True)
    faults = page.faults + [f"a header of a text: {header}" for header in read if header not in HEADERS]
    return Answer(name, f"/mail/{row.pk}", 200, {"Content-Type": "text/html; charset=utf-8"}, html.encode(), page, faults=faults)
