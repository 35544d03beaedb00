"""Predict and score one split of one language; the predictions are kept, so no interval needs a second run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapterstilts import killpoints
from adapterstilts.data.encoding import decode
from adapterstilts.data.majority import constant_answers
from adapterstilts.data.rows import PairRow, Row
from adapterstilts.metrics import registry
from adapterstilts.metrics.answers import veiled
from adapterstilts.metrics.core import Prediction
from adapterstilts.metrics.files import write_predictions
from adapterstilts.model.assembly import ADAPTER_FOLDER, Blueprint, HeadSpec, assembled
from adapterstilts.model.backbone import Backbone
from adapterstilts.model.full import load_full
from adapterstilts.recipe.plan import Stage
from adapterstilts.specs import MODEL, Evaluate
from adapterstilts.stages.computing import computing
from adapterstilts.stages.context import Context
from adapterstilts.stages.controls import read_counts
from adapterstilts.stages.inference import predict, settings_of
from adapterstilts.stages.peak import PeakMemory
from adapterstilts.stages.retrieval import retrieve
from adapterstilts.store.store import Artifact


def evaluate(stage: Stage, context: Context, workspace: Path) -> dict[str, Any]:
    """Write ``predictions.jsonl`` and return the scores."""
    spec = stage.spec
    assert isinstance(spec, Evaluate)
    started, memory = time.monotonic(), PeakMemory(context.device)
    use = stage.data[0]
    loaded = context.rows(use)
    predictions, tokens = _answers(stage, spec, context, loaded.rows)
    # The answers of all other kinds hold no text of the data.
    veil = use.task.confidential and spec.data.kind == "span_qa"
    write_predictions(workspace, veiled(predictions, spec.metrics[0], spec.language) if veil else predictions)
    return {
        "scores": _score(spec, predictions),
        "examples": len(predictions),
        "tokens_seen": tokens,
        "seconds": time.monotonic() - started,
        "peak_bytes": memory.bytes,
        "dropped": dict(loaded.dropped),
        "repaired": dict(loaded.repaired),
    }


def _answers(
    stage: Stage, spec: Evaluate, context: Context, rows: Sequence[Row]
) -> tuple[list[Prediction], int]:
    """Return predictions and the number of subwords that were computed."""
    settings = settings_of(spec.data, spec.max_length, spec.stride)
    if MODEL in stage.inputs and (made := context.artifact(stage.inputs[MODEL])).record.kind == "majority":
        killpoints.reach("evaluation")
        encoded = context.encoded(stage.data[0], context.backbone(spec.backbone, stage.inputs), settings)
        answers = constant_answers(spec.data.kind, read_counts(made.path), encoded, spec.data.labels)
        return decode(spec.data.kind, rows, encoded, answers, settings), 0
    with ExitStack() as stack:
        backbone, blueprint = model_of(stage, spec, context)
        assembly = stack.enter_context(assembled(backbone, blueprint))
        stop = None if spec.retrieval is None else spec.retrieval.layer
        work = stack.enter_context(computing(assembly, spec.numerics, context, stop=stop))
        killpoints.reach("evaluation")
        if spec.retrieval is not None:
            pairs = [row for row in rows if isinstance(row, PairRow)]
            keep = not stage.data[0].task.confidential
            return retrieve(
                work.assembly, spec, spec.retrieval, pairs, lambda own: work.placed([own], keep=keep)
            )
        encoded = work.encoded(stage.data, settings)
        predictions = predict(
            work.assembly,
            rows,
            encoded,
            settings,
            spec.tokens_per_batch,
            spec.numerics,
            progress=context.progress,
        )
        return predictions, len(encoded.tokens)


# ---- which model


def model_of(stage: Stage, spec: Evaluate, context: Context) -> tuple[Backbone, Blueprint]:
    """Return the backbone and what stands on it for an evaluation."""
    if MODEL in stage.inputs:
        backbone, blueprint = trained_model(
            context.artifact(stage.inputs[MODEL]), spec, context, stage.inputs
        )
        return backbone, blueprint if spec.retrieval is None else replace(blueprint, heads=())
    inputs = {
        position: context.artifact(key).path / ADAPTER_FOLDER
        for position, key in stage.inputs.items()
        if position.startswith("x")
    }
    return context.backbone(spec.backbone, stage.inputs), Blueprint(spec.composition, inputs)


def trained_model(
    artifact: Artifact, spec: Any, context: Context, inputs: Mapping[str, str]
) -> tuple[Backbone, Blueprint]:
    """Return a trained stage's model: its inputs from the store, its own parts from the artifact.

    Args:
        artifact: of a training stage.
        spec: anything with the ``backbone`` that it was trained on.
        context: the process.
        inputs: where a converted backbone is found; an adapter among them replaces that of the training in its place.
    """
    record = artifact.record
    heads = tuple(HeadSpec(data["kind"], tuple(data["labels"])) for data in record.spec["data"])
    if record.kind == "full_finetune":
        return _full_model(artifact, spec, context, inputs), Blueprint(
            "stack()", trained=artifact.path, heads=heads
        )
    positions = {
        position: context.artifact(key).path / ADAPTER_FOLDER
        for position, key in {**record.inputs, **inputs}.items()
        if position.startswith("x")
    }
    # A stage that trains a head alone composes nothing.
    composition = record.spec.get("composition", "stack()")
    blueprint = Blueprint(composition, positions, trained=artifact.path, heads=heads)
    return context.backbone(spec.backbone, inputs), blueprint


def _full_model(artifact: Artifact, spec: Any, context: Context, inputs: Mapping[str, str]) -> Backbone:
    kept = context.full_model(artifact.record.key)
    if kept is not None:
        return kept
    backbone = context.fresh_backbone(spec.backbone, inputs)
    load_full(backbone, artifact.path)
    context.keep_full(artifact.record.key, backbone)
    return backbone


def _score(spec: Evaluate, predictions: Sequence[Prediction]) -> dict[str, float | None]:
    """Return metric -> score; None where the data has no labels."""
    labelled = [one for one in predictions if one.gold is not None]
    scores: dict[str, float | None] = {}
    for name in spec.metrics:
        metric = registry.get(name, language=spec.language, labels=spec.data.labels)
        scores[name] = metric(labelled) if labelled else None
    return scores
