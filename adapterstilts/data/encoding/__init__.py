"""Rows to subword ids and a model's answers back to rows, one module a shape of task.

Everything between the two works on `Encoded` and does not know the kinds apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapterstilts.data.encoding import choices, passages, texts, words
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Answer, Settings
from adapterstilts.data.encoding.tokens import Tokenizer
from adapterstilts.data.rows import Row
from adapterstilts.metrics.core import Prediction


@dataclass(frozen=True)
class Codec:
    """How a kind's rows become sequences, and how outputs become predictions.

    Attributes:
        encode: ``(rows, tokenizer, settings)`` -> their encoding.
        decode: ``(row, encoded, units, answers, settings)`` -> the row's prediction from the answers to its units;
            None for a kind whose answers nobody asks for.
    """

    encode: Callable[[Any, Tokenizer, Settings], Encoded]
    decode: Callable[[Any, Encoded, Sequence[int], Sequence[Answer], Settings], Prediction] | None


CODECS: Mapping[str, Codec] = {
    "classification": Codec(texts.encode_classes, texts.decode_class),
    "multilabel": Codec(texts.encode_sets, texts.decode_set),
    "regression": Codec(texts.encode_numbers, texts.decode_number),
    "multiple_choice": Codec(choices.encode_one, choices.decode_one),
    "multi_select": Codec(choices.encode_several, choices.decode_several),
    "tagging": Codec(words.encode, words.decode),
    "span_qa": Codec(passages.encode, passages.decode),
    "mlm": Codec(texts.encode_plain, None),
}


def encode(kind: str, rows: Sequence[Row], tokenizer: Tokenizer, settings: Settings) -> Encoded:
    """Return the encoding of rows of one kind."""
    return CODECS[kind].encode(rows, tokenizer, settings)


def decode(
    kind: str, rows: Sequence[Row], encoded: Encoded, answers: Sequence[Answer], settings: Settings
) -> list[Prediction]:
    """Return one prediction a row, in order.

    Args:
        kind: of the task.
        rows: that were encoded.
        encoded: their encoding.
        answers: one a unit, as the kind's head gives them (`adapterstilts.model.heads`).
        settings: that they were encoded with.
    """
    codec = CODECS[kind].decode
    assert codec is not None, kind
    units: list[list[int]] = [[] for _ in rows]
    for unit, row in enumerate(encoded.rows.tolist()):
        units[row].append(unit)
    return [
        codec(row, encoded, own, [answers[unit] for unit in own], settings)
        for row, own in zip(rows, units, strict=True)
    ]
