from __future__ import annotations

import numpy as np
import pytest

from adapterstilts.errors import DataError
from adapterstilts.metrics.build import (
    count_f1_metric,
    f1_score,
    mean_metric,
    ratio,
    score_by_id,
    score_lists,
)

from .examples import predictions

HALF = mean_metric("half", lambda gold, answer: 0.5 if gold == answer else 0.25)


def test_ratio_is_zero_where_the_denominator_is_and_broadcasts():
    result = ratio(np.array([[1.0], [0.0]]), np.array([2.0, 0.0]))

    assert result.tolist() == [[0.5, 0.0], [0.0, 0.0]]


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    true, predicted, gold = 3.0, 4.0, 6.0
    precision, recall = true / predicted, true / gold

    assert f1_score(np.array([true, predicted, gold])) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )


def test_f1_of_nothing_sought_and_nothing_found_is_zero():
    assert f1_score(np.zeros(3)) == 0


def test_f1_scores_every_row_of_a_batch():
    assert f1_score(np.array([[1.0, 1, 1], [1, 2, 2], [0, 1, 1]])).tolist() == [1, 0.5, 0]


def test_count_f1_sums_the_counts_before_the_division():
    metric = count_f1_metric("f1", lambda gold, answer: (float(gold == answer), 1.0, float(gold)))

    # true 1 of predicted 2 and gold 3, where a mean over examples would give (1 + 0) / 2.
    assert metric(predictions([1, 2], [1, 1])) == pytest.approx(2 * 1 / (2 + 3))


def test_mean_metric_averages_values():
    assert score_lists(HALF, ["a", "b"], ["a", "x"]) == 0.375


def test_a_missing_prediction_counts_as_zero_and_in_the_denominator():
    assert score_lists(HALF, ["a", "b"], ["a", None]) == 0.25


def test_an_id_without_prediction_scores_zero_and_spare_ids_are_ignored():
    assert score_by_id(HALF, {"1": "a", "2": "b"}, {"1": "a", "9": "b"}) == 0.25


def test_lists_of_different_length_are_refused():
    with pytest.raises(DataError, match="2 gold answers beside 1 predictions"):
        score_lists(HALF, ["a", "b"], ["a"])
    with pytest.raises(DataError, match=r"1 predictions \(2 probabilities, 1 groups\)"):
        score_lists(HALF, ["a"], ["a"], probabilities=[None, None])
    with pytest.raises(DataError, match=r"1 predictions \(1 probabilities, 0 groups\)"):
        score_lists(HALF, ["a"], ["a"], groups=[])


def test_no_predictions_are_refused():
    with pytest.raises(DataError, match="half: no predictions"):
        HALF([])


def test_unlabelled_examples_are_refused_with_number_and_first_id():
    with pytest.raises(DataError, match=r"2 of 3 examples have no gold answer.*'x1'"):
        HALF(predictions(["a", None, None], ["a", "b", "c"]))
