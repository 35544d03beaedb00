"""Placebos: labels change places, and nothing else does."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from adapterstilts.data.permuted import permuted
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow

CLASSES = [TextRow(f"t{n}", f"text {n}", label="abc"[n % 3]) for n in range(30)]
SETS = [TextRow(f"s{n}", f"text {n}", label=("a",) * (n % 2) + ("b",)) for n in range(30)]
NUMBERS = [TextRow(f"n{n}", f"text {n}", label=float(n)) for n in range(30)]
CHOICES = [
    ChoiceRow(f"c{n}", "which?", ("x", "y", "z", "w")[: 2 + n % 3], n % (2 + n % 3)) for n in range(60)
]
SEVERAL = [replace(row, label=tuple(range(row.label + 1))) for row in CHOICES]  # type: ignore[operator]
TAGS = [
    TaggingRow(f"g{n}", ("w",) * (2 + n % 4), tuple(f"B-{n}" for _ in range(2 + n % 4)), spans=((0, 1, "x"),))
    for n in range(30)
]
SPANS = [
    SpanRow(f"p{n}", "who?", "one two three " * (1 + n % 5), ((4 * (n % 2), "two"[: 1 + n % 3]),))
    if n % 3
    else SpanRow(f"p{n}", "who?", "nobody here at all", (), answerable=False)
    for n in range(30)
]
KINDS: dict[str, list[Any]] = {
    "classification": CLASSES,
    "multilabel": SETS,
    "regression": NUMBERS,
    "multiple_choice": CHOICES,
    "multi_select": SEVERAL,
    "tagging": TAGS,
    "span_qa": SPANS,
}


def label(row: Any) -> Any:
    for name in ("label", "tags", "answers"):
        if hasattr(row, name):
            return getattr(row, name)
    raise AssertionError(row)


@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
def test_most_rows_get_another_label_and_keep_all_else(rows: list[Row]) -> None:
    found = permuted(rows, 3)
    assert [row.id for row in found] == [row.id for row in rows]
    assert sum(label(new) != label(old) for new, old in zip(found, rows, strict=True)) > len(rows) / 4
    for new, old in zip(found, rows, strict=True):
        for name in ("text", "context", "choices", "tokens", "question", "group"):
            assert getattr(new, name, None) == getattr(old, name, None)


@pytest.mark.parametrize("rows", KINDS.values(), ids=KINDS)
def test_seeds_are_permutations_of_their_own_that_repeat(rows: list[Row]) -> None:
    assert permuted(rows, 0) == permuted(rows, 0)
    assert permuted(rows, 0) != permuted(rows, 1)


@pytest.mark.parametrize("rows", [CLASSES, SETS, NUMBERS, CHOICES, SEVERAL])
def test_labels_are_as_frequent_as_before(rows: list[Any]) -> None:
    assert Counter(row.label for row in permuted(rows, 1)) == Counter(row.label for row in rows)


@pytest.mark.parametrize("rows", [CHOICES, SEVERAL])
def test_an_option_stays_among_rows_with_as_many(rows: list[Any]) -> None:
    def by_size(some: Any) -> Counter[Any]:
        return Counter((len(row.choices), row.label) for row in some)

    assert by_size(permuted(rows, 1)) == by_size(rows)


def test_tags_are_cut_anew_and_entities_by_offset_are_gone() -> None:
    found: Any = permuted(TAGS, 1)
    assert Counter(tag for row in found for tag in row.tags) == Counter(
        tag for row in TAGS for tag in row.tags
    )  # type: ignore[union-attr]
    assert all(len(row.tags) == len(row.tokens) for row in found)
    assert {row.spans for row in found} == {()}


def test_answers_lie_in_their_own_passages() -> None:
    found: Any = permuted(SPANS, 1)
    for row in found:
        assert row.answerable == bool(row.answers)
        for start, text in row.answers:
            assert row.context[start : start + len(text)] == text != ""
    assert sum(row.answerable for row in found) == sum(row.answerable for row in SPANS)


def test_nothing_to_permute() -> None:
    assert permuted([], 0) == ()
    with pytest.raises(ValueError, match="a PairRow has no label to permute"):
        permuted([PairRow("p", "a", "b")], 0)
