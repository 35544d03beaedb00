"""Labels of a source under the labels of a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from adapterstilts.data.fields import Dropped, Labels
from adapterstilts.data.readers.base import Record
from adapterstilts.recipe.labels import label_faults, relabelled
from adapterstilts.tasks.spec import TaskSpec

RECORD = Record("here", "record 1", {})


def task(name: str, labels: str, kind: Any = "classification", **changes: Any) -> TaskSpec:
    return TaskSpec(name, kind, "general", {}, (f"{name}_score",), tuple(labels.split()), **changes)


def read(source: TaskSpec, value: str) -> str | None:
    """Return what the loader makes of a value; None where the row is dropped."""
    labels = Labels(source)
    try:
        found = labels.tag(value, RECORD) if source.kind == "tagging" else labels.label(value, RECORD)
    except Dropped:
        labels.check()
        return None
    return found


# Source, target, the recipe's map, and what becomes of values of the source's data.
CASES: list[tuple[TaskSpec, TaskSpec, dict[str, str | None], dict[str, str | None]]] = [
    (
        task("stars", "1 2 3"),
        task("mood", "bad good"),
        {"1": "bad", "2": None, "3": "good"},
        {"1": "bad", "2": None, "3": "good"},
    ),
    # What the source's own map makes of a value is mapped on.
    (
        task("stars", "low mid high", label_map={"1": "low", "5": "high", "?": None}),
        task("mood", "good bad"),
        {"low": "bad", "mid": None, "high": "good"},
        {"1": "bad", "5": "good", "?": None, "low": "bad", "mid": None},
    ),
    # The same labels in another order need no entry, and turned ones are as the recipe says.
    (task("a", "no yes"), task("b", "yes no"), {}, {"no": "no", "yes": "yes"}),
    (task("a", "no yes"), task("b", "no yes"), {"no": "yes", "yes": "no"}, {"no": "yes", "yes": "no"}),
    # A value may be called as another label is.
    (
        task("a", "0 1", label_map={"1": "0", "2": "1"}),
        task("b", "x y"),
        {"0": "x", "1": "y"},
        {"1": "x", "2": "y", "0": "x"},
    ),
    (
        task("bc5cdr", "O B-Chemical I-Chemical B-Disease I-Disease", "tagging"),
        task("pharma", "O B-NORM I-NORM B-PROT I-PROT", "tagging"),
        {"Chemical": "NORM", "Disease": None},
        {"B-Chemical": "B-NORM", "I-Chemical": "I-NORM", "B-Disease": "O", "I-Disease": "O", "O": "O"},
    ),
    # Types of equal names need no entry; whole tags go before types.
    (
        task("a", "O B-PER I-PER B-GPE I-GPE", "tagging"),
        task("b", "O B-PER I-PER B-LOC", "tagging"),
        {"GPE": "LOC", "I-GPE": "B-LOC"},
        {"B-PER": "B-PER", "I-PER": "I-PER", "B-GPE": "B-LOC", "I-GPE": "B-LOC"},
    ),
    # The source's own map speaks of types, tags and nothing.
    (
        task(
            "a",
            "O B-Drug I-Drug",
            "tagging",
            label_map={"MED": "Drug", "B-D": "B-Drug", "MISC": "O", "BAD": None},
        ),
        task("b", "O B-X I-X", "tagging"),
        {"Drug": "X"},
        {"B-MED": "B-X", "I-MED": "I-X", "B-D": "B-X", "I-MISC": "O", "B-BAD": None, "I-Drug": "I-X"},
    ),
    # Bare types on one side.
    (
        task("a", "O B-PER I-PER B-LOC I-LOC", "tagging"),
        task("b", "PERSON LOC O", "tagging"),
        {"PER": "PERSON", "LOC": "LOC"},
        {"B-PER": "PERSON", "I-PER": "PERSON", "I-LOC": "LOC"},
    ),
    (
        task("a", "sad glad", "multilabel"),
        task("b", "joy", "multilabel"),
        {"sad": None, "glad": "joy"},
        {"glad": "joy", "sad": None},
    ),
]


@pytest.mark.parametrize(("source", "target", "given", "values"), CASES)
def test_values_of_the_source_become_labels_of_the_target(
    source: TaskSpec, target: TaskSpec, given: Mapping[str, str | None], values: Mapping[str, str | None]
) -> None:
    assert list(label_faults(source, target, given)) == []
    found = relabelled(source, target, given)
    assert (found.name, found.labels, found.metrics) == (source.name, target.labels, target.metrics)
    assert {value: read(found, value) for value in values} == values


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (task("a", "no yes", label_map={"0": "no"}), task("b", "no yes")),
        (task("a", "", "span_qa"), task("b", "", "span_qa")),
        (task("a", "A B C", "multiple_choice"), task("b", "", "multiple_choice")),
        (task("a", "", "regression"), task("b", "", "regression")),
    ],
)
def test_a_source_that_needs_no_map_stays_as_it_is(source: TaskSpec, target: TaskSpec) -> None:
    assert list(label_faults(source, target, {})) == []
    assert relabelled(source, target, {}) is source


TAGS = task("pharma", "O B-NORM I-NORM", "tagging")


@pytest.mark.parametrize(
    ("source", "target", "given", "expected"),
    [
        (
            task("bc5cdr", "O B-Chemical I-Chemical B-Disease I-Disease", "tagging"),
            TAGS,
            {},
            [
                "'bc5cdr' has labels without a counterpart in 'pharma': Chemical, Disease; "
                "map each of them, or to null; 'pharma' has O, NORM"
            ],
        ),
        (
            task("stars", "1 2 3"),
            task("mood", "1 bad"),
            {"2": "bad"},
            [
                "'stars' has labels without a counterpart in 'mood': 3; "
                "map each of them, or to null; 'mood' has 1, bad"
            ],
        ),
        (
            task("a", "low high"),
            task("b", "bad good"),
            {"hihg": "god", "low": "bad", "high": "good"},
            [
                "'hihg' is not a label of 'a'; did you mean 'high'?",
                "'god' is not a label of 'b'; did you mean 'good'?",
            ],
        ),
        (
            task("a", "O B-Drug I-Drug", "tagging"),
            task("b", "O B-X", "tagging"),
            {"Drug": "X"},
            ["'I-Drug' would become 'I-X', which is not a label of 'b'; it has: O, B-X"],
        ),
        (
            task("a", "NOUN X", "tagging"),
            task("b", "NOUN VERB", "tagging"),
            {"X": None},
            ["'X' would become 'O', which is not a label of 'b'; it has: NOUN, VERB"],
        ),
        (
            task("a", "", "span_qa"),
            task("b", "", "span_qa"),
            {"x": "y"},
            ["a span_qa task has no labels to map; leave them out"],
        ),
    ],
)
def test_a_map_that_cannot_be_meant(
    source: TaskSpec, target: TaskSpec, given: dict[str, str | None], expected: list[str]
) -> None:
    assert [str(fault) for fault in label_faults(source, target, given)] == expected
