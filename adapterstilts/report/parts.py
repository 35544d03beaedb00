"""Scores by part of the data: the functionalities of HateCheck, the topics of an exam."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from adapterstilts.metrics.breakdown import by_part, part_of
from adapterstilts.metrics.classification import accuracy
from adapterstilts.metrics.core import Prediction
from adapterstilts.report.others import mean, own_rows
from adapterstilts.report.rows import ResultRow
from adapterstilts.report.table import Target

METRIC = "accuracy"
# A group has levels, and so parts, only where its task says so: `part/unit`.
_LEVEL = "/"


def scores_by_part(
    target: Target, rows: Sequence[ResultRow], predictions: Callable[[str], Sequence[Prediction]]
) -> dict[str, dict[str, float]]:
    """Return part -> method -> accuracy: the mean over replicates of the unweighted mean over languages.

    Accuracy, since a part may hold one class alone, of which an F1 says little (Roettger et al. 2021). Nothing
    where the data have no parts.

    Args:
        target: whose; rows of other targets are passed over.
        rows: of every metric.
        predictions: key of an evaluation's artifact -> its predictions.
    """
    found: dict[tuple[str, str], dict[tuple[int, int | None], list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in own_rows(target, rows):
        if row.artifact and row.main:
            for part, score in _scores(predictions(row.artifact)).items():
                found[part, row.method][row.seed, row.draw].append(score)
    parts: dict[str, dict[str, float]] = defaultdict(dict)
    for (part, method), replicates in found.items():
        parts[part][method] = mean([mean(languages) for languages in replicates.values()])
    return dict(parts)


def _scores(predictions: Sequence[Prediction]) -> Mapping[str, float]:
    labelled = [one for one in predictions if one.gold is not None]
    if not any(_LEVEL in one.group for one in labelled) or not isinstance(labelled[0].gold, str):
        return {}
    return by_part(accuracy(), labelled, part_of)
