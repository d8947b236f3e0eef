"""Charts the server draws as SVG: attributes only, no style and no script. Every number is an integer until it is printed."""

from typing import NamedTuple

from django.utils.html import format_html, format_html_join

from dashboard.money import Money, symbol

GAPS = (3, 4, 5)  # between the lines of the scale
TOP, FOOT = 24, 22  # units left free above the bars, for the hover label, and below, for the days
LETTER = 62  # tenths of a unit: how wide a letter of a label is, about
LETTERS = ((10**9, "B"), (10**6, "M"), (10**3, "k"))


class Bar(NamedTuple):
    """One bar and the one before it in grey: minor units, with the words below the axis and those of the hover label."""

    label: str
    value: int
    before: int
    tip: str


class Shape(NamedTuple):
    """Size of a drawing in units of its view box, and how many labels fit below its bars."""

    width: int
    height: int
    labels: int


WIDE, NARROW = Shape(760, 220, 6), Shape(350, 230, 3)


def bar_chart(bars, currency, *, title, shape=WIDE, key="chart"):
    """The bars of one currency as an SVG image whose title says the finding. `key` makes its ids the page's own."""
    ticks = scale(max((n for bar in bars for n in (bar.value, bar.before)), default=0))
    frame = _Frame(shape, ticks[-1], len(bars), _left_of(ticks, currency))
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{key}-t"><title id="{key}-t">{}</title>{}{}{}</svg>',
        shape.width, shape.height, title, _lines(frame, ticks, currency), _bars(frame, bars), _labels(frame, bars), key=key,
    )  # fmt: skip


def scale(largest):
    """The lowest round scale from 0 to at least `largest` minor units: a few gaps of 1, 2 or 5 times a power of ten."""
    power = 10 ** max(0, len(str(largest)) - 2)
    steps = [digit * power for digit in (1, 2, 5, 10, 20, 50)]
    top, _, step = min((step * gaps, gaps, step) for step in steps for gaps in GAPS if step * gaps >= largest)
    return list(range(0, top + 1, step))


def short(minor, currency):
    """An amount in few letters for a scale: "₱40k", "₱1.2M", "KWD 5". No digit of a round amount is lost."""
    money = Money(minor, currency)
    sign = f"{symbol(currency)}\u00a0" if symbol(currency)[-1].isalpha() else symbol(currency)
    for size, letter in LETTERS:
        if money.major >= size:
            return f"{sign}{(money.major / size).normalize():f}{letter}"
    whole = money.major == money.major.to_integral_value()
    return f"{sign}{money.major:.0f}" if whole else f"{sign}{money.plain}"


def share_bar(part, whole, tone=""):
    """A thin bar filled for part of the whole, in tenths of a per cent. It repeats a figure: hidden from screen readers."""
    filled = _at(min(1000, max(0, _rounded(part * 1000, whole))))
    return format_html(
        '<svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/><rect class="fill {}" width="{}" height="6"/></svg>', tone, filled,
    )  # fmt: skip


def share(part, whole):
    """How much of the whole a part is, in words: "51%", "<1%"."""
    percent = _rounded(part * 100, whole)
    return "<1%" if part and not percent else f"{percent}%"


def change(now, before):
    """(tone, "+12.4%") of an amount against an earlier one; None when there was nothing to compare with."""
    if not before:
        return None
    tenths = _rounded(abs(now - before) * 1000, before)
    sign = "−" if now < before else "+"
    return "up" if now >= before else "down", f"{sign}{tenths // 10:,}.{tenths % 10}%"


# --- drawing ----------------------------------------------------------------------------------------


class _Frame(NamedTuple):
    """Where things stand. All lengths here are tenths of a unit."""

    shape: Shape
    top: int  # the value of the highest line, minor units
    count: int
    left: int

    @property
    def right(self):
        return self.shape.width * 10

    @property
    def base(self):
        return (self.shape.height - FOOT) * 10

    def height(self, value):
        """How high a bar is: one that is not nothing can be seen."""
        return max(10 if value else 0, _rounded(value * (self.base - TOP * 10), self.top))

    def x(self, index, percent=0):
        """The left edge of a bar's place, and how far into it, in per cent of the place."""
        return self.left + (self.right - self.left) * (index * 100 + percent) // (max(self.count, 1) * 100)


def _left_of(ticks, currency):
    """Room for the longest word of the scale."""
    return max(len(short(tick, currency)) for tick in ticks) * LETTER + 80


def _lines(frame, ticks, currency):
    return format_html_join(
        "",
        '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>',
        (
            (_at(frame.left), _at(frame.right), _at(y), _at(frame.left - 80), _at(y + 40), short(tick, currency))
            for tick in ticks
            for y in [frame.base - frame.height(tick) if tick else frame.base]
        ),
    )


def _bars(frame, bars):
    return format_html_join(
        "",
        '<g class="pt">{}{}<rect class="slot" x="{}" y="{}" width="{}" height="{}"/>{}</g>',
        (
            (
                _rect(frame, "bar-2", index, 16, 30, bar.before),
                _rect(frame, "bar", index, 50, 34, bar.value),
                _at(frame.x(index)),
                TOP,
                _at(frame.x(index + 1) - frame.x(index)),
                _at(frame.base - TOP * 10),
                _tip(frame, index, bar.tip),
            )
            for index, bar in enumerate(bars)
        ),
    )


def _rect(frame, css, index, start, width, value):
    if not value:
        return ""
    x, high = frame.x(index, start), frame.height(value)
    wide = max(10, frame.x(index, start + width) - x)
    rx = format_html(' rx="{}"', "1.5") if wide >= 40 else ""
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"{}/>', css, _at(x), _at(frame.base - high), _at(wide), _at(high), rx
    )


def _tip(frame, index, words):
    """The hover label above a bar, kept inside the drawing."""
    wide = len(words) * LETTER + 160
    middle = frame.x(index, 50)
    x = max(0, min(middle - wide // 2, frame.right - wide))
    return format_html(
        '<g class="tip"><rect x="{}" y="0" width="{}" height="20" rx="4"/>'
        '<text x="{}" y="14" text-anchor="middle">{}</text></g>', _at(x), _at(wide), _at(x + wide // 2), words,
    )  # fmt: skip


def _labels(frame, bars):
    """As many words below the bars as fit, counted back from the last: that one is today as a rule."""
    apart = -(-len(bars) // frame.shape.labels) or 1
    shown = range(len(bars) - 1, -1, -apart)
    return format_html_join(
        "", '<text x="{}" y="{}" text-anchor="{}">{}</text>', (_label(frame, index, bars[index].label) for index in shown)
    )


def _label(frame, index, words):
    x, y, half = frame.x(index, 50), frame.shape.height - 5, len(words) * LETTER // 2
    if x + half > frame.right:
        return _at(frame.right), y, "end", words
    return _at(x), y, "middle", words


def _rounded(part, whole):
    """part / whole to the nearest integer, halves up; 0 of nothing. Neither is negative."""
    return (2 * part + whole) // (2 * whole) if whole else 0


def _at(tenths):
    """Tenths of a unit as an attribute: 1234 is "123.4"."""
    return f"{tenths // 10}.{tenths % 10}"
