"""What training took for a study's trials: shared work once, beside each trial from nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from adapterstilts.report.studies import Spending
from adapterstilts.search.records import Tried
from adapterstilts.search.spending import spending
from adapterstilts.specs import BACKBONE, LONGER

# key: (seconds of its training, role -> key of what it was made from)
STAGES: dict[str, tuple[float | None, dict[str, str]]] = {
    "backbone": (None, {}),
    "nli": (10.0, {BACKBONE: "backbone"}),
    "qa": (20.0, {BACKBONE: "backbone"}),
    "mean": (None, {"x0": "nli", "x1": "qa"}),
    "on nli": (1.0, {BACKBONE: "backbone", "x0": "nli"}),
    "on mean": (2.0, {BACKBONE: "backbone", "x0": "mean", "x1": "nli"}),
    "longer": (4.0, {BACKBONE: "backbone", LONGER: "qa"}),
}


def _store(stages: Mapping[str, tuple[float | None, dict[str, str]]]) -> Any:
    def find(key: str) -> Any:
        if key not in stages:
            return None
        seconds, inputs = stages[key]
        results = {} if seconds is None else {"seconds": seconds}
        return SimpleNamespace(record=SimpleNamespace(results=results, inputs=inputs))

    return SimpleNamespace(find=find)


def trial(number: int, *trained: str, complete: bool = True) -> Tried:
    values = (0.5,) if complete else ()
    return Tried(number, "", "search", "", None, values, "", None, "", None, None, trained)


def test_shared_work_counts_once_together_and_each_time_alone() -> None:
    trials = [trial(0, "on nli"), trial(1, "on mean"), trial(2, "on nli"), trial(3, "longer")]
    together = 10.0 + 20.0 + 1.0 + 2.0 + 4.0
    alone = (10.0 + 1.0) * 2 + (10.0 + 20.0 + 2.0) + 4.0
    assert spending(trials, _store(STAGES)) == Spending(4, 5, together, 8, alone)


def test_trials_without_a_value_are_left_out() -> None:
    assert spending([trial(0, "on nli", complete=False)], _store(STAGES)) == Spending(0, 0, 0.0, 0, 0.0)


def test_nothing_is_told_of_work_that_is_no_longer_there() -> None:
    without = {key: stage for key, stage in STAGES.items() if key != "nli"}
    assert spending([trial(0, "on nli")], _store(without)) is None
