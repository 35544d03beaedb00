"""Stages that train: an adapter, a fusion, a head, a whole model. They differ in what trains and in what is kept."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapterstilts.data.batches import Schedule, epoch_shares
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.tensors import Batch
from adapterstilts.model.assembly import (
    ADAPTER_FOLDER,
    Assembly,
    Blueprint,
    HeadSpec,
    assembled,
    trainable_size,
    unfreeze,
    without_backbone_dropout,
)
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.full import load_full, save_full
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import (
    INIT,
    LONGER,
    FullFinetune,
    TrainAdapter,
    TrainFusion,
    TrainHead,
    TrainingSpec,
    TrainingStage,
)
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.inference import settings_of
from adapterstilts.stages.peak import PeakMemory
from adapterstilts.stages.steering import Steering, by_task
from adapterstilts.stages.weighting import balanced
from adapterstilts.store.digest import canonical
from adapterstilts.training.loop import Control, Trainable, fit

CURVE_FILE = "curve.jsonl"


@dataclass
class _Model(Trainable):
    assembly: Assembly
    parameters: Mapping[str, nn.Parameter]
    steering: Steering | None = None
    class_weights: Sequence[Tensor | None] = ()

    def loss(self, batch: Batch, task: int, seed: int, units: Sequence[int] | None = None) -> Tensor:
        if self.class_weights:
            batch = dataclasses.replace(batch, class_weights=self.class_weights[task])
        return self.assembly.loss(batch, task, seed, units)

    def score(self) -> float:
        assert self.steering is not None
        return self.steering.score(self.assembly)

    def regulariser(self) -> Tensor | None:
        return self.assembly.regulariser()


def train_adapter(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Train a fresh adapter and head over frozen inputs, and write both."""
    spec = stage.spec
    assert isinstance(spec, TrainAdapter)
    backbone = context.backbone(spec.backbone, stage.inputs)
    blueprint = _blueprint(stage, spec, context, spec.composition)
    return _train(stage, spec, context, workspace, backbone, blueprint)


def train_fusion(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Train a fusion layer and a head over frozen inputs, and write both."""
    spec = stage.spec
    assert isinstance(spec, TrainFusion)
    backbone = context.backbone(spec.backbone, stage.inputs)
    blueprint = _blueprint(stage, spec, context, spec.composition)
    return _train(stage, spec, context, workspace, backbone, blueprint)


def train_head(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Train a head on the bare backbone, and write it."""
    spec = stage.spec
    assert isinstance(spec, TrainHead)
    backbone = context.backbone(spec.backbone, stage.inputs)
    return _train(stage, spec, context, workspace, backbone, _blueprint(stage, spec, context, "stack()"))


def full_finetune(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Train the whole model, and write its weights and its head."""
    spec = stage.spec
    assert isinstance(spec, FullFinetune)
    backbone = context.fresh_backbone(spec.backbone, stage.inputs)
    if INIT in stage.inputs:
        load_full(backbone, context.artifact(stage.inputs[INIT]).path)
    results = _train(stage, spec, context, workspace, backbone, _blueprint(stage, spec, context, "stack()"))
    if results:
        save_full(backbone, workspace)
        context.keep_full(stage.key, backbone)
    return results


def _blueprint(stage: Stage, spec: TrainingStage, context: Context, composition: str) -> Blueprint:
    inputs = {
        position: context.artifact(key).path / ADAPTER_FOLDER
        for position, key in stage.inputs.items()
        if position.startswith("x")
    }
    return Blueprint(
        composition=composition,
        inputs=inputs,
        adapter=spec.adapter if isinstance(spec, TrainAdapter) else None,
        trained=context.artifact(stage.inputs[INIT]).path if spec.continues else None,
        heads=tuple(HeadSpec(data.kind, data.labels) for data in spec.data),
        seed=spec.seed,
        role=spec.role,
        fresh_head=isinstance(spec, TrainAdapter) and spec.fresh_head,
    )


def _train(
    stage: Stage,
    spec: TrainingStage,
    context: Context,
    workspace: Path,
    backbone: Backbone,
    blueprint: Blueprint,
) -> dict[str, Any]:
    """Train, write what came out, and return what was measured; of several processes the others return nothing."""
    memory = PeakMemory(context.device)
    with ExitStack() as stack:
        for tracker in context.trackers:
            tracker.start(stage.name, canonical(spec))
            stack.callback(tracker.finish)
        assembly = stack.enter_context(assembled(backbone, blueprint, checkpointing=context.checkpointing))
        parameters = unfreeze(assembly, full=isinstance(spec, FullFinetune))
        if not spec.training.backbone_dropout:
            stack.enter_context(without_backbone_dropout(assembly))
        team = stack.enter_context(context.together(stage))
        work = stack.enter_context(computing(assembly, spec.numerics, context))
        with team.in_turn():
            tasks = [
                work.encoded(uses, settings_of(data, spec.training.max_length, spec.training.stride))
                for data, uses in by_task(spec.data, stage.data)
            ]
        validates = spec.training.evaluations and team.rank == 0
        steering = Steering.of(stage, spec, work) if validates else None
        schedule = _schedule(spec, tasks)
        progress = fit(
            _Model(work.assembly, parameters, steering, _class_weights(spec, tasks, context.device)),
            schedule,
            _lengthened(stage, spec.training, schedule, context),
            spec.numerics,
            context.device,
            _control(stage, context, memory),
            team,
        )
        if team.rank:
            return {}
        assembly.model.eval()
        assembly.save(workspace)
        size = trainable_size(parameters)
    _write_curve(workspace / CURVE_FILE, progress.curve)
    loaded = [context.rows(use) for use in stage.data]
    results = {
        "parameters": size,
        "steps": progress.step,
        "examples": sum(len(task) for task in tasks),
        "examples_seen": progress.examples,
        "tokens_seen": progress.tokens,
        "seconds": progress.seconds,
        "peak_bytes": memory.bytes,
        "final_loss": next(point["loss"] for point in reversed(progress.curve) if "loss" in point),
        "dropped": _summed(split.dropped for split in loaded),
        "repaired": _summed(split.repaired for split in loaded),
    }
    if progress.best is not None:
        results |= {"best_step": progress.best.step, "validation": progress.best.score}
    return results


def _schedule(spec: TrainingStage, tasks: Sequence[Encoded]) -> Schedule:
    mix = spec.mix if isinstance(spec, TrainAdapter | FullFinetune) else None
    shares = () if mix is None else epoch_shares([len(task) for task in tasks], mix.cap, mix.temperature)
    training = spec.training
    return Schedule(
        tasks, training.tokens_per_batch, spec.seed, spec.role, shares, accumulate=training.accumulate
    )


def _lengthened(stage: Stage, training: TrainingSpec, schedule: Schedule, context: Context) -> TrainingSpec:
    """Return the settings with the steps of another stage on top of their own, where the plan says so."""
    if LONGER not in stage.inputs:
        return training
    more = int(context.artifact(stage.inputs[LONGER]).record.results["steps"])
    steps = schedule.steps(training.steps, training.epochs) + more
    return dataclasses.replace(training, steps=steps, epochs=None)


def _class_weights(
    spec: TrainingStage, tasks: Sequence[Encoded], device: torch.device
) -> list[Tensor | None]:
    if spec.training.class_weights == "none":
        return []
    weights = [balanced(data, task) for data, task in zip(spec.data, tasks, strict=True)]
    return [None if own is None else own.to(device) for own in weights]


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total)


def _control(stage: Stage, context: Context, memory: PeakMemory) -> Control:
    def progress(step: int, steps: int, loss: float, rate: float) -> None:
        memory.sample()
        context.progress(step, steps, loss, rate)

    return Control(
        checkpoint=context.store.checkpoint(stage.key),
        checkpoint_seconds=context.checkpoint_seconds,
        stop=context.stop,
        progress=progress,
        trackers=context.trackers,
    )


def _write_curve(path: Path, curve: list[dict[str, float]]) -> None:
    lines = [json.dumps(point, sort_keys=True) for point in curve]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
