"""Class weights: what each class counts, and what the loss makes of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from handmade import encoded

from adapterstilts.data.encoding.columns import IGNORED, Encoded
from adapterstilts.data.tensors import Batch
from adapterstilts.model.heads import HEADS
from adapterstilts.specs import TaskData
from adapterstilts.stages.weighting import balanced


def task(kind: str, *labels: str) -> TaskData:
    return TaskData(kind, labels, {}, ())


def classes(*labels: int) -> Encoded:
    return encoded([[(0, 4, 2)]] * len(labels), list(labels))


def test_rare_classes_count_as_much_as_frequent_ones() -> None:
    weights = balanced(task("classification", "a", "b", "c"), classes(0, 0, 0, 2))
    assert weights is not None
    # Three examples of one class and one of the other; a class without examples is never looked up.
    assert weights.tolist() == pytest.approx([4 / 6, 1.0, 2.0])
    assert weights[[0, 0, 0, 2]].mean() == pytest.approx(1.0)


def test_tags_that_no_loss_counts_are_not_counted() -> None:
    columns: Any = SimpleNamespace(
        per_unit={}, per_token={"label": torch.tensor([IGNORED, 0, 0, 0, 1, IGNORED]).numpy()}
    )
    weights = balanced(task("tagging", "O", "B-x"), columns)
    assert weights is not None
    assert weights.tolist() == pytest.approx([4 / 6, 2.0])


@pytest.mark.parametrize("kind", ["multiple_choice", "span_qa", "regression", "multilabel", "mlm"])
def test_kinds_without_classes_have_no_weights(kind: str) -> None:
    assert balanced(task(kind, "a"), classes(0)) is None


def batch(labels: torch.Tensor, weights: torch.Tensor | None, place: str) -> Batch:
    shape = (len(labels), 3) if place == "per_unit" else labels.shape
    ones = torch.ones(shape, dtype=torch.int64)
    columns: Any = {place: {"label": labels}}
    return Batch(ones, ones, (1,) * len(labels), ("x",) * len(labels), class_weights=weights, **columns)


@pytest.mark.parametrize(("kind", "place"), [("classification", "per_unit"), ("tagging", "per_token")])
def test_a_weighted_loss_is_the_mean_of_weighted_losses(kind: str, place: str) -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0, 1, 1, 2]) if place == "per_unit" else torch.tensor([[0, 1, IGNORED], [2, 2, 0]])
    logits = torch.randn(*labels.shape, 3)
    weights = torch.tensor([0.5, 2.0, 1.5])
    loss = HEADS[kind].loss(logits, batch(labels, weights, place))
    flat, told = logits.reshape(-1, 3), labels.flatten()
    counted = [place for place, label in enumerate(told.tolist()) if label != IGNORED]
    each = [float(weights[told[i]] * F.cross_entropy(flat[i], told[i])) for i in counted]
    assert float(loss) == pytest.approx(sum(each) / len(each))
    same = HEADS[kind].loss(logits, batch(labels, torch.ones(3), place))
    assert float(same) == pytest.approx(float(HEADS[kind].loss(logits, batch(labels, None, place))))


def test_a_batch_of_one_class_keeps_its_weight() -> None:
    labels, logits = torch.tensor([1, 1]), torch.randn(2, 3)
    plain, weighted = (
        float(HEADS["classification"].loss(logits, batch(labels, weights, "per_unit")))
        for weights in (None, torch.tensor([1.0, 3.0, 1.0]))
    )
    assert weighted == pytest.approx(3 * plain)
