from __future__ import annotations

from dataclasses import replace

import pytest

from adapterstilts.metrics.core import Prediction
from adapterstilts.report import write_report
from adapterstilts.report.parts import scores_by_part

from .examples import ROW
from .test_display import target

TARGET = target(setting="zero_shot")


def cases(*right: str) -> list[Prediction]:
    """Return examples of groups, right where the group ends in +."""
    return [
        Prediction(str(place), "hate", "hate" if group.endswith("+") else "not", group=group.rstrip("+"))
        for place, group in enumerate(right)
    ]


def test_a_part_is_the_widest_level_of_a_group():
    stored = {"0": cases("slur/1+", "slur/2", "negated/1+", "negated/1+")}

    assert scores_by_part(TARGET, [ROW], stored.__getitem__) == {
        "slur": {"target": 0.5},
        "negated": {"target": 1.0},
    }


def test_means_are_over_languages_and_then_over_seeds_and_draws():
    rows = [ROW, replace(ROW, language="de", artifact="1"), replace(ROW, seed=1, artifact="2")]
    stored = {"0": cases("a/1+"), "1": cases("a/1"), "2": cases("a/1+")}

    assert scores_by_part(TARGET, rows, stored.__getitem__) == {"a": {"target": pytest.approx(0.75)}}


@pytest.mark.parametrize(
    "predictions",
    [
        cases("a+", "b"),
        [Prediction("0", None, "x", group="a/1")],
        [Prediction("0", ["B-X"], ["O"], group="a/1")],
    ],
)
def test_data_without_parts_or_labels_have_none(predictions: list[Prediction]):
    assert scores_by_part(TARGET, [ROW], lambda _: predictions) == {}


def test_other_targets_and_metrics_stay_out():
    rows = [replace(ROW, target="tatoeba"), replace(ROW, main=False), replace(ROW, artifact=None)]

    assert scores_by_part(TARGET, rows, lambda _: cases("a/1+")) == {}


def test_a_report_shows_the_parts(tmp_path):
    stored = cases("slur/1+", "slur/2", "negated/1+", "negated/1+")

    write_report(
        tmp_path, [replace(ROW, value=0.75)], lambda _: stored, recipe="demo", baseline="target", samples=100
    )

    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "### xnli: accuracy by part" in text
    assert "| slur | 0.500 |" in text
