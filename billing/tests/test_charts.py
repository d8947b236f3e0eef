"""Charts: round scales, exact words, attributes only."""

import re
from xml.etree import ElementTree

import pytest

from billing.charts import NARROW, Bar, bar_chart, change, scale, share, share_bar, short

pytestmark = pytest.mark.one_database

SVG = {"line", "text", "g", "rect", "title", "svg"}


def bars(*values, before=0):
    return [Bar(f"{n} Nov", value, before, f"{n} Nov 2026: {value}") for n, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (0, [0, 1, 2, 3]),
        (1, [0, 1, 2, 3]),
        (3, [0, 1, 2, 3]),
        (4, [0, 1, 2, 3, 4]),
        (7, [0, 2, 4, 6, 8]),
        (3_200_000, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]),
        (9_600_000, [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000, 10_000_000]),
        (10_000_000, [0, 2_000_000, 4_000_000, 6_000_000, 8_000_000, 10_000_000]),
        (10_000_001, [0, 5_000_000, 10_000_000, 15_000_000]),
        (10**18, [0, 2 * 10**17, 4 * 10**17, 6 * 10**17, 8 * 10**17, 10**18]),
    ],
)
def test_a_scale_is_round_and_reaches_the_largest_amount(largest, ticks):
    assert scale(largest) == ticks


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (0, "PHP", "₱0"),
        (4_000_000, "PHP", "₱40k"),
        (12_000_000_000, "USD", "$120M"),
        (500_000_000_000_000, "USD", "$5,000B".replace(",", "")),
        (50, "USD", "$0.50"),
        (500, "JPY", "¥500"),
        (1200, "JPY", "¥1.2k"),
        (5000, "KWD", "KWD\u00a05"),
        (1, "KWD", "KWD\u00a00.001"),
    ],
)
def test_an_amount_on_a_scale_is_short_and_loses_nothing(minor, currency, words):
    assert short(minor, currency) == words


def test_a_chart_is_an_image_with_its_finding_as_title():
    svg = ElementTree.fromstring(bar_chart(bars(100, 0, 250, before=50), "USD", title="Highest $2.50 on 3 Nov."))

    title = svg.find("title")
    assert svg.get("role") == "img"
    assert title.text == "Highest $2.50 on 3 Nov."
    assert svg.get("aria-labelledby") == title.get("id")


def test_a_chart_holds_attributes_alone_and_only_numbers_in_them():
    drawn = bar_chart(bars(*range(1, 93), before=7), "USD", title="T", shape=NARROW)

    assert {element.tag for element in ElementTree.fromstring(drawn).iter()} == SVG
    assert not re.search(r"style=|\bon\w+=|href|<script|<a\b", drawn)
    for value in re.findall(r' (?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"', drawn):
        assert re.fullmatch(r"\d+(\.\d)?", value)


def test_everything_written_in_a_chart_is_escaped():
    evil = '<b onload="x">&'
    drawn = bar_chart([Bar(evil, 1, 0, evil)], "USD", title=evil)

    assert "<b" not in drawn
    assert ElementTree.fromstring(drawn).find("title").text == evil


def test_bars_are_as_high_as_their_amounts():
    drawn = bar_chart(bars(300, 150, 1, 0), "USD", title="T")
    heights = [float(h) for h in re.findall(r'class="bar" [^>]*?height="([^"]+)"', drawn)]

    assert heights == [174.0, 87.0, 1.0]  # 220 less 24 above and 22 below; nothing has no bar; a cent can be seen


def test_bars_labels_and_hover_labels_stay_inside_the_drawing():
    many = [Bar("30 Nov", 10**12, 10**12, "30 Nov 2026: $10,000,000,000.00, before $10,000,000,000.00")] * 92
    for element in ElementTree.fromstring(bar_chart(many, "USD", title="T", shape=NARROW)).iter("rect"):
        assert float(element.get("x")) >= 0
        if element.get("class") in ("bar", "bar-2", "slot"):
            assert float(element.get("x")) + float(element.get("width")) <= 350 + 1


def test_two_charts_on_a_page_have_ids_of_their_own():
    assert 'id="chart-t"' in bar_chart([], "USD", title="T")
    assert 'id="chart-narrow-t"' in bar_chart([], "USD", title="T", key="chart-narrow")


@pytest.mark.parametrize(
    ("part", "whole", "words"), [(0, 0, "0%"), (0, 5, "0%"), (1, 1000, "<1%"), (1, 2, "50%"), (2, 3, "67%"), (5, 5, "100%")]
)
def test_a_share_is_said_in_whole_per_cent(part, whole, words):
    assert share(part, whole) == words


def test_a_share_bar_is_filled_in_proportion_and_never_over():
    assert 'width="33.3"' in share_bar(1, 3)
    assert 'width="100.0"' in share_bar(7, 3)
    assert 'width="0.0"' in share_bar(0, 0)


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (1124, 1000, ("up", "+12.4%")),
        (500, 1000, ("down", "−50.0%")),
        (1000, 1000, ("up", "+0.0%")),
        (0, 3, ("down", "−100.0%")),
        (20_000, 1, ("up", "+1,999,900.0%")),
        (5, 0, None),
    ],
)
def test_a_change_is_told_to_the_tenth_of_a_per_cent(now, before, said):
    assert change(now, before) == said
