"""What keeps the text of confidential data to itself: names become numbers, and errors say the place alone.

Ids, documents and groups of the data can be text (the name of a patient), and they go into predictions and reports.
Rows keep what names are for: equal ones stay equal, and the number of a row leads its owner back to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from adapterstilts.data.readers.base import Record
from adapterstilts.data.rows import PairRow, Row, TaggingRow
from adapterstilts.errors import AdapterStiltsError, DataError, Fault

T = TypeVar("T")

LEVEL = "/"
"""Between the levels of a group."""

_PLACE = re.compile(r"(?:line|record|question|sentence|conversation) \d+")
_UNSAID = "the rest is left out, for the data are confidential; look at the place itself"


def quiet(records: Iterable[Record]) -> Iterator[Record]:
    """Yield records, found by numbers alone; an error of their reader loses what it quotes.

    Raises:
        DataError: with the places of the faults alone.
    """
    try:
        for number, record in enumerate(records, start=1):
            # The place may be a key of the data.
            yield record if _PLACE.fullmatch(record.place) else replace(record, place=f"record {number}")
    except DataError as error:
        faults = [
            Fault(_place(fault.where), "is not what its format says", _UNSAID) for fault in error.faults
        ]
        # The cause may quote as well.
        raise DataError(*faults) from None


def _place(where: str) -> str:
    """Return a file and a numbered place in it, or the file alone."""
    file, _, place = where.rpartition(", ")
    return where if _PLACE.fullmatch(place) and ", " not in file else where.partition(", ")[0]


def unquoted(rows: Iterable[T], where: str) -> Iterator[T]:
    """Yield rows; an error that nobody foresaw loses its message, which may quote the data.

    Args:
        rows: of confidential data.
        where: whose they are, for the error.

    Raises:
        DataError: in place of such an error.
    """
    try:
        yield from rows
    except AdapterStiltsError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it may quote
        raise DataError(Fault(where, f"cannot be read: {type(error).__name__}", _UNSAID)) from None


@dataclass
class Numbers:
    """Names by the order in which they are met: one counter a kind of name."""

    _known: dict[tuple[str, str], str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str, name: str) -> str:
        """Return the number of a name, from 1; the empty name stays empty."""
        if not name:
            return ""
        if (kind, name) not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[kind, name] = str(self._counts[kind])
        return self._known[kind, name]


def numbered(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows with a number in place of every name but the id, which the parser has numbered already."""
    numbers = Numbers()
    for row in rows:
        levels = [numbers.of(f"level {place}", one) for place, one in enumerate(row.group.split(LEVEL))]
        own: dict[str, Any] = {"group": LEVEL.join(levels)}
        if isinstance(row, TaggingRow):
            own["document"] = numbers.of("document", row.document)
        if isinstance(row, PairRow):
            own["source_id"] = numbers.of("source", row.source_id)
            own["target_id"] = numbers.of("target", row.target_id)
        yield replace(row, **own)
