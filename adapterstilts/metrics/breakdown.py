"""A metric by parts of the data: functionalities of HateCheck, topics, categories of an exam.

A part is the first level of an example's group, and needs no field of its own: the group
``derog_neg_emote_h/12`` is template 12, whose examples are resampled together, of the functionality
``derog_neg_emote_h``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from adapterstilts.metrics.build import ratio
from adapterstilts.metrics.core import FloatArray, Metric, Prediction

Part = Callable[[Prediction], str]


def part_of(prediction: Prediction) -> str:
    """Return the part an example belongs to: its group up to the first ``/``."""
    return prediction.group.partition("/")[0]


def by_part(metric: Metric, predictions: Sequence[Prediction], part: Part = part_of) -> dict[str, float]:
    """Return the metric of each part's examples alone, parts in sorted order.

    HateCheck reports accuracy so, for each functionality (Röttger et al., 2021).

    Args:
        metric: any metric; class scores should have their labels.
        predictions: all examples.
        part: example -> name of its part.
    """
    parts: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        parts.setdefault(part(prediction), []).append(prediction)
    return {name: metric(parts[name]) for name in sorted(parts)}


def averaged(metric: Metric, columns: int, part: Part = part_of) -> Metric:
    """Return the unweighted mean over parts of a metric, as a metric with intervals and tests of its own.

    The parts are those of the examples, which systems on the same examples share. A part without examples
    in a resample is left out of the mean.

    Args:
        metric: scored within each part; class scores need their labels.
        columns: number of the metric's statistics: 2 for a mean, 3 for an F1 of counts, 3 a class.
        part: example -> name of its part.
    """

    def statistics(predictions: Sequence[Prediction]) -> FloatArray:
        inner = metric.statistics(predictions)
        names = [part(prediction) for prediction in predictions]
        place = {name: index for index, name in enumerate(sorted(set(names)))}
        table = np.zeros((len(inner), len(place), columns + 1))
        table[np.arange(len(inner)), [place[name] for name in names]] = np.insert(inner, columns, 1, axis=1)
        return table.reshape(len(inner), -1)

    def score(sums: FloatArray) -> FloatArray:
        table = sums.reshape(*sums.shape[:-1], -1, columns + 1)
        present = table[..., -1] > 0
        scores = np.where(present, metric.score(table[..., :-1]), 0.0)
        return ratio(scores.sum(axis=-1), present.sum(axis=-1).astype(np.float64))

    return Metric(f"{metric.name}_by_part", statistics, score, metric.higher_is_better, metric.bounds)
