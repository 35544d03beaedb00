"""The pieces that metrics are made of: means, F1 from counts, safe ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from adapterstilts.errors import DataError, Fault
from adapterstilts.metrics.core import FloatArray, Metric, Prediction


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return ``numerator / denominator``, 0 where the denominator is 0; both broadcast."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    return np.asarray(np.divide(top, bottom, out=np.zeros(top.shape), where=bottom != 0))


def require_gold(name: str, predictions: Sequence[Prediction]) -> None:
    """Refuse to score nothing, or examples without a gold answer.

    Raises:
        DataError: no predictions, or some with ``gold=None``.
    """
    if not predictions:
        raise DataError(Fault(name, "no predictions to score"))
    unlabelled = [prediction.id for prediction in predictions if prediction.gold is None]
    if unlabelled:
        what = (
            f"{len(unlabelled)} of {len(predictions)} examples have no gold answer (first: {unlabelled[0]!r})"
        )
        raise DataError(Fault(name, what, "score a labelled split"))


def per_example(
    name: str,
    row: Callable[[Prediction], Sequence[float]],
    score: Callable[[FloatArray], FloatArray],
    *,
    higher_is_better: bool = True,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Metric:
    """Return a metric whose statistics are computed example by example.

    Args:
        name: the metric's name.
        row: a prediction -> its ``k`` statistics.
        score: sums ``(..., k)`` -> scores ``(...)``.
        higher_is_better: direction.
        bounds: lowest and highest possible score.
    """

    def statistics(predictions: Sequence[Prediction]) -> FloatArray:
        require_gold(name, predictions)
        return np.array([row(prediction) for prediction in predictions], dtype=np.float64)

    return Metric(name, statistics, score, higher_is_better, bounds)


def mean_metric(name: str, value: Callable[[Any, Any], float]) -> Metric:
    """Return the mean over examples of ``value(gold, prediction)``; higher is better.

    A prediction of None (no answer, missing id) counts as 0 without a call: a system cannot gain by
    leaving examples out.
    """

    def row(prediction: Prediction) -> tuple[float, float]:
        missing = prediction.prediction is None
        return (0.0 if missing else float(value(prediction.gold, prediction.prediction)), 1.0)

    return per_example(name, row, mean_score)


def count_f1_metric(name: str, counts: Callable[[Any, Any], tuple[float, float, float]]) -> Metric:
    """Return the F1 of ``counts(gold, prediction) = (true, predicted, gold)``, summed over examples."""

    def row(prediction: Prediction) -> tuple[float, float, float]:
        return counts(prediction.gold, prediction.prediction)

    return per_example(name, row, f1_score)


def mean_score(sums: FloatArray) -> FloatArray:
    """Return value / count from sums ``(..., 2)``."""
    return ratio(sums[..., 0], sums[..., 1])


def f1_score(sums: FloatArray) -> FloatArray:
    """Return F1 from sums ``(..., 3)`` of (true, predicted, gold); 0 when there is nothing to find or found.

    ``2 true / (predicted + gold)`` is the harmonic mean of precision and recall with one division.
    """
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def score_lists(
    metric: Metric,
    gold: Sequence[Any],
    predicted: Sequence[Any],
    *,
    probabilities: Sequence[Mapping[str, float] | None] | None = None,
    groups: Sequence[str] | None = None,
) -> float:
    """Return a metric of plain lists, in the forms that the metric's docstring gives.

    Args:
        metric: the metric.
        gold: one answer an example.
        predicted: one answer an example.
        probabilities: label -> probability for each example, where the metric needs them.
        groups: the group of each example, where the metric needs them.

    Raises:
        DataError: the lists differ in length, or are empty.
    """
    probabilities = [None] * len(gold) if probabilities is None else probabilities
    groups = [""] * len(gold) if groups is None else groups
    if not len(gold) == len(predicted) == len(probabilities) == len(groups):
        what = f"{len(gold)} gold answers beside {len(predicted)} predictions"
        beside = f" ({len(probabilities)} probabilities, {len(groups)} groups)"
        raise DataError(Fault(metric.name, what + beside, "give one of each for every example"))
    rows = enumerate(zip(gold, predicted, probabilities, groups, strict=True))
    return metric([Prediction(str(place), *row) for place, row in rows])


def score_by_id(metric: Metric, gold: Mapping[str, Any], predicted: Mapping[str, Any]) -> float:
    """Return a metric of answers by id, over the ids of `gold`; an id that is not predicted scores 0.

    Raises:
        DataError: no gold answers.
    """
    return metric([Prediction(id_, right, predicted.get(id_)) for id_, right in gold.items()])
