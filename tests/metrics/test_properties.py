"""What holds for every metric, on examples of the form that it scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapterstilts.metrics import registry
from adapterstilts.metrics.core import Metric, Prediction

from .examples import PROPERTY

LABELS = ("a", "b", "c")
label = st.sampled_from(LABELS)
subset = st.sets(label).map(lambda some: tuple(sorted(some)))
tags = st.lists(st.sampled_from(["O", "B-X", "I-X", "I-Y", "SYM"]), min_size=1, max_size=5)
number = st.integers(-5, 5).map(float)
text = st.sampled_from(["the red car", "red car", "car", "", "a", "blue, car", "红车", "车"])
entities = st.sets(st.tuples(st.integers(0, 2), st.integers(3, 4), label)).map(tuple)
index = st.integers(0, 3)


@st.composite
def tagged(draw):
    gold = draw(tags)
    return gold, [draw(st.sampled_from(["O", "B-X", "I-X", "SYM", tag])) for tag in gold]


FORMS = {
    "accuracy accuracy_by_part macro_f1 micro_f1 weighted_f1 macro_recall ece": st.tuples(label, label),
    "f1@a macro_f1@a+c": st.tuples(label, label),
    "exact_match hamming_score hamming_loss bitext_f1": st.tuples(subset, subset),
    "pearson rmse mae": st.tuples(number, number),
    "headqa_points": st.tuples(index, st.none() | index),
    "span_f1 strict_span_f1 udpos_f1 token_accuracy": tagged(),
    "entity_f1": st.tuples(entities, entities),
    "squad_f1 squad_em squad_em_f1 mlqa_f1 mlqa_em mlqa_em_f1": st.tuples(
        st.lists(text, min_size=1, max_size=2), st.none() | text
    ),
    "squad2_f1 squad2_em": st.tuples(st.lists(text, max_size=2), st.none() | text),
    "retrieval_accuracy mrr recall@5 recall@10 recall@2": st.tuples(index, st.permutations(range(4))),
}
BY_NAME = {name: form for names, form in FORMS.items() for name in names.split()}


def metric_and_examples(name: str) -> tuple[Metric, st.SearchStrategy[list[Prediction]]]:
    def example(place: int, pair: tuple[object, object], sure: float) -> Prediction:
        group = f"part {place % 2}/{place % 3}"
        return Prediction(str(place), *pair, probabilities=dict.fromkeys(LABELS, sure), group=group)

    pairs = st.lists(st.tuples(BY_NAME[name], st.floats(0, 1)), min_size=1, max_size=8)
    examples = pairs.map(lambda some: [example(place, *one) for place, one in enumerate(some)])
    return registry.get(name, language="zh", labels=LABELS), examples


def test_every_metric_is_under_these_properties():
    assert set(registry.names()) <= set(BY_NAME)


@pytest.mark.parametrize("name", BY_NAME)
@PROPERTY
@given(st.data())
def test_a_resample_of_statistics_scores_as_the_resampled_list(name, data):
    metric, examples = metric_and_examples(name)
    drawn = data.draw(examples)
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(drawn), max_size=len(drawn)).filter(any))

    resampled = [one for one, weight in zip(drawn, weights, strict=True) for _ in range(weight)]

    by_weights = metric.score(np.array([weights], dtype=float) @ metric.statistics(drawn))
    assert by_weights.shape == (1,)
    assert by_weights[0] == pytest.approx(metric(resampled), abs=1e-9)


@pytest.mark.parametrize("name", BY_NAME)
@PROPERTY
@given(st.data())
def test_a_score_ignores_the_order_of_examples_and_stays_within_its_bounds(name, data):
    metric, examples = metric_and_examples(name)
    drawn = data.draw(examples)

    score = metric(drawn)

    assert metric(data.draw(st.permutations(drawn))) == pytest.approx(score, abs=1e-9)
    assert metric.bounds[0] <= score <= metric.bounds[1]


PERFECT = {
    "accuracy accuracy_by_part macro_f1 micro_f1 weighted_f1 macro_recall f1@a": ["a", "b", "a"],
    "exact_match hamming_score bitext_f1": [("a",), ("a", "b")],
    "pearson": [1.0, 2.0, 5.0],
    "span_f1 strict_span_f1 udpos_f1 token_accuracy": [["B-X", "I-X", "O"], ["O", "B-Y"]],
    "entity_f1": [((0, 3, "X"),), ()],
}


@pytest.mark.parametrize("name", [name for names in PERFECT for name in names.split()])
def test_gold_itself_scores_one(name):
    gold = next(values for names, values in PERFECT.items() if name in names.split())

    assert registry.get(name)([Prediction(str(i), one, one) for i, one in enumerate(gold)]) == pytest.approx(
        1
    )


@pytest.mark.parametrize("name", ["rmse", "mae", "hamming_loss"])
def test_gold_itself_has_no_error(name):
    gold = [("a",), ()] if name == "hamming_loss" else [1.0, 4.0]

    metric = registry.get(name, labels=LABELS)

    assert metric([Prediction(str(i), one, one) for i, one in enumerate(gold)]) == 0
