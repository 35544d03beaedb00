"""The most frequent answer of some rows, given to every other row: what a model has to beat.

Classes, tags and options are as probable as they are frequent, so that the most frequent one wins and calibration is
that of the prior. Of a number it is the mean, of a passage that may hold no answer it is the empty one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from adapterstilts.data.encoding.columns import Encoded
from adapterstilts.data.encoding.settings import Answer
from adapterstilts.data.rows import ChoiceRow, Row, TaggingRow, TextRow

# Answer, and how often it is given; of numbers the mean alone.
Counts = list[tuple[Any, int]]


def counted(rows: Sequence[Row], labels: Sequence[str]) -> Counts:
    """Return answer and number of rows (of tagged sentences: of tokens), the most frequent one first.

    Of equally frequent ones the first in the label list is first, or the lower one.

    Args:
        rows: of one kind, labelled.
        labels: the task's label list.
    """
    found = [answer for row in rows for answer in _answers_of(row)]
    if found and isinstance(found[0], float):
        return [(sum(found) / len(found), len(found))]
    place = {label: number for number, label in enumerate(labels)}
    counts = Counter(found)
    return sorted(counts.items(), key=lambda one: (-one[1], _order(one[0], place)))


def _answers_of(row: Row) -> Iterator[Any]:
    if isinstance(row, TaggingRow):
        yield from row.tags or ()
    elif isinstance(row, TextRow | ChoiceRow) and row.label is not None:
        yield row.label


def _order(answer: Any, place: Mapping[str, int]) -> Any:
    if isinstance(answer, tuple):
        return tuple(place.get(one, one) for one in answer)
    return place.get(answer, answer)


def constant_answers(kind: str, counts: Counts, encoded: Encoded, labels: Sequence[str]) -> list[Answer]:
    """Return an answer a unit, in the form of the kind's head.

    Args:
        kind: of the task.
        counts: from `counted`; not looked at for span_qa.
        encoded: the rows that are answered.
        labels: the task's label list.
    """
    answer = _ANSWERS[kind]
    return [answer(counts, encoded, unit, labels) for unit in range(len(encoded))]


def _length(encoded: Encoded, unit: int) -> int:
    return len(encoded.sequence(int(encoded.firsts[unit])))


def _class(counts: Counts, _encoded: Encoded, _unit: int, labels: Sequence[str]) -> Answer:
    shares = dict(counts)
    found = np.array([shares.get(label, 0) for label in labels], dtype=np.float64)
    return np.asarray(found / found.sum())


def _set(counts: Counts, _encoded: Encoded, _unit: int, labels: Sequence[str]) -> Answer:
    return np.array([float(label in counts[0][0]) for label in labels])


def _number(counts: Counts, _encoded: Encoded, _unit: int, _labels: Sequence[str]) -> Answer:
    return np.array(counts[0][0])


def _option(counts: Counts, encoded: Encoded, unit: int, _labels: Sequence[str]) -> Answer:
    shares = dict(counts)
    found = np.array([shares.get(option, 0) for option in range(encoded.counts[unit])], dtype=np.float64)
    return np.asarray(found / max(1.0, found.sum()))


def _options(counts: Counts, encoded: Encoded, unit: int, _labels: Sequence[str]) -> Answer:
    """Return the most frequent set that the row's options can hold."""
    size = encoded.counts[unit]
    fitting = (set(chosen) for chosen, _ in counts if all(option < size for option in chosen))
    best = next(fitting, set())
    return np.array([float(option in best) for option in range(size)])


def _tags(counts: Counts, encoded: Encoded, unit: int, labels: Sequence[str]) -> Answer:
    return np.full(_length(encoded, unit), labels.index(counts[0][0]))


def _nothing(_counts: Counts, encoded: Encoded, unit: int, _labels: Sequence[str]) -> Answer:
    # The first token stands for the empty answer.
    scores = np.zeros((_length(encoded, unit), 2))
    scores[0] = 1.0
    return scores


_ANSWERS: Mapping[str, Callable[[Counts, Encoded, int, Sequence[str]], Answer]] = {
    "classification": _class,
    "multilabel": _set,
    "regression": _number,
    "multiple_choice": _option,
    "multi_select": _options,
    "tagging": _tags,
    "span_qa": _nothing,
}
