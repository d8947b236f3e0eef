"""Who imports whom, how files are named and how long they are: the design, kept by the syntax tree."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.one_database

BASE = Path(settings.BASE_DIR)
APPS = ("dashboard", "customers", "billing")
DOORS = {  # files of the dashboard that may know apps: the front door, and commands
    "dashboard.urls", "dashboard.api.v1", "dashboard.pages", "dashboard.find", "dashboard.first_start", "dashboard.settings",
}  # fmt: skip
DOOR_FOLDERS = ("dashboard.management.", "dashboard.bench")
ROOMS = [  # within an app, each imports only those before it and its own kind
    {"models", "import_models"},
    {"gateways"},
    {"domain"},
    {"imports"},
    {"tables", "filters", "forms", "import_forms", "statement_forms"},
    {"views", "record_views", "import_views", "admin", "api", "tasks"},
    {"urls", "import_urls", "customer_urls", "pay_urls"},
]
FORBIDDEN_NAMES = {"utils", "helpers", "services", "signals", "managers", "constants", "common", "misc"}
LONGEST = 450


@cache
def sources():
    """{module name: path} of our code, tests and migrations left out."""
    found = {}
    for app in APPS:
        for path in sorted((BASE / app).rglob("*.py")):
            parts = path.relative_to(BASE).with_suffix("").parts
            if "tests" not in parts and "migrations" not in parts:
                found[".".join(p for p in parts if p != "__init__")] = path
    return found


@cache
def imports(module):
    """The modules of ours a module imports, whether at its top or inside a function; names as far as they are modules."""
    tree, found = ast.parse(sources()[module].read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in sources() else node.module for a in node.names}
    return found


def app_of(module):
    return module.split(".")[0]


def room_of(module):
    parts = module.split(".")
    return next((n for n, names in enumerate(ROOMS) if len(parts) > 1 and parts[1] in names), None)


def is_door(module):
    return module in DOORS or module.startswith(DOOR_FOLDERS)


def test_the_kit_knows_no_app_customers_no_bill_and_billing_both():
    allowed = {"dashboard": {"dashboard"}, "customers": {"dashboard", "customers"}, "billing": set(APPS)}
    wrong = [
        f"{module} imports {name}"
        for module in sources() if not is_door(module)
        for name in imports(module) if app_of(name) in APPS and app_of(name) not in allowed[app_of(module)]
    ]  # fmt: skip

    assert len(sources()) > 60
    assert wrong == []


def test_the_kit_does_not_import_the_front_door():
    knocks = [
        (m, n)
        for m in sources()
        if not is_door(m)
        for n in imports(m)
        if n in ("dashboard.pages", "dashboard.urls", "dashboard.find")
    ]

    assert knocks == []


def test_rooms_import_downwards_only():
    wrong = [
        f"{module} imports {name}"
        for module in sources() if app_of(module) != "dashboard" and room_of(module) is not None
        for name in imports(module)
        if app_of(name) == app_of(module) and room_of(name) is not None and room_of(name) > room_of(module)
    ]  # fmt: skip

    assert wrong == []


def test_models_and_domain_know_no_request_and_no_page():
    wrong = [
        f"{module} imports {name}"
        for module in sources() if room_of(module) in (0, 1, 2) and app_of(module) != "dashboard"
        for name in all_imports(module) if name.startswith(("django.http", "django.shortcuts", "django.contrib.messages",
        "django.views", "dashboard.views", "dashboard.tables"))
    ]  # fmt: skip

    assert wrong == []


@cache
def all_imports(module):
    found = set()
    for node in ast.walk(ast.parse(sources()[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_gateways_import_money_and_the_standard_library():
    """The sandbox is a remote world of its own in the same process: its folder may use Django and itself."""
    ours = [m for m in sources() if m.startswith("billing.gateways")]
    wrong = [
        f"{module} imports {name}"
        for module in ours
        for name in imports(module)
        if (app_of(name) in APPS and name not in ("dashboard.money",
        *KIT_FOR_THE_SANDBOX) and not name.startswith("billing.gateways"))
        or (name in KIT_FOR_THE_SANDBOX and not module.startswith("billing.gateways.sandbox"))
    ]  # fmt: skip

    assert len(ours) > 3
    assert wrong == []


KIT_FOR_THE_SANDBOX = ("dashboard.ids", "dashboard.fields", "dashboard.forms")


def test_no_file_has_a_name_that_says_nothing():
    assert [str(path) for path in sources().values() if path.stem in FORBIDDEN_NAMES] == []


def test_files_can_be_read_in_a_sitting():
    long = {m: n for m, path in sources().items() if (n := len(path.read_text().splitlines())) > LONGEST}

    assert long == {}


def test_nothing_is_left_to_do_and_nothing_prints():
    marks = re.compile(r"\b(TODO|FIXME|HACK)\b|breakpoint\(|pdb\.set_trace|NotImplementedError")
    texts = {**sources(), **{str(p.relative_to(BASE)): p for p in (BASE / "templates").rglob("*") if p.is_file()}}

    assert {
        name: m[0] for name, path in texts.items() if (m := marks.search(path.read_text())) and not m[0].startswith("NotImpl")
    } == {}


LISTENING = ("dashboard.doors", "dashboard.values")  # to the packages of the sign-in; to each save, for the columns' limits


def test_our_models_have_no_save_of_their_own_and_no_signals():
    for module, path in sources().items():
        tree = ast.parse(path.read_text())
        if module not in LISTENING:
            assert not any("signals" in name for name in all_imports(module)), module
        if "models" in module:
            names = {
                n.name for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for n in c.body if isinstance(n, ast.FunctionDef)
            }
            assert not {"save", "delete"} & names, module


def test_every_public_domain_function_names_who_did_it():
    """`by` is keyword-only wherever a domain function writes an event."""
    unsaid = []
    for module, path in sources().items():
        if room_of(module) == 2:
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and "events.record" in ast.unparse(node):
                    told = {a.arg for a in node.args.kwonlyargs} | {a.arg for a in node.args.args}
                    if "by" not in told and "by=None" not in ast.unparse(node):
                        unsaid.append(f"{module}.{node.name}")

    assert unsaid == []


def test_nothing_marks_typed_text_as_safe():
    """`|safe`, autoescape off and mark_safe: only where values are escaped on the same screen."""
    may = {"dashboard.templatetags.ui", "dashboard.tables", "billing.tables.requests"}
    marked = {m for m, path in sources().items() if "mark_safe(" in path.read_text()}
    loose = [
        str(f.relative_to(BASE))
        for f in (BASE / "templates").rglob("*.html")
        if re.search(r"\|safe\b|autoescape off", f.read_text())
    ]

    assert marked <= may | {m for m in marked if ".templatetags." in m}
    assert loose in ([], ["templates/mfa/totp/activate_form.html"])


def test_templates_say_what_they_take():
    silent = [
        str(f.relative_to(BASE))
        for f in (BASE / "templates").rglob("*.html")
        if not f.read_text().lstrip().startswith(("{#", "{% comment", "{% extends", "{% load"))
    ]

    assert silent == []
