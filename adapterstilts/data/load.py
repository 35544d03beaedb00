"""A split of a task, from its source to typed rows.

``source -> reader -> parser -> portion -> few-shot sample or limit``; each step says what it left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from adapterstilts.data import draws, readers
from adapterstilts.data.discreet import numbered, quiet, unquoted
from adapterstilts.data.parse import Parser
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.data.readers.choose import bucket
from adapterstilts.data.readers.hub import read_hub
from adapterstilts.data.rows import ChoiceRow, LoadedSplit, PairRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.data.sources import DataRoots, resolve
from adapterstilts.errors import AdapterStiltsError, DataError, Fault, suggest
from adapterstilts.specs import FewShot
from adapterstilts.tasks.spec import HubSource, Split, TaskSpec

CHECKED_RECORDS = 200
_NAMES = ("id", "document", "source_id", "target_id")


def find_split(task: TaskSpec, language: str, split: str) -> Split:
    """Return the declaration of a split.

    Raises:
        DataError: the task has no such language or split; names what there is.
    """
    where = f"task {task.name}"
    if language not in task.splits:
        there = suggest(language, task.splits) or f"languages: {', '.join(task.splits) or 'none'}"
        raise DataError(Fault(where, f"has no language {language!r}", there))
    if split not in task.splits[language]:
        there = f"splits of {language!r}: {', '.join(task.splits[language]) or 'none'}"
        if elsewhere := task.languages(split):
            there += f"; languages with {split!r}: {', '.join(elsewhere)}"
        raise DataError(Fault(where, f"has no split {split!r} in {language!r}", there))
    return task.splits[language][split]


def load_split(
    task: TaskSpec,
    language: str,
    split: str,
    roots: DataRoots,
    limit: int | None = None,
    few_shot: FewShot | None = None,
) -> LoadedSplit:
    """Return the rows of one split of one language.

    Args:
        task: what to load.
        language: one of the task's languages.
        split: ``train``, ``validation`` or ``test``.
        roots: where relative paths are looked up.
        limit: at most so many rows (`draws.limited`).
        few_shot: this sample of all rows (`draws.few_shot`); the limit does not apply to it.

    Raises:
        DataError: files are missing or are not what the task says, no row is left, or fewer than a few-shot
            sample needs.
        EnvironmentFault: the package that carries the data is not installed.
    """
    declared = find_split(task, language, split)
    tally = Tally()
    rows: Iterator[Row] = chain.from_iterable(_part(task, part, roots, tally) for part in _parts(declared))
    if split == "train" and task.kind not in ("retrieval", "mlm"):
        rows = _labelled(rows, tally)
    kept = tuple(numbered(rows) if task.confidential else rows)
    if not kept:
        raise DataError(_nothing_left(task, language, split, tally))
    if few_shot is None:
        kept = draws.limited(kept, limit)
    else:
        where = f"task {task.name}, {split!r} of {language!r}"
        kept = draws.few_shot(kept, few_shot.k, few_shot.draw, few_shot.stratify, where)
    return LoadedSplit(kept, dict(tally.dropped), dict(tally.repaired))


def check_split(task: TaskSpec, language: str, split: str, roots: DataRoots) -> tuple[Fault, ...]:
    """Return what is wrong with a split as far as its first records tell; nothing is downloaded for it."""
    try:
        declared, tally = find_split(task, language, split), Tally()
        parts = [part for _, part in _parts(declared) if not isinstance(part.source, HubSource)]
        rows = [_first_rows(task, part, roots, tally) for part in parts]
    except AdapterStiltsError as error:
        return error.faults
    return () if all(rows) else (_nothing_left(task, language, split, tally),)


def _parts(split: Split) -> Iterator[tuple[str, Split]]:
    """Yield the parts of a split with what tells apart the ids of their rows."""
    yield "", split
    for place, part in enumerate(split.also, start=1):
        yield f"{place}:", part


def _part(task: TaskSpec, named: tuple[str, Split], roots: DataRoots, tally: Tally) -> Iterator[Row]:
    prefix, part = named
    parser = Parser(task, part.format, tally)
    for row in _portion(_rows(parser, task, _records(task, part, roots, tally)), part.portion):
        yield _renamed(row, prefix) if prefix else row
    parser.check()


def _renamed(row: Row, prefix: str) -> Row:
    """Return a row whose names are told apart from those of other parts."""
    own: dict[str, Any] = {name: getattr(row, name, "") for name in _NAMES}
    return replace(row, **{name: prefix + value for name, value in own.items() if value})


def _first_rows(task: TaskSpec, part: Split, roots: DataRoots, tally: Tally) -> int:
    parser = Parser(task, part.format, tally)
    records = islice(_records(task, part, roots, tally), CHECKED_RECORDS)
    rows = sum(1 for _ in _rows(parser, task, records))
    parser.check()
    return rows


def _rows(parser: Parser, task: TaskSpec, records: Iterable[Record]) -> Iterator[tuple[Row, str]]:
    rows = parser.rows(records)
    return unquoted(rows, f"task {task.name}") if task.confidential else rows


def _records(task: TaskSpec, split: Split, roots: DataRoots, tally: Tally) -> Iterator[Record]:
    if isinstance(split.source, HubSource):
        records = read_hub(split.source, split.format, tally)
    else:
        records = readers.read(resolve(split.source, roots), split.format, tally)
    return quiet(records) if task.confidential else records


def _portion(rows: Iterable[tuple[Row, str]], portion: tuple[int, int]) -> Iterator[Row]:
    """Yield the rows whose group's hash is in the percent range; not dropped, only on the other side."""
    start, end = portion
    everything = (start, end) == (0, 100)
    for row, group in rows:
        if everything or start <= bucket(group) < end:
            yield row


def _labelled(rows: Iterable[Row], tally: Tally) -> Iterator[Row]:
    for row in rows:
        if _label(row) is None:
            tally.dropped["no label to train on"] += 1
        else:
            yield row


def _label(row: Row) -> object:
    if isinstance(row, TextRow | ChoiceRow):
        return row.label
    if isinstance(row, TaggingRow):
        return row.tags
    return row.answers if isinstance(row, SpanRow) else PairRow


def _nothing_left(task: TaskSpec, language: str, split: str, tally: Tally) -> Fault:
    dropped = ", ".join(f"{reason}: {count}" for reason, count in tally.dropped.items())
    what = f"no rows in {split!r} of {language!r}"
    return Fault(
        f"task {task.name}", what, f"left out: {dropped}" if dropped else "its portion of the data is empty"
    )
