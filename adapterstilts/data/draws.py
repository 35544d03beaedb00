"""Samples of a split: the rows that a limit or a few-shot setting keeps, fixed by hashes of their ids.

A sample depends on nothing else, not on the order of the rows; it keeps the order of the data, and a larger
sample of the same kind holds every smaller one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from adapterstilts.data.fields import OUTSIDE, type_of
from adapterstilts.data.readers.choose import number
from adapterstilts.data.rows import Row, TaggingRow, TextRow
from adapterstilts.errors import DataError, Fault


def limited(rows: Sequence[Row], limit: int | None) -> tuple[Row, ...]:
    """Return at most `limit` rows, all for None.

    Not the first ones: many files are sorted, and these would be of one topic or label.
    """
    if limit is None or limit >= len(rows):
        return tuple(rows)
    return _kept(rows, sorted(rows, key=lambda row: (number("limit", row.id), row.id))[:limit])


def few_shot(
    rows: Sequence[Row], k: int, draw: int, stratify: bool = False, where: str = "few_shot"
) -> tuple[Row, ...]:
    """Return a few-shot sample: the first `k` rows of an order that hashes of `draw` and the rows' ids fix.

    With `stratify`, classes take turns in that order; one that has no rows left is passed over. The class of
    a text is its label. The class of a tagged sentence is the rarest of the types in it, counted in sentences
    of `rows`, so that rare types come as often as frequent ones (after the greedy sampling of Yang and
    Katiyar 2020); sentences without an entity are a class of their own.

    Args:
        rows: what there is, with unique ids.
        k: number of rows.
        draw: which order; those of different draws are independent.
        stratify: whether classes take turns.
        where: what the rows are, for errors.

    Raises:
        DataError: there are fewer than `k` rows, or their kind has no classes that could take turns.
    """
    if not 0 < k <= len(rows):
        remedy = f"ask for 1 to {len(rows)}" if rows else ""
        raise DataError(Fault(where, f"{k} examples are wanted, there are {len(rows)}", remedy))
    order = sorted(rows, key=lambda row: (number("few_shot", draw, row.id), row.id))
    return _kept(rows, (_in_turns(order, draw, where) if stratify else order)[:k])


def _kept(rows: Sequence[Row], chosen: Sequence[Row]) -> tuple[Row, ...]:
    ids = {row.id for row in chosen}
    return tuple(row for row in rows if row.id in ids)


def _in_turns(order: Sequence[Row], draw: int, where: str) -> list[Row]:
    """Return the rows so that classes take turns; within a class the order stays."""
    served: Counter[str] = Counter()
    places: dict[str, tuple[int, int]] = {}
    for row, name in zip(order, _classes(order, where), strict=True):
        places[row.id] = served[name], number("few_shot", draw, "class", name)
        served[name] += 1
    return sorted(order, key=lambda row: places[row.id])


def _classes(rows: Sequence[Row], where: str) -> list[str]:
    """Return each row's class."""
    labels = [row.label for row in rows if isinstance(row, TextRow) and isinstance(row.label, str)]
    if len(labels) == len(rows):
        return labels
    types = [
        {type_of(tag) for tag in row.tags} - {OUTSIDE}
        for row in rows
        if isinstance(row, TaggingRow) and row.tags is not None
    ]
    if len(types) == len(rows):
        sentences = Counter(kind for kinds in types for kind in kinds)
        return [min(kinds, key=lambda kind: (sentences[kind], kind), default=OUTSIDE) for kinds in types]
    what = "cannot be stratified: only labelled rows of classification and tagging have classes"
    raise DataError(Fault(where, what, "draw without `stratify`"))
