"""Runs of words that texts share.

A run of 2, 4, 8 ... words is named by a number: the place of its two halves' names in a sorted table of the
indexed texts (the naming of Karp, Miller and Rosenberg, 1972). Equal names are equal words: nothing is hashed,
nothing can collide, and text that is looked up leaves nothing behind.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt

from adapterstilts.data.overlap.words import WHOLE, weight

IntArray = npt.NDArray[np.int64]

WORDS = 8
"""Words of an n-gram; a power of two, for runs only double."""

_WEIGHT = WORDS * WHOLE
_DOUBLINGS = 5  # 2 ** 5 of the lightest words weigh as much as an n-gram
_UNKNOWN = -1
_LAST = np.iinfo(np.int64).max


class NgramIndex:
    """The n-grams of some texts, to be found in others.

    An n-gram is the shortest of 8, 16 or 32 consecutive words that weighs eight: 8 words, 16 characters of
    Chinese or Japanese, 32 of Thai, Lao, Khmer or Burmese. A word that follows itself counts once, or masked
    tweets (``user user user ...``) would all be alike. An indexed word takes about 60 bytes.

    Args:
        texts: text -> its words.
    """

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        self._texts = list(texts)
        known = dict.fromkeys(word for words in texts.values() for word in words)
        self._numbers = {word: number for number, word in enumerate(known)}
        self._weights = np.array([*map(weight, known), 0], dtype=np.int64)  # the last is that of _UNKNOWN
        self._tables: list[IntArray] = []
        owners, names = self._flat(texts.values())
        places, self._ngrams = _joined(self._runs(names, build=True))
        self._owners = owners[places]

    def find(self, texts: Mapping[str, Sequence[str]]) -> tuple[set[str], set[str]]:
        """Return which of `texts` share an n-gram with an indexed text, and those indexed texts.

        Args:
            texts: text -> its words.
        """
        owners, names = self._flat(texts.values())
        places, ngrams = _joined(self._runs(names))
        here, there = np.unique(owners[places]), np.unique(self._owners[np.isin(self._ngrams, ngrams)])
        own = list(texts)
        return {own[owner] for owner in here}, {self._texts[owner] for owner in there}

    def _flat(self, texts: Collection[Sequence[str]]) -> tuple[IntArray, IntArray]:
        """Return the words of all texts in one row, each text closed by an unknown word.

        Returns:
            ``(words,)`` number of the text that a word is of, and ``(words,)`` the word's own number.
        """
        flat = array("q")
        for words in texts:
            flat.extend(map(self._numbers.get, words, repeat(_UNKNOWN)))
            flat.append(_UNKNOWN)
        names = np.array(flat, dtype=np.int64)
        lengths = np.array([len(words) + 1 for words in texts], dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), lengths)
        new = np.diff(names, prepend=_UNKNOWN - 1) != 0
        return owners[new], names[new]

    def _runs(self, names: IntArray, build: bool = False) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield, length by length, where n-grams begin and their numbers; `build` makes the tables for it.

        Args:
            names: ``(words,)``, the words' numbers; those of longer and longer runs take their place.
            build: whether these are the texts of the index.
        """
        before = np.concatenate([[0], np.cumsum(self._weights[names])])
        size, first, width = len(self._numbers), 0, 1
        for level in range(_DOUBLINGS):
            starts = np.flatnonzero((names[:-width] != _UNKNOWN) & (names[width:] != _UNKNOWN))
            codes = names[starts] * size + names[starts + width]
            if build:
                self._tables.append(np.append(np.unique(codes), _LAST))
            table = self._tables[level]
            found = np.searchsorted(table, codes)
            known = table[found] == codes
            starts, found = starts[known], found[known]
            names = np.full_like(names, _UNKNOWN)
            names[starts] = found
            half, whole = (before[starts + length] - before[starts] for length in (width, 2 * width))
            ngram = (half < _WEIGHT) & (whole >= _WEIGHT)
            yield starts[ngram], first + found[ngram]
            size, first, width = len(table), first + len(table), 2 * width


def _joined(runs: Iterator[tuple[IntArray, IntArray]]) -> tuple[IntArray, IntArray]:
    places, ngrams = zip(*runs, strict=True)
    return np.concatenate(places), np.concatenate(ngrams)
