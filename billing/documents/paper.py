"""A4 paper: fonts, margins, and the few things a bill is made of. Millimetres and points; nothing here knows a bill."""

import unicodedata
from pathlib import Path

from django.conf import settings
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, XPos, YPos

FONTS = Path(settings.BASE_DIR) / "dashboard" / "fonts"
MARGIN, FOOT = 18, 22  # mm: all sides; what the foot needs
LINE = 1.4  # line height, in font sizes
INK, GREY, RULE = 24, 110, 215  # shades of grey
NEXT = {"new_x": XPos.LMARGIN, "new_y": YPos.NEXT}


def foot(merchant, livemode):
    """What stands at the foot of every page."""
    return f"{merchant} · {settings.MERCHANT_EMAIL}{'' if livemode else ' · Test mode: nothing is owed'}"


class Paper(FPDF):
    """A document of A4 pages in Inter. `at` is the time it is of: the same content at the same time gives the same bytes."""

    def __init__(self, *, title, at, foot, mark=""):
        super().__init__(format="A4")
        self.foot, self.mark, self.on_new_page = foot, mark, None
        self.c_margin = 0  # text starts where its box does
        self.set_title(title)
        self.set_creator("Counterfoil")
        self.set_lang("en")
        self.set_creation_date(at)
        self.add_font("Inter", "", FONTS / "Inter-Regular.ttf")
        self.add_font("Inter", "B", FONTS / "Inter-SemiBold.ttf")
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(True, FOOT)
        self.alias_nb_pages("{n}")  # as narrow as what replaces it
        self.add_page()

    # --- what fpdf2 calls on every page ----------------------------------------------------------------
    def header(self):
        if self.mark:
            self._write_mark()
        if self.on_new_page:
            self.on_new_page()

    def _write_mark(self):
        """One large, pale word across the page, such as DRAFT."""
        self.set_font("Inter", "B", 110)
        self.set_text_color(236)
        with self.rotation(35, self.w / 2, self.h / 2):
            self.text((self.w - self.get_string_width(self.mark)) / 2, self.h / 2 + 14, self.mark)
        self.ink()

    def footer(self):
        self.set_y(-FOOT + 6)
        self.ink(GREY, size=8)
        self.cell(self.epw * 0.75, 5, self.shown(self.foot))
        self.cell(0, 5, f"Page {self.page_no()} of {{n}}", align="R")

    # --- writing ---------------------------------------------------------------------------------------
    @staticmethod
    def shown(text):
        """Text as the fonts have it: letters with their accents in one piece, and no tabs."""
        return unicodedata.normalize("NFC", str(text)).replace("\t", " ")

    def ink(self, shade=INK, *, bold=False, size=9.5):
        """Set colour, weight and size of what is written next."""
        self.set_text_color(shade)
        self.set_font("Inter", "B" if bold else "", size)

    @property
    def leading(self):
        return self.font_size * LINE

    def paragraph(self, text, *, width=0, align="L"):
        """Text that wraps; the next thing starts below it, at the left margin."""
        self.multi_cell(width, self.leading, self.shown(text), align=align, **NEXT)

    def link_line(self, text, url):
        """A line that opens url."""
        self.cell(0, self.leading, self.shown(text), link=url, **NEXT)

    def rule(self):
        """A hairline from margin to margin, with room around it."""
        self.set_draw_color(RULE)
        self.set_line_width(0.2)
        y = self.get_y() + 1.2
        self.line(self.l_margin, y, self.w - self.r_margin, y)
        self.set_y(y + 1.2)

    def columns(self, *blocks):
        """Blocks side by side: each a list of (text, bold, shade); the next thing starts below the longest."""
        top, width, lowest = self.get_y(), self.epw / len(blocks), self.get_y()
        for n, block in enumerate(blocks):
            self.set_y(top)
            for text, bold, shade in block:
                self.set_x(self.l_margin + n * width)
                self.ink(shade, bold=bold, size=9)
                self.multi_cell(width - 4, self.leading, self.shown(text), align="L", **NEXT)
            lowest = max(lowest, self.get_y())
        self.set_y(lowest)

    def row(self, cells, *, keep=0):
        """One row of a table, never broken over two pages: cells are (text, width in mm, align). `keep` mm stay with it."""
        texts = [
            self.multi_cell(w, self.leading, self.shown(t), dry_run=True, output=MethodReturnValue.LINES) for t, w, _ in cells
        ]
        height = self.leading * max(len(lines) for lines in texts)
        if self.will_page_break(height + keep):
            self.add_page()
        top = self.get_y()
        for (_, width, align), lines, x in zip(cells, texts, self._starts(cells), strict=True):
            self.set_xy(x, top)
            self.multi_cell(width, self.leading, "\n".join(lines), align=align, **NEXT)
        self.set_y(top + height)

    def _starts(self, cells):
        x = self.l_margin
        for _, width, _ in cells:
            yield x
            x += width

    def made(self):
        """The finished document's bytes."""
        return bytes(self.output())
