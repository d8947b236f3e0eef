"""The same answers in Chromium: no dialog, no refusal by the content policy, no error, nothing that a text made.

A server of the drill's own gives each page as it was answered, with its headers, and the files it needs.
"""

import mimetypes
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.contrib.staticfiles import finders

from billing.drills.xss_strings import MARK
from dashboard.tests import chromium

LEFT = ("content-length", "set-cookie", "location", "content-encoding", "connection")
MADE = """mark => {
  const found = [];
  for (const node of document.querySelectorAll("*")) {
    const names = node.getAttributeNames();
    if (node.localName.includes(mark) || names.some(n => n.includes(mark) || n.startsWith("on")))
      found.push("made " + node.cloneNode().outerHTML.slice(0, 150));
    for (const name of ["href", "src", "action", "formaction"])
      if (/^[\\s\\x00-\\x1f]*(javascript|data|vbscript):/i.test(node.getAttribute(name) || ""))
        found.push("an address " + node.cloneNode().outerHTML.slice(0, 150));
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  return found.concat(wide > 1 ? [wide + " px wider than the window"] : []);
}"""


def installed():
    """Where Chromium is; None without it, or without the package that drives it."""
    try:
        import playwright.sync_api  # noqa: F401  for development only
    except ImportError:
        return None
    return chromium.find()


@contextmanager
def browser():
    """A browser of one's own."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=installed(), args=chromium.FLAGS)
        try:
            yield opened
        finally:
            opened.close()


def open_all(browser, answers, *, width=1280):
    """Open every HTML answer at one width. Returns (how many were opened, [what was wrong, in words])."""
    opened, wrong = 0, []
    scripts = {urlsplit(answer.url).path: answer for answer in answers if answer.kind == "text/javascript"}
    with served(scripts) as site, watched(browser, site, width, wrong) as page:
        for answer in answers:
            if answer.kind == "text/html" and answer.body:
                site.current = answer
                page.goto(site.address + answer.url, wait_until="load")
                wrong += [f"{answer.name}: {fault}" for fault in page.evaluate(MADE, MARK)]
                opened += 1
    return opened, wrong


@contextmanager
def watched(browser, site, width, wrong):
    """A page whose every complaint is put down."""

    def hear(message):
        refused = "the server responded with a status of" in message.text and site.current.status >= 400
        if "Content Security Policy" in message.text or (message.type == "error" and not refused):
            wrong.append(f"{site.current.name}: {message.text[:300]}")

    def dismiss(dialog):
        wrong.append(f"{site.current.name}: a dialog: {dialog.message}")
        dialog.dismiss()

    def follow(request):
        if not request.url.startswith(site.address):
            wrong.append(f"{site.current.name}: asks for {request.url[:100]}")

    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", service_workers="block")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("dialog", dismiss)
    page.on("request", follow)
    page.on("console", hear)
    page.on("pageerror", lambda error: wrong.append(f"{site.current.name}: {error}"))
    try:
        yield page
    finally:
        context.close()


@contextmanager
def served(scripts):
    """The server, in a thread of its own: it asks no database. `scripts` are answers that pages ask for besides their files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.current, server.scripts, server.daemon_threads = None, scripts, True
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """A file, or the page of the moment; a part of a page that a script asks for is left as it is."""
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/static/"):
            return self._file(finders.find(path.removeprefix("/static/")))
        page = self.server.current if self.headers.get("Sec-Fetch-Dest") == "document" else self.server.scripts.get(path)
        if page:
            return self._send(page.status, {k: v for k, v in page.headers.items() if k.lower() not in LEFT}, page.body)
        return self._send(204, {}, b"")

    def _file(self, found):
        if not found:
            return self._send(404, {}, b"")
        kept = {"Cache-Control": "max-age=600", "Cross-Origin-Resource-Policy": "same-origin"}
        kind = mimetypes.guess_type(found)[0] or "application/octet-stream"
        return self._send(200, {"Content-Type": kind, **kept}, Path(found).read_bytes())

    def _send(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        with suppress(ConnectionError):  # the browser has gone on to the next page
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format, *args):
        """Nothing is logged: what went wrong is told by the page."""
