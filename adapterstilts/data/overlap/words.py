"""Text to words, so that spacing, case, punctuation and tokenisation do not hide that two texts are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

WHOLE = 4
"""The weight of a word; a character of a script without spaces is a part of one."""

_PARTS = {
    **dict.fromkeys(("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "BOPOMOFO"), 2),
    **dict.fromkeys(("THAI", "LAO", "KHMER", "MYANMAR"), 1),
}


def words_of(text: str) -> list[str]:
    """Return the words of a text: letters, marks and digits after NFKC and case folding.

    Everything else (spaces, punctuation, symbols, emoji, control characters) ends a word. In scripts without
    spaces every character is a word of its own; `weight` says how much of one.
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_FORMS).split()


def normalised(text: str, words: Sequence[str]) -> str:
    """Return what of a text is compared: its words without spaces; the text itself where it has no word."""
    return "".join(words) or text


def weight(word: str) -> int:
    """Return how much of a word this is, in quarters.

    Chinese and Japanese words have about two characters, so each is half a word; Thai, Lao, Khmer and Burmese
    ones about four, vowel signs counted.
    """
    return _PARTS.get(_script(word[0]), WHOLE)


def _script(char: str) -> str:
    return unicodedata.name(char, "").replace("-", " ").partition(" ")[0]


class _Forms(dict[int, str]):
    """Character -> what stands for it, found when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = form = _form(chr(code))
        return form


def _form(char: str) -> str:
    category = unicodedata.category(char)
    # Variation selectors are marks, but of emoji: alone they would make all emoji the same text.
    if not (category[0] in "LN" or category in ("Mn", "Mc")) or _script(char) == "VARIATION":
        return " "
    return f" {char} " if _script(char) in _PARTS else char


_FORMS = _Forms()
