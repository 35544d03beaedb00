"""A model's answers to encoded rows, and the predictions that they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from adapterstilts.data.batches import by_length
from adapterstilts.data.encoding import decode
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.rows import Row
from adapterstilts.data.tensors import collate
from adapterstilts.metrics.core import Prediction
from adapterstilts.model.assembly import Assembly
from adapterstilts.specs import Numerics, TaskData
from adapterstilts.training.loop import OnStep, autocast


def settings_of(data: TaskData, max_length: int, stride: int | None) -> Settings:
    """Return how the rows of a task are encoded in a stage."""
    return Settings(data.labels, max_length, stride, data.unanswerable)


def predict(
    assembly: Assembly,
    rows: Sequence[Row],
    encoded: Encoded,
    settings: Settings,
    tokens_per_batch: int,
    numerics: Numerics,
    *,
    task: int = 0,
    progress: OnStep = lambda step, steps, loss, rate: None,
) -> list[Prediction]:
    """Return one prediction a row, in order.

    Args:
        assembly: in evaluation mode.
        rows: that were encoded.
        encoded: their encoding.
        settings: that they were encoded with.
        tokens_per_batch: subwords in a batch, padding included.
        numerics: precision of the matrix products.
        task: which of the assembly's heads.
        progress: called with ``(batch, batches, nan, 0)``.
    """
    answers: list[Answer] = [np.zeros(0)] * len(encoded)
    batches = by_length(encoded, tokens_per_batch)
    head, device = assembly.head(task), assembly.backbone.device
    for number, positions in enumerate(batches, 1):
        batch = collate(encoded, positions, device)
        with torch.inference_mode(), autocast(device, numerics):
            logits = assembly.logits(batch, task)
        for position, answer in zip(positions, head.answers(logits, batch), strict=True):
            answers[position] = answer.cpu().numpy()
        progress(number, len(batches), float("nan"), 0.0)
    return decode(assembly.blueprint.heads[task].kind, rows, encoded, answers, settings)
