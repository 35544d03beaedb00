"""From rows and stored predictions to the transfer table: scores and gains with paired intervals.

A target's methods are compared on one *frame*: the repeats (seeds, and draws of few examples) and languages that
two sides have in common. All methods that cover a frame are resampled together, on the same samples, which pairs
them and costs one sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from adapterstilts.errors import DataError, Fault, UsageError, suggest
from adapterstilts.metrics import registry
from adapterstilts.metrics.core import Metric, Prediction
from adapterstilts.report.compare import Comparison
from adapterstilts.report.prose import sources_text
from adapterstilts.report.rows import ResultRow
from adapterstilts.report.sides import Frame, Repeat, Side, common, repeat_of, side_of, translate_each_other
from adapterstilts.report.table import Cost, Target, TransferCell, TransferTable

Predictions = Callable[[str], Sequence[Prediction]]
Labels = Mapping[str, Sequence[str]]

NO_LABELS: Labels = MappingProxyType({})


def transfer_table(
    rows: Sequence[ResultRow],
    predictions: Predictions,
    *,
    baseline: str,
    samples: int = 1000,
    labels: Labels = NO_LABELS,
    level: float = 0.95,
) -> TransferTable:
    """Return the transfer table of some results.

    Args:
        rows: of one recipe; only those of main metrics count.
        predictions: key of an evaluation's artifact -> its predictions.
        baseline: the method that gains are measured against.
        samples: replicates behind each interval.
        labels: task -> its label list, for metrics that average over classes.
        level: coverage of the intervals.

    Raises:
        UsageError: there is no such baseline.
        DataError: rows contradict each other, or do not agree with the stored predictions.
    """
    mains = [row for row in rows if row.main]
    methods = tuple(dict.fromkeys(row.method for row in mains))
    _require_baseline(baseline, methods)
    targets, cells = [], {}
    for target, own in _by_target(mains, labels):
        targets.append(target)
        by_method = {method: [row for row in own if row.method == method] for method in methods}
        sides = _sides(target, by_method, predictions, labels.get(target.task, ()))
        comparison = Comparison(_metric(target, target.languages[0], labels), sides, samples, level)
        for method in methods:
            cells[target.name, method] = _cell(target, by_method[method], method, baseline, comparison)
    return TransferTable(tuple(targets), methods, cells, baseline, samples, level)


def _require_baseline(baseline: str, methods: Sequence[str]) -> None:
    if not methods:
        raise UsageError(Fault("report", "there are no results", "run the recipe first"))
    if baseline not in methods:
        remedy = suggest(baseline, methods) or f"results are there for {', '.join(methods)}"
        what = f"there are no results of {baseline!r}"
        raise UsageError(Fault("report.baseline", what, f"{remedy}; or add it to `methods`"))


# ---- targets


def _by_target(rows: Sequence[ResultRow], labels: Labels) -> Iterable[tuple[Target, list[ResultRow]]]:
    """Yield each target with its rows, in the order of the rows."""
    groups: dict[tuple[str, str, str, str], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault((row.target, row.split, row.setting, row.source), []).append(row)
    for key, own in groups.items():
        yield _target(_name(key, list(groups)), own, labels), own


def _name(key: tuple[str, str, str, str], keys: Sequence[tuple[str, str, str, str]]) -> str:
    """Return the task, with those of split, setting and source that tell columns apart."""
    namesakes = [other for other in keys if other[0] == key[0]]
    differ = [
        len({other[1] for other in keys}) > 1,
        len({other[2] for other in namesakes}) > 1,
        len({other[3] for other in namesakes}) > 1,
    ]
    parts = [part or "none" for part, differs in zip(key[1:], differ, strict=True) if differs]
    return f"{key[0]} ({', '.join(parts)})" if parts else key[0]


def _target(name: str, rows: Sequence[ResultRow], labels: Labels) -> Target:
    metrics = list(dict.fromkeys(row.metric for row in rows))
    if len(metrics) > 1:
        what = f"has several main metrics: {', '.join(metrics)}"
        raise DataError(Fault(f"results of {name}", what, "run the recipe again"))
    scored = [row for row in rows if row.value is not None] or rows
    first = rows[0]
    languages = tuple(dict.fromkeys(row.language for row in scored))
    metric = registry.get(metrics[0], language=languages[0], labels=labels.get(first.target, ()))
    # A share or a correlation is read in points; an error or a number of exam points as it is.
    in_points = metric.bounds[0] >= -1 and metric.bounds[1] <= 1
    return Target(
        name=name,
        task=first.target,
        split=first.split,
        domain=first.domain,
        source=first.source,
        setting=first.setting,
        select_on=", ".join(dict.fromkeys(row.select_on for row in rows if row.select_on)),
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        scale=100.0 if in_points else 1.0,
        languages=languages,
    )


def _metric(target: Target, language: str, labels: Labels) -> Metric:
    return registry.get(target.metric, language=language, labels=labels.get(target.task, ()))


# ---- sides


def _sides(
    target: Target,
    by_method: Mapping[str, Sequence[ResultRow]],
    predictions: Predictions,
    labels: Sequence[str],
) -> dict[str, Side]:
    """Return method -> its statistics, for the methods that have scores."""
    metrics = {
        language: registry.get(target.metric, language=language, labels=labels)
        for language in target.languages
    }
    scored = {method: [row for row in rows if row.value is not None] for method, rows in by_method.items()}
    parallel = translate_each_other(chain.from_iterable(scored.values()), predictions)
    sides = {}
    for method, rows in scored.items():
        side = side_of(rows, metrics, predictions, parallel=parallel) if rows else None
        if side is not None:
            sides[method] = side
    return sides


# ---- cells


def _cell(
    target: Target, rows: Sequence[ResultRow], method: str, baseline: str, comparison: Comparison
) -> TransferCell:
    side = comparison.sides.get(method)
    if side is None:
        return _empty(rows)
    reference = comparison.sides.get(baseline)
    against = baseline if reference is not None and method != baseline else None
    overall = comparison.estimate(method, against)
    by_language = {one: comparison.estimate(method, against, one) for one in side.frame.languages}
    return TransferCell(
        state="scored",
        overall=overall,
        languages=by_language,
        seeds=side.frame.seeds,
        draws=side.frame.draws,
        relation=", ".join(dict.fromkeys(row.relation for row in rows if row.relation)),
        notes=tuple(_notes(target, side, reference, comparison)),
        cost=_cost([row for row in rows if row.value is not None]),
    )


def _empty(rows: Sequence[ResultRow]) -> TransferCell:
    if not rows:
        return TransferCell("missing", notes=("there are no results: not asked for, or a stage failed",))
    if any(row.value is not None for row in rows):
        return TransferCell("missing", notes=("no language has results of every seed and draw",))
    unlabelled = any(row.artifact is not None for row in rows)
    return TransferCell("n/a", notes=("the data has no labels",) if unlabelled else ())


def _notes(target: Target, side: Side, reference: Side | None, comparison: Comparison) -> Iterable[str]:
    repeats = {repeat for other in comparison.sides.values() for repeat in other.frame.repeats}
    own, covered = side.frame, sources_text(side.frame.sources(side.cell))
    if not own.repeats and len(repeats) > 1:
        yield f"the answers are the same for every seed: the interval of the score covers {covered}"
    if own.repeats and len(own.repeats) < len(repeats):
        yield f"score over {_list(own.repeats)} only; its interval covers {covered}"
    if len(own.languages) < len(target.languages):
        yield f"score over {_list(own.languages)} only"
    if reference is side:
        return
    frame = common(side, reference) if reference else None
    if reference is None:
        yield "the baseline has no score here, hence no gain"
    elif frame is None:
        yield "no seed and language in common with the baseline, hence no gain"
    elif any(_lacks(frame, one.frame) for one in (side, reference)):
        yield f"gain over {_list((*frame.languages, *frame.repeats))} only: what both sides have"


def _lacks(frame: Frame, whole: Frame) -> bool:
    return set(frame.repeats) < set(whole.repeats) or set(frame.languages) < set(whole.languages)


def _list(items: Iterable[object]) -> str:
    return ", ".join(str(item) for item in items)


def _cost(rows: Sequence[ResultRow]) -> Cost:
    """Return the cost on a target; every language's row repeats that of the same training."""
    repeats: dict[Repeat, list[ResultRow]] = {}
    for row in rows:
        repeats.setdefault(repeat_of(row), []).append(row)

    def mean(of: Callable[[ResultRow], float]) -> float:
        return sum(max(map(of, own)) for own in repeats.values()) / len(repeats)

    return Cost(
        parameters=max(row.parameters for row in rows),
        examples_seen=round(mean(lambda row: row.examples_seen)),
        seconds=mean(lambda row: row.seconds),
        peak_bytes=max(row.peak_bytes for row in rows),
        chain_examples_seen=round(mean(lambda row: row.chain_examples_seen)),
        chain_seconds=mean(lambda row: row.chain_seconds),
        shared_examples_seen=round(mean(lambda row: row.shared_examples_seen)),
        shared_seconds=mean(lambda row: row.shared_seconds),
        disk_bytes=max(row.disk_bytes for row in rows),
    )
