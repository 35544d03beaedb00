"""Lessons as the fields that training specs share: data by their content, settings resolved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from adapterstilts.paths import ENGINE, LIBRARY, Making
from adapterstilts.recipe.check import Recipe
from adapterstilts.recipe.defaults import Purpose, resolve_training, wants_library
from adapterstilts.recipe.lessons import Lesson
from adapterstilts.recipe.plan import DataUse
from adapterstilts.recipe.uses import Group, Uses
from adapterstilts.specs import BackboneSpec, DataPart, Numerics, Precision, TaskData, TrainingSpec
from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import Split

UNRESOLVED = "unresolved"
MASKED_LOSS = "loss"


def _no_seal(_content: str) -> str:
    raise ValueError("confidential data are keyed by the seal of a store, and none was given")


@dataclass(frozen=True)
class Surroundings:
    """What planning has to be told about the machine, so that it stays pure.

    Attributes:
        content: split -> digest of its bytes, None while unknown.
        backbone: the resolved backbone.
        auto_precision: what ``precision: auto`` means here.
        limit: at most so many examples a split.
        pretrained: name of a pretrained adapter -> digest of its files.
        makings: digest of a pretrained adapter's files -> what it is made of.
        seal: what stands for the digest of confidential bytes, so that nobody can confirm a guess of them.
    """

    content: Callable[[Split], str | None]
    backbone: BackboneSpec
    auto_precision: Precision
    limit: int | None = None
    pretrained: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    makings: Mapping[str, Making] = field(default_factory=lambda: MappingProxyType({}))
    seal: Callable[[str], str] = _no_seal


@dataclass(frozen=True)
class Material:
    """A lesson as the fields that all training specs share, and where the data are."""

    fields: Mapping[str, Any]
    data: Group
    validation: Group


@dataclass(frozen=True)
class Materials:
    """Makes the parts of specs that come from data and settings.

    Attributes:
        recipe: checked.
        surroundings: of the machine.
        uses: the splits of the recipe.
    """

    recipe: Recipe
    surroundings: Surroundings
    uses: Uses

    def of(self, lesson: Lesson, purpose: Purpose, seed: int) -> Material:
        """Return the material of a stage."""
        training, numerics = self.training(purpose)
        if not lesson.validation:
            training = replace(training, evaluations=0, patience=None)
        validation = lesson.validation if training.evaluations else tuple(() for _ in lesson.groups)
        tasks = [
            (self.task_data(ordered), ordered, self.ordered(checked))
            for group, checked in zip(lesson.groups, validation, strict=True)
            for ordered in [self.ordered(group)]
        ]
        if len(tasks) > 1:
            # The order of a mix means nothing, so it comes from what its tasks are, never from a recipe.
            tasks.sort(key=lambda task: (task[0].kind, task[0].labels, digest(task[0])))
        fields = {
            "backbone": self.surroundings.backbone,
            "data": tuple(data for data, _, _ in tasks),
            "training": training,
            "numerics": numerics,
            "seed": seed,
            "role": purpose.role,
            "validation": tuple(self.task_data(checked) for _, _, checked in tasks if checked),
            "selection": tuple(_main_metric(checked) for _, _, checked in tasks if checked),
        }
        return Material(
            fields,
            tuple(use for _, group, _ in tasks for use in group),
            tuple(use for _, _, checked in tasks for use in checked),
        )

    def training(self, purpose: Purpose) -> tuple[TrainingSpec, Numerics]:
        """Return the settings and the arithmetic of a stage: on the engine's path, unless the recipe says otherwise."""
        section, auto = self.recipe.file.training, self.surroundings.auto_precision
        training, precision = resolve_training(section, purpose, auto)
        path = LIBRARY if wants_library(section, purpose) else ENGINE
        return training, Numerics(path, precision)

    def content(self, use: DataUse) -> str:
        """Return what stands for the bytes of a split."""
        content = self.surroundings.content(use.task.splits[use.language][use.split])
        return content if content is not None else f"{UNRESOLVED}:{use.task.name}.{use.language}.{use.split}"

    def task_data(self, group: Group) -> TaskData:
        """Return the parts of one task."""
        task, parts = group[0].task, tuple(self._part(use) for use in group)
        return TaskData(task.kind, task.labels, task.label_map, parts, task.unanswerable, group[0].permuted)

    def ordered(self, group: Group) -> Group:
        """Return the parts of a task in the one order that every recipe with the same parts gives them."""
        return group if len(group) < 2 else tuple(sorted(group, key=lambda use: digest(self._part(use))))

    def _part(self, use: DataUse) -> DataPart:
        declared = use.task.splits[use.language][use.split]
        return DataPart(
            content=self._keyed(use),
            reader=declared.format.type,
            columns=declared.format.columns,
            options=declared.format.options,
            portion=declared.portion,
            limit=use.limit,
            few_shot=use.few_shot,
            without=self._taken_out if use.without else (),
        )

    def _keyed(self, use: DataUse) -> str:
        content = self.content(use)
        if not use.task.confidential or content.startswith(UNRESOLVED):
            return content
        return self.surroundings.seal(content)

    @functools.cached_property
    def _taken_out(self) -> tuple[DataPart, ...]:
        parts = {digest(part): part for part in map(self._part, self.uses.taken_out)}
        return tuple(parts[key] for key in sorted(parts))


def _main_metric(group: Group) -> str:
    """Return the score that selects on a task; masked words have none but their loss."""
    metrics = group[0].task.metrics
    return metrics[0] if metrics else MASKED_LOSS
