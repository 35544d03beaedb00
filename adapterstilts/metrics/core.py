"""What a metric is: additive statistics an example, and a score of their sum.

Every metric here is a function of a sum over examples: accuracy of (right, all), span F1 of
(true, predicted, gold), macro-F1 of the three counts for each class. Stating it that way gives the score
of any resample of the examples by one matrix product, so that bootstrap intervals and paired tests work
for all metrics alike (`adapterstilts.metrics.intervals`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prediction:
    """One example's gold answer beside a model's.

    Attributes:
        id: the example's id.
        gold: label, tags, answers ...: whatever the kind's metric compares; None when unlabelled.
        prediction: the model's answer in the same form.
        probabilities: label -> probability, for kinds that have them.
        group: examples that have to be resampled together share it; empty means the example alone.
        entities: for tagged sentences that know their place in a document: ``gold`` and ``prediction``, each
            ``(start, end, type)`` by character offsets into the document. Beside the tags, because
            annotations that overlap have no tags and still count.
    """

    id: str
    gold: Any
    prediction: Any
    probabilities: Mapping[str, float] | None = None
    group: str = ""
    entities: Mapping[str, Sequence[Sequence[Any]]] | None = None


@dataclass(frozen=True)
class Metric:
    """A named score.

    Attributes:
        name: as in a task's `metrics` and in results.
        statistics: predictions -> array ``(examples, k)`` of what the score sums.
        score: array ``(..., k)`` of sums -> array ``(...)`` of scores.
        higher_is_better: direction; calibration errors say False.
        bounds: lowest and highest possible score.
    """

    name: str
    statistics: Callable[[Sequence[Prediction]], FloatArray]
    score: Callable[[FloatArray], FloatArray]
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 1.0)

    def __call__(self, predictions: Sequence[Prediction]) -> float:
        """Return the score of all predictions together."""
        return float(self.score(self.statistics(predictions).sum(axis=0)))
