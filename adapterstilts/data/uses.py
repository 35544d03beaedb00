"""The rows that a stage's uses of data stand for: each read once in a process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from adapterstilts.data import draws
from adapterstilts.data.load import find_split, load_split
from adapterstilts.data.overlap import without_overlap
from adapterstilts.data.permuted import permuted
from adapterstilts.data.rows import LoadedSplit
from adapterstilts.data.sources import DataRoots, content_digest
from adapterstilts.errors import DataError, Fault
from adapterstilts.specs import FewShot
from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import TaskSpec

REMOVED = "in a test split"


class Use(Protocol):
    """A split, or a part of it; see `adapterstilts.recipe.plan.DataUse`."""

    @property
    def task(self) -> TaskSpec:
        """Whose split it is."""

    @property
    def language(self) -> str:
        """Of the rows."""

    @property
    def split(self) -> str:
        """Its name."""

    @property
    def limit(self) -> int | None:
        """At most so many rows."""

    @property
    def few_shot(self) -> FewShot | None:
        """Only this sample."""

    @property
    def without(self) -> tuple[Use, ...]:
        """Splits whose texts are taken out."""

    @property
    def permuted(self) -> int | None:
        """Seed of a permutation of the labels."""


@dataclass
class Rows:
    """Reads splits and remembers them.

    Attributes:
        roots: where relative paths start.
    """

    roots: DataRoots
    _loaded: dict[str, LoadedSplit] = field(default_factory=dict)

    def of(self, use: Use) -> LoadedSplit:
        """Return the rows of a use.

        Raises:
            DataError: see `load_split`; or all rows are in a test split.
        """
        key = self.identity(use)
        if key not in self._loaded:
            loaded = self._reduced(use) if use.without else self._whole(use)
            if use.permuted is not None:
                loaded = replace(loaded, rows=permuted(loaded.rows, use.permuted))
            self._loaded[key] = loaded
        return self._loaded[key]

    def _whole(self, use: Use) -> LoadedSplit:
        return load_split(use.task, use.language, use.split, self.roots, use.limit, use.few_shot)

    def identity(self, use: Use) -> str:
        """Return what tells apart the rows of two uses: contents and the way they are read, never names."""
        task, split = use.task, find_split(use.task, use.language, use.split)
        return digest(
            [
                [task.kind, task.labels, task.label_map, content_digest(split, self.roots)],
                [split.format, split.portion, use.split == "train", use.limit, use.few_shot],
                [self.identity(test) for test in use.without],
                *([use.permuted] if use.permuted is not None else []),
            ]
        )

    def _reduced(self, use: Use) -> LoadedSplit:
        """Return a use without test texts; samples are drawn from what is left, so that they keep their size."""
        loaded = load_split(use.task, use.language, use.split, self.roots)
        tests = (row for test in use.without for row in self.of(test).rows)
        kept, removed = without_overlap(loaded.rows, tests)
        where = f"{use.task.name}.{use.language}.{use.split}"
        if not kept:
            what = f"all of its {removed} examples are in a test split"
            raise DataError(Fault(where, what, "leave `remove_overlap` out, or train on other data"))
        few = use.few_shot
        rows = (
            draws.few_shot(kept, few.k, few.draw, few.stratify, where)
            if few
            else draws.limited(kept, use.limit)
        )
        dropped = {**loaded.dropped, REMOVED: removed} if removed else loaded.dropped
        return replace(loaded, rows=rows, dropped=dropped)
