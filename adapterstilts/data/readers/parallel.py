"""Several files that belong together: by line, or by ids that a file of pairs names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapterstilts.data.readers.base import (
    DEFAULT_ENCODING,
    INCOMPLETE,
    Option,
    Reader,
    Record,
    Tally,
    filled,
    lines,
)
from adapterstilts.errors import DataError, Fault

_FILES = ("pairs", "first sentences", "second sentences")


def _read_lines(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield line i of every file as record i; file k gives column k of `names`."""
    del tally
    names = options["names"]
    if len(names) != len(paths):
        what = f"`names` has {len(names)} columns for {len(paths)} files"
        raise DataError(Fault("format 'parallel'", what, "name one column for each file, in their order"))
    columns = [[line for _, line in lines(path, options["encoding"])] for path in paths]
    if len({len(column) for column in columns}) > 1:
        counts = ", ".join(f"{path.name} {len(column)}" for path, column in zip(paths, columns, strict=True))
        remedy = "one may be cut off, or not be the other's translation"
        raise DataError(Fault(str(paths[0]), f"the files differ in their number of lines: {counts}", remedy))
    records = (
        Record(str(paths[0]), f"line {number}", dict(zip(names, cells, strict=True)))
        for number, cells in enumerate(zip(*columns, strict=True), start=1)
    )
    yield from filled(records, str(paths[0]), "is empty, as are the files beside it")


def _read_pairs(paths: Sequence[Path], options: Mapping[str, Any], tally: Tally) -> Iterator[Record]:
    """Yield the sentences of each pair of ids; files: pairs, first sentences, second sentences.

    With ``unpaired: keep`` the sentences that are in no such pair follow, those of the first file first; the
    text and the id of their other side are null. A pair that names an id without a sentence is no pair.
    """
    if len(paths) != len(_FILES):
        what = f"needs three files ({', '.join(_FILES)}), not {len(paths)}"
        raise DataError(Fault("format 'id_pairs'", what, "name them in this order, without a star"))
    first, second = (_sentences(path, options["encoding"]) for path in paths[1:])
    paired: tuple[set[str], set[str]] = (set(), set())
    for place, left, right in _keyed(paths[0], options["encoding"]):
        if left not in first or right not in second:
            tally.dropped["pair of an id without a sentence"] += 1
            continue
        paired[0].add(left)
        paired[1].add(right)
        fields = {"id": f"{left} {right}", "first_id": left, "second_id": right}
        yield Record(str(paths[0]), place, {**fields, "first": first[left][1], "second": second[right][1]})
    if options["unpaired"] == "keep":
        yield from _alone(paths[1], first, paired[0], ("first", "second"))
        yield from _alone(paths[2], second, paired[1], ("second", "first"))


def _alone(
    path: Path, sentences: Mapping[str, tuple[str, str]], paired: Iterable[str], sides: tuple[str, str]
) -> Iterator[Record]:
    """Yield the sentences of one file, the first of the two sides, that are in no pair."""
    own, other = sides
    taken = frozenset(paired)
    for key, (place, text) in sentences.items():
        if key not in taken:
            fields = {"id": f"{own} {key}", f"{own}_id": key, own: text, f"{other}_id": None, other: None}
            yield Record(str(path), place, fields)


def _sentences(path: Path, encoding: str) -> dict[str, tuple[str, str]]:
    """Return the place and the text of each id."""
    found: dict[str, tuple[str, str]] = {}
    for place, key, text in _keyed(path, encoding):
        if key in found:
            raise DataError(
                Fault(
                    f"{path}, {place}",
                    f"names an id again that {found[key][0]} has",
                    "ids tell sentences apart",
                )
            )
        found[key] = place, text
    return found


def _keyed(path: Path, encoding: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the first cell and the rest of each line."""
    empty = True
    for number, line in lines(path, encoding):
        key, tab, value = line.partition("\t")
        if line and not (tab and key):
            raise DataError(Fault(f"{path}, line {number}", "should be an id, a tab and a text or second id"))
        if line:
            empty = False
            yield f"line {number}", key, value
    if empty:
        raise DataError(Fault(str(path), "is empty", INCOMPLETE))


READERS: Mapping[str, Reader] = {
    "parallel": Reader(
        _read_lines,
        {
            "encoding": Option(DEFAULT_ENCODING),
            "names": Option(["text", "label"], types=(list,), filled=True),
        },
    ),
    "id_pairs": Reader(
        _read_pairs,
        {"encoding": Option(DEFAULT_ENCODING), "unpaired": Option("drop", choices=("drop", "keep"))},
    ),
}
