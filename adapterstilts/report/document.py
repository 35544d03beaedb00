"""The report as blocks, before it becomes Markdown or HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from adapterstilts.report import prose
from adapterstilts.report.display import (
    bounds_text,
    bytes_text,
    count_text,
    gain_text,
    metric_text,
    score_text,
    seconds_text,
)
from adapterstilts.report.footnotes import Footnotes
from adapterstilts.report.others import other_metrics
from adapterstilts.report.overlaps import Met
from adapterstilts.report.parts import METRIC
from adapterstilts.report.rows import ResultRow
from adapterstilts.report.studies import StudyFacts, study_lines
from adapterstilts.report.table import Cost, Estimate, Target, TransferCell, TransferTable, excludes_zero

NO_TERMS: Mapping[str, Mapping[str, str]] = MappingProxyType({})
NO_PARTS: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType({})

# So many languages side by side can still be read.
_GAINS_A_TABLE, _SCORES_A_TABLE = 5, 12


@dataclass(frozen=True)
class Span:
    """Text in one style."""

    text: str
    style: Literal["plain", "code", "strong"] = "plain"


Line = tuple[Span, ...]
_Show = Callable[[TransferTable, Target, str, str], Line]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    """Running text; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list; footnotes bring their own marks."""

    items: tuple[str, ...]
    notes: bool = False


@dataclass(frozen=True)
class Command:
    """A line for a shell."""

    text: str


@dataclass(frozen=True)
class Grid:
    """A table; the first column names the rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        kind: ``gains`` of all targets; gains by ``languages`` or ``cost`` of one target.
        target: that target; None for all.
        alt: what it shows, for those who do not see it.
    """

    kind: Literal["gains", "languages", "cost"]
    target: Target | None
    alt: str

    @property
    def name(self) -> str:
        """The plot's file, without ending."""
        return f"{self.kind}-{slug(self.target.name)}" if self.target else self.kind


Block = Heading | Paragraph | Bullets | Command | Grid | Figure


def document(
    table: TransferTable,
    rows: Sequence[ResultRow],
    *,
    recipe: str,
    notes: Sequence[str] = (),
    overlaps: Sequence[Met] = (),
    parts: Mapping[str, Mapping[str, Mapping[str, float]]] = NO_PARTS,
    terms: Mapping[str, Mapping[str, str]] = NO_TERMS,
    study: StudyFacts | None = None,
) -> list[Block]:
    """Return the blocks of a report.

    Args:
        table: of the rows.
        rows: for where and with what they were computed.
        recipe: its name.
        notes: sentences that go under the title, as warnings.
        overlaps: what was found of test data in training data.
        parts: target -> part of its data -> method -> score.
        terms: method -> setting -> on what it was trained with; nothing for what does not train.
        study: that chose settings before these results.
    """
    footnotes = Footnotes.of(table)
    plots = figures(table)
    blocks: list[Block] = [Heading(f"Transfer gains of {recipe}", 1)]
    blocks += [Paragraph(note, warning=True) for note in notes]
    blocks += [Heading(f"Gains over the baseline, {table.baseline}", 2), *_of(plots, None)]
    blocks += [_grid(table, table.targets, _gain_line, footnotes), *_bullets(footnotes.lines(), notes=True)]
    blocks += [Heading("Scores", 2), _grid(table, table.targets, _score_line, footnotes)]
    blocks.append(Paragraph(prose.scale_line(table)))
    blocks += [Heading("Intervals", 2)]
    blocks += _bullets([*prose.coverage_lines(table), _BOLD, *prose.caution_lines(table)])
    blocks += (
        [Heading("Terms", 2), _terms_grid(table, terms), Paragraph(prose.terms_line(terms))] if terms else []
    )
    blocks += [Heading("Study", 2), *_bullets(study_lines(study))] if study else []
    for target in table.targets:
        blocks += _target(table, target, _of(plots, target), rows, parts.get(target.name, {}))
    blocks += _overlaps(overlaps)
    blocks += [Heading("How to repeat this", 2), Paragraph(_REPEAT), Command(prose.REPEAT)]
    return [*blocks, *_bullets(prose.provenance_lines(rows))]


def figures(table: TransferTable) -> list[Figure]:
    """Return the plots that a table is worth: fewer where there is one language, or no cost."""
    numbers = "the table below has the numbers"
    found = [Figure("gains", None, f"Heat map of the gains over the baseline; {numbers}")]
    for target in table.targets:
        if len(target.languages) > 1:
            alt = f"Heat map of the gains on {target.name} by language; {numbers}"
            found.append(Figure("languages", target, alt))
        if any(cost.parameters > 0 or cost.seconds > 0 for cost in _all_costs(table, target)):
            alt = f"Scores on {target.name} against cost; {numbers}"
            found.append(Figure("cost", target, alt))
    return found


def _of(plots: Sequence[Figure], target: Target | None, kind: str = "") -> list[Figure]:
    return [plot for plot in plots if plot.target == target and kind in ("", plot.kind)]


_BOLD = "Bold: the interval excludes 0."
_REPEAT = (
    "In the folder of this report; stages that are still in the store are not computed again. "
    "results.jsonl holds every score, one a line, with the key of the evaluation's artifact."
)


def slug(name: str) -> str:
    """Return a name as part of a file's name: other than letters, digits, ``_`` and ``.`` become ``_``."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name).strip("._") or "_"


def _bullets(items: Iterable[str], *, notes: bool = False) -> list[Block]:
    told = tuple(items)
    return [Bullets(told, notes)] if told else []


def _target(
    table: TransferTable,
    target: Target,
    plots: Sequence[Figure],
    rows: Sequence[ResultRow],
    parts: Mapping[str, Mapping[str, float]],
) -> list[Block]:
    blocks: list[Block] = [Heading(target.name, 2)]
    blocks += _bullets([*prose.target_facts(table, target), *prose.relation_lines(table, target)])
    if len(target.languages) > 1:
        blocks += [Heading(f"{target.name}: gains by language", 3), *_of(plots, target, "languages")]
        blocks += _by_language(table, target, _GAINS_A_TABLE, gains=True)
        blocks += [Heading(f"{target.name}: scores by language", 3)]
        blocks += _by_language(table, target, _SCORES_A_TABLE, gains=False)
    others = other_metrics(target, rows)
    if others:
        blocks += [
            Heading(f"{target.name}: other metrics", 3),
            _other_grid(table, others),
            Paragraph(_OTHERS),
        ]
    if parts:
        blocks += [Heading(f"{target.name}: {METRIC} by part", 3), _parts_grid(table, parts)]
    if costs := _of(plots, target, "cost"):
        blocks += [Heading(f"{target.name}: cost", 3), *costs, _costs(table, target), Paragraph(_COST)]
    if any(cost.chain_seconds > 0 for cost in _all_costs(table, target)):
        blocks += [Heading(f"{target.name}: training", 3), _chain_costs(table, target), Paragraph(_CHAIN)]
    return blocks


def _all_costs(table: TransferTable, target: Target) -> list[Cost]:
    costs = (table.cell(target, method).cost for method in table.methods)
    return [cost for cost in costs if cost is not None]


_OTHERS = (
    "In their own unit: means over seeds of unweighted means over languages, of whatever results there are."
)
_COST = (
    "Parameters and memory are those of the last training stage, the one on the target; the largest over seeds. "
    "Disk: all that predicting takes beside the pretrained backbone, of a whole model its weights, kept or not. "
    "A dash: not measured, or nothing to measure."
)
_CHAIN = (
    "Means over seeds; examples count repetitions. Last stage: the one on the target. All: with everything that was "
    "trained before it. Shared: each intermediate divided by the number of targets here that this method uses it for."
)


def _overlaps(overlaps: Sequence[Met]) -> list[Block]:
    found = [one for one in overlaps if any(one.met.values())]
    if not found:
        return []
    header = ("training data", "test data", "test examples", *found[0].met)
    rows = tuple(
        (
            _code(one.training),
            _code(one.test),
            _plain(str(one.rows)),
            *(_plain(str(n)) for n in one.met.values()),
        )
        for one in found
    )
    return [Heading("Test data met in training", 2), Paragraph(_OVERLAP), Grid(header, rows)]


_OVERLAP = (
    "Test examples whose text (exact; without case, spaces and punctuation; eight words in a row) or id is in data "
    "that a model here was trained on. `remove_overlap: true` takes such texts out of the training data."
)


# ---- tables


def _grid(table: TransferTable, targets: Sequence[Target], show: _Show, footnotes: Footnotes) -> Grid:
    header = ("method", *(f"{target.name} ({metric_text(target)})" for target in targets))
    rows = tuple(
        (
            _code(method),
            *(show(table, target, method, footnotes.marks(table.cell(target, method))) for target in targets),
        )
        for method in table.methods
    )
    return Grid(header, rows)


def _gain_line(table: TransferTable, target: Target, method: str, marks: str) -> Line:
    cell = table.cell(target, method)
    if cell.overall is None:
        return _plain(cell.state + marks)
    if method == table.baseline:
        return _plain(f"baseline{marks}")
    return (*_gain(cell.overall, target), Span(marks))


def _score_line(table: TransferTable, target: Target, method: str, marks: str) -> Line:
    cell = table.cell(target, method)
    if cell.score is None:
        return _plain(cell.state + marks)
    bounds = bounds_text(cell.score, target, signed=False)
    return _plain(f"{score_text(cell.score.value, target)} {bounds}{marks}")


def _gain(estimate: Estimate, target: Target) -> Line:
    if estimate.gain is None:
        return _plain("-")
    gain = estimate.gain
    value = Span(gain_text(gain.value, target), "strong" if excludes_zero(gain) else "plain")
    return (value, Span(f" {bounds_text(gain, target, signed=True)}"))


def _by_language(table: TransferTable, target: Target, many: int, *, gains: bool) -> Iterable[Block]:
    """Yield one table for every few languages; the baseline has no line of its own among gains."""
    methods = [method for method in table.methods if not (gains and method == table.baseline)]
    for start in range(0, len(target.languages), many):
        languages = target.languages[start : start + many]
        rows = tuple(
            (
                _code(method),
                *(_in_language(table.cell(target, method), target, one, gains) for one in languages),
            )
            for method in methods
        )
        yield Grid(("method", *languages), rows)


def _in_language(cell: TransferCell, target: Target, language: str, gains: bool) -> Line:
    estimate = cell.on(language)
    if estimate is None:
        return _plain(cell.state if cell.state != "scored" else "missing")
    return _gain(estimate, target) if gains else _plain(score_text(estimate.score.value, target))


def _other_grid(table: TransferTable, others: Mapping[str, Mapping[str, float]]) -> Grid:
    rows = tuple(
        (_code(method), *(_plain(f"{own[method]:.4f}" if method in own else "-") for own in others.values()))
        for method in table.methods
    )
    return Grid(("method", *others), rows)


def _terms_grid(table: TransferTable, terms: Mapping[str, Mapping[str, str]]) -> Grid:
    names = tuple(dict.fromkeys(name for own in terms.values() for name in own))
    rows = tuple(
        (_code(method), *(_plain(terms.get(method, {}).get(name, "-")) for name in names))
        for method in table.methods
    )
    return Grid(("method", *names), rows)


def _parts_grid(table: TransferTable, parts: Mapping[str, Mapping[str, float]]) -> Grid:
    rows = tuple(
        (_plain(part), *(_plain(f"{own[m]:.3f}" if m in own else "-") for m in table.methods))
        for part, own in sorted(parts.items())
    )
    return Grid(("part", *table.methods), rows)


def _costs(table: TransferTable, target: Target) -> Grid:
    def shown(cost: Cost) -> tuple[str, ...]:
        return (count_text(cost.parameters), bytes_text(cost.peak_bytes), bytes_text(cost.disk_bytes))

    header = ("method", "score", "trainable parameters", "peak memory", "disk")
    return Grid(header, tuple(_cost_row(table, target, method, shown, 3) for method in table.methods))


def _chain_costs(table: TransferTable, target: Target) -> Grid:
    def shown(cost: Cost) -> tuple[str, ...]:
        examples = (cost.examples_seen, cost.chain_examples_seen, cost.shared_examples_seen)
        seconds = (cost.seconds, cost.chain_seconds, cost.shared_seconds)
        return (*map(count_text, examples), *(seconds_text(one) if one > 0 else "-" for one in seconds))

    kinds = ("last stage", "all", "shared")
    header = ("method", "score", *(f"{what}, {kind}" for what in ("examples", "time") for kind in kinds))
    return Grid(header, tuple(_cost_row(table, target, method, shown, 6) for method in table.methods))


def _cost_row(
    table: TransferTable, target: Target, method: str, shown: Callable[[Cost], tuple[str, ...]], count: int
) -> tuple[Line, ...]:
    cell = table.cell(target, method)
    if cell.cost is None or cell.score is None:
        return (_code(method), _plain(cell.state), *[_plain("-")] * count)
    return (_code(method), *map(_plain, (score_text(cell.score.value, target), *shown(cell.cost))))


def _plain(text: str) -> Line:
    return (Span(text),)


def _code(text: str) -> Line:
    return (Span(text, "code"),)
