"""One record seen through a task: its cells by field name, its labels checked against the label list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapterstilts.data.readers.base import Record, near
from adapterstilts.errors import DataError, Fault
from adapterstilts.tasks.spec import TaskSpec

ABSENT = object()
"""What `Cells.get` returns for a field that the data does not have."""

OUTSIDE = "O"
_PREFIXES = ("B-", "I-")
_MOST_LISTED = 20
_LONGEST_SHOWN = 40


class Dropped(Exception):
    """A record that gives no row."""


@dataclass
class _Unknown:
    count: int
    first: str


@dataclass
class Labels:
    """A task's label list; what is not in it is collected, so that one error can name all of it."""

    task: TaskSpec
    _unknown: dict[str, _Unknown] = field(default_factory=dict)
    _known: frozenset[str] = field(init=False)
    _iob: bool = field(init=False)

    def __post_init__(self) -> None:
        self._known = frozenset(self.task.labels)
        self._iob = any(label.startswith("B-") for label in self.task.labels)

    @property
    def iob(self) -> bool:
        """Whether the labels mark spans by B- and I-."""
        return self._iob

    def mapped(self, value: Any) -> str:
        """Return a value of the data as the task calls it.

        Raises:
            Dropped: the task maps this value to nothing.
        """
        text = plain(value)
        label = self.task.label_map.get(text, text)
        if label is None:
            raise Dropped("label mapped to null")
        return label

    def label(self, value: Any, record: Record) -> str:
        """Return a value of the data as a label of the list.

        Raises:
            Dropped: it is mapped to nothing, or is unknown, which `check` reports.
        """
        return self._checked(self.mapped(value), record)

    def tag(self, value: Any, record: Record) -> str:
        """Return a tag; `label_map` may name whole tags (``B-Chemical``) or span types (``Chemical``)."""
        text = plain(value)
        prefix, kind = text[:2], text[2:]
        if text in self.task.label_map or prefix not in _PREFIXES or kind not in self.task.label_map:
            return self.label(text, record)
        mapped = self.mapped(kind)
        return OUTSIDE if mapped == OUTSIDE else self._checked(prefix + mapped, record)

    def entity(self, kind: Any, record: Record) -> str | None:
        """Return the type of a span as the task calls it, or None where its tags are outside or mapped to null.

        Raises:
            Dropped: the type is unknown, which `check` reports.
        """
        name = f"B-{plain(kind)}"
        key = name if name in self.task.label_map else plain(kind)
        if self.task.label_map.get(key, key) is None:
            return None
        tag = self.tag(name, record)
        return None if tag == OUTSIDE else type_of(tag)

    def _checked(self, label: str, record: Record) -> str:
        if label not in self._known:
            seen = self._unknown.setdefault(label, _Unknown(0, record.where))
            seen.count += 1
            raise Dropped("unknown label")
        return label

    def check(self) -> None:
        """Report every unknown label that was met.

        Raises:
            DataError: one fault for all of them; without the values for a confidential task.
        """
        if not self._unknown:
            return
        total = sum(seen.count for seen in self._unknown.values())
        where = next(iter(self._unknown.values())).first
        if self.task.confidential:
            what = f"{total} values of {len(self._unknown)} kinds are not labels of {self.task.name!r}"
        else:
            what = f"{total} values are not labels of {self.task.name!r}: {self._listed()}"
        known = f"known labels: {', '.join(self.task.labels) or 'none'}"
        raise DataError(Fault(where, what, f"add them to `labels`, or map them in `label_map` ({known})"))

    def _listed(self) -> str:
        ranked = sorted(self._unknown.items(), key=lambda item: -item[1].count)
        parts = [
            f"{_short(label)} x{seen.count} (first {seen.first})" for label, seen in ranked[:_MOST_LISTED]
        ]
        if len(ranked) > _MOST_LISTED:
            parts.append(f"and {len(ranked) - _MOST_LISTED} more")
        return ", ".join(parts)


def type_of(tag: str) -> str:
    """Return the type that a tag is of: ``A`` for ``B-A`` and ``I-A``, the tag itself where it marks no spans."""
    return tag[2:] if tag[:2] in _PREFIXES else tag


def _short(label: str) -> str:
    """Return a value as it is typed; a wrong column may hold whole texts."""
    return repr(label if len(label) <= _LONGEST_SHOWN else f"{label[:_LONGEST_SHOWN]}...")


def _names(columns: list[str]) -> str:
    names = [name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..." for name in columns]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more or "none"


def plain(value: Any) -> str:
    """Return a label of the data as text, booleans as JSON writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Cells:
    """The cells of one record by field of the task's kind.

    Attributes:
        record: the record.
        columns: field -> column; a column may be a dotted path into nested values
            (``question.stem``; over a list it takes the part of each item); the empty text says that the
            data has no such field.
        labels: the task's labels.
    """

    record: Record
    columns: Mapping[str, str]
    labels: Labels

    def get(self, name: str) -> Any:
        """Return a field's value, or `ABSENT` when the data does not have it.

        Raises:
            DataError: the declared column is not in this record.
        """
        column = self.columns.get(name, name)
        if not column:
            return ABSENT
        value = _at(self.record.fields, column)
        if value is ABSENT and name in self.columns:
            raise self.missing(name)
        return value

    def need(self, name: str) -> Any:
        """Return a field's value.

        Raises:
            DataError: there is no such column.
        """
        value = self.get(name)
        if value is ABSENT:
            raise self.missing(name)
        return value

    def text(self, name: str) -> str:
        """Return a text field.

        Raises:
            DataError: there is no such column, or it holds no text.
            Dropped: the cell is empty.
        """
        text = self.text_or_none(name)
        if text is None:
            self.need(name)
            raise Dropped(f"no {name}")
        return text

    def text_or_none(self, name: str) -> str | None:
        """Return a text field, or None when it is absent, null or blank; a list of texts is joined."""
        value = self.get(name)
        if value is ABSENT or value is None or value != value:  # NaN: a missing cell of a table of numbers
            return None
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = " ".join(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.fault(f"{name} should be text but is a {type(value).__name__}")
        return str(value) if str(value).strip() else None

    def label(self, name: str = "label") -> Any:
        """Return the raw label, or None where the data has none.

        Raises:
            DataError: nothing says whether there are labels.
        """
        if self.columns.get(name, name) == "":
            return None
        return self.need(name)

    def missing(self, name: str) -> DataError:
        """Return the error for a column that is not there."""
        column = self.columns.get(name, name)
        there = list(self.record.fields)
        what = f"no column {column!r} for {name}"
        remedy = f"name it under `columns: {{{name}: ...}}`"
        if name in ("label", "tags", "answers"):
            remedy += f", or write `{name}: ''` if the data has none"
        if not self.labels.task.confidential:
            what += f"; columns: {_names(there)}"
            guess = near(column, there)
            remedy = f"{guess} {remedy}" if guess else remedy
        return DataError(Fault(self.record.where, what, remedy))

    def fault(self, what: str, remedy: str = "") -> DataError:
        """Return an error at this record."""
        return DataError(Fault(self.record.where, what, remedy))


def _at(value: Any, path: str) -> Any:
    """Return what a column names: a key as it is, or a dotted path."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    head, dot, rest = path.partition(".")
    if not dot or not isinstance(value, Mapping) or head not in value:
        return ABSENT
    inner = value[head]
    if isinstance(inner, list | tuple):
        parts = [_at(item, rest) for item in inner]
        return ABSENT if any(part is ABSENT for part in parts) else parts
    return _at(inner, rest)
