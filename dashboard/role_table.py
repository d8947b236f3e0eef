"""What each role may do, put into words: the table of permissions.py with the pages and operations that ask for each row.

The help page and docs/permissions.md are made of it.
"""

from typing import NamedTuple

from django.urls import get_resolver

from dashboard.api import keys, reference
from dashboard.permissions import AREAS, PERMISSIONS, Role


class Row(NamedTuple):
    """A permission: its words, for each role whether it is held, the scopes that cover it, and who asks for it."""

    name: str
    words: str
    held: list  # in the order of Role
    scopes: list
    pages: list  # paths
    operations: list  # of the API, as "GET /customers"

    @property
    def who(self):
        """The roles in words."""
        names = [role.label for role, held in zip(Role, self.held, strict=True) if held]
        return "Everybody" if len(names) == len(Role) else ", ".join(names)


def areas():
    """[(title, its rows)] of the whole table, in its order."""
    pages, operations = pages_by_permission(), operations_by_permission()
    rows = [_row(name, pages.get(name, []), operations.get(name, [])) for name in PERMISSIONS]
    return [(title, [row for row in rows if row.name.startswith(f"{area}.")]) for area, title in AREAS.items()]


def _row(name, pages, operations):
    held = PERMISSIONS[name]
    return Row(name, held.words, [role in held for role in Role], _scopes(name, operations), pages, operations)


def _scopes(name, operations):
    """The narrowest scope for what the API does with a permission: reading, changing, or both."""
    area = name.partition(".")[0]
    return sorted({f"{area}:{'read' if operation.startswith('GET ') else 'write'}" for operation in operations})


def pages_by_permission():
    """{permission: paths of the pages whose views declare it}."""
    found = {}
    for path, view in _walk(get_resolver().url_patterns, "/"):
        if permission := getattr(getattr(view, "view_class", None), "permission", None):
            found.setdefault(permission, []).append(path)
    return found


def _walk(patterns, path):
    for pattern in patterns:
        here = path + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _walk(pattern.url_patterns, here)
        else:
            yield here, pattern.callback


def operations_by_permission():
    """{permission: the API's operations that declare it}."""
    found = {}
    for (verb, path), permission in reference.permissions().items():
        found.setdefault(permission, []).append(f"{verb} {path.partition('/v1')[2]}")
    return found


def scopes():
    """[(scope, what it lets a key do)] of the API."""
    return list(keys.SCOPES.items())


# --- as Markdown -------------------------------------------------------------------------------------------
ABOUT = """# Who may do what

Made from `dashboard/permissions.py` by `./run permissions`; a test holds this page equal to the code. In the dashboard the
same table is under *Help, Roles*.

A permission nobody holds by this table is nobody's. A page of somebody else's business answers 403, an unknown record 404.
Nobody changes their own role, and the last admin stays one.
"""
SCOPES = """## Keys of the API

A secret key is nobody's person: it may do what its scopes say, in its mode. A personal token may do what its scopes say **and**
its person's role may. No scope reaches the team, keys, exports or saved views.

| Scope | Lets a key |
|---|---|"""
ASKED = """## Who asks for what

Pages by their paths, operations of the API by verb and path. What is asked for within a page stands in none of these lists.
"""


def markdown():
    """The page docs/permissions.md."""
    tables = [text for title, rows in areas() for text in _table(title, rows)]
    keys_of_the_api = [SCOPES, *[f"| `{scope}` | {words} |" for scope, words in scopes()], ""]
    asked = [ASKED, *[text for _, rows in areas() for row in rows for text in _asked(row)]]
    return "\n".join([ABOUT, *tables, *keys_of_the_api, *asked]).rstrip() + "\n"


def _table(title, rows):
    heading = ["What", *Role.labels, "API", "Permission"]
    yield from (f"## {title}", "", _line(heading), "|---|" + ":-:|" * len(Role) + "---|---|")
    for row in rows:
        held = ["yes" if held else "—" for held in row.held]
        yield _line([row.words, *held, ", ".join(f"`{scope}`" for scope in row.scopes) or "—", f"`{row.name}`"])
    yield ""


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _asked(row):
    found = [f"`{one}`" for one in (*row.pages, *row.operations)]
    return [f"- **{row.name}**: {', '.join(found)}"] if found else []
