"""Tables in text: CSV and TSV, quoted or not, with or without a header.

Wrong quoting is the classic silent loss: read with quoting, a stray ``"`` swallows the rows up to the next
one; read without, quoted text keeps its marks and falls apart at its line ends. So every table is read both
ways, line by line, and the declared way has to be the one that the marks speak for:

================================================================  ==============
the table as CSV (RFC 4180), against the table split plainly        it is
================================================================  ==============
no ``"`` in it                                                      either
a mark inside an unquoted cell, one never closed, rows of           not quoted
different widths; plainly, all rows have one width
all rows have one width; plainly, they have not                     quoted
both have; a mark doubled in a quoted cell, a quoted name in the    quoted
header, or a column that is quoted in every row
both have; no such proof                                            not quoted
neither has one width                                               an error
================================================================  ==============
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import DEFAULT_ENCODING, Option, Reader, Record, Tally, filled, lines
from adapterstilts.data.readers.quoting import Quoted, Row, Widths
from adapterstilts.errors import DataError, Fault


def _read(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    del tally
    for path in paths:
        yield from filled(_records(path, options), str(path), "holds no rows")


def _records(path: Path, options: Mapping[str, Any]) -> Iterator[Record]:
    header = options["header"]
    columns = header if isinstance(header, list) else None
    for row in _rows(path, options, len(columns) if columns else None):
        if columns is None and header:
            columns = _header(path, row)
            continue
        columns = columns or [str(number) for number in range(len(row.cells))]
        yield Record(str(path), f"line {row.line}", dict(zip(columns, row.cells, strict=True)))


def _header(path: Path, row: Row) -> list[str]:
    columns = [cell.strip() for cell in row.cells]
    if len(set(columns)) < len(columns):
        remedy = "if the file has no header, name the columns: `header: [a, b, c]`"
        raise DataError(Fault(f"{path}, line {row.line}", "the header names a column twice", remedy))
    return columns


def _rows(path: Path, options: Mapping[str, Any], width: int | None) -> Iterator[Row]:
    """Yield the rows of the declared reading that have the right width.

    Raises:
        DataError: at once where this reading is impossible; at the end where rows have another width or the
            marks speak for the other reading.
    """
    as_csv = options["quoting"] == "csv"
    has_header = options["header"] is True
    quoted, plain = Quoted(path, options["delimiter"], width, has_header), Widths(path, width)
    for number, line in lines(path, options["encoding"]):
        cells = line.split(options["delimiter"]) if line else []
        split = Row(number, cells) if plain.fit(number, cells) else None
        joined = quoted.add(number, line, cells)
        if as_csv and quoted.fault:
            raise DataError(quoted.fault)
        if row := joined if as_csv else split:
            yield row
    quoted.finish()
    if as_csv and quoted.fault:
        raise DataError(quoted.fault)
    if options["check_quoting"] and quoted.marks:
        _check(path, as_csv, quoted, plain)
    (quoted.widths if as_csv else plain).check()


def _check(path: Path, as_csv: bool, quoted: Quoted, plain: Widths) -> None:
    valid = quoted.fault is None and quoted.widths.even
    if not valid and not plain.even:
        return
    is_csv = valid and (quoted.proven or not plain.even)
    if is_csv != as_csv:
        what, wanted = (
            ("look quoted as in CSV", "csv") if is_csv else ("do not look quoted as in CSV", "none")
        )
        remedy = f"write `quoting: {wanted}`, or `check_quoting: false` if it is right as it is"
        raise DataError(Fault(f"{path}, line {quoted.marks}", f"the cells {what}", remedy))


def _reader(delimiter: str, quoting: str) -> Reader:
    return Reader(
        _read,
        {
            "encoding": Option(DEFAULT_ENCODING),
            "delimiter": Option(delimiter, filled=True),
            "header": Option(True, types=(bool, list), filled=True),
            "quoting": Option(quoting, choices=("csv", "none")),
            "check_quoting": Option(True, types=(bool,)),
        },
    )


READERS: Mapping[str, Reader] = {"csv": _reader(",", "csv"), "tsv": _reader("\t", "none")}
