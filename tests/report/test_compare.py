from __future__ import annotations

import pytest

from adapterstilts.errors import DataError
from adapterstilts.metrics import intervals, registry
from adapterstilts.report.compare import Comparison
from adapterstilts.report.sides import side_of, translate_each_other

from .examples import Results, study

ACCURACY = registry.get("accuracy")


def comparison(results: Results, languages=("en", "de"), samples=200) -> Comparison:
    metrics = dict.fromkeys(languages, ACCURACY)
    methods = dict.fromkeys(row.method for row in results.rows)
    sides = {
        method: side_of(
            [row for row in results.rows if row.method == method],
            metrics,
            results.predictions,
            parallel=translate_each_other(results.rows, results.predictions),
        )
        for method in methods
    }
    return Comparison(ACCURACY, sides, samples, 0.95)


def test_intervals_are_those_of_the_metrics_package():
    results = study(examples=40, languages=("en", "de"))
    results.rows = [row for row in results.rows if row.target == "xnli"]
    compared = comparison(results)
    method, baseline = (compared.sides[name].cell for name in ("stack(mnli, target)", "target"))

    found = compared.estimate("stack(mnli, target)", "target")

    assert found.score == intervals.interval(method, ACCURACY, samples=200)
    assert found.gain == intervals.gain(method, baseline, ACCURACY, samples=200)
    assert found.gain.covers == ("seeds", "examples")
    assert found.examples == 80


def test_an_estimate_in_one_language_is_of_that_language():
    results = Results()
    results.add("m", "1111", language="en")
    results.add("m", "0000", language="de")

    compared = comparison(results)

    assert compared.estimate("m", None, "en").score.value == 1
    assert compared.estimate("m", None, "de").score.value == 0
    assert compared.estimate("m", None).score.value == 0.5
    assert compared.estimate("m", None, "de").examples == 4


def test_other_examples_are_refused():
    results = Results()
    results.add("a", "1100")
    results.add("b", "1100", prefix="other")

    with pytest.raises(DataError, match="the examples, their order or their groups differ"):
        comparison(results, ("en",)).estimate("a", "b")


def test_sides_without_anything_in_common_have_no_gain():
    results = Results()
    results.add("a", "1100", seed=0)
    results.add("b", "1100", seed=1)

    assert comparison(results, ("en",)).estimate("a", "b").gain is None
