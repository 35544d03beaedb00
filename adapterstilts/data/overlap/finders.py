"""One finder a level: the traces of test rows, to be found again among those of training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from adapterstilts.data.overlap.identity import own_id, texts_of
from adapterstilts.data.overlap.ngrams import NgramIndex
from adapterstilts.data.overlap.words import normalised, words_of
from adapterstilts.data.rows import Row

Level = Literal["exact", "normalised", "ngram", "ids"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Traces:
    """By what some rows are recognised.

    Attributes:
        words: text -> its words, for every text of the rows.
        ids: the ids that count.
    """

    words: Mapping[str, Sequence[str]]
    ids: AbstractSet[str]


def traces_of(rows: Iterable[Row]) -> Traces:
    """Return the traces of rows; a text that several rows have is taken apart once."""
    texts: dict[str, None] = {}
    ids: set[str] = set()
    for row in rows:
        texts.update(dict.fromkeys(texts_of(row)))
        ids.update(keys_of(row, "ids"))
    return Traces({text: words_of(text) for text in texts}, ids)


def keys_of(row: Row, level: Level) -> AbstractSet[str]:
    """Return what a finder of this level knows a row by: its own id, or its texts."""
    if level != "ids":
        return set(texts_of(row))
    own = own_id(row)
    return set() if own is None else {own}


class Finder(Protocol):
    """Knows the traces of test rows."""

    def find(self, traces: Traces) -> tuple[AbstractSet[str], AbstractSet[str]]:
        """Return the keys among `traces` that meet the test rows, and the keys of the test rows that are met."""
        ...


class _Texts:
    def __init__(self, own: Traces) -> None:
        self._own = own.words.keys()

    def find(self, traces: Traces) -> tuple[AbstractSet[str], AbstractSet[str]]:
        same = self._own & traces.words.keys()
        return same, same


class _Ids:
    def __init__(self, own: Traces) -> None:
        self._own = own.ids

    def find(self, traces: Traces) -> tuple[AbstractSet[str], AbstractSet[str]]:
        same = self._own & traces.ids
        return same, same


class _Normalised:
    def __init__(self, own: Traces) -> None:
        self._own = _by_form(own)

    def find(self, traces: Traces) -> tuple[AbstractSet[str], AbstractSet[str]]:
        here = _by_form(traces)
        same = self._own.keys() & here.keys()
        return _all(here[form] for form in same), _all(self._own[form] for form in same)


class _Ngrams:
    """A text that is met as a whole counts too: words may be parted otherwise in it, or be too few."""

    def __init__(self, own: Traces) -> None:
        self._whole = _Normalised(own)
        self._parts = NgramIndex(own.words)

    def find(self, traces: Traces) -> tuple[AbstractSet[str], AbstractSet[str]]:
        whole, parts = self._whole.find(traces), self._parts.find(traces.words)
        return whole[0] | parts[0], whole[1] | parts[1]


def _by_form(traces: Traces) -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for text, words in traces.words.items():
        forms.setdefault(normalised(text, words), []).append(text)
    return forms


def _all(texts: Iterable[Iterable[str]]) -> set[str]:
    return set().union(*texts)


FINDERS: Mapping[Level, Callable[[Traces], Finder]] = {
    "exact": _Texts,
    "normalised": _Normalised,
    "ngram": _Ngrams,
    "ids": _Ids,
}
