"""Encodings as flat arrays: what they say of their units, and several as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from handmade import columns, encoded, same, sequences, splitting_tokenizer

from adapterstilts.data.encoding import encode
from adapterstilts.data.encoding.columns import Encoded, Unit, join
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow

TAGS = ("O", "B-PER")


def text_row(n: int, label: Any = None) -> TextRow:
    return TextRow(f"{n}", " ".join(["ba"] * (1 + 5 * n)), label=label)


ROWS: dict[str, Callable[[int], Row]] = {
    "classification": lambda n: text_row(n, TAGS[n % 2]),
    "multilabel": lambda n: text_row(n, TAGS[: n % 3]),
    "regression": lambda n: text_row(n, n / 2),
    "multiple_choice": lambda n: ChoiceRow(f"{n}", "ba", ("ko",) * (2 + n % 2), n % 2),
    "multi_select": lambda n: ChoiceRow(f"{n}", "ba", ("ko",) * (2 + n % 2), (n % 2,)),
    "tagging": lambda n: TaggingRow(f"{n}", ("koba",) * (1 + 3 * n), TAGS[1:] * (1 + 3 * n)),
    "span_qa": lambda n: SpanRow(f"{n}", "ko", " ".join(["ba"] * (1 + 7 * n)), ((0, "ba"),)),
    "mlm": text_row,
}


def of(kind: str, numbers: Sequence[int], stride: int | None) -> Encoded:
    rows = [ROWS[kind](n) for n in numbers]
    return encode(kind, rows, splitting_tokenizer(), Settings(TAGS, 14, stride))


def test_units_know_their_sequences_and_values() -> None:
    units = [
        Unit(0, [np.array([5, 6]), np.array([7])], {"label": 1}, {"mark": [1, 0]}, {"word": [0, 1, 2]}),
        Unit(1, [np.array([8, 9, 4])], {"label": 0}, {"mark": [1]}, {"word": [3, 4, 5]}),
        Unit(1, [np.array([3])], {"label": 2}, {"mark": [0]}, {"word": [6]}),
    ]
    found = Encoded.of(["a", "b"], units)
    assert len(found) == 3
    assert sequences(found) == [[[5, 6], [7]], [[8, 9, 4]], [[3]]]
    assert found.rows.tolist() == [0, 1, 1]
    assert (found.counts, found.longest, found.computed) == ([2, 1, 1], [2, 3, 1], 4 + 3 + 1)
    assert found.per_unit["label"].tolist() == [1, 0, 2]
    assert found.per_sequence["mark"].tolist() == [1, 0, 1, 0]
    assert found.token_values("word", 1).tolist() == [3, 4, 5]
    assert found.token_values("word", 2).tolist() == [6]


@pytest.mark.parametrize("stride", [None, 5])
@pytest.mark.parametrize("kind", ROWS)
def test_splits_that_are_joined_are_as_if_encoded_together(kind: str, stride: int | None) -> None:
    parts = [of(kind, range(3), stride), of(kind, range(3, 4), stride), of(kind, range(4, 7), stride)]
    assert same(join(parts), of(kind, range(7), stride))
    assert sum(len(part) for part in parts) == len(join(parts))


def test_one_split_alone_is_itself() -> None:
    part = encoded([[[1, 2]]])
    assert join([part]) is part


def test_numbers_are_as_wide_as_they_need_be() -> None:
    kinds = {name: column.dtype for name, column in columns(of("span_qa", range(3), None)).items()}
    assert kinds == {
        "rows": np.int64,
        "firsts": np.int64,
        "bounds": np.int64,
        "tokens": np.int32,
        "per_unit.start": np.int64,
        "per_unit.end": np.int64,
        "per_token.from": np.int32,
        "per_token.to": np.int32,
        "per_token.opens": np.bool_,
    }
