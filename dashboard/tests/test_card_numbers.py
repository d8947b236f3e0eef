"""Card numbers wherever people type: seen however they are written, and nothing else is taken for one."""

import io
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.gateways.sandbox.cards import CARDS
from dashboard.card_numbers import Formatter, find_card_number, hidden_copy, hide_card_numbers, was_hidden
from dashboard.middleware import NoCardNumbersInAddresses
from dashboard.tests.routes import make_world

VISA, AMEX = "4242424242424242", "378282246310005"
SCHEMES = [
    VISA, AMEX, "4222222222222", "5555555555554444", "2223003122003222", "30569309025904", "38520000023237", "6011111111111117",
    "3530111333300000", "6200000000000005", "6799990100000000019", "2200000000000053", "5018000000000009", "4000000000000000006",
]  # fmt: skip


def grouped(number, gap, at=(4, 8, 12)):
    return gap.join(number[i:j] for i, j in zip((0, *at), (*at, None), strict=True))


@pytest.mark.parametrize("number", SCHEMES)
def test_a_number_of_any_scheme_is_seen(number):
    assert find_card_number(f"Paid with {number}.") == number


def test_every_card_of_the_sandbox_is_seen():
    assert [c.number for c in CARDS if find_card_number(c.number) != c.number] == []


@pytest.mark.parametrize("gap", [" ", "-", "  ", " - ", ".", "\u00a0", "\u2013", "\u2011", "\u2009"])
def test_blanks_dots_and_dashes_hide_nothing(gap):
    assert find_card_number(f"card {grouped(VISA, gap)} thanks") == grouped(VISA, gap)
    assert find_card_number(gap.join(VISA)) == gap.join(VISA)


@pytest.mark.parametrize(
    "text", [f"{VISA} 123", f"12 {VISA}", f"4242 4242 4242 4242 12/27 {AMEX[:3]}", f"no.{VISA},exp 12", f"+{VISA}"]
)
def test_digits_beside_it_hide_nothing(text):
    assert find_card_number(text).replace(" ", "") == VISA


@pytest.mark.parametrize(
    "text",
    [
        "", "4242424242424241", "0" * 16, "1" * 16, "4" * 16, "9" * 30, VISA + VISA,
        "+63 917 555 0100", "0917 555 0100", "+4915112345678", "4915112345678",
        "+378282246310005", "2025-05379", "2026-11-22 11:25:00", "cus_424242424242424242abcdef", "424242424242424242abcdef",
        "42424242-4242-4242-a242-424242424242", "10.0.0.1 192.168.100.200", "9781861972712", "4.242.424.242.424.241",
        "4242 4242 4242 4242 4242 4242 4242"[:14],
    ],
)  # fmt: skip
def test_other_numbers_are_no_cards(text):
    assert find_card_number(text) == ""


@given(st.sampled_from(SCHEMES), st.text(alphabet=st.characters(exclude_categories=["Nd", "Cs"]), max_size=20), st.data())
def test_a_number_is_seen_in_any_text_and_hidden_but_for_four_digits(number, around, data):
    gaps = data.draw(st.lists(st.sampled_from(["", " ", "-", " - "]), min_size=len(number) - 1, max_size=len(number) - 1))
    written = number[0] + "".join(gap + digit for gap, digit in zip(gaps, number[1:], strict=True))
    text = f"{around.rstrip('+')}|{written}|{around}"

    hidden = hide_card_numbers(text)

    assert find_card_number(text) == written
    assert len(hidden) == len(text)
    assert not find_card_number(hidden)
    assert was_hidden(hidden)
    assert [c for c in hidden if c.isdecimal()] == list(number[-4:])


@given(st.text())
def test_hiding_twice_changes_nothing(text):
    assert hide_card_numbers(hide_card_numbers(text)) == hide_card_numbers(text)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_no_phone_number_as_it_is_stored_is_taken_for_a_card(phone):
    assert find_card_number(phone) == ""


@given(st.integers(10**12, 10**19), st.integers(0, 9))
def test_of_ten_last_digits_at_most_one_makes_a_card(number, digit):
    stem = str(number)[:-1]

    assert sum(bool(find_card_number(f"{stem}{n}")) for n in range(10)) <= 1


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "shift_jis", "gb18030", "big5"])
def test_a_files_copy_has_none_and_is_as_long(encoding):
    blocks = f"name,note\r\nAna,{grouped(VISA, ' ')}\r\n" + "Bo,2025-05379\r\n" * 70_000 + f"Cy,{VISA}\r\n" * 30_000
    data = blocks.encode(encoding)

    copy = hidden_copy(io.BytesIO(data)).read()

    assert len(copy) == len(data) > 1 << 20
    assert VISA.encode() not in copy
    assert b"Ana,#### #### #### 4242" in copy
    assert copy.count(b"2025-05379") == 70_000


def test_the_byte_spelling_of_a_wide_blank_hides_nothing_in_a_file():
    copy = hidden_copy(io.BytesIO(grouped(VISA, "\u00a0").encode())).read().decode()

    assert copy == grouped("############4242", "\u00a0")


def test_a_number_across_two_blocks_of_a_file_is_hidden():
    data = b"x" * ((1 << 20) - 8) + b"," + VISA.encode() + b","

    assert hidden_copy(io.BytesIO(data)).read().endswith(b",############4242,")


@pytest.mark.parametrize("text", ["1-", "4-", "6 ", "4242-4242-4242-4241 ", "43-", "a1b2c3d4-", "4", "2026-11-22 "])
def test_much_that_looks_like_one_is_looked_through_quickly(text):
    """Whoever sends it, in a file, a form or a body: the time grows as the text does."""
    long = text * (100_000 // len(text))

    began = time.process_time()
    hide_card_numbers(long)
    assert time.process_time() - began < 2  # it took 24 s when each digit was looked at with all that follow


# --- the log ---------------------------------------------------------------------------------------------


def line_of(*args, **kwargs):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter("%(levelname)s %(message)s"))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.error(*args, **kwargs)
    return stream.getvalue()


def test_a_line_of_the_log_holds_none():
    assert line_of("paid with %s", VISA) == "ERROR paid with ############4242\n"


def test_a_traceback_in_the_log_holds_none():
    try:
        raise ValueError(f"duplicate key ({grouped(VISA, ' ')})")
    except ValueError:
        line = line_of("failed", exc_info=True)

    assert "#### #### #### 4242" in line
    assert not find_card_number(line)


def test_the_products_own_log_is_written_that_way():
    from django.conf import settings
    from django.utils.module_loading import import_string

    classes = [import_string(formatter["()"]) for formatter in settings.LOGGING["formatters"].values()]
    assert all(issubclass(formatter, Formatter) for formatter in classes)
    ours = [logging.getLogger(name) for name in (None, "django", "django.request", "django.server")]
    formatters = {type(h.formatter) for logger in ours for h in logger.handlers if type(h) is logging.StreamHandler}
    assert formatters
    assert formatters <= set(classes)


# --- addresses -------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/customers/", "/search/", "/billing/payments/"])
def test_a_search_for_one_is_not_made_and_leaves_it_out_of_the_address(as_max, path):
    answer = as_max.get(path, {"q": grouped(VISA, " "), "sort": "name"})

    assert (answer.status_code, answer.url) == (302, f"{path}?sort=name")
    assert NoCardNumbersInAddresses.SENTENCE in as_max.get(answer.url).text


@pytest.mark.django_db
def test_a_view_that_would_hold_one_is_not_saved(as_max):
    from dashboard.models import SavedView

    answer = as_max.post(f"/lists/views/new/?list=customers:customers&query=q%3D{VISA}", {"name": "Card"})

    assert answer.status_code == 302
    assert VISA not in answer.url
    assert not SavedView.objects.exists()


@pytest.mark.django_db
def test_leading_on_never_leaves_our_site(client):
    answer = client.get(f"/%2Fevil.example/?q={VISA}")

    assert (answer.status_code, answer.url) == (302, "/%2Fevil.example/")


@pytest.mark.django_db
def test_no_address_of_ours_is_taken_for_one(alice):
    from dashboard.tests.routes import routes

    world = make_world(alice)

    assert [url for r in routes() if find_card_number(url := r.url(world))] == []
