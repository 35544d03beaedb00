from __future__ import annotations

import re

import pytest

from adapterstilts.errors import UsageError
from adapterstilts.metrics import registry
from adapterstilts.metrics.build import score_lists


@pytest.mark.parametrize("name", registry.names())
def test_every_name_gives_the_metric_of_that_name(name):
    assert registry.get(name, language="de", labels=("a", "b")).name == name


@pytest.mark.parametrize(
    ("kind", "main"),
    [
        ("classification", "accuracy"),
        ("multilabel", "macro_f1"),
        ("regression", "pearson"),
        ("multiple_choice", "accuracy"),
        ("multi_select", "exact_match"),
        ("tagging", "span_f1"),
        ("span_qa", "squad_f1"),
        ("retrieval", "retrieval_accuracy"),
    ],
)
def test_the_usual_main_metric_of_a_kind_comes_first(kind, main):
    assert registry.names(kind)[0] == main


def test_errors_and_nothing_else_are_better_when_lower():
    metrics = [registry.get(name, language="de", labels=("a", "b")) for name in registry.names()]

    assert {m.name for m in metrics if not m.higher_is_better} == {"ece", "rmse", "mae", "hamming_loss"}


def test_kinds_have_their_own_metrics_only():
    assert registry.names("regression") == ("pearson", "rmse", "mae")
    assert registry.names("mlm") == ()


def test_labels_reach_class_metrics():
    gold, predicted = ["a", "b"], ["a", "c"]

    assert score_lists(registry.get("macro_f1", labels=["a", "b"]), gold, predicted) == pytest.approx(1 / 2)
    assert score_lists(registry.get("macro_f1"), gold, predicted) == pytest.approx(1 / 3)


def test_the_language_reaches_metrics_that_normalise():
    gold, predicted = [["die Stadt"]], ["Stadt"]

    assert score_lists(registry.get("mlqa_em", language="de"), gold, predicted) == 1
    assert score_lists(registry.get("mlqa_em", language="en"), gold, predicted) == 0
    with pytest.raises(UsageError, match="needs the language"):
        registry.get("mlqa_em")


def test_recall_at_any_k():
    assert score_lists(registry.get("recall@2"), [1], [[0, 1]]) == 1


def test_macro_f1_of_some_labels():
    gold, predicted = ["none", "against", "favor"], ["favor", "against", "favor"]
    metric = registry.get("macro_f1@against+favor", labels=("none", "against", "favor"))

    # against 1, favor 2 * 1 / (2 + 1)
    assert score_lists(metric, gold, predicted) == pytest.approx((1 + 2 / 3) / 2)
    assert metric.name == "macro_f1@against+favor"
    assert registry.get("macro_f1@against").name == "macro_f1@against"


def test_accuracy_by_part_takes_the_parts_from_the_groups():
    metric = registry.get("accuracy_by_part")

    assert score_lists(metric, "aab", "abb", groups=["x/1", "x/2", "y/3"]) == pytest.approx((1 / 2 + 1) / 2)


def test_f1_of_one_label():
    assert registry.get("f1@irony", labels=("irony", "none")).name == "f1@irony"
    assert registry.get("f1@irony").name == "f1@irony"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("macro-f1", "macro_f1"),
        ("acuracy", "accuracy"),
        ("f1@irnoy", "f1@irony"),
        ("recall@x", "recall@5"),
        ("macro_f1@", "macro_f1"),
        ("macro_f1@irony+", "macro_f1"),
        ("f1@", "f1@none"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name, near):
    with pytest.raises(UsageError, match=f"'{re.escape(name)}' is not a metric; did you mean '{near}'"):
        registry.get(name, labels=("irony", "none"))


@pytest.mark.parametrize("name", ["macro_f1@irony+iron", "bleu-4 of it"])
def test_a_name_like_none_is_refused_with_what_there_is(name):
    with pytest.raises(UsageError, match=rf"'{re.escape(name)}' is not a metric; accuracy, .*, f1@none$"):
        registry.get(name, labels=("irony", "none"))
