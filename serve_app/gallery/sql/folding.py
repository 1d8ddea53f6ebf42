"""Folding of texts for searches by name: case, marks on letters, and kinds of apostrophes and hyphens do not count."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa

ALIKE = {"'": "‘’‛ʹʻʼʽʾʿˈ`´′", '"': "“”„‟″", "-": "‐‑‒–—―−", "": "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"}
"""Sign -> the signs that are written for it; invisible characters for nothing."""

BARE = {"ae": "æ", "oe": "œ", "th": "þ", "o": "ø", "d": "đð", "h": "ħ", "i": "ı", "l": "ł", "n": "ŋ", "t": "ŧ"}
"""Letters -> the letter of a name that people write so, and that Unicode does not decompose."""

SIGNS = str.maketrans({each: sign for sign, several in ALIKE.items() for each in several})
LETTERS = str.maketrans({each: bare for bare, several in BARE.items() for each in several})

OTHER_LETTERS = frozenset({0, 7, 8, 9})
"""Canonical combining classes of what is kept: no mark; nukta, voicing marks of kana and viramas, which make other
letters."""


def folded(text: str) -> str:
    """The text as it is compared in searches. Folding twice changes nothing."""
    text = text.casefold().translate(SIGNS)
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).translate(SIGNS)
        text = "".join(each for each in text if unicodedata.combining(each) in OTHER_LETTERS)
        text = unicodedata.normalize("NFKC", text.casefold().translate(LETTERS))
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


class Folded(sa.types.TypeDecorator[str]):
    """A column of texts that are folded on every write."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Fold."""
        return None if value is None else folded(value)
