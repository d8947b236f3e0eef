"""Hostile requests over all routes, made by chance from the routes, the forms that pages show and the API's document."""

import json
import time
from copy import deepcopy
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import quote

from django.test.client import BOUNDARY, MULTIPART_CONTENT

from billing.drills import nasty
from billing.drills.canaries import TYPED
from billing.gateways.sandbox import deliveries
from dashboard.tests.api_operations import NAMED, operations
from dashboard.tests.routes import EVERYONE_OUTSIDE, routes
from dashboard.tests.typing import Page, good_value

FORM = "application/x-www-form-urlencoded"
LIST_WORDS = ["q", "sort", "after", "before", "per_page", "columns", "format", "view", "show", "page", "next", "step", "method"]
ADMIN_WORDS = (
    "q o p e all mode status__exact status role__exact id id__exact email__regex created_at__gte customer__id _facets _popup "
    "actor__exact is_active__exact livemode__exact _to_field _changelist_filters action index select_across _selected_action"
).split()
FIELDS = (  # what some form somewhere reads, whether its page shows it or not
    "kind first_name last_name company_name email phone reference description tax_id currency billing_statement_prefix did "
    "metadata_key metadata_value version was country name line1 line2 line3 city state postal_code phone_number is_default body "
    "pinned amount_0 amount_1 amount amount_currency expires_at note list column next mode theme shared login password password1 "
    "password2 oldpassword code card number form_key merchant_reference_id method_types match clear encoding delimiter "
    "format-encoding format-delimiter not_a_duplicate role is_active shortcuts why reason remarks destination percent_off "
    "promised_on confirm_password scopes addresses token key credential method step coupon quantity price interval until "
    "hours to message"
).split()
SECRET_BOXES = ("password", "password1", "password2", "oldpassword", "confirm_password", "secret")
ODD_PATHS = [
    "/static/%2e%2e/%2e%2e/etc/passwd", "/static/css/", "/.env", "/%00", "//evil.example/%2f..", "/customers", "/favicon.ico",
    "/robots.txt", "/api/", "/api/v1", "/api/v1/nowhere", "/%ff%fe", "/admin/customers/", "/pay/", "/" + "a" * 5000,
]  # fmt: skip
PAYERS = ("pay/", "sandbox/", "invitation/")
FRAGILE = ("accounts/", "team/", "profile/", "mode/", "admin/dashboard/user")  # what is done there may end an actor's session


@dataclass
class Sent:
    """One request, ready to be sent or to be told."""

    kind: str
    verb: str
    url: str
    body: bytes = b""
    content_type: str = FORM
    headers: dict = field(default_factory=dict)
    secret: bool = False  # whether it carries what nobody may find again

    def __str__(self):
        told = [self.verb, self.url, *([self.content_type] if self.body else []), *([repr(self.headers)] if self.headers else [])]
        return f"{' '.join(told)} {self.body!r}"

    def send(self, client, address):
        """The response; cookies the client got by it are none of the next request's."""
        before = deepcopy(client.cookies)
        cookie = {"HTTP_COOKIE": self.headers["Cookie"]} if "Cookie" in self.headers else {}
        others = {f"HTTP_{name.upper().replace('-', '_')}": v for name, v in self.headers.items() if name not in NOT_HTTP}
        plain = {NOT_HTTP[name]: v for name, v in self.headers.items() if NOT_HTTP.get(name)}
        try:
            return client.generic(
                self.verb, self.url, self.body, self.content_type, REMOTE_ADDR=address, **cookie, **others, **plain
            )
        finally:
            client.cookies = before


NOT_HTTP = {"Cookie": "", "Content-Length": "CONTENT_LENGTH"}


def quoted(text):
    """Text as one step of a path."""
    return quote(text, safe="", errors="surrogatepass")[:3000]


def encoded(pairs):
    return "&".join(f"{quote(str(k), errors='surrogatepass')}={quote(str(v), errors='surrogatepass')}" for k, v in pairs)


class Maker:
    """`Maker(world, admin, stranger).make(kind, chance)` -> Sent, of one of KINDS. The two see what pages ask for."""

    def __init__(self, world, admin, stranger):
        self.world = world
        self.routes = list(routes())
        self.lists = [r for r in self.routes if hasattr(r.view_class, "table_class")]
        self.admin_lists = [r for r in self.routes if r.name.startswith("admin:") and r.name.endswith("_changelist")]
        self.named = [r for r in self.routes if r.params]
        self.operations = operations()
        self.forms = list(self._forms(admin, stranger).values())
        self.open_pages = [r for r in self.routes if r.path.startswith(PAYERS)]
        self.of_payers = [form for form in self.forms if form.path.startswith(PAYERS)]
        self.imports = [form for form in self.forms if "imports/" in form.path]

    @property
    def told(self):
        """What there is to send to, in a sentence."""
        return f"{len(self.routes)} routes, {len(self.forms)} forms and {len(self.operations)} operations of the API"

    def make(self, kind, chance):
        """A request of a kind; one in fourteen carries secrets."""
        sent = getattr(self, kind)(chance)
        sent.kind = kind
        if chance.random() < 0.07 and kind != "webhooks":
            self._put_in_secrets(sent, chance)
        return sent

    # --- what there is to fill in ----------------------------------------------------------------------------
    def _forms(self, admin, stranger):
        """Every form of every page, by where it is sent and what it asks."""
        found = {}
        for route in self.routes:
            client = stranger if route.path in EVERYONE_OUTSIDE else admin
            url = route.url(self.world)
            answer = client.get(url)
            if answer.status_code == 200 and not answer.streaming and answer["Content-Type"].startswith("text/html"):
                for form in Page(answer.text).forms:
                    pairs = [(box.name, good_value(box)) for box in form.boxes if box.name]
                    action = form.action or url
                    names = tuple(sorted({name for name, _ in pairs}))
                    found[form.method, action, names] = SimpleNamespace(
                        path=route.path, method=form.method, action=action, pairs=pairs
                    )
        return found

    # --- kinds -----------------------------------------------------------------------------------------------
    def lists_of(self, chance):
        """Lists, their CSV among them: search, filters, sorting, cursors."""
        route = chance.choice(self.lists)
        names = [*LIST_WORDS, *route.view_class.filterset_class.base_filters]
        pairs = [(chance.choice(names), nasty.text(chance)) for _ in range(chance.randrange(1, 5))]
        if chance.random() < 0.2:
            pairs.append(("format", "csv"))
        if chance.random() < 0.3:
            pairs.append(("sort", chance.choice(["name", "-email", "total", "-created_at"])))
        return self._get(route.url(self.world), pairs)

    def pages(self, chance):
        """Any page as it is, or with a query nobody asked for."""
        url = chance.choice(self.routes).url(self.world)
        names = [*LIST_WORDS, *FIELDS]
        return self._get(url, [(chance.choice(names), nasty.text(chance)) for _ in range(chance.choice((0, 0, 1, 3)))])

    def paths(self, chance):
        """Something else where the address names a record, a token or a topic."""
        if chance.random() < 0.1:
            return Sent("", chance.choice(("GET", "POST")), chance.choice(ODD_PATHS))
        route = chance.choice(self.named)
        parts = route.url(self.world).partition("?")[0].split("/")
        spot = chance.randrange(1, len(parts))
        parts[spot] = quoted(nasty.text(chance))
        return Sent("", chance.choice(("GET", "GET", "POST")), "/".join(parts))

    def form(self, chance):
        """A form of a page, some of its boxes filled in wrong, some left out, some sent twice, some nobody asked for."""
        return self._fill(chance.choice(self.forms), chance)

    def payer(self, chance):
        """What payers are shown and fill in, and the sandbox's pages."""
        if chance.random() < 0.5:
            pairs = [(chance.choice(LIST_WORDS), nasty.text(chance))] * chance.randrange(2)
            return self._get(chance.choice(self.open_pages).url(self.world), pairs)
        return self._fill(chance.choice(self.of_payers), chance)

    def admin(self, chance):
        """The support admin: lists with lookups nobody offered, and its forms."""
        forms = [form for form in self.forms if form.path.startswith("admin/") and form.method == "post"]
        if chance.random() < 0.3:
            return self._fill(chance.choice(forms), chance)
        pairs = [(chance.choice(ADMIN_WORDS), nasty.text(chance)) for _ in range(chance.randrange(1, 4))]
        return self._get(chance.choice(self.admin_lists).url(self.world), pairs)

    def uploads(self, chance):
        """Files nobody can read, under names nobody gives, where an import takes one; and the steps after it."""
        if chance.random() < 0.4:
            return self._fill(chance.choice(self.imports), chance)
        name = quote(chance.choice(["a.csv", "a.xlsx", "../../a.csv", "a\r\nb.csv", "x" * 300 + ".csv", "", "山田.csv"]))
        data = chance.choice(nasty.FILES)
        kind = chance.choice(["text/csv", "application/zip", "nonsense", "text/csv; charset=utf-16"])
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
        rest = _multipart([("list", "customers"), ("encoding", ""), ("delimiter", nasty.text(chance))])
        body = head.encode() + data + b"\r\n" + rest
        if chance.random() < 0.1:
            body = body[: chance.randrange(len(body))]
        return Sent("", "POST", "/customers/imports/new/", body, MULTIPART_CONTENT)

    def webhooks(self, chance):
        """Deliveries of a gateway, signed and not."""
        about = {"id": chance.choice([self.world.sandbox_charge] * 4 + [self.world.sandbox_checkout, "x"]), "object": "payment"}
        event = chance.choice(["payment_intent.succeeded", "charge.refunded", "charge.dispute.created"])
        body = {"id": f"evt_{chance.randrange(50)}", "type": event, "created": int(time.time()), "livemode": False}
        body |= {"data": {"object": about}}
        if chance.random() < 0.6:
            body = nasty.spoilt(body, chance)
        body = nasty.as_json(body) if chance.random() < 0.85 else chance.choice(nasty.RAW)
        signed = chance.random() < 0.7
        headers = {"Sandbox-Signature": deliveries.sign(body) if signed else chance.choice(nasty.HEADERS["Sandbox-Signature"])}
        url = "/webhooks/sandbox/" if chance.random() < 0.95 else "/webhooks/nobody/"
        return Sent("", "POST", url, body, "application/json", headers)

    def api(self, chance):
        """The API: a good body spoilt, another one, odd parameters, odd paths."""
        operation = chance.choice(self.operations)
        path, body = operation.url(self.world), b""
        if operation.takes_body:
            body = self._body(operation, chance)
        elif operation.verb == "GET":
            names = [p["name"] for p in operation.document.get("parameters", ()) if p["in"] == "query"] or ["limit"]
            path += "?" + encoded([(chance.choice(names), nasty.text(chance)) for _ in range(chance.randrange(4))])
        if operation.params and chance.random() < 0.15:
            path = path.replace(path.split("/")[2].partition("?")[0], quoted(nasty.text(chance)))
        headers = {"Idempotency-Key": chance.choice(nasty.HEADERS["Idempotency-Key"])} if chance.random() < 0.2 else {}
        return Sent("", operation.verb, f"/api/v1{path}", body, "application/json", headers)

    def _body(self, operation, chance):
        if chance.random() < 0.1:
            return chance.choice(nasty.RAW)
        named = {name: getattr(self.world, kind, None) for name, kind in NAMED.items()}
        body = {name: named.get(name) or found for name, found in (operation.example or {}).items()}
        for _ in range(chance.randrange(4)):
            body = nasty.spoilt(body, chance) if isinstance(body, dict) else body
        return nasty.as_json(body)

    def envelope(self, chance):
        """A good request in a bad envelope: headers, cookies, Content-Types and verbs."""
        sent = chance.choice([self.form, self.pages, self.api, self.payer, self.lists_of])(chance)
        names = chance.sample(list(nasty.HEADERS), chance.randrange(0, 4))
        sent.headers |= {name: chance.choice(nasty.HEADERS[name]) for name in names}
        if chance.random() < 0.3:
            sent.headers["Cookie"] = chance.choice(nasty.COOKIES)
        if chance.random() < 0.3:
            sent.content_type = chance.choice(nasty.TYPES)
        if chance.random() < 0.2:
            sent.verb = chance.choice(nasty.VERBS)
        if chance.random() < 0.1:
            sent.body = chance.choice(nasty.RAW)
        return sent

    # --- parts -----------------------------------------------------------------------------------------------
    def _get(self, url, pairs):
        if not pairs:
            return Sent("", "GET", url)
        return Sent("", "GET", f"{url}{'&' if '?' in url else '?'}{encoded(pairs)}")

    def _fill(self, form, chance):
        pairs = list(form.pairs)
        for _ in range(chance.choice((0, 1, 1, 2, 4)) if pairs else 0):
            at = chance.randrange(len(pairs))
            fate = chance.random()
            if fate < 0.75:
                pairs[at] = (pairs[at][0], nasty.text(chance))
            elif fate < 0.85:
                pairs.append((pairs[at][0], nasty.text(chance)))
            elif len(pairs) > 1:
                del pairs[at]
        if chance.random() < 0.25:
            pairs += [(chance.choice(FIELDS), nasty.text(chance)) for _ in range(chance.randrange(1, 4))]
        if form.method == "get":
            return self._get(form.action.partition("?")[0], pairs)
        if chance.random() < 0.1:
            return Sent("", "POST", form.action, _multipart(pairs), MULTIPART_CONTENT)
        return Sent("", "POST", form.action, encoded(pairs).encode())

    def _put_in_secrets(self, sent, chance):
        """Passwords and keys where somebody would put them, and that by mistake into an address."""
        sent.secret = True
        sent.headers.setdefault("X-Api-Key", TYPED["key in a header"])
        if chance.random() < 0.3:
            sent.headers.setdefault("Authorization", f"Bearer {TYPED['bearer']}")
        if chance.random() < 0.2:
            sent.headers.setdefault("Cookie", f"other={TYPED['cookie']}")
        if sent.verb == "POST" and sent.content_type == FORM:
            sent.body += b"&" + encoded((name, TYPED["password"]) for name in chance.sample(SECRET_BOXES, 3)).encode()
        if sent.content_type == "application/json" and sent.body[:1] == b"{" and 2 < len(sent.body) < 9000:
            sent.body = b'{"password": "%s", %s' % (TYPED["json"].encode(), sent.body[1:])


def _multipart(pairs):
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{quote(name)}"\r\n\r\n{text}\r\n'.encode(errors="surrogatepass")
        for name, text in pairs
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


KINDS = {  # kind: share of all requests
    "form": 22, "lists_of": 16, "api": 18, "pages": 8, "paths": 8, "payer": 7, "admin": 7, "envelope": 8, "webhooks": 3,
    "uploads": 3,
}  # fmt: skip


def reads_json(body):
    """Whether bytes are JSON as we answer it."""
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
