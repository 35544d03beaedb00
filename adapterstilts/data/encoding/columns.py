"""Encoded examples as flat arrays: small in memory, quick to save, and readable straight from a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
IntArray = npt.NDArray[np.int64]

IGNORED = -100
"""A token's label that no loss and no score counts."""


@dataclass(frozen=True)
class Unit:
    """What has to stay in one batch: a text, a choice with all its options, one window of a sentence.

    Attributes:
        row: position of the row that it belongs to.
        sequences: ids with special tokens, each ``(length,)``.
        values: name -> value of the unit.
        per_sequence: name -> one value a sequence.
        per_token: name -> one value a token of all sequences, one after the other.
    """

    row: int
    sequences: Sequence[Array]
    values: Mapping[str, Any] = field(default_factory=dict)
    per_sequence: Mapping[str, Any] = field(default_factory=dict)
    per_token: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoded:
    """The units of a split.

    Attributes:
        ids: the rows' ids.
        rows: ``(units,)``, the row of each unit; a row's units stand together, in order.
        firsts: ``(units + 1,)``, the first sequence of each unit.
        bounds: ``(sequences + 1,)``, the first token of each sequence.
        tokens: ``(tokens,)``, subword ids.
        per_unit: name -> array ``(units, ...)``.
        per_sequence: name -> array ``(sequences, ...)``.
        per_token: name -> array ``(tokens, ...)``.
    """

    ids: tuple[str, ...]
    rows: IntArray
    firsts: IntArray
    bounds: IntArray
    tokens: Array
    per_unit: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))
    per_sequence: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))
    per_token: Mapping[str, Array] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.rows)

    @cached_property
    def counts(self) -> list[int]:
        """Sequences of each unit."""
        counts: list[int] = np.diff(self.firsts).tolist()
        return counts

    @cached_property
    def longest(self) -> list[int]:
        """Subwords of each unit's longest sequence."""
        if not len(self):
            return []
        longest: list[int] = np.maximum.reduceat(np.diff(self.bounds), self.firsts[:-1]).tolist()
        return longest

    @property
    def computed(self) -> int:
        """Subwords that a model computes when every unit stands alone, padded to its longest sequence."""
        return sum(count * longest for count, longest in zip(self.counts, self.longest, strict=True))

    def sequences(self, unit: int) -> list[Array]:
        """Return the ids of a unit's sequences."""
        return [self.sequence(place) for place in range(self.firsts[unit], self.firsts[unit + 1])]

    def sequence(self, place: int) -> Array:
        """Return the ids of one sequence."""
        return self.tokens[self.bounds[place] : self.bounds[place + 1]]

    def token_values(self, name: str, unit: int) -> Array:
        """Return a per-token column of a unit of one sequence."""
        place = self.firsts[unit]
        return self.per_token[name][self.bounds[place] : self.bounds[place + 1]]

    @classmethod
    def of(cls, ids: Iterable[str], units: Iterable[Unit]) -> Encoded:
        """Return units as columns; all have the same names of values."""
        own = list(units)
        sequences = [sequence for unit in own for sequence in unit.sequences]
        return cls(
            tuple(ids),
            np.array([unit.row for unit in own], dtype=np.int64),
            _sums(len(unit.sequences) for unit in own),
            _sums(len(sequence) for sequence in sequences),
            np.concatenate(sequences) if sequences else np.zeros(0, dtype=np.int32),
            {name: np.array([unit.values[name] for unit in own]) for name in _names(own, "values")},
            {name: _joined(own, "per_sequence", name) for name in _names(own, "per_sequence")},
            {name: _joined(own, "per_token", name) for name in _names(own, "per_token")},
        )


def join(parts: Sequence[Encoded]) -> Encoded:
    """Return the units of several splits of one task, one split after the other."""
    if len(parts) == 1:
        return parts[0]
    rows = np.cumsum([0, *(len(part.ids) for part in parts)])
    firsts = np.cumsum([0, *(len(part.bounds) - 1 for part in parts)])
    bounds = np.cumsum([0, *(len(part.tokens) for part in parts)])
    return Encoded(
        tuple(id_ for part in parts for id_ in part.ids),
        np.concatenate([part.rows + start for part, start in zip(parts, rows, strict=False)]),
        np.concatenate([[0], *(part.firsts[1:] + start for part, start in zip(parts, firsts, strict=False))]),
        np.concatenate([[0], *(part.bounds[1:] + start for part, start in zip(parts, bounds, strict=False))]),
        np.concatenate([part.tokens for part in parts]),
        {name: np.concatenate([part.per_unit[name] for part in parts]) for name in parts[0].per_unit},
        {name: np.concatenate([part.per_sequence[name] for part in parts]) for name in parts[0].per_sequence},
        {name: np.concatenate([part.per_token[name] for part in parts]) for name in parts[0].per_token},
    )


def _sums(sizes: Iterable[int]) -> IntArray:
    return np.cumsum([0, *sizes], dtype=np.int64)


def _names(units: Sequence[Unit], level: str) -> Sequence[str]:
    return tuple(getattr(units[0], level)) if units else ()


def _joined(units: Sequence[Unit], level: str, name: str) -> Array:
    return np.concatenate([np.asarray(getattr(unit, level)[name]) for unit in units])
