"""A client of the JSON API for tests: it holds a key of its own and speaks JSON."""

import json

from django.test import Client

from dashboard.api.keys import create_key


class Api:
    """Api(scopes=["billing:read"]).get("/payments?status=paid") -> the response; paths are below /api/v1.

    Headers are given as keywords: `api.post("/refunds", {…}, idempotency_key="r-1")`.
    """

    def __init__(self, scopes=("write",), livemode=False, user=None, **about):
        self.key, self.secret = create_key(name="Test", livemode=livemode, scopes=list(scopes), by=user, user=user, **about)
        self.client = Client(raise_request_exception=False)

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.send("POST", path, body, **headers)

    def put(self, path, body=None, **headers):
        return self.send("PUT", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.send("PATCH", path, body, **headers)

    def delete(self, path, body=None, **headers):
        return self.send("DELETE", path, body, **headers)

    def send(self, verb, path, body=None, **headers):
        """The response to one request. `body` is JSON to be, or bytes as they are; None sends none."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {"Authorization": f"Bearer {self.secret}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.generic(verb, f"/api/v1{path}", raw or b"", "application/json", headers=named)


def detail_of(response):
    """The sentence of an error's answer."""
    return response.json()["errors"][0]["detail"]


def code_of(response):
    """The code of an error's answer."""
    return response.json()["errors"][0]["code"]
