"""Few-shot samples and limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterstilts.data.draws import few_shot, limited
from adapterstilts.data.rows import ChoiceRow, PairRow, Row, SpanRow, TaggingRow, TextRow
from adapterstilts.errors import DataError

LABELS = ("x", "x", "x", "x", "x", "x", "y", "y", "y", "z")
TEXTS = tuple(TextRow(str(n), f"text {n}", label=LABELS[n % 10]) for n in range(100))


def ids(rows: Sequence[Row]) -> list[str]:
    return [row.id for row in rows]


def labels(rows: Sequence[Row]) -> Counter[object]:
    return Counter(getattr(row, "label", None) for row in rows)


def test_a_draw_is_stable_for_ever() -> None:
    assert ids(few_shot(TEXTS, 5, 0)) == ["12", "24", "25", "61", "71"]
    assert ids(few_shot(TEXTS, 5, 1)) == ["5", "20", "24", "92", "95"]
    assert ids(few_shot(TEXTS, 5, 0, stratify=True)) == ["19", "24", "25", "67", "77"]


@given(st.permutations(range(30)), st.integers(1, 30), st.booleans(), st.integers(0, 3))
def test_the_order_of_the_rows_decides_nothing(order: list[int], k: int, stratify: bool, draw: int) -> None:
    rows = TEXTS[:30]
    shuffled = [rows[n] for n in order]
    sample = few_shot(shuffled, k, draw, stratify)
    assert set(sample) == set(few_shot(rows, k, draw, stratify))
    assert list(sample) == [row for row in shuffled if row in sample]


@given(st.integers(1, 100), st.integers(1, 100), st.booleans(), st.integers(0, 3))
def test_samples_of_a_draw_nest(one: int, other: int, stratify: bool, draw: int) -> None:
    small, large = (few_shot(TEXTS, k, draw, stratify) for k in sorted((one, other)))
    assert len(small) == min(one, other)
    assert set(small) <= set(large)


def test_draws_are_independent() -> None:
    shared = [len(set(few_shot(TEXTS, 30, 0)) & set(few_shot(TEXTS, 30, draw))) for draw in range(1, 40)]
    assert 7 < sum(shared) / len(shared) < 11  # 30 of 100, twice: 9 in the mean


def test_labels_take_turns_until_one_has_no_rows_left() -> None:
    assert labels(few_shot(TEXTS, 30, 2, stratify=True)) == {"x": 10, "y": 10, "z": 10}
    assert labels(few_shot(TEXTS, 50, 2, stratify=True)) == {"x": 20, "y": 20, "z": 10}
    assert few_shot(TEXTS, 100, 2, stratify=True) == TEXTS
    assert labels(few_shot(TEXTS, 50, 2))["x"] > 20


def test_no_label_is_always_the_first() -> None:
    assert {next(iter(labels(few_shot(TEXTS, 1, draw, stratify=True)))) for draw in range(20)} == {
        "x",
        "y",
        "z",
    }


def sentence(number: int, *tags: str) -> TaggingRow:
    return TaggingRow(str(number), tuple("abcdef"[: len(tags)]), tags)


def test_rare_types_of_entities_come_as_often_as_frequent_ones() -> None:
    kinds = {"plain": ("O", "O"), "often": ("B-A", "I-A"), "rare": ("B-A", "B-B"), "rarest": ("I-C", "B-B")}
    rows, kind = [], {}
    for name, count in {"plain": 60, "often": 40, "rare": 20, "rarest": 10}.items():
        for _ in range(count):
            kind[str(len(rows))] = name
            rows.append(sentence(len(rows), *kinds[name]))
    sample = few_shot(rows, 40, 0, stratify=True)
    assert Counter(kind[row.id] for row in sample) == dict.fromkeys(kinds, 10)


def test_bare_tags_are_types_themselves() -> None:
    rows = [sentence(n, "NOUN", "VERB" if n < 5 else "NOUN") for n in range(50)]
    sample = few_shot(rows, 10, 0, stratify=True)
    assert sum("VERB" in (row.tags or ()) for row in sample if isinstance(row, TaggingRow)) == 5


@pytest.mark.parametrize(
    "row",
    [
        ChoiceRow("a", "c", ("x", "y"), 0),
        SpanRow("a", "q", "c", ()),
        PairRow("a", "b", "c"),
        TextRow("a", "b"),
        TextRow("a", "b", label=2.5),
        TextRow("a", "b", label=("x", "y")),
        TaggingRow("a", ("b",)),
    ],
    ids=["choice", "span", "pair", "unlabelled", "regression", "multilabel", "untagged"],
)
def test_rows_without_a_class_cannot_be_stratified(row: Row) -> None:
    assert few_shot([row], 1, 0) == (row,)
    with pytest.raises(DataError, match=r"here: cannot be stratified: .*; draw without `stratify`"):
        few_shot([row, TEXTS[1]], 1, 0, stratify=True, where="here")


@pytest.mark.parametrize("k", [0, 101, -1])
def test_a_sample_is_neither_empty_nor_larger_than_the_data(k: int) -> None:
    with pytest.raises(DataError, match=f"here: {k} examples are wanted, there are 100; ask for 1 to 100"):
        few_shot(TEXTS, k, 0, where="here")


def test_a_limit_larger_than_the_data_keeps_all() -> None:
    assert limited(TEXTS, None) == limited(TEXTS, 100) == TEXTS
    assert len(limited(TEXTS, 99)) == 99
