"""Every operation of the API, as its router declares it, and what a test needs to ask it."""

import re
from dataclasses import dataclass, field

from dashboard.api.v1 import api

KINDS = {  # path parameter: attribute of the world (routes.make_world)
    "customer_id": "customer",
    "address_id": "address",
    "source_id": "paymentmethod",
    "statement_id": "billingstatement",
    "line_item_id": "lineitem",
    "invoice_id": "invoice",
    "subscription_id": "subscription",
    "payment_id": "payment",
    "refund_id": "refund",
    "request_id": "paymentrequest",
    "link_id": "tokenizationlink",
    "coupon_id": "coupon",
}
NAMED = KINDS | {"payment_source_id": "paymentmethod", "billing_statement_id": "billingstatement", "vault_token": "vault_token"}


ASKS_MORE = {"POST /coupons/{coupon_id}/check": "dashboard.view_contact_data"}  # than its operation declares


@dataclass(frozen=True)
class Operation:
    verb: str
    path: str  # below /api/v1: /customers/{customer_id}
    view: object = field(compare=False)

    def __str__(self):
        return f"{self.verb} {self.path}"

    @property
    def params(self):
        return re.findall(r"{(\w+)}", self.path)

    @property
    def permission(self):
        return getattr(self.view, "permission", None)

    @property
    def asks(self):
        """The permission without which it answers 403."""
        return ASKS_MORE.get(str(self), self.permission)

    @property
    def document(self):
        """What the OpenAPI document says of it."""
        return document()["paths"][f"/api/v1{self.path}"][self.verb.lower()]

    @property
    def example(self):
        """The example body; None where none is taken."""
        return example_of(self.document["requestBody"]["content"]["application/json"]["schema"]) if self.takes_body else None

    @property
    def takes_body(self):
        return "requestBody" in self.document

    def url(self, world):
        """Its path about the world's records."""
        return re.sub(r"{(\w+)}", lambda found: getattr(world, KINDS[found[1]]), self.path)


def operations():
    """All of them."""
    return [
        Operation(verb, "/" + "/".join(part.strip("/") for part in (router.prefix, path) if part.strip("/")), operation.view_func)
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for verb in operation.methods
    ]


_document = []


def document():
    """The OpenAPI document, made once."""
    if not _document:
        _document.append(api.get_openapi_schema())
    return _document[0]


def resolved(schema):
    """A schema, its $ref followed."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def example_of(schema):
    """The example of a schema; None where it has none."""
    return resolved(schema).get("example")
