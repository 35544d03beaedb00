"""The most frequent answer: what is counted, and what every row is then told."""

from __future__ import annotations

from typing import Any

import pytest
from handmade import splitting_tokenizer

from adapterstilts.data.encoding import decode, encode
from adapterstilts.data.encoding.settings import Settings
from adapterstilts.data.majority import constant_answers, counted
from adapterstilts.data.rows import ChoiceRow, Row, SpanRow, TaggingRow, TextRow

LABELS = ("b", "a", "c")


def text(number: int, label: Any) -> TextRow:
    return TextRow(str(number), "ba ko", label=label)


def choice(number: int, options: int, label: Any) -> ChoiceRow:
    return ChoiceRow(str(number), "ba", ("ko", "ri", "mu", "sel")[:options], label)


def tagged(number: int, *tags: str) -> TaggingRow:
    return TaggingRow(str(number), ("ba",) * len(tags), tags)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a", "c", "a"], [("a", 2), ("c", 1)]),
        # Of equally frequent ones the first in the label list.
        (["a", "b", "c"], [("b", 1), ("a", 1), ("c", 1)]),
        ([("a", "b"), ("c",), ("c",), ()], [(("c",), 2), ((), 1), (("a", "b"), 1)]),
        ([1.0, 2.0, 6.0], [(3.0, 3)]),
    ],
)
def test_answers_are_counted(labels: list[Any], expected: list[Any]) -> None:
    found = counted([text(n, label) for n, label in enumerate(labels)], LABELS)
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert found[0] == expected[0]


def test_tags_are_counted_by_token_and_passages_not_at_all() -> None:
    assert counted([tagged(0, "a", "b", "b"), tagged(1, "b")], LABELS) == [("b", 3), ("a", 1)]
    assert counted([SpanRow("0", "who", "ba ko", ())], ()) == []


def predictions(kind: str, training: list[Row], rows: list[Row], labels: tuple[str, ...] = ()) -> list[Any]:
    settings = Settings(labels, 16, unanswerable=True)
    encoded = encode(kind, rows, splitting_tokenizer(), settings)
    answers = constant_answers(kind, counted(training, labels), encoded, labels)
    return decode(kind, rows, encoded, answers, settings)


@pytest.mark.parametrize(
    ("kind", "training", "rows", "expected"),
    [
        (
            "classification",
            [text(0, "a"), text(1, "a"), text(2, "c")],
            [text(0, "c"), text(1, "a")],
            ["a", "a"],
        ),
        ("multilabel", [text(0, ("a", "c")), text(1, ("a", "c")), text(2, ())], [text(0, ())], [["a", "c"]]),
        ("multilabel", [text(0, ()), text(1, ())], [text(0, ("a",))], [[]]),
        ("regression", [text(0, 1.0), text(1, 4.0)], [text(0, 9.0)], [2.5]),
        # The third option is the most frequent one, where there is a third.
        (
            "multiple_choice",
            [choice(n, 3, label) for n, label in enumerate((2, 2, 2, 1, 1, 0))],
            [choice(0, 3, 0), choice(1, 2, 0), choice(2, 4, 0)],
            [2, 1, 2],
        ),
        (
            "multi_select",
            [choice(n, 3, label) for n, label in enumerate(((0, 2), (0, 2), (1,)))],
            [choice(0, 3, (0,)), choice(1, 2, (0,))],
            [[0, 2], [1]],
        ),
        ("tagging", [tagged(0, "b", "c", "c")], [tagged(0, "a", "b"), tagged(1, "a")], [["c", "c"], ["c"]]),
        ("span_qa", [], [SpanRow("0", "ko", "ba ko ri", ((0, "ba"),))], [""]),
    ],
)
def test_every_row_is_told_the_same_as_far_as_it_can_be(
    kind: str, training: list[Any], rows: list[Any], expected: list[Any]
) -> None:
    found = predictions(kind, training, rows, LABELS)
    assert [one.prediction for one in found] == expected
    assert [one.id for one in found] == [row.id for row in rows]
    assert all(one.gold is not None for one in found)


def test_probabilities_are_shares() -> None:
    training = [text(n, label) for n, label in enumerate("aaac")]
    (one,) = predictions("classification", training, [text(0, "a")], LABELS)
    assert one.probabilities == {"b": 0.0, "a": 0.75, "c": 0.25}
