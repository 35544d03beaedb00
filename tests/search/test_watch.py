"""What a pruner is told of a trial's stages: means of best scores, each at its place, and none twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapterstilts.search.watch import Watch, stopped_by
from adapterstilts.stages.training import CURVE_FILE


@dataclass
class Trial:
    """Optuna's side: remembers what it is told, and ends a trial below a score."""

    told: dict[int, float] = field(default_factory=dict)
    below: float = -1.0

    def report(self, value: float, step: int) -> None:
        assert step not in self.told, "told twice"
        self.told[step] = value

    def should_prune(self) -> bool:
        return self.told[max(self.told)] < self.below


class Store:
    """A store with the curves of finished stages."""

    def __init__(self, folder: Path, **scores: list[float]) -> None:
        self._folder = folder
        self._best = {key: max(values) for key, values in scores.items()}
        for key, values in scores.items():
            lines = [
                {"step": 1, "loss": 0.5},
                *({"step": n, "validation": value} for n, value in enumerate(values)),
            ]
            (folder / key).mkdir(parents=True)
            text = "\n".join(json.dumps(line) for line in lines)
            (folder / key / CURVE_FILE).write_text(text, encoding="utf-8")

    def get(self, key: str) -> Any:
        return SimpleNamespace(
            path=self._folder / key, record=SimpleNamespace(results={"validation": self._best[key]})
        )


def stage(key: str) -> Any:
    return SimpleNamespace(key=key)


def watched(
    trial: Any, store: Any, reported: dict[int, float] | None = None, *, prunes: bool = True
) -> Watch:
    from adapterstilts.runner.reporter import Silent

    return Watch(trial, ("a", "b"), 2, store, Silent(), reported or {}, prunes=prunes)


def train(watch: Watch, key: str, *scores: float) -> None:
    """Tell of a stage of 10 steps with evaluations at its middle and its end."""
    watch.stage_started(stage(key), 1, 2)
    for number, score in enumerate(scores, 1):
        watch.step(stage(key), 5 * number, 10, 0.0, 0.0)
        watch.score(stage(key), 5 * number, score)


def test_a_score_is_the_mean_over_stages_of_the_best_so_far(tmp_path: Path) -> None:
    trial, store = Trial(), Store(tmp_path, a=[0.6, 0.4], b=[0.2, 0.8])
    watch = watched(trial, store)
    train(watch, "a", 0.6, 0.4)
    watch.stage_ended(stage("a"), "done", 1.0, {}, "")
    train(watch, "b", 0.2, 0.8)
    watch.stage_ended(stage("b"), "done", 1.0, {}, "")
    assert trial.told == pytest.approx({1: 0.6, 2: 0.6, 3: 0.4, 4: 0.7})
    assert not watch.pruned


def test_stages_side_by_side_tell_what_they_would_one_after_the_other(tmp_path: Path) -> None:
    trial, store = Trial(), Store(tmp_path, a=[0.6, 0.4], b=[0.2, 0.8])
    watch = watched(trial, store)
    train(watch, "b", 0.2, 0.8)
    watch.stage_ended(stage("b"), "done", 1.0, {}, "")
    assert not watch.pruned
    assert trial.told == {}
    train(watch, "a", 0.6)
    assert not watch.pruned
    assert trial.told == pytest.approx({1: 0.6})
    watch.stage_ended(stage("a"), "done", 1.0, {}, "")
    assert trial.told == pytest.approx({1: 0.6, 2: 0.6, 3: 0.4, 4: 0.7})
    assert list(trial.told) == [1, 2, 3, 4]


def test_stages_that_do_not_count_tell_nothing(tmp_path: Path) -> None:
    trial = Trial(below=1.0)
    watch = watched(trial, Store(tmp_path))
    train(watch, "intermediate", 0.1, 0.1)
    watch.stage_ended(stage("intermediate"), "done", 1.0, {}, "")
    assert trial.told == {}
    assert not watch.pruned


def test_what_is_in_the_store_tells_the_same(tmp_path: Path) -> None:
    trial = Trial()
    watch = watched(trial, Store(tmp_path, a=[0.6, 0.4]))
    watch.stage_ended(stage("a"), "cached", 0.0, {}, "")
    assert trial.told == pytest.approx({1: 0.6, 2: 0.6})


def test_a_trial_that_goes_on_repeats_nothing(tmp_path: Path) -> None:
    trial = Trial({1: 0.6})
    watch = watched(trial, Store(tmp_path, a=[0.6, 0.4]), {1: 0.6})
    train(watch, "a", 0.6, 0.4)
    watch.stage_ended(stage("a"), "done", 1.0, {}, "")
    assert trial.told == pytest.approx({1: 0.6, 2: 0.6})


def test_a_poor_trial_is_stopped_unless_it_is_to_run_whole(tmp_path: Path) -> None:
    watch = watched(Trial(below=0.5), Store(tmp_path))
    asked = stopped_by(watch, lambda: False)
    assert not asked()
    train(watch, "a", 0.3)
    assert watch.pruned and asked()
    whole = watched(Trial(below=0.5), Store(tmp_path), prunes=False)
    train(whole, "a", 0.3)
    assert not whole.pruned
    assert stopped_by(whole, lambda: True)()
