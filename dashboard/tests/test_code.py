"""What the code does not do at all: run text as code, call other hosts, write markup from a script, invent its own ciphers.

Each rule has the exceptions that were looked at, by file; a new one fails here until somebody has looked at it too.
"""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_database

ROOT = Path(__file__).resolve().parents[2]
APPS = ("dashboard", "customers", "billing")
LOOKED_AT = {  # bandit's rule: files that break it, and why that is no danger
    "S308": {"dashboard/templatetags/ui.py", "dashboard/tables.py", "billing/templatetags/billing.py"},  # our own icons and cells
    "S603": {"dashboard/backups/postgres.py", "dashboard/processes.py"},  # a list of words, no shell, nothing anybody typed
    "S608": {  # names of tables and columns of ours; values are parameters
        "dashboard/together.py",
        "dashboard/search.py",
        "dashboard/paging.py",
        "dashboard/redaction.py",
        "dashboard/backups/sqlite.py",
        "customers/privacy/traces.py",
    },
    "S611": {"dashboard/search.py"},  # the same
    "S104": {"dashboard/processes.py"},  # asks what 0.0.0.0 means, and listens where ADDR says
}
CALLERS = {  # modules that can open a connection: files that have them
    "http": {"dashboard/processes.py"},  # asks its own web server whether it is up
    "socket": {"dashboard/processes.py", "dashboard/backups/restoring.py"},  # listen; names a machine
    "smtplib": {"dashboard/mail.py"},  # its errors; the mail leaves through Django, to MAIL_URL
}
NETWORK = {"http", "socket", "smtplib", "urllib.request", "ftplib", "ssl", "asyncio", "requests", "httpx", "aiohttp", "urllib3"}
PARSERS = {"pickle", "marshal", "shelve", "yaml", "xml", "lxml", "dill"}
CRYPTO = {"hashlib", "hmac", "secrets", "cryptography", "argon2"} | {
    f"django.{part}" for part in ("core.signing", "utils.crypto", "contrib.auth.hashers")
}
SCRIPTS = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|new Function|setTimeout\(\s*[\"'`]|postMessage|"
    r"addEventListener\(\s*[\"']message|localStorage|sessionStorage|indexedDB|__proto__|Object\.assign|deepMerge)\b"
)


def product():
    """Files of the product: not the tests, the drills or the benchmark, which are run by hand on one's own machine."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if not {"tests", "drills", "bench"} & set(path.relative_to(ROOT).parts):
                yield path


def findings(*paths):
    """{(rule, file)} of what bandit's rules find, whatever a comment says about it."""
    where = paths or [*APPS, "--exclude", "tests,drills,bench"]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "S", "--ignore-noqa"]
    said = subprocess.run([*command, "--output-format", "json", *map(str, where)], cwd=ROOT, capture_output=True, text=True)
    return {(found["code"], str(Path(found["filename"])).removeprefix(f"{ROOT}/")) for found in json.loads(said.stdout)}


@cache
def nodes():
    """[(file, node)] of every import and call of the product; read once."""
    return [
        (str(path.relative_to(ROOT)), node)
        for path in product()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
    ]


def imports():
    """(file, name) of the modules a file imports, with what `from` takes of them."""
    for file, node in nodes():
        if isinstance(node, ast.Import):
            yield from ((file, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield file, node.module
            yield from ((file, f"{node.module}.{alias.name}") for alias in node.names)


def importing(wanted):
    """{module: files} of the product that import one of the wanted modules or a part of it."""
    found = {}
    for file, name in imports():
        for module in wanted:
            if name == module or name.startswith(f"{module}."):
                found.setdefault(module, set()).add(file)
    return found


def test_nothing_runs_text_as_code_builds_sql_of_values_or_uses_a_broken_cipher():
    """eval, exec, a shell, pickle, MD5 and SHA-1, ECB, TLS without a check, SQL put together, temporary names, XML…"""
    assert findings() == {(rule, file) for rule, files in LOOKED_AT.items() for file in files}


def test_the_rules_would_notice(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import hashlib, pickle, subprocess, random\n"
        "def f(x, cursor):\n"
        "    eval(x); pickle.loads(x); subprocess.run(x, shell=True); hashlib.md5(x)\n"
        "    cursor.execute(f'SELECT 1 FROM t WHERE a = {x}'); return random.random()\n"
    )

    assert {"S307", "S301", "S602", "S324", "S608", "S311"} <= {rule for rule, _ in findings(bad)}


def test_no_other_host_is_called_but_the_mail_server():
    """No address anybody types is ever asked: there is nothing to send requests with. The one gateway runs in this process."""
    assert importing(NETWORK) == CALLERS


def test_nothing_reads_xml_or_objects_somebody_else_wrote():
    assert importing(PARSERS) == {}


def test_no_template_is_made_of_text():
    calls = [(file, node) for file, node in nodes() if isinstance(node, ast.Call)]

    assert [f for f, call in calls if ast.unparse(call.func).split(".")[-1] in ("from_string", "Template")] == []
    assert len(calls) > 1000


def test_our_scripts_write_no_markup_keep_nothing_and_take_no_messages():
    ours = sorted((ROOT / "static" / "js").glob("*.js"))

    assert ours
    assert {path.name: SCRIPTS.findall(path.read_text()) for path in ours if SCRIPTS.search(path.read_text())} == {}
    assert SCRIPTS.search("el.innerHTML = x")


def test_every_use_of_cryptography_is_in_the_inventory():
    """docs/security.md names each file that hashes, signs, encrypts or draws secrets, and no other."""
    page = (ROOT / "docs" / "security.md").read_text()
    inventory = page[page.index("## Cryptography") : page.index("\n## ", page.index("## Cryptography") + 5)]
    used = {file for files in importing(CRYPTO).values() for file in files}

    assert set(re.findall(r"`([\w/]+\.py)`", inventory)) == used
    assert not importing({"random"})


def test_what_is_installed_is_pinned_by_hash_and_named():
    """The inventory of packages is requirements.txt: every one of them by version and SHA-256, from the one index."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text())
        rows = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
        assert len(rows) > 20
        assert [row for row in rows if not re.match(r"[\w.-]+(\[[\w,]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", row)] == []
        assert not re.search(r"--(extra-)?index-url|--find-links", text)


def test_what_only_developers_need_is_not_installed_on_a_live_machine():
    live = {line.partition("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}

    assert not live & {"pytest", "playwright", "hypothesis", "ruff", "django-debug-toolbar", "coverage"}
