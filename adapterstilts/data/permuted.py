"""Placebos: rows whose labels were given to other rows. What there is to learn is gone, all else stays.

The labels are those of the data, as often as before, in a random order. Where a label only fits some rows it stays
among these: the index of an option among rows with as many options. Tags of all sentences are put in the new order
of the sentences and cut anew; an answer in a passage keeps its relative place and its length.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from adapterstilts.data.batches import derive_seed
from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow

AnyRow = TypeVar("AnyRow", bound=Row)


def permuted(rows: Sequence[Row], seed: int) -> tuple[Row, ...]:
    """Return the rows with labels of others.

    Args:
        rows: of one kind, labelled.
        seed: of the permutation.

    Raises:
        ValueError: rows without labels, which nothing can be permuted of.
    """
    chance = random.Random(derive_seed(seed, "placebo", "labels"))
    for kind, permute in _PERMUTE.items():
        if rows and isinstance(rows[0], kind):
            return tuple(permute(rows, chance))
    if rows:
        raise ValueError(f"a {type(rows[0]).__name__} has no label to permute")
    return ()


def _texts(rows: Sequence[TextRow], chance: random.Random) -> Iterator[TextRow]:
    for row, giver in zip(rows, _shuffled(rows, chance), strict=True):
        yield replace(row, label=giver.label)


def _choices(rows: Sequence[ChoiceRow], chance: random.Random) -> Iterator[ChoiceRow]:
    """An index means something only among as many options."""
    alike: dict[int, list[ChoiceRow]] = defaultdict(list)
    for row in rows:
        alike[len(row.choices)].append(row)
    givers = {size: iter(_shuffled(own, chance)) for size, own in sorted(alike.items())}
    for row in rows:
        yield replace(row, label=next(givers[len(row.choices)]).label)


def _tags(rows: Sequence[TaggingRow], chance: random.Random) -> Iterator[TaggingRow]:
    """Sentences differ in length, so that their tags follow each other and are cut anew."""
    stream = (tag for row in _shuffled(rows, chance) for tag in row.tags or ())
    for row in rows:
        # Entities by their offsets would still be the true ones.
        yield replace(row, tags=tuple(next(stream) for _ in row.tags or ()), spans=())


def _spans(rows: Sequence[SpanRow], chance: random.Random) -> Iterator[SpanRow]:
    for row, giver in zip(rows, _shuffled(rows, chance), strict=True):
        answers = tuple(_placed(row, giver, *answer) for answer in giver.answers or ())
        yield replace(row, answers=answers, answerable=giver.answerable)


def _placed(row: SpanRow, giver: SpanRow, start: int, text: str) -> tuple[int, str]:
    """Return an answer of another passage at the same relative place of this one."""
    length = min(len(text), len(row.context))
    room, was = len(row.context) - length, max(1, len(giver.context) - len(text))
    first = min(room, round(start / was * room))
    return first, row.context[first : first + length]


def _shuffled(rows: Sequence[AnyRow], chance: random.Random) -> list[AnyRow]:
    order = list(rows)
    chance.shuffle(order)
    return order


_PERMUTE = cast(
    "dict[type[Row], Callable[[Sequence[Any], random.Random], Iterator[Row]]]",
    {TextRow: _texts, ChoiceRow: _choices, TaggingRow: _tags, SpanRow: _spans},
)
