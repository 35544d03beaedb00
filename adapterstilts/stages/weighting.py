"""Class weights: rare classes count as much in the loss as frequent ones."""

from __future__ import annotations

import torch
from torch import Tensor

from adapterstilts.data.encoding.columns import IGNORED, Encoded
from adapterstilts.specs import TaskData


def balanced(data: TaskData, encoded: Encoded) -> Tensor | None:
    """Return what each class of a task counts: ``examples / (classes * examples of the class)``.

    The mean weight of the training labels is 1, so that rates keep their meaning (King and Zeng 2001).

    Args:
        data: the task.
        encoded: its training data.

    Returns:
        ``(labels,)``; 1 for a class without examples, which no loss looks up. None for kinds without classes.
    """
    columns = {"classification": encoded.per_unit, "tagging": encoded.per_token}
    if data.kind not in columns:
        return None
    found = torch.from_numpy(columns[data.kind]["label"].astype("int64"))
    counts = torch.bincount(found[found != IGNORED], minlength=len(data.labels)).double()
    there = counts > 0
    weights = torch.where(there, counts.sum() / (there.sum() * counts.clamp(min=1)), torch.ones_like(counts))
    return weights.float()
