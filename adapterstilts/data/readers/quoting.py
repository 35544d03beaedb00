"""The rows of a table with quoted cells (RFC 4180), put together from lines, and what their marks prove."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapterstilts.data.readers.base import LONGEST_LINE
from adapterstilts.errors import DataError, Fault

_OPEN = re.compile(r'"[^"]*(?:""[^"]*)*')
_CLOSED = re.compile(_OPEN.pattern + '"')


@dataclass(frozen=True)
class Row:
    """The cells of a row and the line that it starts in."""

    line: int
    cells: list[str]


class Widths:
    """Rows that have more or fewer cells than the first one, or than the names, counted for one fault."""

    def __init__(self, path: Path, width: int | None) -> None:
        self._path = path
        self._width = width
        self._count = 0
        self._first = (0, 0)

    @property
    def even(self) -> bool:
        """Whether all rows so far have the same width."""
        return not self._count

    def fit(self, line: int, cells: Sequence[str]) -> bool:
        """Take note of a row; return whether it is one and has the right width."""
        if not cells:
            return False
        self._width = self._width or len(cells)
        if len(cells) == self._width:
            return True
        self._first = self._first if self._count else (line, len(cells))
        self._count += 1
        return False

    def check(self) -> None:
        """Report the rows that did not fit.

        Raises:
            DataError: there were some.
        """
        if self._count:
            line, width = self._first
            what = f"{self._count} rows do not have {self._width} cells (here {width})"
            remedy = "check `delimiter`, `quoting` (csv or none) and `header`"
            raise DataError(Fault(f"{self._path}, line {line}", what, remedy))


class Quoted:
    """A table as RFC 4180 reads it, put together from lines, with what its marks prove.

    A record is complete when it holds an even number of marks: a quoted cell doubles those of its text, and
    an unquoted one has none.

    Attributes:
        marks: the first line with a mark, 0 while there is none.
        fault: why this is no such table, once that is known.
        widths: of the records.
    """

    def __init__(self, path: Path, delimiter: str, width: int | None, has_header: bool) -> None:
        self.marks = 0
        self.fault: Fault | None = None
        self.widths = Widths(path, width)
        self._path = path
        self._delimiter = delimiter
        self._has_header = has_header
        self._proven = False  # by a doubled mark or a quoted name
        self._columns: frozenset[int] | None = None  # quoted in every row of one line so far
        self._start = 0
        self._size = 0
        self._lines: list[str] = []  # of a record that is not complete

    @property
    def proven(self) -> bool:
        """Whether the marks are hardly text: one is doubled, or a name or every cell of a column is quoted."""
        return self._proven or bool(self._columns)

    def add(self, number: int, line: str, cells: list[str]) -> Row | None:
        """Return the row that a line completes, if it does and the row has the right width.

        Args:
            number: of the line.
            line: its text.
            cells: the line, split at every delimiter.
        """
        self.marks = self.marks or (number if '"' in line else 0)
        if self.fault:
            return None
        if not self._lines and '"' not in line:
            return self._row(number, cells, frozenset())
        if not self._collect(number, line):
            return None
        several = len(self._lines) > 1
        marked = _joined("\n".join(self._lines), self._delimiter)
        self._lines = []
        quoted = frozenset(place for place, cell in enumerate(marked) if cell.startswith('"'))
        return self._row(self._start, [self._unquoted(cell) for cell in marked], None if several else quoted)

    def finish(self) -> None:
        """Take note of the end of the file."""
        if self._lines:
            self._fail("a quotation mark is never closed")

    def _collect(self, number: int, line: str) -> bool:
        """Add a line to the record; return whether the record is complete."""
        opens = not self._lines
        if opens:
            self._start, self._size = number, 0
        self._lines.append(line)
        self._size += len(line) + 1
        odd = line.count('"') % 2 == 1
        if odd != opens:  # an even line completes a record that it opens, an odd one that was open before
            return True
        if opens and not _OPEN.fullmatch(_joined(line, self._delimiter)[-1]):
            self._fail("a quotation mark stands in a cell that is not quoted")
        elif self._size > LONGEST_LINE:
            self._fail(f"a quoted row has more than {LONGEST_LINE:,} characters")
        return False

    def _unquoted(self, cell: str) -> str:
        if '"' not in cell:
            return cell
        if not _CLOSED.fullmatch(cell):
            self._fail("a quotation mark stands in a cell that is not quoted, or after its end")
        text = cell[1:-1]
        self._proven |= '""' in text
        return text.replace('""', '"')

    def _row(self, line: int, cells: list[str], quoted: frozenset[int] | None) -> Row | None:
        """Return a row; a row of several lines, with None for what is quoted, proves nothing."""
        if self.fault or not self.widths.fit(line, cells):
            return None
        if self._has_header:
            self._has_header = False
            self._proven |= bool(quoted)
        elif quoted is not None:
            self._columns = quoted if self._columns is None else self._columns & quoted
        return Row(line, cells)

    def _fail(self, why: str) -> None:
        remedy = "write `quoting: none` if the file is not quoted"
        self.fault = Fault(f"{self._path}, line {self._start}", f"is not quoted as in CSV: {why}", remedy)
        self._lines = []


def _joined(text: str, delimiter: str) -> list[str]:
    """Return the cells of a record, split at the delimiters outside of quotation marks; the marks stay."""
    cells: list[str] = []
    parts: list[str] = []
    inside = False
    for part in text.split(delimiter):
        parts.append(part)
        inside ^= part.count('"') % 2 == 1
        if not inside:
            cells.append(delimiter.join(parts))
            parts = []
    return [*cells, delimiter.join(parts)] if parts else cells
