"""The sentences of a report: what the numbers are, what the intervals cover, how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapterstilts.metrics.intervals import Interval
from adapterstilts.report.rows import ResultRow
from adapterstilts.report.table import Target, TransferTable, excludes_zero

REPEAT = "adapterstilts recipe run recipe.resolved.yaml"


def scale_line(table: TransferTable) -> str:
    """Return which numbers the tables hold."""
    raw = [target.metric for target in table.targets if target.scale == 1]
    but = f", but {', '.join(dict.fromkeys(raw))} in their own unit" if raw else ""
    return (
        f"Scores are points (100 × the metric){but}: the mean over seeds of the unweighted mean over "
        f"languages. A gain is the score minus that of the baseline ({table.baseline}) on the same seeds and "
        "examples."
    )


def coverage_lines(table: TransferTable) -> list[str]:
    """Return how intervals were made and what they cover, one sentence a line."""
    places: dict[str, list[str]] = {}
    for target in table.targets:
        found = _sources(table, target)
        for sources, methods in found.items():
            which = f": {'; '.join(methods)}" if len(found) > 1 else ""
            places.setdefault(sources, []).append(target.name + which)
    made = "percentile intervals [low, high] of a paired bootstrap"
    return [
        f"{table.level:.0%} {made}, {table.samples} resamples.",
        *(f"Intervals of gains cover {sources} ({', '.join(names)})." for sources, names in places.items()),
    ]


def _sources(table: TransferTable, target: Target) -> dict[str, list[str]]:
    """Return what intervals of gains cover -> the methods of which they do."""
    found: dict[str, list[str]] = {}
    for method in table.methods:
        gain = table.cell(target, method).gain
        if gain is not None:
            found.setdefault(sources_text(gain.covers), []).append(method)
    return found


def sources_text(covers: Sequence[str]) -> str:
    """Return the sources of variation that an interval covers, in words."""
    if not covers:
        return "nothing, for there is one seed and one example"
    return " and ".join(covers) + (" only" if len(covers) == 1 else "")


def caution_lines(table: TransferTable) -> list[str]:
    """Return what the intervals do not say."""
    lines = []
    counts = {len(cell.seeds) for cell in table.cells.values() if cell.seeds}
    if 1 in counts:
        lines.append("With one seed, an interval says nothing about how results vary from seed to seed.")
    if counts & {2, 3}:
        lines.append(
            "With two or three seeds the spread between seeds is known badly: where it dominates, about 85 "
            "of 100 such intervals hold the truth instead of 95."
        )
    gains = [gain for target in table.targets for gain in _gains(table, target)]
    if len(gains) > 1:
        clear = sum(excludes_zero(gain) for gain in gains)
        chance = (1 - table.level) * len(gains)
        lines.append(
            f"{clear} of {len(gains)} gains have an interval that excludes 0; about {chance:.1f} would by "
            "chance if no method made a difference. No correction for the number of comparisons was made."
        )
    return lines


def _gains(table: TransferTable, target: Target) -> list[Interval]:
    found = [table.cell(target, method).gain for method in table.methods]
    return [gain for gain in found if gain is not None]


def target_facts(table: TransferTable, target: Target) -> list[str]:
    """Return what a reader has to know about a target, one fact a line."""
    cells = [table.cell(target, method) for method in table.methods]
    seeds = sorted({seed for cell in cells for seed in cell.seeds})
    draws = sorted({draw for cell in cells for draw in cell.draws})
    examples: dict[str, int] = {}
    for cell in cells:
        for language, estimate in (cell.languages or {}).items():
            examples.setdefault(language, estimate.examples)
    counts = ", ".join(f"{language} {count}" for language, count in examples.items())
    direction = "" if target.higher_is_better else " (lower is better)"
    selected = f"; settings selected on: {target.select_on}" if target.select_on else ""
    setting = f"; setting: {target.setting}" if target.setting else ""
    return [
        f"Main metric: {target.metric}{direction}",
        f"Split: {target.split}{selected}",
        f"Domain: {target.domain}",
        f"Trained on: {target.source or 'nothing (evaluation only)'}{setting}",
        f"Seeds: {', '.join(map(str, seeds)) or 'the same for all'}",
        *([f"Draws of few examples: {', '.join(map(str, draws))}"] if draws else []),
        f"Examples: {counts or 'none'}",
    ]


def relation_lines(table: TransferTable, target: Target) -> list[str]:
    """Return how methods are related to the target, one line a relation."""
    by_relation: dict[str, list[str]] = {}
    for method in table.methods:
        relation = table.cell(target, method).relation
        if relation:
            by_relation.setdefault(relation, []).append(method)
    return [f"Intermediate and target ({kind}): {'; '.join(own)}" for kind, own in by_relation.items()]


def terms_line(terms: Mapping[str, Mapping[str, str]]) -> str:
    """Return which terms of the comparison are not the same for all methods, and what untuned means."""
    names = dict.fromkeys(name for own in terms.values() for name in own)
    differing = [name for name in names if len({own.get(name) for own in terms.values()}) > 1]
    told = (
        f"Not the same for all methods: {', '.join(differing)}." if differing else "The same for all methods."
    )
    untuned = "published defaults, or what the recipe says; no study chose them on equal terms"
    return f"Untuned settings are {untuned}. {told}"


def provenance_lines(rows: Sequence[ResultRow]) -> list[str]:
    """Return where and with which versions the results were computed."""
    devices = list(dict.fromkeys(row.device for row in rows if row.device))
    versions: dict[str, list[str]] = {}
    for row in rows:
        for library, version in row.versions.items():
            known = versions.setdefault(library, [])
            if version not in known:
                known.append(version)
    lines = [f"Device: {', '.join(devices)}"] if devices else []
    if versions:
        told = ", ".join(f"{name} {' and '.join(known)}" for name, known in sorted(versions.items()))
        lines.append(f"Versions: {told}")
    return lines
