"""A form takes the fields it shows and nothing else: the name of every field of every model is sent besides, and what is
written stays what it was. ASVS 15.3.3."""

import logging
import random
import re
from unittest import mock

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import connection, models

from dashboard import pages
from dashboard.models import User
from dashboard.tests.matrix import takes
from dashboard.tests.routes import DATA, make_world, routes, undone
from dashboard.tests.test_audit_routes import MADE, MORE, Form
from dashboard.tests.test_route_walk import OWN_BUSINESS, WRITES

pytestmark = pytest.mark.one_database  # which fields a form has is the same on both
IN_THE_ADMIN = "admin/dashboard/user/"  # the only records the admin makes and changes
BESIDES = {"role": "admin", "is_staff": "on", "is_superuser": "on", "status": "paid", "id": "cus_" + "f" * 24, "pk": "1"}
CHANCE = [  # what differs from one sending of a form to the next
    (re.compile(r"[0-9a-f]{12,}"), "#"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "T"),
    (re.compile(r"[\w-]{20,}"), "K"),
    (re.compile(r"\b1[789]\d{8}\b"), "S"),  # seconds
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody reads the log, nor the contexts of templates."""
    monkeypatch.setattr("django.test.client.store_rendered_templates", lambda *about, **more: None)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def extras():
    """{field's name: something it might be} of every model of ours."""
    found = {}
    for model in [m for app in ("dashboard", "customers", "billing") for m in apps.get_app_config(app).get_models()]:
        for field in model._meta.concrete_fields:
            found |= {field.name: something(field), field.attname: something(field)}
    return found | BESIDES


def something(field):
    if field.choices:
        return [value for value, _label in field.flatchoices][-1]
    if isinstance(field, models.BooleanField):
        return "on"
    if isinstance(field, models.IntegerField | models.FloatField | models.DecimalField):
        return "7731"
    if isinstance(field, models.DateField):  # or a time
        return "2031-07-07"
    return '{"extra": "7731"}' if isinstance(field, models.JSONField) else "extra7731"


def takers():
    """Routes that may take a form from staff."""
    elsewhere = ("admin/", "pay/", "sandbox/")
    return [r for r in routes() if takes(r, "POST") and (not r.path.startswith(elsewhere) or r.path.startswith(IN_THE_ADMIN))]


def sent_with(client, route, world, by, more):
    """(what was written, as text without what is chance; the names the page's form has): the form filled in, and `more`."""
    kept = dict(client.cookies)
    chance = random.Random(7)  # short codes are the same both times
    with undone(), mock.patch.multiple("secrets", choice=chance.choice, token_bytes=lambda n=32: chance.randbytes(n or 32)):
        url = route.url(world, **MADE.get(route.path, lambda world, by: {})(world, by))
        shown = client.get(url)
        is_page = shown.status_code == 200 and not shown.streaming and "html" in shown["Content-Type"]
        own = set(re.findall(r'name="([^"]+)"', shown.text)) if is_page else set()
        form = Form(shown.text).filled(url) if is_page else {}
        data = form | DATA.get(route.path, {}) | MORE.get(route.path, {})
        besides = {name: value for name, value in more.items() if name not in own | data.keys()}
        written = record(lambda: client.post(url, besides | data))
    client.cookies.clear()
    client.cookies.update(kept)
    return written


def record(post):
    """The statements that wrote something, with their values."""
    found = []

    def watch(execute, sql, params, many, context):
        if WRITES.match(sql) and not any(word in sql for word in OWN_BUSINESS):
            found.append(re.sub(r"\s+", " ", sql)[:200] + plain(params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        post()
    return found


def plain(params):
    text = str(params)
    for pattern, stand_in in CHANCE:
        text = pattern.sub(stand_in, text)
    return text


def compare(client, world, by, chosen):
    """({route: what extra fields changed}, how many forms wrote something)."""
    wrong, wrote, more = {}, 0, extras()
    for route in chosen:
        without, with_them = (sent_with(client, route, world, by, besides) for besides in ({}, more))
        wrote += bool(without)
        if without != with_them:
            wrong[route.path] = [line for line in with_them if line not in without] or without
    return wrong, wrote


def test_no_form_takes_a_field_it_does_not_show(alice, as_alice):
    cache.clear()
    wrong, wrote = compare(as_alice, make_world(alice), alice, takers())

    assert len(extras()) > 200
    assert not wrong, "\n".join(f"{path}: {lines}" for path, lines in wrong.items())
    assert wrote > 60


def test_a_form_that_takes_whatever_comes_is_noticed(alice, as_alice, monkeypatch):
    """The control."""

    careful = pages.Profile.act

    def careless(self, data):
        User.objects.filter(pk=self.request.user.pk).update(list_columns=self.request.POST.get("list_columns", {}))
        return careful(self, data)

    monkeypatch.setattr(pages.Profile, "act", careless)
    wrong, _wrote = compare(as_alice, make_world(alice), alice, [r for r in takers() if r.path == "profile/"])

    assert list(wrong) == ["profile/"]
