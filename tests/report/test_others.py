from __future__ import annotations

from dataclasses import replace

import pytest

from adapterstilts.report.others import other_metrics

from .examples import ROW
from .test_display import target

TARGET = target(setting="zero_shot")


def row(value: float | None, **changes: object):
    return replace(ROW, **{"metric": "macro_f1", "main": False, "value": value, **changes})


def test_means_are_over_languages_and_then_over_seeds():
    rows = [row(0.2), row(0.4, language="de"), row(0.9, seed=1)]

    assert other_metrics(TARGET, rows) == {"macro_f1": {"target": pytest.approx(0.6)}}


def test_main_metrics_other_targets_and_missing_values_stay_out():
    rows = [ROW, row(0.5, target="tatoeba"), row(0.5, split="validation"), row(None)]

    assert other_metrics(TARGET, rows) == {}


def test_draws_count_like_seeds():
    rows = [row(0.2, draw=0), row(0.4, draw=1), row(0.9, draw=0, seed=1), row(0.9, draw=1, seed=1)]

    assert other_metrics(TARGET, rows) == {"macro_f1": {"target": pytest.approx(0.6)}}
