"""Sides of a comparison: each method's statistics, and what two of them have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from adapterstilts.errors import DataError, Fault
from adapterstilts.metrics.cell import Cell, are_parallel
from adapterstilts.metrics.core import FloatArray, Metric, Prediction
from adapterstilts.metrics.intervals import covers
from adapterstilts.report.rows import ResultRow

# Results are stored in full precision; what differs by more was not scored from these predictions.
_TOLERANCE = 1e-4

# The composition of the bare backbone: nothing on top of each other.
BARE = "stack()"


class Repeat(NamedTuple):
    """One training among those that differ by chance alone: a seed, and in a few-shot setting a draw.

    Attributes:
        seed: of the whole chain.
        draw: number of the few-shot sample; None in other settings.
    """

    seed: int
    draw: int | None = None

    def __str__(self) -> str:
        return f"seed {self.seed}" + ("" if self.draw is None else f" draw {self.draw}")

    @property
    def place(self) -> tuple[int, int]:
        """What repeats are sorted by."""
        return self.seed, -1 if self.draw is None else self.draw


@dataclass(frozen=True)
class Frame:
    """What a comparison runs over.

    Attributes:
        repeats: sorted; empty where the answers are the same for all.
        languages: in the target's order.
    """

    repeats: tuple[Repeat, ...]
    languages: tuple[str, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, each once."""
        return tuple(dict.fromkeys(repeat.seed for repeat in self.repeats))

    @property
    def draws(self) -> tuple[int, ...]:
        """The numbers of the few-shot samples, each once."""
        return tuple(dict.fromkeys(repeat.draw for repeat in self.repeats if repeat.draw is not None))

    def sources(self, cell: Cell) -> tuple[str, ...]:
        """Return the sources of variation that a resample of a cell on this frame can show.

        Draws are resampled together with the seeds, and named where there are several.
        """
        found = [source for source in covers(cell) if source != "seeds"]
        chance = [name for name, own in (("seeds", self.seeds), ("draws", self.draws)) if len(own) > 1]
        return (*chance, *found)


@dataclass(frozen=True)
class Side:
    """A method's answers on a target, as statistics.

    Attributes:
        cell: of the frame's repeats and languages; of one repeat where the answers do not depend on it.
        frame: all that the method has.
    """

    cell: Cell
    frame: Frame

    def covers(self, frame: Frame) -> bool:
        """Whether the method has answers for all of a frame."""
        own = self.frame.repeats
        repeats = not own or (bool(frame.repeats) and set(frame.repeats) <= set(own))
        return repeats and set(frame.languages) <= set(self.frame.languages)

    def on(self, frame: Frame) -> Cell:
        """Return the part that a frame asks for; answers that depend on no seed stand for each of them."""
        if self.frame.repeats:
            places = [self.frame.repeats.index(repeat) for repeat in frame.repeats]
        else:
            places = [0] * max(1, len(frame.repeats))
        groups, ids = self.cell.groups or {}, self.cell.ids or {}
        return Cell(
            {language: [self.cell.statistics[language][i] for i in places] for language in frame.languages},
            {language: groups[language] for language in frame.languages},
            {language: ids[language] for language in frame.languages},
            _seeds(frame.repeats),
        )


def common(side: Side, other: Side) -> Frame | None:
    """Return the frame that two sides can be compared on, or None."""
    mine, theirs = side.frame, other.frame
    repeats = tuple(repeat for repeat in mine.repeats if repeat in theirs.repeats)
    if not mine.repeats or not theirs.repeats:
        repeats = mine.repeats or theirs.repeats
    elif not repeats:
        return None
    languages = tuple(language for language in mine.languages if language in theirs.languages)
    return Frame(repeats, languages) if languages else None


def translate_each_other(
    rows: Iterable[ResultRow], predictions: Callable[[str], Sequence[Prediction]]
) -> bool:
    """Return whether a target's examples in two languages translate each other, and have to be drawn together.

    It is a fact about the target: a method that lacks a language has to be resampled as the others are.

    Args:
        rows: of all methods on a target, with values; one a language is looked at.
        predictions: key of an artifact -> its predictions.
    """
    artifacts: dict[str, str] = {}
    for row in rows:
        if row.artifact is not None:
            artifacts.setdefault(row.language, row.artifact)
    return are_parallel(
        {
            language: [one.id for one in predictions(key) if one.gold is not None]
            for language, key in artifacts.items()
        }
    )


def side_of(
    rows: Sequence[ResultRow],
    metrics: Mapping[str, Metric],
    predictions: Callable[[str], Sequence[Prediction]],
    *,
    parallel: bool,
) -> Side | None:
    """Return a method's side of a target; None when no seed (and draw) is complete in any language.

    Args:
        rows: of one method on one target, with values.
        metrics: language -> main metric, in the target's order.
        predictions: key of an artifact -> its predictions.
        parallel: from `translate_each_other`.

    Raises:
        DataError: two rows contradict each other, or a row and its predictions.
    """
    table = _by_place(rows)
    frame = _frame(table, tuple(metrics))
    if not frame.languages:
        return None
    seedless = _is_seedless(table)
    repeats = frame.repeats[:1] if seedless else frame.repeats
    answers = {
        language: [_answers(table[language, repeat], predictions) for repeat in repeats]
        for language in frame.languages
    }
    cell = Cell.of(metrics, answers, parallel=parallel, seeds=_seeds(repeats))
    for language in frame.languages:
        for place, repeat in enumerate(repeats):
            _check_value(table[language, repeat], metrics[language], cell.statistics[language][place])
    return Side(cell, Frame(() if seedless else repeats, frame.languages))


def _seeds(repeats: Iterable[Repeat]) -> tuple[int, ...]:
    """Return what pairing compares; frames see to it that draws are the same."""
    return tuple(repeat.seed for repeat in repeats)


def repeat_of(row: ResultRow) -> Repeat:
    """Return which of the trainings that differ by chance a row is of."""
    return Repeat(row.seed, row.draw)


_Table = Mapping[tuple[str, Repeat], ResultRow]


def _by_place(rows: Iterable[ResultRow]) -> _Table:
    table: dict[tuple[str, Repeat], ResultRow] = {}
    for row in rows:
        known = table.setdefault((row.language, repeat_of(row)), row)
        if known.artifact != row.artifact:
            what = f"{row.method!r} has two results in {row.language!r} with {repeat_of(row)}"
            raise DataError(Fault(f"results of {row.target}", what, "run the recipe again"))
    return table


def _frame(table: _Table, languages: Sequence[str]) -> Frame:
    """Return the repeats that have every language, or failing that, the languages that have every repeat."""
    there = [language for language in languages if any(place[0] == language for place in table)]
    repeats = sorted({repeat for _, repeat in table}, key=lambda repeat: repeat.place)
    complete = [repeat for repeat in repeats if all((language, repeat) in table for language in there)]
    if complete:
        return Frame(tuple(complete), tuple(there))
    shared = [language for language in there if all((language, repeat) in table for repeat in repeats)]
    return Frame(tuple(repeats), tuple(shared))


def _is_seedless(table: _Table) -> bool:
    """Whether one evaluation stands for all seeds, as that of the bare backbone does.

    Costs do not tell: on a target without training they are 0 for intermediates too, which have seeds.
    """
    artifacts: dict[str, list[str | None]] = {}
    for (language, _), row in table.items():
        artifacts.setdefault(language, []).append(row.artifact)
    several = any(len(own) > 1 for own in artifacts.values())
    bare = all(row.composition == BARE for row in table.values())
    return all(len(set(own)) == 1 for own in artifacts.values()) and (several or bare)


def _answers(row: ResultRow, predictions: Callable[[str], Sequence[Prediction]]) -> list[Prediction]:
    where = _where(row)
    if row.artifact is None:
        raise DataError(Fault(where, "have a score but no artifact", "run the recipe again"))
    labelled = [one for one in predictions(row.artifact) if one.gold is not None]
    if not labelled:
        raise DataError(Fault(where, "have no labelled predictions", "run the recipe again"))
    return labelled


def _where(row: ResultRow) -> str:
    return f"results of {row.target}, {row.method!r} in {row.language!r} with {repeat_of(row)}"


def _check_value(row: ResultRow, metric: Metric, statistics: FloatArray) -> None:
    """Refuse a report that would contradict its own ``results.jsonl``."""
    found = float(metric.score(statistics.sum(axis=0)))
    value = found if row.value is None else row.value
    if abs(found - value) > _TOLERANCE * max(1.0, abs(value)):
        where = _where(row)
        what = f"{row.metric} is {value:.6g}, but the stored predictions give {found:.6g}"
        raise DataError(Fault(where, what, "give the task's labels, or run the evaluation again"))
