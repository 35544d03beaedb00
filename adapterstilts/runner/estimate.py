"""How long the rest of a plan takes, and how much disk, from sizes and from what this machine has shown before.

Throughput is remembered per (backbone, stage kind, precision, device) as subwords a second of whole stages, start
and saving included, in ``cache/throughput.json`` of the store. Before anything was measured an estimate says so.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from adapterstilts.backbones import KNOWN
from adapterstilts.data.batches import epoch_shares
from adapterstilts.data.sources import DataRoots, resolve
from adapterstilts.errors import AdapterStiltsError
from adapterstilts.recipe.defaults import PASSAGE_STRIDE
from adapterstilts.recipe.plan import DataUse, Stage
from adapterstilts.runner.sizes import adapter_numbers
from adapterstilts.specs import LONGER, Evaluate, FullFinetune, TrainAdapter, TrainingSpec, TrainingStage
from adapterstilts.store.store import Store
from adapterstilts.tasks.spec import HubSource, Split, TaskSpec

NO_STAGES: Mapping[str, Stage] = MappingProxyType({})
_FILE = "throughput.json"
# UTF-8 bytes a subword of XLM-R's vocabulary, for files that nobody has counted yet.
_BYTES_PER_TOKEN = 4.5
_BYTES_PER_FLOAT = 4
# Stages that work on files and rows alone.
_QUICK = ("average", "import_adapter", "random_adapter", "majority")
# Kinds whose long texts become several examples, so that nothing of them is left out.
_SPLIT_KINDS = ("tagging", "mlm")
# Padding and the last batch of an epoch leave a batch this full on average.
_FILL = 0.85


@dataclass(frozen=True)
class Estimate:
    """What a stage will cost; None where nothing is known.

    Attributes:
        steps: optimiser steps.
        tokens: subwords computed.
        seconds: time on this machine.
        disk: bytes that stay in the store.
    """

    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    disk: int | None = None


class Throughput:
    """What this store's machine has shown: subwords a second by kind of work.

    Args:
        store: whose cache holds the figures.
    """

    def __init__(self, store: Store) -> None:
        self._path = store.cache / _FILE
        try:
            self._rates: dict[str, float] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._rates = {}  # evictable: a lost file only means `unmeasured`

    def get(self, stage: Stage, device: str) -> float | None:
        """Return subwords a second for a stage's kind of work, None before anything was measured."""
        return self._rates.get(_work(stage, device))

    def add(self, stage: Stage, device: str, tokens: int, seconds: float) -> None:
        """Take a finished stage into account; later ones weigh as much as all before."""
        if tokens <= 0 or seconds <= 0:
            return
        work, rate = _work(stage, device), tokens / seconds
        self._rates[work] = rate if work not in self._rates else (self._rates[work] + rate) / 2
        temporary = self._path.with_suffix(f".{uuid.uuid4().hex[:8]}")
        # Only an estimate: a full disk or a cache that was cleared meanwhile must not end a run.
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(self._rates, indent=1, sort_keys=True), encoding="utf-8")
            os.replace(temporary, self._path)


def _work(stage: Stage, device: str) -> str:
    spec: Any = stage.spec
    parts = [spec.kind, device]
    if hasattr(spec, "numerics"):
        parts += [spec.backbone.model, spec.numerics.path, spec.numerics.precision]
    return "|".join(parts)


def estimate(
    stage: Stage,
    throughput: Throughput,
    device: str,
    roots: DataRoots,
    stages: Mapping[str, Stage] = NO_STAGES,
) -> Estimate:
    """Return what a stage will cost.

    Args:
        stage: of a plan.
        throughput: what this machine has shown.
        device: that computes.
        roots: where relative paths start.
        stages: of the plan; some stages are as long as another one on top of their own length.
    """
    steps, tokens = _amount(stage, roots)
    if LONGER in stage.inputs:
        steps, tokens = _lengthened(stage, steps, tokens, _amount(stages[stage.inputs[LONGER]], roots)[0])
    rate = throughput.get(stage, device)
    seconds = tokens / rate if tokens is not None and rate else None
    if stage.spec.kind in _QUICK:
        seconds = 1.0
    return Estimate(steps, tokens, seconds, _disk(stage, tokens))


def batches_of(stage: Stage, cost: Estimate) -> int | None:
    """Return how many batches a stage computes; None where that is not known, or it computes none."""
    spec = stage.spec
    if isinstance(spec, TrainingStage):
        return None if cost.steps is None else cost.steps * spec.training.accumulate
    if isinstance(spec, Evaluate) and cost.tokens is not None:
        return math.ceil(cost.tokens / spec.tokens_per_batch)
    return None


def _lengthened(
    stage: Stage, steps: int | None, tokens: int | None, more: int | None
) -> tuple[int | None, int | None]:
    assert isinstance(stage.spec, TrainAdapter)
    if steps is None or tokens is None or more is None:
        return None, None
    return steps + more, tokens + int(more * _step_tokens(stage.spec))


def _amount(stage: Stage, roots: DataRoots) -> tuple[int | None, int | None]:
    spec = stage.spec
    if isinstance(spec, TrainingStage):
        if spec.training.epochs is None:
            steps = spec.training.steps or 1
            return steps, int(steps * _step_tokens(spec))
        tokens = _epoch_tokens(stage, spec, roots)
        if tokens is None:
            return None, None
        total = int(tokens * spec.training.epochs)
        return max(1, round(total / _step_tokens(spec))), total
    if isinstance(spec, Evaluate):
        return None, split_tokens(stage.data[0], spec.max_length, roots, spec.stride)
    return None, None


def _step_tokens(spec: TrainingStage) -> float:
    return spec.training.tokens_per_batch * spec.training.accumulate * _FILL


def _epoch_tokens(stage: Stage, spec: TrainingStage, roots: DataRoots) -> int | None:
    """Return the subwords of an epoch: of all parts, or of each task of a mix as much as its share says."""
    uses = iter(stage.data)
    sizes = [_joined([_size(next(uses), spec.training, roots) for _ in task.parts]) for task in spec.data]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    mix = spec.mix if isinstance(spec, TrainAdapter | FullFinetune) else None
    if mix is None:
        return int(sum(size.tokens for size in known))
    shares = epoch_shares([max(1, round(size.examples)) for size in known], mix.cap, mix.temperature)
    each = [size.tokens / max(1, size.examples) for size in known]
    return round(sum(share * one for share, one in zip(shares, each, strict=True)))


@dataclass(frozen=True)
class _Size:
    """About how many examples a split has, and how many subwords, all windows counted."""

    examples: float
    tokens: float


def _joined(sizes: Sequence[_Size | None]) -> _Size | None:
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return None
    return _Size(sum(size.examples for size in known), sum(size.tokens for size in known))


def split_tokens(use: DataUse, max_length: int, roots: DataRoots, stride: int | None = None) -> int | None:
    """Return about how many subwords a split has, from the catalogue or the files' sizes; None when unknown.

    Args:
        use: which part of the split.
        max_length: subwords of a window.
        roots: where relative paths start.
        stride: from one window of a long text to the next.
    """
    size = _split_size(use, max_length, stride, roots)
    return None if size is None else int(size.tokens)


def _size(use: DataUse, training: TrainingSpec, roots: DataRoots) -> _Size | None:
    return _split_size(use, training.max_length, training.stride, roots)


def _split_size(use: DataUse, max_length: int, stride: int | None, roots: DataRoots) -> _Size | None:
    declared = use.task.splits[use.language][use.split]
    length, each = use.task.tokens_per_example, _tokens_each(use.task, max_length, stride)
    if declared.examples is not None:
        size = _Size(declared.examples, declared.examples * each)
    else:
        parts = [_bytes(part, roots) for part in (declared, *declared.also)]
        if None in parts:
            return None
        # How much of a file's texts is cut away is not known, so that all of them count as read.
        examples = sum(part for part in parts if part is not None) / _BYTES_PER_TOKEN / length
        size = _Size(examples, examples * max(each, length))
    bounds = [n for n in (use.limit, use.few_shot.k if use.few_shot else None) if n is not None]
    most = min(bounds, default=size.examples)
    return size if most >= size.examples else _Size(most, min(size.tokens, most * each))


def _tokens_each(task: TaskSpec, max_length: int, stride: int | None) -> float:
    """Return the subwords that a model reads of an example: a long text is cut, split, or read in windows."""
    length = task.tokens_per_example
    if length <= max_length or task.kind in _SPLIT_KINDS:
        return length
    if stride is None and task.kind != "span_qa":
        return max_length
    step = min(stride or PASSAGE_STRIDE, max_length)
    return max_length * (1 + math.ceil((length - max_length) / step))


def _bytes(split: Split, roots: DataRoots) -> int | None:
    if isinstance(split.source, HubSource):
        return None
    try:
        start, end = split.portion
        return sum(path.stat().st_size for path in resolve(split.source, roots)) * (end - start) // 100
    except AdapterStiltsError:
        return None


def _disk(stage: Stage, tokens: int | None) -> int | None:
    """Return the bytes a stage leaves in the store; whole models are not kept, predictions are counted."""
    spec = stage.spec
    if isinstance(spec, Evaluate):
        return None if tokens is None else tokens * 10
    if not isinstance(spec, TrainingStage):
        return None
    known = KNOWN.get(spec.backbone.model)
    if known is None:
        return None
    hidden = known.hidden
    numbers = sum(hidden * hidden + hidden * max(1, len(task.labels)) for task in spec.data)
    if isinstance(spec, TrainAdapter):
        adapter = adapter_numbers(spec.adapter, known.sizes)
        if adapter is None:
            return None
        numbers += adapter
    if "fuse(" in getattr(spec, "composition", ""):
        numbers += 3 * hidden * hidden * known.layers
    return numbers * _BYTES_PER_FLOAT


def peak_disk(stages: Mapping[str, Stage]) -> int | None:
    """Return the bytes that whole models need while they wait for their readers."""
    full = [stage.spec for stage in stages.values() if isinstance(stage.spec, FullFinetune)]
    if not full:
        return 0
    known = KNOWN.get(full[0].backbone.model)
    if known is None:
        return None
    # One model that was just trained, beside the intermediate ones of the same seed, and beside the one that it
    # went on from.
    seeds = {spec.seed for spec in full}
    waiting = max(sum(spec.role == "intermediate" and spec.seed == seed for spec in full) for seed in seeds)
    gone_on = any(spec.continues for spec in full)
    return known.parameters * _BYTES_PER_FLOAT * (1 + waiting + gone_on)
