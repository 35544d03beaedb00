"""Contexts with options to subword ids, and answers back to options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import sequences
from tiny import SPECIALS, WORDS

from adapterstilts.data.encoding import decode, encode
from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.rows import ChoiceRow

IDS = {word: i for i, word in enumerate((*SPECIALS, *WORDS))}
BOS, EOS = IDS["<s>"], IDS["</s>"]


@pytest.fixture(scope="module")
def tokenizer(backbone_folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(backbone_folder))


def pair(context: str, choice: str) -> list[int]:
    first, second = ([IDS[word] for word in text.split()] for text in (context, choice))
    return [BOS, *first, EOS, EOS, *second, EOS]


def test_an_option_is_a_sequence(tokenizer: Any) -> None:
    rows = [
        ChoiceRow("a", "en1", ("xx1", "xx2 xx3"), 1),
        ChoiceRow("b", "en2", ("yy1", "yy2", "yy3"), 0),
        ChoiceRow("c", "en3", ("yy4", "yy5")),
    ]
    encoded = encode("multiple_choice", rows, tokenizer, Settings((), 16))
    assert sequences(encoded) == [[pair(row.context, choice) for choice in row.choices] for row in rows]
    assert encoded.counts == [2, 3, 2]
    assert encoded.per_unit["label"].tolist() == [1, 0, -1]
    assert encoded.longest == [7, 6, 6]
    assert encoded.computed == 14 + 18 + 12


def test_options_are_cut_like_pairs(tokenizer: Any) -> None:
    context = " ".join(f"en{n}" for n in range(30))
    row = ChoiceRow("a", context, ("xx1", "xx2"), 0)
    ((_, second),) = sequences(encode("multiple_choice", [row], tokenizer, Settings((), 9)))
    assert second == pair("en0 en1 en2 en3", "xx2")


def test_options_of_many_rows_stay_with_their_context(tokenizer: Any) -> None:
    # More sequences than the tokenizer is given at once, in rows of 2 and 3.
    rows = [
        ChoiceRow(str(n), f"en{n % 30}", tuple(f"xx{(n + k) % 30}" for k in range(2 + n % 2)))
        for n in range(900)
    ]
    encoded = encode("multiple_choice", rows, tokenizer, Settings((), 16))
    assert sequences(encoded) == [[pair(row.context, choice) for choice in row.choices] for row in rows]


def test_each_option_of_several_right_ones_is_marked(tokenizer: Any) -> None:
    rows = [
        ChoiceRow("a", "en1", ("xx1", "xx2", "xx3"), (0, 2)),
        ChoiceRow("b", "en2", ("yy1", "yy2")),
        ChoiceRow("c", "en3", ("yy4", "yy5"), (1,)),
        ChoiceRow("d", "en3", ("yy4", "yy5"), ()),
    ]
    encoded = encode("multi_select", rows, tokenizer, Settings((), 16))
    assert encoded.per_sequence["label"].tolist() == [1, 0, 1, -1, -1, 0, 1, 0, 0]
    assert encoded.per_sequence["label"].dtype == np.int64
    assert not encoded.per_unit
    assert sequences(encoded) == [[pair(row.context, choice) for choice in row.choices] for row in rows]


def answered(
    kind: str, rows: list[ChoiceRow], answers: list[list[float]], tokenizer: Any
) -> tuple[Encoded, list[Any]]:
    encoded = encode(kind, rows, tokenizer, Settings((), 16))
    found = [np.array(answer, dtype=np.float32) for answer in answers]
    return encoded, decode(kind, rows, encoded, found, Settings((), 16))


def test_the_most_probable_option_is_predicted(tokenizer: Any) -> None:
    rows = [
        ChoiceRow("a", "en1", ("xx1", "xx2"), 0, group="exam"),
        ChoiceRow("b", "en1", ("xx1", "xx2", "xx3")),
    ]
    _, (first, second) = answered("multiple_choice", rows, [[0.2, 0.8], [0.5, 0.1, 0.4]], tokenizer)
    assert (first.id, first.gold, first.prediction, first.group) == ("a", 0, 1, "exam")
    assert first.probabilities == {"0": 0.2, "1": 0.8}
    assert (second.id, second.gold, second.prediction) == ("b", None, 0)
    assert list(second.probabilities) == ["0", "1", "2"]


def test_options_above_one_half_are_chosen_and_never_none(tokenizer: Any) -> None:
    options = ("xx1", "xx2", "xx3")
    rows = [ChoiceRow(id, "en1", options, gold) for id, gold in (("a", (0, 2)), ("b", (1,)), ("c", None))]
    answers = [[0.9, 0.5, 0.6], [0.1, 0.4, 0.3], [0.0, 0.0, 0.51]]
    _, found = answered("multi_select", rows, answers, tokenizer)
    assert [one.prediction for one in found] == [[0, 2], [1], [2]]
    assert [one.gold for one in found] == [[0, 2], [1], None]
    assert found[1].probabilities == {"0": 0.1, "1": 0.4, "2": 0.3}
