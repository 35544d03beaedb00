"""Test text that was met in training: counted, and taken out of training rows.

Four levels say what "met" means:

===========  ===========================================================================================
exact        the same text
normalised   the same words: NFKC; case, spaces, punctuation and symbols aside (`words`)
ngram        normalised, or eight words in a row shared (`ngrams`); a shorter text is met as a whole or not
ids          the same id, where the data gave an id that means something outside its file (`identity.own_id`)
===========  ===========================================================================================

`identity.texts_of` says which text a row is recognised by. Labels are not looked at. Translations do not meet:
that a split is another one in a second language shows by ids, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from adapterstilts.data.overlap.finders import FINDERS, LEVELS, Level, keys_of, traces_of
from adapterstilts.data.overlap.identity import texts_of
from adapterstilts.data.rows import Row
from adapterstilts.errors import Fault, UsageError, suggest

__all__ = ["EXAMPLES", "LEVELS", "Level", "Overlap", "overlap", "without_overlap"]

EXAMPLES = 5
"""At most so many ids are named for a level."""

_CHARACTERS = 1 << 21
"""So much training text is looked up at once."""

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Overlap:
    """How many test rows were met in training rows. It holds no text.

    Attributes:
        rows: number of test rows.
        met: level -> number of test rows that were met.
        examples: level -> ids of the first few of them.
    """

    rows: int
    met: Mapping[Level, int]
    examples: Mapping[Level, tuple[str, ...]]

    def share(self, level: Level) -> float:
        """Return the share of the test rows that were met, between 0 and 1; 0 where there are no rows."""
        return self.met[level] / self.rows if self.rows else 0.0


def overlap(training: Iterable[Row], test: Sequence[Row]) -> Overlap:
    """Return how many of the test rows are met in training rows, level by level.

    Training rows are drawn once and let go; only the test rows are indexed.

    Args:
        training: all rows that training looks at, validation rows too.
        test: rows of a test split; each row counts, also where several have one text.
    """
    own = traces_of(test)
    finders = {level: FINDERS[level](own) for level in LEVELS}
    keys: dict[Level, set[str]] = {level: set() for level in LEVELS}
    for rows in _portions(training):
        traces = traces_of(rows)
        for level, finder in finders.items():
            keys[level] |= finder.find(traces)[1]
    met = {level: [row.id for row in test if keys_of(row, level) & keys[level]] for level in LEVELS}
    return Overlap(
        len(test),
        {level: len(ids) for level, ids in met.items()},
        {level: tuple(ids[:EXAMPLES]) for level, ids in met.items()},
    )


def without_overlap(
    rows: Iterable[R], tests: Iterable[Row], level: Level = "normalised"
) -> tuple[tuple[R, ...], int]:
    """Return the training rows that meet no test row, in their order, and the number of the others.

    The default takes out rows with a test row's text. ``ngram`` also takes out those that quote the same
    sentence or formula, which can be many.

    Args:
        rows: rows to train on.
        tests: rows of all test splits to keep apart from.
        level: what counts as met.

    Raises:
        UsageError: there is no such level.
    """
    if level not in LEVELS:
        remedy = suggest(level, LEVELS) or f"levels: {', '.join(LEVELS)}"
        raise UsageError(Fault("overlap", f"{level!r} is not a level", remedy))
    finder = FINDERS[level](traces_of(tests))
    kept: list[R] = []
    removed = 0
    for portion in _portions(rows):
        met, _ = finder.find(traces_of(portion))
        left = [row for row in portion if not keys_of(row, level) & met]
        kept += left
        removed += len(portion) - len(left)
    return tuple(kept), removed


def _portions(rows: Iterable[R]) -> Iterator[list[R]]:
    portion: list[R] = []
    characters = 0
    for row in rows:
        portion.append(row)
        characters += sum(map(len, texts_of(row)))
        if characters >= _CHARACTERS:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion
