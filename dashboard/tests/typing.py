"""The boxes of a page people can type in, and what a browser sends when one of them holds something."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlencode

from django.utils import timezone

TYPED = {"text", "search", "tel", "email", "url", "number", "date", "datetime-local", "password", ""}
GOOD = {  # by a field's name, or the end of it: what lets the rest of a form pass
    "amount_0": "1.00", "amount": "1.00", "price": "1.00", "quantity": "1", "email": "typed@example.com",
    "to": "typed@example.com", "phone": "+639175550199", "phone_number": "+639175550199", "percent_off": "10",
    "postal_code": "1008", "metadata_key": "", "metadata_value": "", "q": "", "did": "", "code": "", "coupon": "",
    "billing_statement_prefix": "",
}  # fmt: skip


class Box(NamedTuple):
    name: str
    kind: str  # the type of an input, or textarea, select, hidden, button
    value: str


class Form(NamedTuple):
    method: str
    action: str
    boxes: list

    @property
    def typed(self):
        """The places of the boxes one can type in."""
        return [n for n, box in enumerate(self.boxes) if box.kind in TYPED or box.kind == "textarea"]

    @property
    def buttons(self):
        """(name, value) of each way to send it: the plain one if there is one, and every named button."""
        return [(b.name, b.value) for b in self.boxes if b.kind == "button" and b.name] or [None]

    def filled(self, at, text, button=None):
        """What a browser sends with text typed at one place, and something good in the others, urlencoded."""
        pairs = [(box.name, text if n == at else good_value(box)) for n, box in enumerate(self.boxes) if box.kind != "button"]
        beside = self.boxes[at].name
        if beside.endswith(("_key", "_value")):  # a pair is kept only whole
            n = at + 1 if beside.endswith("_key") else at - 1
            pairs[n] = (pairs[n][0], pairs[n][1] or "typed")
        return urlencode([*pairs, *([button] if button else [])])


def good_value(box):
    if box.value or box.kind in ("select", "hidden"):
        return box.value
    if box.kind in ("date", "datetime-local"):
        day = timezone.localdate() + timedelta(days=7)
        return f"{day}T12:00" if box.kind == "datetime-local" else str(day)
    name = box.name.rpartition("-")[2]
    return GOOD.get(name, "1" if box.kind == "number" else "Typed")


class Page(HTMLParser):
    """`Page(html).forms`: the forms of a page, as a browser would send them."""

    def __init__(self, html):
        super().__init__()
        self.forms, self.form, self.select, self.textarea = [], None, None, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        had = dict(attrs)
        if tag == "form":
            self.form = Form((had.get("method") or "get").lower(), had.get("action") or "", [])
            self.forms.append(self.form)
        elif self.form and tag in ("input", "button", "textarea", "select") and "disabled" not in had:
            getattr(self, f"_{tag}")(had)
        elif tag == "option" and self.select is not None:
            self.select.append((had.get("value", ""), "selected" in had))

    def _input(self, had):
        kind = had.get("type", "")
        if kind in ("submit", "button", "image", "file") or not had.get("name"):
            return
        if kind in ("checkbox", "radio"):
            first = kind == "radio" and not any(b.name == had["name"] for b in self.form.boxes)
            if "checked" in had or first:
                self._add(had, "hidden", had.get("value", "on"))
        else:
            self._add(had, kind, had.get("value") or "")

    def _button(self, had):
        if had.get("type", "submit") == "submit":
            self.form.boxes.append(Box(had.get("name", ""), "button", had.get("value", "")))

    def _textarea(self, had):
        self.textarea, self.text = had, ""

    def _select(self, had):
        self.select, self.chosen = [], had

    def _add(self, had, kind, value):
        self.form.boxes.append(Box(had["name"], kind, value))

    def handle_data(self, data):
        if self.textarea is not None:
            self.text += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self.textarea is not None:
            self._add(self.textarea, "textarea", self.text.strip("\n"))
            self.textarea = None
        elif tag == "select" and self.select is not None:
            chosen = next((v for v, on in self.select if on), "") or next((v for v, _ in self.select if v), "")
            if self.chosen.get("name"):
                self._add(self.chosen, "select", chosen)
            self.select = None
        elif tag == "form":
            self.form = None
