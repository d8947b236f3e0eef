"""Text from outside: made safe to store, and folded to be found again."""

import re
import unicodedata

# C0 and C1 controls but tab and line ends; lone surrogates; bidi overrides and isolates.
_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
# What takes no room and means nothing: soft hyphens, marks of direction, spaces without width; joiners do mean something.
_UNSEEN = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2064]")
_LETTERS = str.maketrans({"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"})
_WORD = re.compile(r"[^\W_]+")


def unsafe(text):
    """Whether text holds characters nobody types and PostgreSQL or a reader may choke on."""
    return bool(_UNSAFE.search(text))


def clean_text(text, limit=None):
    """NFC, no control, surrogate, direction or unseen characters, line feeds only, trimmed, at most limit characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _UNSEEN.sub("", _UNSAFE.sub("", lines))).strip()[:limit]


def visible(text):
    """Text as it came, for people to look at: what nobody would see, or what would turn it round, is shown as �."""
    return _UNSEEN.sub("�", _UNSAFE.sub("�", text))


def fold(text):
    """Lower case without accents: `Gonçalves Luís` and `GONCALVES LUIS` fold alike."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join([c for c in plain if c < "\u0300" or not unicodedata.combining(c)]).translate(_LETTERS)


def words(text):
    """The folded words of text, punctuation between them: `O'Brien, 2025-05379` gives o brien 2025 05379."""
    return _WORD.findall(fold(text))


def search_text(*values):
    """What a record is found by: the values' words, each once, and run together those with punctuation between.

    `O'Brien Zoë` gives o brien zoe obrien.
    """
    text = fold(" ".join([str(value) for value in values if value]))
    joined = ["".join(_WORD.findall(typed)) for typed in text.split() if not typed.isalnum()]
    return " ".join(dict.fromkeys([*_WORD.findall(text), *filter(None, joined)]))
