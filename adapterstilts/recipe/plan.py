"""What a plan is: an ordered list of stages, each with its key, and the results that they make.

Training is keyed by its data, so targets that train on the same data share a stage. Every evaluation is a
stage of its own, and comes right after the stage whose model it scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapterstilts.specs import FewShot, Numerics, StageSpec
from adapterstilts.tasks.spec import TaskSpec


@dataclass(frozen=True)
class DataUse:
    """Where a stage finds one part of its data; not keyed, since the bytes are.

    Attributes:
        task: whose split it is, with the labels that the stage uses.
        language: of the part.
        split: of the part.
        limit: at most so many examples.
        few_shot: only this sample.
        without: splits whose texts are taken out of it.
        permuted: seed of a permutation of its labels; None for the labels as they are.
    """

    task: TaskSpec
    language: str
    split: str
    limit: int | None
    few_shot: FewShot | None = None
    without: tuple[DataUse, ...] = ()
    permuted: int | None = None

    @property
    def confidential(self) -> bool:
        """Whether the part, or what is taken out of it, is confidential."""
        return self.task.confidential or any(other.confidential for other in self.without)

    def __str__(self) -> str:
        sample = f" ({self.few_shot.k}, draw {self.few_shot.draw})" if self.few_shot else ""
        labels = "" if self.permuted is None else " (labels permuted)"
        return f"{self.task.name}.{self.language}.{self.split}{sample}{labels}"


@dataclass(frozen=True)
class Stage:
    """A node of the plan.

    Attributes:
        name: readable and unique within the plan.
        spec: what is keyed.
        inputs: role -> key of another stage.
        key: of the stage; stands for nothing in a store while `resolved` is False.
        data: one entry for each part of the spec's data, task after task.
        validation: the same for the spec's validation data, whose tasks are those of the data, in order.
        resolved: whether all data behind it have a known content.
        note: what a reader of the plan has to know; in no key.
        why_library: why it takes the library's path; empty where it takes the engine's, or computes nothing.
    """

    name: str
    spec: StageSpec
    inputs: Mapping[str, str]
    key: str
    data: tuple[DataUse, ...] = ()
    validation: tuple[DataUse, ...] = ()
    resolved: bool = True
    note: str = ""
    why_library: str = ""

    @property
    def path(self) -> str:
        """Which code computes it (`adapterstilts.paths`); empty where it computes nothing."""
        numerics: Numerics | None = getattr(self.spec, "numerics", None)
        return "" if numerics is None else numerics.path

    @property
    def reads(self) -> tuple[DataUse, ...]:
        """All data that the stage reads, what is only taken out of others included."""
        read = (*self.data, *self.validation)
        return (*read, *(other for use in read for other in use.without))


@dataclass(frozen=True)
class Cell:
    """One number of the results: a method on a target's language with a seed.

    Attributes:
        method: canonical expression.
        target: name of the target.
        task: name of the task that is scored.
        domain: of that task.
        source: the task that is trained on first; ``none`` where only the target's own few examples are, empty
            where nothing is trained.
        setting: ``zero_shot``, ``few_shot k=50`` ...
        language: of the examples.
        split: of the examples.
        seed: of the whole chain.
        draw: number of the few-shot sample; None in other settings.
        stage: key of the evaluation; None where the method has no meaning (n/a).
        trained_by: key of the stage that made the model; None for the bare backbone.
        relation: how the method's adapters are related to the target's training data.
        select_on: whose validation data selected the model: ``source``, ``target``, or empty.
    """

    method: str
    target: str
    task: str
    domain: str
    source: str
    setting: str
    language: str
    split: str
    seed: int
    draw: int | None
    stage: str | None
    trained_by: str | None = None
    relation: str = ""
    select_on: str = ""


@dataclass(frozen=True)
class Plan:
    """All that a recipe asks for.

    Attributes:
        stages: key -> stage, every stage after its inputs.
        cells: the results in the order of the recipe.
    """

    stages: Mapping[str, Stage]
    cells: tuple[Cell, ...]
