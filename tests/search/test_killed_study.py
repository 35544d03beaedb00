"""A study that is killed at any named point is finished to the same trials, with nothing done twice."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import studies
import tiny

from adapterstilts.runner.prepare import Options
from adapterstilts.store.store import Store


@dataclass(frozen=True)
class Unbroken:
    """A study that nobody killed.

    Attributes:
        recipe: its file.
        trials: of it.
        digests: of all that it made.
    """

    recipe: Path
    trials: list[Any]
    digests: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def unbroken(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    folder = tmp_path_factory.mktemp("unbroken")
    recipe = studies.write_recipe(
        folder, backbone_folder, trials=4, search="  pruner: median\n  tune: false", evaluations=3
    )
    options = options_in(folder)
    assert tiny.run_in_child(studies.run, str(recipe), options) == 0
    return Unbroken(recipe, studies.told(recipe, options), tiny.digests(Store(folder / "store")))


def options_in(folder: Path) -> Options:
    return Options(store=folder / "store", out=folder / "out", threads=1, checkpoint_seconds=0.0)


@pytest.mark.parametrize(
    "kill_at",
    [
        "trial_asked:2",
        "trial_planned:1",
        "optimiser_step:11",
        "checkpoint_write:9",
        "before_rename:4",
        "after_rename:4",
        "evaluation:1",
        "trial_tell:3",
        "trial_told:4",
    ],
)
@pytest.mark.parametrize(
    "storage", [pytest.param("sqlite", id="sqlite"), pytest.param("journal", marks=pytest.mark.slow)]
)
def test_a_killed_study_is_finished_to_the_same_trials(
    unbroken: Unbroken, tmp_path: Path, kill_at: str, storage: str
) -> None:
    url = None if storage == "sqlite" else f"journal:{tmp_path / 'study.journal'}"
    options = options_in(tmp_path)
    killed = tiny.run_in_child(studies.run, str(unbroken.recipe), options, url, kill_at=kill_at)
    assert killed == -signal.SIGKILL
    assert tiny.run_in_child(studies.run, str(unbroken.recipe), options, url) == 0
    assert studies.told(unbroken.recipe, options, url) == unbroken.trials
    store = Store(tmp_path / "store")
    assert tiny.digests(store) == unbroken.digests
    assert store.verify() == []


@pytest.mark.distributed
def test_two_processes_share_a_study_and_one_is_killed(unbroken: Unbroken, tmp_path: Path) -> None:
    url, options = f"journal:{tmp_path / 'study.journal'}", options_in(tmp_path)
    with tiny.child(studies.run, str(unbroken.recipe), options, url, kill_at="optimiser_step:9") as first:
        assert tiny.run_in_child(studies.run, str(unbroken.recipe), options, url) == 0
        first.join(120)
    trials = studies.told(unbroken.recipe, options, url)
    assert [trial.state in ("complete", "pruned") for trial in trials] == [True] * len(unbroken.trials)
    works = [trial.work for trial in trials if trial.same_as is None]
    assert len(works) == len(set(works))
