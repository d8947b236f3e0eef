"""Passwords: what is taken, what is refused, how they are kept, and how seldom one may guess."""

import gzip
from pathlib import Path

import pytest
from django.contrib.auth import hashers, password_validation
from django.contrib.auth.password_validation import validate_password
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection

from conftest import PASSWORD
from dashboard.tests.test_signin import LOGIN, sign_in

REAL_HASHERS = [
    "dashboard.hashing.TakesTurns",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]


@pytest.fixture(autouse=True)
def _no_earlier_tries(db):
    cache.clear()
    yield
    cache.clear()


def change(client, new, again=None):
    return client.post(
        "/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new if again is None else again}
    )


@pytest.mark.parametrize(
    "password, good",
    [
        ("x7#kQ9!", False),
        ("x7#kQ9!mW2p", False),
        ("x7#kQ9!mW2pL", True),
        ("otters " * 9, True),  # 63
        ("Otters! " * 8, True),  # 64
        ("Otters2 " * 16, True),  # 128
        ("пароль для выдр", True),
        ("海獺在晚上安靜地唱歌給我聽", True),
        ("otters 🦦 sing at 9", True),
        ("   leading and trailing   ", True),
        ("x" * 900 + "quiet otters", True),
        ("quiet otters" * 100, False),
    ],
)
def test_any_characters_from_12_up_to_a_thousand_are_taken_as_typed(as_sue, sue, password, good):
    done = change(as_sue, password)

    sue.refresh_from_db()
    assert (done.status_code == 302) is good
    assert sue.check_password(password) is good
    assert sue.check_password(password.strip()) is (good and password == password.strip())
    assert not sue.check_password(password[:72]) or len(password) <= 72


@pytest.mark.parametrize("password", ["trailing space ", " leading space ok"])
def test_spaces_at_the_ends_count_when_signing_in(client, sue, password):
    sue.set_password(password)
    sue.save()

    sign_in(client, sue.email, password.strip())
    assert "_auth_user_id" not in client.session
    sign_in(client, sue.email, password)
    assert "_auth_user_id" in client.session


def test_every_common_password_is_refused(sue):
    source = Path(password_validation.__file__).parent / "common-passwords.txt.gz"
    common = gzip.decompress(source.read_bytes()).decode().split("\n")[:3000]

    taken = [word for word in common if _is_taken(word, sue)]
    long = [word for word in gzip.decompress(source.read_bytes()).decode().split("\n") if len(word) >= 12]

    assert taken == []
    assert len(long) > 50
    assert [word for word in long if _is_taken(word, sue)] == []


def _is_taken(password, user):
    try:
        validate_password(password, user)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "password",
    [
        "counterfoil2026",
        "Counterfoil-123!",
        "dashboard-2026",
        "harbour&pine-2026",
        "Harbour Pine 1!",
        "sue@example.com",
        "SusanSue@example",
        "adminpassword1",
    ],
)
def test_the_names_of_product_merchant_and_owner_are_no_passwords(sue, password):
    assert not _is_taken(password, sue)


@pytest.mark.parametrize("password", ["harbour otters sing at nine", "my counterfoil is yellow"])
def test_such_a_name_inside_a_good_phrase_is_fine(sue, password):
    assert _is_taken(password, sue)


def test_the_refusal_is_said_at_the_field(as_sue):
    told = change(as_sue, "counterfoil2026").text

    assert "little more than the name of this dashboard" in told
    assert 'aria-invalid="true"' in told


def test_passwords_are_kept_with_argon2_and_older_ones_upgraded_at_sign_in(client, sue, settings):
    settings.PASSWORD_HASHERS = REAL_HASHERS
    sue.password = hashers.make_password(PASSWORD, hasher="pbkdf2_sha256")
    sue.save()

    sign_in(client, sue.email)

    sue.refresh_from_db()
    assert "_auth_user_id" in client.session
    assert sue.password.startswith("argon2$argon2id$")


def test_the_installed_hashers_begin_with_argon2():
    source = Path(__file__).parents[1].joinpath("settings.py").read_text()

    assert source.index(REAL_HASHERS[0]) < source.index("PBKDF2PasswordHasher")


# --- guessing -------------------------------------------------------------------------------------------------


class Counting:
    """Counts how often the hasher works."""

    def __init__(self, monkeypatch):
        self.count = 0
        encode = hashers.MD5PasswordHasher.encode

        def counted(hasher, password, salt):
            self.count += 1
            return encode(hasher, password, salt)

        monkeypatch.setattr(hashers.MD5PasswordHasher, "encode", counted)

    def during(self, act):
        before = self.count
        act()
        return self.count - before


def test_an_unknown_address_costs_the_same_hashing_as_a_known_one(client, sue, monkeypatch):
    hasher = Counting(monkeypatch)

    known = hasher.during(lambda: sign_in(client, sue.email, "not the password"))
    unknown = hasher.during(lambda: sign_in(client, "nobody@example.com", "not the password"))

    assert known == unknown == 1


def test_after_the_limit_nothing_is_hashed_any_more(client, sue, monkeypatch):
    hasher = Counting(monkeypatch)
    for _ in range(5):
        sign_in(client, sue.email, "not the password")

    sixth = hasher.during(lambda: sign_in(client, sue.email))

    assert sixth == 0
    assert "_auth_user_id" not in client.session


def test_the_eleventh_wrong_try_of_an_address_in_a_minute_is_refused_unhashed(client, sue, monkeypatch):
    hasher = Counting(monkeypatch)
    for n in range(10):
        sign_in(client, f"user{n}@example.com", "not the password")

    eleventh = hasher.during(lambda: sign_in(client, sue.email))

    assert eleventh == 0
    assert "_auth_user_id" not in client.session


def test_the_limit_is_kept_where_every_process_looks(client, sue, settings):
    assert settings.CACHES["default"]["BACKEND"].endswith("DatabaseCache")
    sign_in(client, sue.email, "not the password")

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM cache")
        assert cursor.fetchone()[0] > 0


def test_a_limit_ends_by_itself_and_locks_nobody_out_for_good(client, sue):
    import time_machine
    from django.utils import timezone

    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(6):
            sign_in(client, sue.email, "not the password")
        clock.shift(301)
        sign_in(client, sue.email)

    assert "_auth_user_id" in client.session


def test_unknown_and_known_read_the_same_at_every_door(client, sue):
    for path, data in ((LOGIN, {"password": "not the password"}), ("/accounts/password/reset/", {})):
        name = "login" if path == LOGIN else "email"
        known = client.post(path, data | {name: sue.email}, follow=True)
        unknown = client.post(path, data | {name: "nobody@example.com"}, follow=True)
        assert _words(known, sue.email) == _words(unknown, "nobody@example.com")


def _words(answer, address):
    import re

    return answer.status_code, re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", answer.text).replace(address, "")
