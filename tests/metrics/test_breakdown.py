from __future__ import annotations

import numpy as np
import pytest

from adapterstilts.metrics.breakdown import averaged, by_part, part_of
from adapterstilts.metrics.classification import accuracy, macro_f1
from adapterstilts.metrics.regression import rmse

from .examples import predictions

# HateCheck: two functionalities of different size, the first of two templates.
CASES = predictions(
    ["hate", "hate", "hate", "not"],
    ["hate", "hate", "not", "hate"],
    groups=["slur/1", "slur/1", "slur/2", "negation/3"],
)


def test_a_part_is_the_first_level_of_the_group():
    assert [part_of(case) for case in CASES] == ["slur", "slur", "slur", "negation"]
    assert part_of(predictions(["hate"], ["hate"], groups=["slur"])[0]) == "slur"
    assert part_of(predictions(["hate"], ["hate"])[0]) == ""


def test_by_part_scores_each_functionality():
    assert by_part(accuracy(), CASES) == {"negation": 0, "slur": pytest.approx(2 / 3)}
    assert list(by_part(accuracy(), CASES)) == ["negation", "slur"]


def test_by_part_of_another_kind():
    assert by_part(accuracy(), CASES, lambda case: case.gold) == {"hate": pytest.approx(2 / 3), "not": 0}


def test_averaged_is_the_unweighted_mean_over_parts():
    metric = averaged(accuracy(), 2)

    assert metric(CASES) == pytest.approx((2 / 3 + 0) / 2)
    assert metric.name == "accuracy_by_part"


def test_averaged_scores_within_a_part_before_the_mean():
    metric = averaged(macro_f1(["hate", "not"]), 6)

    # slur: hate 2, 2, 3 -> 4/5, not 0; negation: both 0
    assert metric(CASES) == pytest.approx((0.4 + 0) / 2)


def test_a_part_without_examples_in_a_resample_is_left_out():
    metric = averaged(accuracy(), 2)
    statistics = metric.statistics(CASES)

    scores = metric.score(np.stack([statistics.sum(axis=0), statistics[:2].sum(axis=0)]))

    np.testing.assert_allclose(scores, [1 / 3, 1])


def test_averaged_keeps_the_direction_and_bounds():
    metric = averaged(rmse(), 2)

    assert not metric.higher_is_better
    assert metric.bounds == rmse().bounds
