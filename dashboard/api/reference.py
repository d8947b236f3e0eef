"""The API's reference as a page shows it: the OpenAPI document, put into words.

Nothing is described twice: fields, limits and examples are those of the schemas that check and answer requests.
"""

import json
import re
from functools import cache
from typing import NamedTuple

from django.apps import apps
from django.urls import get_script_prefix, reverse

from dashboard.api.errors import BY_STATUS

HEX = "0193f0c1d2a7b34e5f607182"
VERBS = ("get", "post", "put", "patch", "delete")
STATUSES = {  # what each means, for the page
    200: "Done.",
    201: "Created.",
    **{status: detail for status, (_code, detail) in BY_STATUS.items()},
    409: "The record’s state does not allow it, or the Idempotency-Key came before with other content.",
}
FORMATS = {"date-time": "time, such as 2026-11-22T10:00:00Z", "email": "e-mail address", "date": "day, such as 2026-11-22"}
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "object"}
PATTERNS = {  # patterns that have a name
    "^[A-Za-z]{2}$": "country code (ISO 3166-1 alpha-2)",
    "^[A-Za-z]{3}$": "currency code (ISO 4217)",
    r"^\+[1-9][0-9]{6,14}$": "phone number (E.164)",
}
DEEPEST = 3  # levels of fields within fields that are told one by one


class Field(NamedTuple):
    """A parameter or a field of a body, in words."""

    name: str
    kind: str
    required: bool
    about: list


class Operation(NamedTuple):
    anchor: str
    verb: str
    path: str
    summary: str
    about: list
    permission: str
    scope: str
    parameters: list
    fields: list
    request: str  # as a line of curl
    status: int
    answer: str  # JSON
    statuses: list


def groups(address):
    """[(tag, its anchor, its operations)] of the whole API; `address` is where the examples send their requests."""
    return _groups(address, get_script_prefix())


@cache
def _groups(address, _prefix):
    found = {}
    document, allowed = _document(), permissions()
    for path, verbs in document["paths"].items():
        for verb in [v for v in VERBS if v in verbs]:
            about = verbs[verb]
            operation = _operation(document, address, verb, path, about, allowed[verb.upper(), path])
            found.setdefault((about.get("tags") or ["Others"])[0], []).append(operation)
    return [(tag, _anchor(tag), operations) for tag, operations in found.items()]


def _document():
    from dashboard.api.v1 import api

    return json.loads(json.dumps(api.get_openapi_schema()))  # plain: its enums and models are texts


def permissions():
    """{(verb, path): the permission an operation declares, or None} of every operation there is."""
    from dashboard.api.v1 import api

    root = reverse("api:api-root")
    return {
        (verb, re.sub(r"/+", "/", f"{root}{bound.prefix}/{path}")): getattr(operation.view_func, "permission", None)
        for bound in api._get_bound_routers()
        for path, view in bound.path_operations.items()
        for operation in view.operations
        for verb in operation.methods
    }


def _operation(document, address, verb, path, about, permission):
    body = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    status = min(int(code) for code in about["responses"])
    answer = about["responses"][str(status)].get("content", {}).get("application/json", {}).get("schema")
    example = example_of(document, body) if body else None
    return Operation(
        anchor=_anchor(f"{verb} {path.partition('/v1/')[2]}"),
        verb=verb.upper(),
        path=path,
        summary=about.get("summary", ""),
        about=prose(about.get("description", "")),
        permission=permission,
        scope=f"{(permission or '').partition('.')[0]}:{'read' if verb == 'get' else 'write'}",
        parameters=[_parameter(document, one) for one in about.get("parameters", [])],
        fields=list(_fields(document, body)) if body else [],
        request=curl(address, verb, path, example),
        status=status,
        answer=_pretty(example_of(document, answer)),
        statuses=sorted(int(code) for code in about["responses"]),
    )


def _anchor(text):
    """get-customers.customer_id.comments of "get customers/{customer_id}/comments"."""
    return re.sub(r"[^a-z0-9_.-]+", "-", re.sub(r"[{}]", "", text.lower()).replace("/", "."))


def prose(text):
    """A description's parts: (text, whether it stands between backticks)."""
    return [(part, number % 2 == 1) for number, part in enumerate(" ".join(text.split()).split("`")) if part]


# --- fields --------------------------------------------------------------------------------------------------
def _parameter(document, one):
    return Field(one["name"], kind_of(document, one["schema"]), bool(one.get("required")), prose(one.get("description", "")))


def _fields(document, schema, within="", depth=1):
    """The fields of a body, those of objects within it after the object's own: `address`, `address.city`."""
    schema, _null = _plain(document, schema)
    for name, part in schema.get("properties", {}).items():
        about = part.get("description") or _plain(document, part)[0].get("description", "")
        yield Field(f"{within}{name}", kind_of(document, part), name in schema.get("required", ()), prose(about))
        inner, _null = _plain(document, part)
        many = inner.get("type") == "array"
        if depth < DEEPEST:
            yield from _fields(document, inner["items"] if many else inner, f"{within}{name}{'[]' if many else ''}.", depth + 1)


def _plain(document, schema):
    """A schema without references and without "or null"; and whether null was allowed."""
    choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    null = len(choices) < len(schema.get("anyOf", ()))
    if len(choices) == 1:
        return _plain(document, choices[0])[0], null
    if reference := schema.get("$ref") or (schema.get("allOf") or [{}])[0].get("$ref"):
        return document["components"]["schemas"][reference.rpartition("/")[2]], null
    return schema, null


def kind_of(document, schema):
    """What a value is, in words, with its limits."""
    schema, _null = _plain(document, schema)
    if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else f"“{choices[0]}”"
    if several := schema.get("anyOf"):
        return " or ".join(kind_of(document, one) for one in several if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list, each {kind_of(document, schema.get('items', {}))}"
    named = PATTERNS.get(schema.get("pattern")) or FORMATS.get(schema.get("format")) or _id_words(schema)
    words = named or KINDS.get(schema.get("type"), "anything")
    return ", ".join([words, *_limits(schema)])


def _id_words(schema):
    found = re.match(r"\^\(\?:([a-z]+)_\)\?", schema.get("pattern") or "")
    return f"ID, {found[1]}_… or its 24 hex digits" if found else ""


def _limits(schema):
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        yield f"{least:,} to {most:,}"
    elif least is not None or most is not None:
        yield f"at least {least:,}" if most is None else f"at most {most:,}"
    if schema.get("type") == "string" and schema.get("maxLength") and schema.get("format") != "email":
        yield f"at most {schema['maxLength']:,} characters"
    if schema.get("maxItems"):
        yield f"at most {schema['maxItems']:,}"
    if schema.get("maxProperties"):
        yield f"at most {schema['maxProperties']:,} pairs of text"


# --- examples ------------------------------------------------------------------------------------------------
def example_of(document, schema):
    """A schema's example: its own, or for a list and an object made of such, theirs put together; None without any."""
    if not schema:
        return None
    schema, _null = _plain(document, schema)
    if "example" in schema:
        return _in_order(document, schema, schema["example"])
    if schema.get("type") == "array":
        inner = example_of(document, schema.get("items", {}))
        return None if inner is None else [inner]
    return _page_example(document, schema)


def _in_order(document, schema, value):
    """An example with its keys in the order of the schema's: the document has them by the alphabet."""
    schema, _null = _plain(document, schema)
    if isinstance(value, list):
        return [_in_order(document, schema.get("items", {}), one) for one in value]
    if not isinstance(value, dict):
        return value
    parts = schema.get("properties", {})
    names = [*[name for name in parts if name in value], *[name for name in value if name not in parts]]
    return {name: _in_order(document, parts.get(name, {}), value[name]) for name in names}


def _page_example(document, schema):
    rows = example_of(document, schema.get("properties", {}).get("list"))
    if rows is None:
        return None
    return {"count": len(rows), "list": rows, "paging": {"page": 1, "pageSize": 20}}


def _pretty(example):
    return "" if example is None else json.dumps(example, indent=2, ensure_ascii=False)


def curl(address, verb, path, body):
    """A request as one types it; the key is in the variable KEY."""
    url = address + re.sub(r"{(\w+)}", lambda m: f"{_prefixes().get(m[1].removesuffix('_id'), '')}{HEX}", path)
    lines = [f"curl {url}" if verb in ("get", "post") else f"curl -X {verb.upper()} {url}", '-H "Authorization: Bearer $KEY"']
    if body is not None:
        shown = json.dumps(body, indent=2, ensure_ascii=False).replace("'", "’")
        lines += ['-H "Content-Type: application/json"', f"-d '{shown}'"]
    elif verb == "post":
        lines[0] = f"curl -X POST {url}"
    return " \\\n  ".join(lines)


@cache
def _prefixes():
    """{"customer": "cus_"}: how the ids of each kind of record begin."""
    return {m._meta.model_name: f"{m._meta.pk.prefix}_" for m in apps.get_models() if hasattr(m._meta.pk, "prefix")}
