"""One documented function a metric, over plain lists: they score as the metric of the same name."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from adapterstilts import metrics
from adapterstilts.errors import DataError
from adapterstilts.metrics import registry

FAMILIES = {"recall@5": "recall_at", "recall@10": "recall_at"}
FUNCTIONS = {name: getattr(metrics, FAMILIES.get(name, name)) for name in registry.names()}

GOLD, ANSWERS = ["a", "b", "c", "a"], ["a", "b", "b", "c"]
SETS, FOUND = [["a"], ["a", "b"], []], [["a", "b"], ["b", "a"], ["c"]]
TAGGED = [["B-X", "I-X", "O"], ["O", "B-Y"]], [["B-X", "O", "O"], ["O", "I-Y"]]
POS = [["NOUN", "NOUN", "VERB"], ["SYM", "SYM"]], [["NOUN", "ADJ", "VERB"], ["SYM", "SYM"]]
TEXTS = [["the Rhine", "Rhine"], ["a 1"]], ["Rhine!", None]


# Expected values are counted by hand.
@pytest.mark.parametrize(
    ("name", "arguments", "score"),
    [
        ("accuracy", (GOLD, ANSWERS), 1 / 2),
        ("accuracy_by_part", (GOLD, ANSWERS, ["x", "x", "x", "y"]), (2 / 3 + 0) / 2),
        ("macro_f1", (GOLD, ANSWERS), (2 / 3 + 2 / 3 + 0) / 3),
        ("macro_f1", (GOLD, ANSWERS, ["a", "b"]), 2 / 3),
        ("micro_f1", (GOLD, ANSWERS), 1 / 2),
        ("micro_f1", (SETS, FOUND), 2 * 3 / (3 + 5)),
        ("weighted_f1", (GOLD, ANSWERS), (2 * 2 / 3 + 2 / 3 + 0) / 4),
        ("macro_recall", (GOLD, ANSWERS), (1 / 2 + 1 + 0) / 3),
        ("class_f1", (GOLD, ANSWERS, "a"), 2 / 3),
        ("ece", (["a", "b"], ["a", "a"], [{"a": 0.9}, {"a": 0.9}]), 0.4),
        ("headqa_points", ([0, 1, 2], [0, 2, None]), (3 - 1 + 0) / 3),
        ("exact_match", (SETS, FOUND), 1 / 3),
        ("hamming_score", (SETS, FOUND), (1 / 2 + 1 + 0) / 3),
        ("hamming_loss", (SETS, FOUND, ["a", "b", "c"]), 2 / 9),
        ("pearson", ([1, 2, 3], [2, 4, 6]), 1),
        ("rmse", ([1, 2], [1, 4]), 2**0.5),
        ("mae", ([1, 2], [1, 4]), 1),
        ("udpos_f1", POS, 2 * 3 / (4 + 5)),
        ("token_accuracy", POS, 4 / 5),
        ("span_f1", TAGGED, 1 / 2),
        ("strict_span_f1", TAGGED, 0),
        ("entity_f1", ([[(0, 2, "X")], []], [[(0, 2, "X")], [(1, 2, "X")]]), 2 / 3),
        ("squad_em", TEXTS, 1 / 2),
        ("squad_f1", TEXTS, 1 / 2),
        ("squad_em_f1", TEXTS, 1 / 2),
        ("squad2_em", ([[], ["x"]], ["", "y x"]), 1 / 2),
        ("squad2_f1", ([[], ["x"]], ["", "y x"]), (1 + 2 / 3) / 2),
        ("mlqa_em", ([["die Stadt"]], ["Stadt"], "de"), 1),
        ("mlqa_f1", ([["die Stadt Bonn"]], ["Stadt"], "de"), 2 / 3),
        ("mlqa_em_f1", ([["die Stadt Bonn"]], ["Stadt"], "de"), 1 / 3),
        ("retrieval_accuracy", ([0, 1], [[0, 1], [0, 1]]), 1 / 2),
        ("mrr", ([0, 1], [[0, 1], [0, 1]]), 3 / 4),
        ("recall_at", ([0, 1], [[0, 1], [0, 1]], 2), 1),
        ("bitext_f1", ([("a", "x"), ("b", "y")], [("a", "x"), ("b", "z"), ("c", "y")]), 2 / 5),
    ],
)
def test_a_function_scores_plain_lists(name, arguments, score):
    assert getattr(metrics, name)(*arguments) == pytest.approx(score)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_metric_has_a_documented_function_of_its_name(name):
    function = FUNCTIONS[name]

    assert inspect.getdoc(function).startswith("Return")
    assert function.__module__ == "adapterstilts.metrics"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (metrics.accuracy, (["a"], [])),
        (metrics.accuracy_by_part, (["a"], ["a"], [])),
        (metrics.ece, (["a"], ["a"], [])),
        (metrics.accuracy, ([], [])),
    ],
)
def test_lists_of_different_length_or_none_are_refused(function, arguments):
    with pytest.raises(DataError):
        function(*arguments)


def test_nothing_of_it_needs_torch():
    code = "import sys; from adapterstilts import metrics; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
