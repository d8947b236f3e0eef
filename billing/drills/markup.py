"""What a page is made of, and what of it a user's text made: the page's own parser, stricter than a browser's.

A browser reads <textarea> and <title> as text up to their end; here an element in one counts as one, for ours escape it.
"""

import re
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urlsplit

from billing.drills.xss_strings import EVALUATED, MARK

ADDRESSES = {"href", "src", "action", "formaction", "poster", "data", "srcset", "xlink:href", "background", "cite", "ping"}
ADDRESSES |= {"hx-get", "hx-post", "hx-put", "hx-delete", "hx-patch", "data-copy-from"}
SCHEMES = {"", "http", "https", "mailto", "tel"}
COMMANDS = re.compile(r"on\w+|style|srcdoc|http-equiv|class|hx-(?!vals|include|get|post).*|x-.*|is|rel|type|target")
INLINE = {"style", "iframe", "object", "embed", "base"}
PLAIN = {"br", "p", "wbr"}  # what line ends in a text may make


class Page(HTMLParser):
    """faults: what a text did on the page. made_of: {(element, its attributes' names): how many}."""

    def __init__(self, html, *, mail=False):
        super().__init__(convert_charrefs=True)
        self.faults, self.made_of, self.raw = [], Counter(), ""
        self.mail = mail
        self.feed(html)
        self.close()
        if EVALUATED in html:
            self.faults.append("a template evaluated a text")

    def handle_starttag(self, tag, attrs):
        self.raw = tag if tag in ("script", "style") else ""
        if tag not in PLAIN:
            self.made_of[tag, tuple(sorted(name for name, _ in attrs))] += 1
        if tag in INLINE or (tag == "script" and not dict(attrs).get("src")):
            self.faults.append(f"inline, or another page within: {self.get_starttag_text()[:120]}")
        if MARK in tag or any(MARK in name or name.startswith("on") for name, _ in attrs):
            self.faults.append(f"an element or attribute of a text: {self.get_starttag_text()[:120]}")
        for name, value in attrs:
            self._look_at(tag, name, value or "", dict(attrs))

    def _look_at(self, tag, name, value, attrs):
        if name in ADDRESSES and (told := self._address(tag, value, attrs)):
            self.faults.append(f"{told}: {self.get_starttag_text()[:120]}")
        if COMMANDS.fullmatch(name) and MARK in value:
            self.faults.append(f"a text in {name}: {self.get_starttag_text()[:120]}")
        if name == "style" and not self.mail:
            self.faults.append(f"an inline style: {self.get_starttag_text()[:120]}")

    def _address(self, tag, value, attrs):
        """What is wrong with an address; "" when nothing is. A browser drops spaces and controls before it looks."""
        bare = re.sub(r"[\x00-\x20]", "", value).replace("\\", "/")
        try:
            found = urlsplit(bare)
        except ValueError:
            return "an address nobody can read"
        if found.scheme.lower() not in SCHEMES:
            return f"an address of the kind {found.scheme}"
        if MARK in found.netloc and found.scheme.lower() not in ("mailto", "tel"):
            if tag != "a":
                return "something fetched from where a text says"
            if not {"noopener"} & set(attrs.get("rel", "").split()):
                return "a link of a user's without rel=noopener"
        return ""

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        if self.raw and MARK in data:
            self.faults.append(f"a text within <{self.raw}>: {data.strip()[:80]}")

    def handle_endtag(self, tag):
        self.raw = ""

    def _told(self, what):
        if MARK in what:
            self.faults.append(f"a comment or declaration of a text: {what[:80]}")

    handle_comment = handle_decl = handle_pi = unknown_decl = _told


def grown(page, plain):
    """Elements or attributes that the page has and the same page of harmless texts has not, in words."""
    more = page.made_of - plain.made_of
    return [f"{count} more <{tag} {' '.join(names)}>" for (tag, names), count in more.items()]
