"""A context with options, whose number may differ from row to row: one of them is right, or several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapterstilts.data.encoding.columns import Encoded, Unit
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.encoding.tokens import TokenArray, Tokenizer, cut_sequences
from adapterstilts.data.rows import ChoiceRow
from adapterstilts.metrics.core import Prediction

_THRESHOLD = 0.5


def encode_one(rows: Sequence[ChoiceRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return one unit a row, a sequence an option, with ``label``: the right one's index, -1 without a label."""
    units = [
        Unit(place, own, {"label": row.label if isinstance(row.label, int) else -1})
        for place, (row, own) in enumerate(zip(rows, _options(rows, tokenizer, settings), strict=True))
    ]
    return Encoded.of((row.id for row in rows), units)


def encode_several(rows: Sequence[ChoiceRow], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return one unit a row, a sequence an option, and for each option ``label``: 1 right, 0 wrong, -1 unknown."""
    units = []
    for place, (row, own) in enumerate(zip(rows, _options(rows, tokenizer, settings), strict=True)):
        right = row.label if isinstance(row.label, tuple) else None
        marks = [-1 if right is None else int(option in right) for option in range(len(own))]
        units.append(Unit(place, own, per_sequence={"label": np.array(marks, dtype=np.int64)}))
    return Encoded.of((row.id for row in rows), units)


def _options(rows: Sequence[ChoiceRow], tokenizer: Tokenizer, settings: Settings) -> list[list[TokenArray]]:
    contexts = [row.context for row in rows for _ in row.choices]
    options = [choice for row in rows for choice in row.choices]
    sequences = cut_sequences(tokenizer, contexts, options, settings.max_length)
    return [[next(sequences) for _ in row.choices] for row in rows]


def decode_one(
    row: ChoiceRow, _encoded: Encoded, _units: Sequence[int], answers: Sequence[Answer], _settings: Settings
) -> Prediction:
    """Return the most probable option; the answer is ``(options,)`` probabilities."""
    (answer,) = answers
    return Prediction(row.id, row.label, int(answer.argmax()), _by_option(answer), row.group)


def decode_several(
    row: ChoiceRow, _encoded: Encoded, _units: Sequence[int], answers: Sequence[Answer], _settings: Settings
) -> Prediction:
    """Return the options with a probability above one half; the most probable one when there is none.

    A question of an exam has a right answer, so that an empty set is always wrong.
    """
    (answer,) = answers
    chosen = [option for option, p in enumerate(answer) if p > _THRESHOLD] or [int(answer.argmax())]
    gold = list(row.label) if isinstance(row.label, tuple) else row.label
    return Prediction(row.id, gold, chosen, _by_option(answer), row.group)


def _by_option(answer: Answer) -> dict[str, float]:
    return {str(option): round(float(p), 6) for option, p in enumerate(answer)}
