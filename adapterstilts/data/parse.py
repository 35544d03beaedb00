"""Plain records become typed rows: one small function for each kind of task.

Fields of the kinds (columns of the same name unless `Format.columns` says otherwise; all kinds also know
``id`` and ``group``):

=================  =====================================================================================
classification     text, text_pair (optional), label
multilabel         text, label: a list, or several 0/1 columns ``a,b,c`` named after their labels
regression         text, text_pair (optional), label: a number
multiple_choice    context, question (optional), choices: a list or several columns ``a,b,c``,
                   label: position (see `_position`), or answer: the right option's text
multi_select       as multiple_choice; label: a list of positions
tagging            tokens, tags; where sentences lie in documents: starts, document, spans (see `TaggingRow`)
span_qa            context, question, answers (see `adapterstilts.data.spans`)
retrieval          source, target, source_id and target_id (optional); see `_retrieval`
mlm                text
=================  =====================================================================================

A label column declared as the empty text says that the data is unlabelled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from adapterstilts.data.fields import ABSENT, Cells, Dropped, Labels, plain
from adapterstilts.data.readers.base import Record, Tally
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.data.spans import answers_of
from adapterstilts.errors import DataError, Fault
from adapterstilts.store.digest import digest
from adapterstilts.tasks.spec import Format, TaskSpec


class Parser:
    """Turns the records of one split into rows.

    Args:
        task: kind and labels.
        format: columns.
        tally: takes the counts of dropped and repaired records.
    """

    def __init__(self, task: TaskSpec, format: Format, tally: Tally) -> None:
        if task.kind not in _KINDS:
            raise DataError(Fault(f"task {task.name}", f"{task.kind!r} is not a kind", ", ".join(_KINDS)))
        self._build = _KINDS[task.kind]
        self._columns = format.columns
        self._labels = Labels(task)
        self._tally = tally
        self._ids: set[str] = set()

    def rows(self, records: Iterable[Record]) -> Iterator[tuple[Row, str]]:
        """Yield each row with what must not fall on two sides of a split; ids depend on the data alone.

        Raises:
            DataError: a record is not what the task says.
        """
        for number, record in enumerate(records):
            cells = Cells(record, self._columns, self._labels)
            try:
                row = self._build(cells, self._id(cells, number), self._tally)
            except Dropped as reason:
                self._tally.dropped[str(reason)] += 1
                continue
            group = _group(cells)
            if group and not row.group:  # a question brings its passage as its group
                row = replace(row, group=group)
            yield row, group or group_of(row)

    def check(self) -> None:
        """Report the unknown labels of all rows so far.

        Raises:
            DataError: there were some.
        """
        self._labels.check()

    def _id(self, cells: Cells, number: int) -> str:
        # The id of a confidential record may be text itself.
        own = None if cells.labels.task.confidential else cells.text_or_none("id")
        own = own or str(number)
        unique, copy = own, 1
        while unique in self._ids:
            copy += 1
            unique = f"{own}#{copy}"
        if copy > 1:
            self._tally.repaired["id repeated"] += 1
        self._ids.add(unique)
        return unique


def _group(cells: Cells) -> str:
    """Return the declared group; several columns ``a,b`` are its levels, from the widest, joined by ``/``."""
    column = cells.columns.get("group", "group")
    if "," not in column:
        return cells.text_or_none("group") or ""
    return "/".join(plain(_column(cells, name)) for name in _names(column))


def group_of(row: Row) -> str:
    """Return what rows share that must not fall on two sides of a split: the first text."""
    if isinstance(row, TextRow):
        return row.text
    if isinstance(row, TaggingRow):
        return " ".join(row.tokens)
    return row.source or row.target or "" if isinstance(row, PairRow) else row.context


def _classification(cells: Cells, id: str, tally: Tally) -> TextRow:
    del tally
    raw = cells.label()
    label = None if raw is None else cells.labels.label(raw, cells.record)
    return TextRow(id, cells.text("text"), cells.text_or_none("text_pair"), label)


def _multilabel(cells: Cells, id: str, tally: Tally) -> TextRow:
    del tally
    raw = _marked(cells) if "," in cells.columns.get("label", "") else cells.label()
    if raw is not None and not isinstance(raw, list | tuple):
        raise cells.fault(f"label should be a list but is a {type(raw).__name__}")
    label = None if raw is None else tuple(cells.labels.label(value, cells.record) for value in raw)
    return TextRow(id, cells.text("text"), cells.text_or_none("text_pair"), label)


def _marked(cells: Cells) -> list[str]:
    """Return the names of the label columns that hold a 1."""
    marks = {"1": True, "true": True, "0": False, "false": False}
    chosen = []
    for column in _names(cells.columns["label"]):
        value = plain(_column(cells, column)).casefold()
        if value not in marks:
            raise cells.fault(f"the label column {column!r} should hold 0 or 1")
        chosen += [column] if marks[value] else []
    return chosen


def _regression(cells: Cells, id: str, tally: Tally) -> TextRow:
    del tally
    raw = cells.label()
    try:
        label = None if raw is None else float(raw)
    except (TypeError, ValueError):
        raise cells.fault("label should be a number") from None
    if label is not None and not math.isfinite(label):
        raise cells.fault("label should be a finite number")
    return TextRow(id, cells.text("text"), cells.text_or_none("text_pair"), label)


def _multiple_choice(cells: Cells, id: str, tally: Tally) -> ChoiceRow:
    del tally
    choices = _choices(cells)
    right = cells.get("answer") if "answer" in cells.columns else ABSENT
    if right is not ABSENT:
        return ChoiceRow(id, _context(cells), choices, _matching(cells, choices, plain(right)))
    raw = cells.label()
    return ChoiceRow(
        id, _context(cells), choices, None if raw is None else _position(cells, raw, len(choices))
    )


def _multi_select(cells: Cells, id: str, tally: Tally) -> ChoiceRow:
    del tally
    choices, raw = _choices(cells), cells.label()
    if raw is not None and not isinstance(raw, list | tuple):
        raise cells.fault(f"label should be a list of positions but is a {type(raw).__name__}")
    label = None if raw is None else tuple(sorted(_position(cells, value, len(choices)) for value in raw))
    return ChoiceRow(id, _context(cells), choices, label)


def _context(cells: Cells) -> str:
    """Return the context with the question after it; either may be all there is."""
    parts = [cells.text_or_none("context"), cells.text_or_none("question")]
    text = " ".join(part for part in parts if part)
    return text or cells.text("context")


def _choices(cells: Cells) -> tuple[str, ...]:
    column = cells.columns.get("choices", "choices")
    values = [_column(cells, name) for name in _names(column)] if "," in column else cells.need("choices")
    if isinstance(values, Mapping):
        values = list(values.values())
    if not isinstance(values, list | tuple) or any(isinstance(value, list | dict) for value in values):
        raise cells.fault("choices should be a list of texts", "name its column, or several: `choices: a,b`")
    # Only at the end may options be missing: leaving out an inner one would move the labels.
    kept = list(values)
    while kept and kept[-1] is None:
        kept.pop()
    if len(kept) < 2 or None in kept:
        raise Dropped("fewer than two choices, or one missing")
    return tuple(str(value) for value in kept)


def _position(cells: Cells, value: Any, count: int) -> int:
    """Return the index of an option.

    With `TaskSpec.labels` (A, B, C ...; or 1, 2, 3 ...) it is the value's place in that list; without, the
    value is the index itself, from 0. `label_map` is applied first. Nothing is guessed from the value's look.
    """
    task = cells.labels.task
    mapped = cells.labels.mapped(value)
    if task.labels:
        position = task.labels.index(cells.labels.label(value, cells.record))
    elif mapped.isascii() and mapped.isdigit():
        position = int(mapped)
    else:
        shown = "" if task.confidential else f" {mapped!r}"
        remedy = "declare `labels: [A, B, C, D]` in the options' order, or map to 0, 1, ... in `label_map`"
        raise cells.fault(f"label{shown} is not an index from 0", remedy)
    if position >= count:
        remedy = "if the data counts from 1, declare `labels: ['1', '2', ...]`"
        raise cells.fault(f"label says option {position} (from 0), but there are {count} options", remedy)
    return position


def _matching(cells: Cells, choices: tuple[str, ...], answer: str) -> int:
    places = [index for index, choice in enumerate(choices) if choice.strip() == answer]
    if len(places) != 1:
        raise cells.fault(f"answer is the text of {len(places)} options, not of one")
    return places[0]


def _tagging(cells: Cells, id: str, tally: Tally) -> TaggingRow:
    tokens, raw = cells.need("tokens"), cells.label("tags")
    for name, values in (("tokens", tokens), ("tags", raw)):
        if values is not None and not isinstance(values, list | tuple):
            raise cells.fault(f"{name} should be a list but is a {type(values).__name__}")
    if not tokens:
        raise Dropped("no tokens")
    if not all(isinstance(token, str | int | float) for token in tokens):
        raise cells.fault("tokens should be a list of texts")
    row = _placed(cells, TaggingRow(id, tuple(str(token) for token in tokens)))
    if raw is None:
        return row
    if len(raw) != len(tokens):
        raise cells.fault(f"{len(tokens)} tokens but {len(raw)} tags")
    tags = [cells.labels.tag(value, cells.record) for value in raw]
    tags = _closed(tags, tally) if cells.labels.iob else tags
    return replace(row, tags=tuple(tags), spans=_entities(cells) if row.starts else ())


def _placed(cells: Cells, row: TaggingRow) -> TaggingRow:
    """Return the row with its place in its document, where the data gives one."""
    starts = cells.get("starts")
    if starts is ABSENT or starts is None:
        return row
    if not _whole_numbers(starts) or len(starts) != len(row.tokens):
        raise cells.fault("starts should be one whole number a token")
    return replace(row, starts=tuple(starts), document=cells.text_or_none("document") or "")


def _entities(cells: Cells) -> tuple[tuple[int, int, str], ...]:
    """Return ``(start, end, type)`` of the gold entities, their types as the task calls them."""
    values = cells.get("spans")
    if values is ABSENT or values is None:
        return ()
    found = []
    for value in values if isinstance(values, list | tuple) else (values,):
        if not isinstance(value, list | tuple) or len(value) != 3 or not _whole_numbers(value[:2]):
            raise cells.fault("spans should be a list of start, end and type")
        kind = cells.labels.entity(value[2], cells.record)
        found += [(value[0], value[1], kind)] if kind else []
    return tuple(found)


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list | tuple) and all(type(value) is int for value in values)


def _closed(tags: list[str], tally: Tally) -> list[str]:
    """Return the tags with every span opened by B-: the lenient scorers of the field read them so."""
    previous, closed = "O", []
    for tag in tags:
        opened = tag
        if tag.startswith("I-") and previous[2:] != tag[2:]:
            opened = "B-" + tag[2:]
            tally.repaired["I- tag without a B- before it"] += 1
        closed.append(opened)
        previous = tag
    return closed


def _span_qa(cells: Cells, id: str, tally: Tally) -> SpanRow:
    context = cells.text("context")
    answers = answers_of(cells, context, tally)
    group = digest(context)[:16]
    return SpanRow(id, cells.text("question"), context, answers, answerable=answers != (), group=group)


def _retrieval(cells: Cells, id: str, tally: Tally) -> PairRow:
    """Return a pair, or a sentence alone: one with an id beside a side that has neither text nor id."""
    del tally
    source_id, target_id = (cells.text_or_none(f"{side}_id") or "" for side in ("source", "target"))
    source = cells.text_or_none("source") if target_id and not source_id else cells.text("source")
    target = cells.text_or_none("target") if source_id and not target_id else cells.text("target")
    return PairRow(id, source, target, source_id, target_id)


def _mlm(cells: Cells, id: str, tally: Tally) -> TextRow:
    del tally
    return TextRow(id, cells.text("text"))


def _names(columns: str) -> list[str]:
    return [name.strip() for name in columns.split(",")]


def _column(cells: Cells, column: str) -> Any:
    return Cells(cells.record, {column: column}, cells.labels).need(column)


_KINDS: Mapping[str, Callable[[Cells, str, Tally], Row]] = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
    "multiple_choice": _multiple_choice,
    "multi_select": _multi_select,
    "tagging": _tagging,
    "span_qa": _span_qa,
    "retrieval": _retrieval,
    "mlm": _mlm,
}
