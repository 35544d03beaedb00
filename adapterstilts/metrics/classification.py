"""Accuracy, and F1 and recall by class; one label an example, or a set of them.

All class scores sum the same three counts a class (true, predicted, gold). A class that occurs neither
in gold nor in the predictions is left out of a mean over classes: it says nothing about the model, and a
resample may well miss a rare class.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from adapterstilts.errors import DataError, Fault
from adapterstilts.metrics.build import f1_score, mean_metric, ratio, require_gold
from adapterstilts.metrics.core import FloatArray, Metric, Prediction


def accuracy() -> Metric:
    """Return the share of examples whose answer equals gold: labels, or indices of options.

    Raises:
        DataError: from the metric, when gold is text and the answer a number or the reverse (an index
            beside a label): such a comparison is never equal and would score 0 without a word.
    """
    return mean_metric("accuracy", _equal)


def _equal(gold: Any, answer: Any) -> float:
    if isinstance(gold, Number) != isinstance(answer, Number):
        what = f"gold is {type(gold).__name__} and the prediction {type(answer).__name__}"
        raise DataError(Fault("accuracy", what, "give both as labels or both as indices"))
    return float(gold == answer)


def macro_f1(labels: Sequence[Hashable] = ()) -> Metric:
    """Return the unweighted mean over classes of F1.

    Args:
        labels: the classes to average; empty means every class seen in gold or predictions. A subset is
            allowed (TweetEval's stance averages "against" and "favor": ``macro_f1@against+favor``).
    """
    return _by_class("macro_f1", labels, lambda counts: _mean(f1_score(counts), counts.sum(-1) > 0))


def micro_f1(labels: Sequence[Hashable] = ()) -> Metric:
    """Return F1 of the counts summed over classes; equals accuracy for single labels over all classes."""
    return _by_class("micro_f1", labels, lambda counts: f1_score(counts.sum(axis=-2)))


def weighted_f1(labels: Sequence[Hashable] = ()) -> Metric:
    """Return the mean over classes of F1, weighted by the class's number of gold examples."""
    return _by_class("weighted_f1", labels, lambda counts: _mean(f1_score(counts), counts[..., 2]))


def macro_recall(labels: Sequence[Hashable] = ()) -> Metric:
    """Return the unweighted mean over classes with gold examples of recall (balanced accuracy).

    SemEval's and TweetEval's score for sentiment (Rosenthal et al., 2017).
    """

    def score(counts: FloatArray) -> FloatArray:
        return _mean(ratio(counts[..., 0], counts[..., 2]), counts[..., 2] > 0)

    return _by_class("macro_recall", labels, score)


def class_f1(label: Hashable) -> Metric:
    """Return F1 of one class, named ``f1@<label>`` (TweetEval scores irony by ``f1@irony``)."""
    return _by_class(f"f1@{label}", (label,), lambda counts: f1_score(counts[..., 0, :]))


def members(answer: Any) -> frozenset[Hashable]:
    """Return an answer's labels as a set: itself, the labels of a collection, none for None."""
    if answer is None:
        return frozenset()
    if isinstance(answer, (list, tuple, set, frozenset)):
        return frozenset(answer)
    return frozenset((answer,))


def _mean(values: FloatArray, weights: Any) -> FloatArray:
    """Weighted mean over the last axis (classes); 0 when all weights are 0."""
    return ratio((values * weights).sum(axis=-1), np.asarray(weights, float).sum(axis=-1))


def _by_class(name: str, labels: Sequence[Hashable], score: Callable[[FloatArray], FloatArray]) -> Metric:
    """Return a metric on counts ``(..., classes, 3)``, stored flat as ``(..., classes * 3)``."""

    def statistics(predictions: Sequence[Prediction]) -> FloatArray:
        require_gold(name, predictions)
        return _class_counts(predictions, labels or _seen(predictions))

    def score_of_sums(sums: FloatArray) -> FloatArray:
        return score(sums.reshape(*sums.shape[:-1], -1, 3))

    return Metric(name, statistics, score_of_sums)


def _class_counts(predictions: Sequence[Prediction], labels: Iterable[Hashable]) -> FloatArray:
    """Return (true, predicted, gold) by class, ``(examples, classes * 3)``."""
    column = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(predictions), len(column), 3))
    for row, prediction in zip(counts, predictions, strict=True):
        gold, predicted = members(prediction.gold), members(prediction.prediction)
        for place, found in enumerate((gold & predicted, predicted, gold)):
            row[[column[label] for label in found if label in column], place] = 1
    return counts.reshape(len(predictions), -1)


def _seen(predictions: Sequence[Prediction]) -> list[Hashable]:
    """Return all labels, gold ones first, so that systems on the same examples share those columns."""
    gold = {label for prediction in predictions for label in members(prediction.gold)}
    extra = {label for prediction in predictions for label in members(prediction.prediction)} - gold
    return [*sorted(gold, key=str), *sorted(extra, key=str)]
