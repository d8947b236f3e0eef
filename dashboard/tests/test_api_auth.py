"""Who may call the API: keys, personal tokens, sessions, scopes, networks, limits. And what is answered to nonsense."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import limits
from dashboard.api import callers
from dashboard.api.keys import revoke_key
from dashboard.api_models import ApiKey
from dashboard.models import Bucket, Event, User
from dashboard.permissions import PERMISSIONS
from dashboard.tests.api_client import Api, code_of, detail_of
from dashboard.tests.api_operations import operations
from dashboard.tests.routes import ROLES

pytestmark = pytest.mark.django_db
UNKNOWN = "sk_test_" + "a" * 43


@pytest.fixture
def api(db):
    return Api()


def ask(authorization=None, path="/customers", **more):
    headers = {"Authorization": authorization} if authorization is not None else {}
    return Client().get(f"/api/v1{path}", headers=headers, **more)


# --- keys ------------------------------------------------------------------------------------------------------
NO_KEYS = [
    None, "", "Bearer", "Bearer ", f"Bearer {UNKNOWN}", f"Basic {UNKNOWN}", UNKNOWN, "Bearer " + "x" * 5000, "Bearer sk_test_é",
    "Bearer a b",
]  # fmt: skip


@pytest.mark.parametrize("authorization", NO_KEYS)
def test_without_a_known_key_nobody_gets_in(db, authorization):
    response = ask(authorization)

    assert (response.status_code, code_of(response)) == (401, "auth_invalid")
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/json"


def test_the_scheme_is_read_in_any_case(api):
    assert ask(f"bearer {api.secret}").status_code == 200


def test_a_secret_does_not_open_the_other_mode(api):
    assert ask(f"Bearer {api.secret.replace('sk_test_', 'sk_live_')}").status_code == 401


def test_a_revoked_key_is_refused_at_once(api):
    assert api.get("/customers").status_code == 200
    revoke_key(api.key, by=None)

    assert api.get("/customers").status_code == 401


def test_an_expired_key_is_refused(api):
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert api.get("/customers").status_code == 401


def test_a_key_is_taken_from_its_networks_alone(db):
    api = Api(addresses=["203.0.113.0/24", "2001:db8::/32"])
    statuses = {
        address: ask(f"Bearer {api.secret}", REMOTE_ADDR=address).status_code
        for address in ("203.0.113.9", "2001:db8::1", "203.0.114.1", "10.0.0.1", "::1")
    }

    assert statuses == {"203.0.113.9": 200, "2001:db8::1": 200, "203.0.114.1": 403, "10.0.0.1": 403, "::1": 403}


def test_a_key_is_sent_in_the_header_and_nowhere_else(api):
    assert ask(None, f"/customers?api_key={api.secret}").status_code == 401


def test_last_use_is_noted_at_most_once_a_minute(api):
    api.get("/customers")
    first = ApiKey.objects.get().last_used_at
    api.get("/customers")
    assert ApiKey.objects.get().last_used_at == first

    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    api.get("/customers")
    assert ApiKey.objects.get().last_used_at >= first


def test_what_a_key_does_is_recorded_as_the_apis(api):
    api.post("/customers", {"name": "Ana Cruz"})

    event = Event.objects.get(type="customer.created")
    assert (event.actor, event.by, event.data["key"]) == ("api", None, api.key.pk)
    assert api.secret not in str(event.data)


# --- scopes and roles ------------------------------------------------------------------------------------------
READING = {  # scope: (may read customers, may change customers, may read billing, may change billing)
    "read": (True, False, True, False),
    "write": (True, True, True, True),
    "customers:read": (True, False, False, False),
    "customers:write": (True, True, False, False),
    "billing:read": (False, False, True, False),
    "billing:write": (False, False, True, True),
}


@pytest.mark.parametrize("scope", READING)
def test_a_scope_covers_an_area_and_a_verb(scope, db):
    api, found = Api(scopes=[scope]), []
    for area, read, change in (("customers", "customers.view_customer", "customers.change_customer"),
                               ("billing", "billing.view_payment", "billing.refund_payment")):  # fmt: skip
        for permission, writing in ((read, False), (change, True)):
            found.append(_allows(api.key, permission, writing))
        assert _allows(api.key, "dashboard.manage_team", True) is False, area

    assert tuple(found) == READING[scope]


def _allows(key, permission, writing):
    try:
        callers.Caller(livemode=False, key=key).require(permission, writing)
    except callers.ApiError:
        return False
    return True


def test_a_reading_key_changes_nothing(db):
    response = Api(scopes=["read"]).post("/customers", {"name": "Ana Cruz"})

    assert (response.status_code, detail_of(response)) == (403, "This key lacks the scope customers:write.")
    assert not Customer.objects.exists()


@pytest.mark.parametrize("name", ROLES)
def test_a_token_may_what_its_persons_role_may_and_no_more(name, request):
    """Of permissions and of operations; that each operation asks for its own is walked in test_route_walk.py."""
    key = Api(user=request.getfixturevalue(name)).key
    caller = callers.Caller(livemode=False, key=key, user=key.user)

    assert {p for p in PERMISSIONS if caller.has_perm(p)} == {p for p in PERMISSIONS if ROLES[name] in PERMISSIONS[p]}
    for operation in operations():
        assert _lets_in(caller, operation) == (ROLES[name] in PERMISSIONS[operation.permission]), str(operation)


def _lets_in(caller, operation):
    try:
        caller.require(operation.permission, writing=operation.verb != "GET")
    except callers.ApiError:
        return False
    return True


def test_a_token_ends_with_its_persons_account(sue):
    api = Api(user=sue)
    assert api.get("/customers").status_code == 200
    User.objects.filter(pk=sue.pk).update(is_active=False)

    assert api.get("/customers").status_code == 401


def test_what_a_token_does_carries_its_person(max):
    response = Api(user=max).post("/customers", {"name": "Ana Cruz"})

    assert response.json()["user_id"] == max.pk.removeprefix("usr_")
    event = Event.objects.get(type="customer.created")
    assert (event.actor, event.by) == ("api", max)


# --- sessions --------------------------------------------------------------------------------------------------
def test_staff_may_read_in_their_browser_in_the_mode_they_work_in(as_max, max):
    make_customer(by=max)
    assert as_max.get("/api/v1/customers").json()["count"] == 1
    as_max.post("/mode/", {"mode": "live"})

    assert as_max.get("/api/v1/customers").json()["count"] == 0


def test_a_session_changes_nothing_without_its_token(max):
    client = Client(enforce_csrf_checks=True)
    client.force_login(max)
    body = {"data": '{"name": "Ana Cruz"}', "content_type": "application/json"}

    refused = client.post("/api/v1/customers", **body)
    client.get("/profile/")
    token = client.cookies["csrf"].value

    assert (refused.status_code, code_of(refused)) == (403, "permission_denied")
    assert not Customer.objects.exists()
    assert client.post("/api/v1/customers", **body, headers={"X-CSRFToken": token}).status_code == 201


def test_a_key_needs_no_csrf_token(api):
    client = Client(enforce_csrf_checks=True)
    headers = {"Authorization": f"Bearer {api.secret}"}

    assert (
        client.post("/api/v1/customers", '{"name": "Ana"}', content_type="application/json", headers=headers).status_code == 201
    )


# --- limits ----------------------------------------------------------------------------------------------------
def test_too_many_requests_are_told_to_wait(api, monkeypatch):
    monkeypatch.setattr(callers, "REQUESTS", limits.Limit("api", rate=0.5, burst=3))
    statuses = [api.get("/customers").status_code for _ in range(4)]
    refused = api.get("/customers")

    assert statuses == [200, 200, 200, 429]
    assert (code_of(refused), refused["Retry-After"]) == ("rate_limited", "2")
    assert Api().get("/customers").status_code == 200  # another key has a limit of its own


def test_guessing_keys_is_limited_by_address(api):
    statuses = [ask(f"Bearer {UNKNOWN}").status_code for _ in range(21)]

    assert (statuses[0], statuses[-1]) == (401, 429)
    assert ask(f"Bearer {UNKNOWN}", REMOTE_ADDR="203.0.113.9").status_code == 401
    assert api.get("/customers").status_code == 200  # whoever has a key is not shut out
    assert Bucket.objects.filter(name__startswith="api-guess:").count() == 2


# --- nonsense --------------------------------------------------------------------------------------------------
NUL = b'{"name": "Ana\\u0000Cruz"}'
BODIES = [
    (b"", 400), (b"{", 400), (b"null", 400), (b"[]", 400), (b'"text"', 400), (b"\xff\xfe", 400), (b'{"name": NaN}', 400),
    (b"[" * 100_000, 400), (b'{"a":' * 50 + b"1" + b"}" * 50, 400), (b'{"name": 7}', 400), (b'{"name": ""}', 400),
    (b'{"name": "\\ud800"}', 400), (b'{"name": "' + b"x" * 2_000_000 + b'"}', 413), (b'{"name": {"first": "Ana"}}', 400),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BODIES, ids=[f"{i}-{b[:20]!r}" for i, (b, _) in enumerate(BODIES)])
def test_a_body_that_is_none_is_told_so_in_json(api, body, status):
    response = api.post("/customers", body)

    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert set(response.json()["errors"][0]) <= {"code", "detail", "parameter"}
    assert not Customer.objects.exists()


def test_control_characters_never_reach_the_database(api):
    response = api.post("/customers", NUL)

    assert response.status_code in (201, 400)
    assert not Customer.objects.filter(first_name__contains="\\u0000").exists()
    assert "\\u0000" not in response.text


def test_nested_and_endless_metadata_keeps_what_is_well_formed(api):
    pairs = {f"k{n}": str(n) for n in range(60)} | {"deep": {"a": 1}}
    response = api.post("/customers", {"name": "Ana", "metadata": {"deep": {"a": 1}, **pairs}})

    assert response.status_code == 201
    assert len(response.json()["metadata"]) == 50
    assert "metadata.deep" in response["X-Disregarded-Fields"]
    assert "metadata.k59" in response["X-Disregarded-Fields"]


@pytest.mark.parametrize(
    ("size", "used"), [("abc", 20), ("0", 20), ("-1", 20), ("10000", 100), ("9" * 30, 20), ("1.5", 20), ("%00", 20), ("", 20)]
)
def test_a_page_size_that_is_none_is_disregarded(api, size, used):
    response = api.get(f"/customers?pageSize={size}")

    assert response.json()["paging"] == {"page": 1, "pageSize": used}
    assert response.get("X-Disregarded-Fields", "") == ("pageSize" if used == 20 and size else "")


@pytest.mark.parametrize(
    ("verb", "path", "status", "code"),
    [
        ("GET", "/customers/cus_" + "f" * 24, 404, "resource_not_found"),
        ("GET", "/customers/%00", 404, "resource_not_found"),
        ("GET", "/customers/" + "x" * 3000, 404, "resource_not_found"),
        ("GET", "/nothing/here", 404, "resource_not_found"),
        ("PATCH", "/customers", 405, "method_not_allowed"),
        ("OPTIONS", "/customers", 405, "method_not_allowed"),
        ("TRACE", "/customers", 405, "method_not_allowed"),
    ],
)
def test_wrong_paths_and_verbs_are_told_in_json(api, verb, path, status, code):
    response = api.send(verb, path)

    assert (response.status_code, code_of(response)) == (status, code)
    assert response["Content-Type"] == "application/json"


def test_trouble_of_ours_is_told_in_json_without_its_cause(api, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("billing.api.customers.listing", broken)
    response = api.get("/customers")

    assert (response.status_code, code_of(response)) == (500, "internal_system_error")
    assert "secret detail" not in response.text
    assert response["X-Request-ID"]
