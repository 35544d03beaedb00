"""What a tokenizer makes of a split: lengths, subwords a word, unknown subwords, and how much would be cut."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapterstilts.data.encoding.tokens import MARKS, PAIR_MARKS, TokenArray, Tokenizer, pieces
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow

MANY_SUBWORDS = 3.0
"""More subwords a word than this, and a language is badly served by the vocabulary (Rust et al. 2021)."""

MANY_UNKNOWN = 0.01
"""A larger share of unknown subwords, and the model does not see much of the text."""

_SPECIALS = {1: MARKS, 2: PAIR_MARKS}
# Scripts whose words are not divided by spaces, by the first word of their characters' Unicode names.
_UNDIVIDED = frozenset({"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"})
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Peek:
    """Figures of some rows under a tokenizer.

    Attributes:
        rows: number of rows looked at.
        script: of most letters, as Unicode names it; ``MIXED`` when none has half of them.
        median: subwords of the middle row's longest sequence, special tokens included.
        high: the length that 95 % of the rows do not exceed.
        longest: of all rows.
        subwords_per_word: mean over all words; None where words are not divided by spaces.
        unknown: share of subwords that are the unknown one.
        over: share of rows that are longer than the maximum length, and so are cut or split.
    """

    rows: int
    script: str
    median: int
    high: int
    longest: int
    subwords_per_word: float | None
    unknown: float
    over: float


def peek(rows: Sequence[Row], tokenizer: Tokenizer, max_length: int) -> Peek:
    """Return the figures of some rows, at least one.

    Args:
        rows: of one kind.
        tokenizer: of a backbone.
        max_length: subwords that a sequence may have.
    """
    sequences = [_sequences(row) for row in rows]
    texts = list(dict.fromkeys(text for row in sequences for sequence in row for text in sequence))
    known = dict(zip(texts, pieces(tokenizer, texts), strict=True))
    lengths = np.array([_longest(row, known) for row in sequences])
    subwords = np.concatenate([*known.values(), np.zeros(0, dtype=np.int32)])
    script = script_of(texts)
    tagged = [word for row in rows if isinstance(row, TaggingRow) for word in row.tokens]
    words = tagged or ([] if script in _UNDIVIDED else _words(texts))
    return Peek(
        len(rows),
        script,
        int(np.median(lengths)),
        int(np.percentile(lengths, 95, method="higher")),
        int(lengths.max()),
        _per_word(words, tokenizer),
        float((subwords == tokenizer.unk_token_id).mean()) if len(subwords) else 0.0,
        float((lengths > max_length).mean()),
    )


def script_of(texts: Iterable[str]) -> str:
    """Return the script of most letters, by the first word of their Unicode names."""
    letters = Counter(char for text in texts for char in text if char.isalpha())
    scripts: Counter[str] = Counter()
    for char, count in letters.items():
        scripts[unicodedata.name(char, "UNNAMED").split()[0]] += count
    if not scripts:
        return "NONE"
    (script, most), *_ = scripts.most_common(1)
    return script if 2 * most >= scripts.total() else "MIXED"


def _per_word(words: Sequence[str], tokenizer: Tokenizer) -> float | None:
    if not words:
        return None
    counts = Counter(words)
    sizes = [len(ids) for ids in pieces(tokenizer, list(counts))]
    return sum(size * count for size, count in zip(sizes, counts.values(), strict=True)) / counts.total()


def _words(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in _WORD.findall(text)]


def _longest(sequences: Sequence[tuple[str, ...]], known: Mapping[str, TokenArray]) -> int:
    return max(sum(len(known[text]) for text in one) + _SPECIALS[len(one)] for one in sequences)


def _sequences(row: Row) -> list[tuple[str, ...]]:
    """Return what a row's sequences consist of: one text or two."""
    return next(texts(row) for kind, texts in _TEXTS if isinstance(row, kind))


def _of_pair(row: PairRow) -> list[tuple[str, ...]]:
    return [(side,) for side in (row.source, row.target) if side is not None]


_TEXTS: Sequence[tuple[type, Callable[..., list[tuple[str, ...]]]]] = (
    (TextRow, lambda row: [(row.text,) if row.text_pair is None else (row.text, row.text_pair)]),
    (ChoiceRow, lambda row: [(row.context, choice) for choice in row.choices]),
    (TaggingRow, lambda row: [(" ".join(row.tokens),)]),
    (SpanRow, lambda row: [(row.question, row.context)]),
    (PairRow, _of_pair),
)
