"""Texts and pairs of texts: one class, several classes, a number, or nothing but the text.

A long text is cut, or, with a stride, read in windows whose scores the head averages. Plain text is split, and
each piece is a unit of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from adapterstilts.data.encoding.columns import Encoded, Unit
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.encoding.tokens import (
    MARKS,
    PAIR_MARKS,
    TokenArray,
    Tokenizer,
    cut_sequences,
    marked,
    marked_pair,
    pieces,
    windows,
)
from adapterstilts.data.rows import TextRow
from adapterstilts.metrics.core import Prediction

_THRESHOLD = 0.5


def encode_classes(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return one unit a row with ``label``, a position in the label list, -1 without a label."""
    index = {label: place for place, label in enumerate(settings.labels)}
    return _encode(rows, tokenizer, settings, lambda row: -1 if row.label is None else index[str(row.label)])


def encode_sets(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return one unit a row with ``label``, ``(labels,)`` of 0 and 1, all -1 without labels."""

    def marks(row: TextRow) -> Any:
        if not isinstance(row.label, tuple):
            return np.full(len(settings.labels), -1, dtype=np.int64)
        return np.array([label in row.label for label in settings.labels], dtype=np.int64)

    return _encode(rows, tokenizer, settings, marks)


def encode_numbers(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return one unit a row with ``label``, a number, NaN without one."""
    return _encode(
        rows,
        tokenizer,
        settings,
        lambda row: np.float32(row.label) if isinstance(row.label, float) else np.float32(math.nan),
    )


def encode_plain(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return the pieces of each text, a unit each; what is masked in them is drawn at every step.

    A text that the tokenizer turns into nothing has no piece: there is nothing in it to tell.
    """
    room = settings.max_length - MARKS
    units = []
    for place, ids in enumerate(pieces(tokenizer, [row.text for row in rows])):
        bounds = windows(len(ids), room, settings.stride)
        units += [Unit(place, [marked(ids[start:end], tokenizer)]) for start, end in bounds if start < end]
    return Encoded.of((row.id for row in rows), units)


def _encode(
    rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings, label: Callable[[TextRow], Any]
) -> Encoded:
    sequences = _cut if settings.stride is None else _windowed
    units = [
        Unit(place, own, {"label": label(row)})
        for place, (row, own) in enumerate(zip(rows, sequences(rows, tokenizer, settings), strict=True))
    ]
    return Encoded.of((row.id for row in rows), units)


def _cut(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> list[list[TokenArray]]:
    # A row without a second text is encoded alone, whatever its neighbours are.
    alone = [row.text for row in rows if row.text_pair is None]
    paired = [(row.text, row.text_pair) for row in rows if row.text_pair is not None]
    singles = cut_sequences(tokenizer, alone, None, settings.max_length)
    firsts, seconds = [first for first, _ in paired], [second for _, second in paired]
    doubles = cut_sequences(tokenizer, firsts, seconds, settings.max_length)
    return [[next(singles if row.text_pair is None else doubles)] for row in rows]


def _windowed(rows: Sequence[TextRow], tokenizer: Tokenizer, settings: Settings) -> list[list[TokenArray]]:
    """Return windows of each row; of a pair the longer text moves past the shorter one, which is kept whole.

    The shorter text of a pair is cut to half of the room, so that the other has some left.
    """
    firsts = pieces(tokenizer, [row.text for row in rows])
    seconds = pieces(tokenizer, [row.text_pair or "" for row in rows])
    found = []
    for row, first, second in zip(rows, firsts, seconds, strict=True):
        if row.text_pair is None:
            bounds = windows(len(first), settings.max_length - MARKS, settings.stride)
            found.append([marked(first[start:end], tokenizer) for start, end in bounds])
        else:
            found.append(_pair_windows(first, second, tokenizer, settings))
    return found


def _pair_windows(
    first: TokenArray, second: TokenArray, tokenizer: Tokenizer, settings: Settings
) -> list[TokenArray]:
    room = settings.max_length - PAIR_MARKS
    if len(first) >= len(second):
        second = second[: room // 2]
        bounds = windows(len(first), room - len(second), settings.stride)
        return [marked_pair(first[start:end], second, tokenizer) for start, end in bounds]
    first = first[: room // 2]
    bounds = windows(len(second), room - len(first), settings.stride)
    return [marked_pair(first, second[start:end], tokenizer) for start, end in bounds]


def decode_class(
    row: TextRow, _encoded: Encoded, _units: Sequence[int], answers: Sequence[Answer], settings: Settings
) -> Prediction:
    """Return the most probable label; the answer is ``(labels,)`` probabilities."""
    (answer,) = answers
    best = settings.labels[int(answer.argmax())]
    return Prediction(row.id, row.label, best, _by_label(answer, settings), row.group)


def decode_set(
    row: TextRow, _encoded: Encoded, _units: Sequence[int], answers: Sequence[Answer], settings: Settings
) -> Prediction:
    """Return all labels with a probability above one half, maybe none."""
    (answer,) = answers
    chosen = [label for label, p in zip(settings.labels, answer, strict=True) if p > _THRESHOLD]
    gold = None if row.label is None else list(row.label) if isinstance(row.label, tuple) else row.label
    return Prediction(row.id, gold, chosen, _by_label(answer, settings), row.group)


def decode_number(
    row: TextRow, _encoded: Encoded, _units: Sequence[int], answers: Sequence[Answer], _settings: Settings
) -> Prediction:
    """Return the number; the answer is ``()``."""
    (answer,) = answers
    return Prediction(row.id, row.label, round(float(answer), 6), group=row.group)


def _by_label(answer: Answer, settings: Settings) -> dict[str, float]:
    return {label: round(float(p), 6) for label, p in zip(settings.labels, answer, strict=True)}
