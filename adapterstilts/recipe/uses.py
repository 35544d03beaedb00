"""Which splits the stages of a recipe read. Pure: no file is opened here."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

from adapterstilts.recipe.adapters import Adapter
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.labels import relabelled
from adapterstilts.recipe.plan import DataUse
from adapterstilts.recipe.targets import Target
from adapterstilts.specs import FewShot
from adapterstilts.tasks.spec import TaskSpec

# The parts of one task that a stage reads: one split of several languages.
Group = tuple[DataUse, ...]


@dataclass(frozen=True)
class Uses:
    """The splits of a recipe.

    Attributes:
        recipe: checked.
        limit: at most so many examples a split.
    """

    recipe: Recipe
    limit: int | None = None

    @functools.cached_property
    def taken_out(self) -> Group:
        """The scored splits of all targets, whose texts are not trained on; empty unless the recipe asks for it."""
        if not self.recipe.file.remove_overlap:
            return ()
        found = {
            (target.task, language, target.split): None
            for target in self.recipe.targets
            for language in target.languages
        }
        # Sorted, so that the order of targets is in no key; whole, so that no limit on scoring is.
        return tuple(
            DataUse(self.recipe.tasks[task], language, split, None) for task, language, split in sorted(found)
        )

    def adapter(self, adapter: Adapter, split: str, permuted: int | None = None) -> tuple[Group, ...]:
        """Return what an intermediate reads of a split, one group a task; `permuted` is a seed for its labels."""
        return tuple(
            self._group(self.recipe.tasks[part.task], part.languages, split, permuted=permuted)
            for part in adapter.parts
        )

    def source(self, target: Target, split: str) -> Group:
        """Return what a target reads of its source, with the target's labels; empty without a source."""
        if target.source is None:
            return ()
        source, task = self.recipe.tasks[target.source.task], self.recipe.tasks[target.task]
        return self._group(relabelled(source, task, target.source.labels), target.source.languages, split)

    def own(self, target: Target, language: str, split: str, sample: FewShot | None = None) -> Group:
        """Return what a target reads of its own task in one of its languages."""
        return self._group(self.recipe.tasks[target.task], (language,), split, sample)

    def scored(self, target: Target, language: str) -> DataUse:
        """Return what a target is scored on in one of its languages."""
        limits = [limit for limit in (target.limit, self.limit) if limit is not None]
        return DataUse(self.recipe.tasks[target.task], language, target.split, min(limits, default=None))

    def all(self) -> Iterator[DataUse]:
        """Yield everything that is read, in the order of the recipe, parts of equal place more than once."""
        for adapter in self.recipe.adapters:
            for split in ("train", "validation") if adapter.validated else ("train",):
                for group in self.adapter(adapter, split):
                    yield from group
        for target in self.recipe.targets:
            yield from self._of_target(target)

    def _of_target(self, target: Target) -> Iterator[DataUse]:
        yield from self.source(target, "train")
        if target.validation == "source":
            yield from self.source(target, "validation")
        for language in target.languages:
            if target.setting in ("few_shot", "in_language"):
                yield from self.own(target, language, "train")
            if target.validation == "target":
                yield from self.own(target, language, "validation")
            yield self.scored(target, language)

    def _group(
        self,
        task: TaskSpec,
        languages: tuple[str, ...],
        split: str,
        sample: FewShot | None = None,
        permuted: int | None = None,
    ) -> Group:
        without = self.taken_out if split == "train" else ()
        return tuple(
            DataUse(task, language, split, self.limit, sample, without, permuted) for language in languages
        )
