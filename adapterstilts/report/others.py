"""The metrics beside the main one, as recorded: plain means, no intervals."""

from __future__ import annotations

from collections.abc import Sequence

from adapterstilts.report.rows import ResultRow
from adapterstilts.report.table import Target


def other_metrics(target: Target, rows: Sequence[ResultRow]) -> dict[str, dict[str, float]]:
    """Return metric -> method -> mean over seeds of the unweighted mean over languages.

    Args:
        target: whose; rows of other targets are passed over.
        rows: of every metric.
    """
    values: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in own_rows(target, rows):
        if row.main or row.value is None:
            continue
        by_seed = values.setdefault(row.metric, {}).setdefault(row.method, {})
        by_seed.setdefault(row.seed, []).append(row.value)
    return {
        metric: {method: mean([mean(own) for own in seeds.values()]) for method, seeds in methods.items()}
        for metric, methods in values.items()
    }


def own_rows(target: Target, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Return the rows of a target."""
    key = (target.task, target.split, target.setting, target.source)
    return [row for row in rows if (row.target, row.split, row.setting, row.source) == key]


def mean(values: Sequence[float]) -> float:
    """Return the unweighted mean."""
    return sum(values) / len(values)
