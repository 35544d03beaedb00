"""Stage specs: exactly what enters a key, and nothing else. No torch, no paths, no devices.

A stage's key is the digest of its spec together with the keys of its inputs (`stage_key`). Every field
here is literal: changing one changes the key, and with it the keys of all that depends on it. Rules:

- A field that is added later gets a default and ``metadata={"omit_default": True}``, so that old keys stay.
- `version` of a spec rises when its stage computes something else from the same spec.
- Compositions are written over positions: ``x0``, ``x1`` ... are the stage's inputs and ``self`` is what
  trains here, so that renaming an adapter in a recipe costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import Json

SELF = "self"
# The composition of the bare backbone; it is outside the grammar of recipes.
NOTHING = "stack()"
MODEL = "model"
INIT = "init"
LONGER = "longer"
BACKBONE = "backbone"
# The one file of a whole model that may be let go after its last reader.
WEIGHTS_FILE = "model.safetensors"

Precision = Literal["fp32", "bf16"]
Role = Literal["intermediate", "domain", "target", "fusion"]


@dataclass(frozen=True)
class BackboneSpec:
    """The frozen pretrained network, by name and revision.

    Attributes:
        model: hub id, ``package:NAME``, or ``files:`` and the content digest of a local folder.
        revision: commit SHA on the hub, version of the package, None for local files.
        quantize: ``none``, ``8bit`` or ``4bit``.
    """

    model: str
    revision: str | None
    quantize: str = "none"


@dataclass(frozen=True)
class AdapterSpec:
    """The adapter that is trained: the library's configuration name and its size.

    Attributes:
        config: name of the configuration, for example ``seq_bn`` (Pfeiffer et al. 2020).
        reduction_factor: hidden size divided by the bottleneck's; 1 where the configuration has none.
        skip_layers: the lowest n layers carry no adapter.
        options: what else the configuration is told: rank and scale of LoRA, length of a prefix ...
    """

    config: str
    reduction_factor: int
    skip_layers: int = 0
    options: Mapping[str, Json] = field(default_factory=dict, metadata={"omit_default": True})


@dataclass(frozen=True)
class FewShot:
    """A small sample of a split: the first `k` of an order that the draw's number fixes, so draws nest in k.

    Attributes:
        k: number of examples.
        draw: which order; draws are independent of each other.
        stratify: whether labels take turns, so that each has about as many examples.
    """

    k: int
    draw: int
    stratify: bool = False


@dataclass(frozen=True)
class DataPart:
    """One split of one language: its bytes and how they are read.

    Attributes:
        content: digest of the source's bytes, or of a pinned hub reference.
        reader: the reader's name.
        columns: field -> column.
        options: the reader's options.
        portion: percent range of the rows' groups.
        limit: at most so many examples, None for all.
        few_shot: only this sample of the examples.
        without: splits whose texts are taken out of this one, so that no test text is trained on.
    """

    content: str
    reader: str
    columns: Mapping[str, str]
    options: Mapping[str, Json]
    portion: tuple[int, int] = (0, 100)
    limit: int | None = None
    few_shot: FewShot | None = field(default=None, metadata={"omit_default": True})
    without: tuple[DataPart, ...] = field(default=(), metadata={"omit_default": True})


@dataclass(frozen=True)
class TaskData:
    """The data of one task in a stage, without the task's name.

    Attributes:
        kind: of the task.
        labels: the head's labels, in order.
        label_map: value in the data -> label.
        parts: one split of one language each; their examples are joined.
        unanswerable: whether a question may have no answer.
        permuted: seed of a permutation of the examples' labels: a placebo; None for the labels as they are.
    """

    kind: str
    labels: tuple[str, ...]
    label_map: Mapping[str, str | None]
    parts: tuple[DataPart, ...]
    unanswerable: bool = field(default=False, metadata={"omit_default": True})
    permuted: int | None = field(default=None, metadata={"omit_default": True})


@dataclass(frozen=True)
class Mix:
    """How several tasks share a stage's training: each task's share of an epoch's examples.

    A task with n examples counts ``min(n, cap)``, to the power ``1 / temperature`` (Raffel et al. 2020,
    section 3.5.2); an epoch has as many examples as the counts of all tasks together.

    Attributes:
        cap: the K of examples-proportional mixing; None for no cap.
        temperature: 1 keeps the proportions, more evens them out.
    """

    cap: int | None = None
    temperature: float = 1.0


@dataclass(frozen=True)
class TrainingSpec:
    """How a stage optimises.

    Attributes:
        steps: number of optimiser steps, None when `epochs` decides.
        epochs: passes over the training data, None when `steps` decides.
        tokens_per_batch: subwords in a batch, padding included.
        max_length: subwords an example is cut to.
        learning_rate: peak of the schedule.
        warmup: share of the steps in which the rate rises linearly; it falls linearly to 0 afterwards.
        weight_decay: AdamW's, not applied to biases and layer norms.
        max_grad_norm: gradients are clipped to this norm.
        backbone_dropout: whether the backbone's own dropout is active while it trains.
        stride: subwords from the start of one window of a long text to the start of the next; None where the
            kind's own way of long texts is meant.
        evaluations: how often, evenly spread, the model is scored on `validation`; the best state is kept.
        patience: training ends after so many evaluations without a better score.
        accumulate: batches whose gradients make one step.
        class_weights: ``balanced``: the loss of a class counts by the inverse of its share.
    """

    steps: int | None
    epochs: float | None
    tokens_per_batch: int
    max_length: int
    learning_rate: float
    warmup: float
    weight_decay: float
    max_grad_norm: float
    backbone_dropout: bool
    stride: int | None = field(default=None, metadata={"omit_default": True})
    evaluations: int = field(default=0, metadata={"omit_default": True})
    patience: int | None = field(default=None, metadata={"omit_default": True})
    accumulate: int = field(default=1, metadata={"omit_default": True})
    class_weights: str = field(default="none", metadata={"omit_default": True})


@dataclass(frozen=True)
class Numerics:
    """Which arithmetic computes a stage.

    Attributes:
        path: ``engine.1``, or ``library.1`` (the modules of ``adapters``); see `adapterstilts.paths`.
        precision: of the matrix products; parameters that train are always fp32.
    """

    path: str
    precision: Precision


@dataclass(frozen=True)
class RetrievalSpec:
    """How sentences become vectors when nothing is trained.

    Attributes:
        layer: hidden state that is read, 0 for the embeddings; the last layer is the number of layers.
        pooling: ``mean`` over the attention mask, or the ``first`` token.
        centre: whether each language's mean vector is subtracted.
    """

    layer: int
    pooling: str
    centre: bool


@dataclass(frozen=True)
class ConvertBackbone:
    """A backbone that a registry package carries, written as an ordinary model folder."""

    package: str
    package_version: str
    kind: str = "convert_backbone"
    version: int = 1


@dataclass(frozen=True)
class TrainAdapter:
    """Train a fresh adapter and a fresh head, on top of frozen inputs.

    Attributes:
        composition: over ``x0`` ... and ``self``; fusion layers in it train too.
        data: one entry a task; several share the adapter and have a head each.
        role: derives the generators together with `seed`, so that methods are paired.
        mix: the tasks' shares, where there are several.
        validation: what steers, when the training says `evaluations`.
        selection: the metric of each of these tasks; the mean of all decides. ``loss`` for mlm.
        continues: whether adapter, fusion and head of the input ``init`` go on training, in place of fresh ones.
        fresh_head: with `continues`: whether the head is a fresh one all the same.
    """

    backbone: BackboneSpec
    adapter: AdapterSpec
    composition: str
    data: tuple[TaskData, ...]
    training: TrainingSpec
    numerics: Numerics
    seed: int
    role: Role
    kind: str = "train_adapter"
    version: int = 1
    mix: Mix | None = field(default=None, metadata={"omit_default": True})
    validation: tuple[TaskData, ...] = field(default=(), metadata={"omit_default": True})
    selection: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    continues: bool = field(default=False, metadata={"omit_default": True})
    fresh_head: bool = field(default=False, metadata={"omit_default": True})


@dataclass(frozen=True)
class TrainFusion:
    """Train a fusion layer and a fresh head over frozen inputs (Pfeiffer et al. 2021)."""

    backbone: BackboneSpec
    composition: str
    data: tuple[TaskData, ...]
    training: TrainingSpec
    numerics: Numerics
    seed: int
    role: Role = "fusion"
    kind: str = "train_fusion"
    version: int = 1
    validation: tuple[TaskData, ...] = field(default=(), metadata={"omit_default": True})
    selection: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    continues: bool = field(default=False, metadata={"omit_default": True})


@dataclass(frozen=True)
class FullFinetune:
    """Train the whole backbone and a fresh head, from the pretrained weights or from the input ``init``."""

    backbone: BackboneSpec
    data: tuple[TaskData, ...]
    training: TrainingSpec
    numerics: Numerics
    seed: int
    role: Role
    kind: str = "full_finetune"
    version: int = 1
    mix: Mix | None = field(default=None, metadata={"omit_default": True})
    validation: tuple[TaskData, ...] = field(default=(), metadata={"omit_default": True})
    selection: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    continues: bool = field(default=False, metadata={"omit_default": True})


@dataclass(frozen=True)
class TrainHead:
    """Train a fresh head on the bare, frozen backbone."""

    backbone: BackboneSpec
    data: tuple[TaskData, ...]
    training: TrainingSpec
    numerics: Numerics
    seed: int
    role: Role
    kind: str = "train_head"
    version: int = 1
    validation: tuple[TaskData, ...] = field(default=(), metadata={"omit_default": True})
    selection: tuple[str, ...] = field(default=(), metadata={"omit_default": True})
    continues: bool = field(default=False, metadata={"omit_default": True})


@dataclass(frozen=True)
class ImportAdapter:
    """An adapter that was trained elsewhere, checked against the backbone.

    Attributes:
        content: digest of its files.
    """

    backbone: BackboneSpec
    content: str
    kind: str = "import_adapter"
    version: int = 1


@dataclass(frozen=True)
class RandomAdapter:
    """An adapter that is never trained: a control of equal size."""

    backbone: BackboneSpec
    adapter: AdapterSpec
    seed: int
    kind: str = "random_adapter"
    version: int = 1


@dataclass(frozen=True)
class Majority:
    """The most frequent answer in training data: the floor of every method.

    Attributes:
        data: one task, labelled.
    """

    data: tuple[TaskData, ...]
    kind: str = "majority"
    version: int = 1


@dataclass(frozen=True)
class AverageAdapters:
    """One adapter with the weighted mean of the inputs' weights; `weights` are normalised to sum 1."""

    weights: tuple[float, ...]
    kind: str = "average"
    version: int = 1


@dataclass(frozen=True)
class Evaluate:
    """Predict and score one split of one language.

    Attributes:
        composition: ``model`` for a trained model with its head, whose adapters at the positions ``x0`` ... the
            stage's own inputs replace; over ``x0`` ... for adapters without a head; ``stack()`` for the bare backbone.
        language: of the data; some official scores depend on it.
        metrics: names, the main one first.
        retrieval: for retrieval tasks only.
        stride: as in `TrainingSpec`.
    """

    backbone: BackboneSpec
    composition: str
    data: TaskData
    language: str
    metrics: tuple[str, ...]
    numerics: Numerics
    tokens_per_batch: int
    max_length: int
    retrieval: RetrievalSpec | None = None
    kind: str = "evaluate"
    version: int = 1
    stride: int | None = field(default=None, metadata={"omit_default": True})


TrainingStage = TrainAdapter | TrainFusion | TrainHead | FullFinetune
StageSpec = (
    ConvertBackbone
    | TrainAdapter
    | TrainFusion
    | TrainHead
    | FullFinetune
    | AverageAdapters
    | ImportAdapter
    | RandomAdapter
    | Majority
    | Evaluate
)


@dataclass(frozen=True)
class Keyed:
    """What a key digests."""

    spec: StageSpec
    inputs: Mapping[str, str] = field(default_factory=dict)


def stage_key(spec: StageSpec, inputs: Mapping[str, str]) -> str:
    """Return the key of a stage.

    Args:
        spec: the stage spec.
        inputs: role -> key of each input.

    Returns:
        64 hexadecimal digits.
    """
    return digest(Keyed(spec, inputs))


def changed_fields(old: Any, new: Any, path: str = "") -> list[str]:
    """Return the dotted paths at which two canonical specs differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = sorted({*old, *new})
        return [
            p
            for name in names
            for p in changed_fields(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            p
            for i, (first, second) in enumerate(zip(old, new, strict=True))
            for p in changed_fields(first, second, f"{path}[{i}]")
        ]
    return [] if old == new else [path]
