"""Trials side by side: the same trials and the same bits as one after the other, and nothing trained twice."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import studies
import tiny
from optuna.trial import TrialState

from adapterstilts.errors import Interrupted
from adapterstilts.runner import site as site_module
from adapterstilts.runner.attempt import Ending, Follower, Work
from adapterstilts.runner.executor import Shared
from adapterstilts.runner.missing import ABSENT, NOT_KEPT
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.search.objective import Objective
from adapterstilts.search.records import tried
from adapterstilts.search.run import Telling, open_search, run_studies
from adapterstilts.store.store import Store


class Counting(tiny.Listener):
    """Counts how often each stage was computed, and how many were under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: Counter[str] = Counter()
        self.now: set[str] = set()
        self.most = 0

    def stage_started(self, stage: Any, number: int, count: int) -> None:
        self.now.add(stage.key)
        self.most = max(self.most, len(self.now))

    def stage_ended(self, stage: Any, status: Any, *rest: Any) -> None:
        super().stage_ended(stage, status, *rest)
        self.now.discard(stage.key)
        self.computed[stage.key] += status == "done"


@dataclass(frozen=True)
class Serial:
    """A study whose trials came one after the other.

    Attributes:
        recipe: its file.
        trials: of it.
        digests: of all that it made.
    """

    recipe: Path
    trials: list[Any]
    digests: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def serial(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Serial:
    folder = tmp_path_factory.mktemp("serial")
    # What is drawn at random does not depend on what the neighbours found.
    recipe = studies.write_recipe(folder, backbone_folder, trials=4, search="  sampler: random")
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    studies.run(str(recipe), options)
    return Serial(recipe, studies.told(recipe, options), tiny.digests(Store(folder / "store")))


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers fit, however small the machine is."""
    monkeypatch.setattr(site_module, "cores", lambda: 2)


def options_in(folder: Path, **more: Any) -> Options:
    return Options(store=folder / "store", out=folder / "out", threads=1, workers=2, **more)


def run(
    recipe: Path, options: Options, stages: tiny.Listener, stop: Callable[[], bool] = lambda: False
) -> studies.Heard:
    heard = studies.Heard()
    (done,) = run_studies(prepare(str(recipe), options=options), None, Telling(stages, heard, (), stop))
    done.raise_failures()
    return heard


def test_two_workers_find_what_one_finds(serial: Serial, tmp_path: Path) -> None:
    options, listener = options_in(tmp_path), Counting()
    heard = run(serial.recipe, options, listener)
    assert studies.told(serial.recipe, options) == serial.trials
    assert sorted(trial.number for trial in heard.trials) == list(range(len(serial.trials)))
    # Two trials that mean the same are begun one after the other, and the second waits for its value.
    assert any(trial.same_as is not None for trial in serial.trials)
    # The comparison's stages are among them.
    assert tiny.digests(Store(tmp_path / "store")) == serial.digests
    assert max(listener.computed.values()) == 1
    assert sum(listener.computed.values()) == len(list(Store(tmp_path / "store").artifacts()))
    assert listener.most >= 2


@pytest.mark.distributed
def test_a_trial_whose_worker_is_killed_goes_on(serial: Serial, tmp_path: Path) -> None:
    options = options_in(tmp_path, checkpoint_seconds=0.0)
    killed: list[str] = []

    class Killer(Counting):
        def step(self, stage: Any, *rest: Any) -> None:
            super().step(stage, *rest)
            if stage.name.startswith("target/") and len(killed) < 2:
                killed.append(stage.key)
                newest = max((tmp_path / "store" / "leases" / stage.key).iterdir())
                os.kill(int(json.loads(newest.read_text())["pid"]), signal.SIGKILL)

    run(serial.recipe, options, Killer())
    assert len(killed) == 2
    assert studies.told(serial.recipe, options) == serial.trials
    assert tiny.digests(Store(tmp_path / "store")) == serial.digests


@pytest.mark.distributed
def test_a_request_to_stop_leaves_the_trials_to_the_next_run(serial: Serial, tmp_path: Path) -> None:
    options = options_in(tmp_path, checkpoint_seconds=9999.0)
    asked: list[bool] = []

    class Stopper(tiny.Listener):
        def step(self, *arguments: Any) -> None:
            asked.append(True)

    with pytest.raises(Interrupted):
        run(serial.recipe, options, Stopper(), lambda: bool(asked))
    assert {trial.state for trial in studies.told(serial.recipe, options)} <= {"running", "complete"}
    # They are taken up where they were, by as many workers as there are then.
    alone = replace(options, workers=1)
    assert tiny.run_in_child(studies.run, str(serial.recipe), alone) == 0
    assert studies.told(serial.recipe, alone) == serial.trials
    assert tiny.digests(Store(tmp_path / "store")) == serial.digests


class Breaking:
    """A tracker that ends every fusion; it is sent to the workers."""

    def start(self, stage: str, settings: Any) -> None:
        if stage.startswith("fusion/"):
            raise ValueError("fusions are out of order")

    def log(self, step: int, values: Any) -> None:
        pass

    def finish(self) -> None:
        pass


@pytest.mark.distributed
def test_a_failed_trial_is_recorded_beside_those_that_go_on(backbone_folder: Path, tmp_path: Path) -> None:
    whole = "search: {trials: 9, over: {compositions: [stack, fuse], adapters: 2}, tune: false}"
    recipe = studies.write_recipe(tmp_path, backbone_folder, whole=whole, steps=2)
    options, heard = options_in(tmp_path), studies.Heard()
    prepared = prepare(str(recipe), options=options)
    run_studies(prepared, None, Telling(tiny.Listener(), heard, (Breaking(),)))
    failed = [trial for trial in heard.trials if trial.state == "failed"]
    assert failed
    assert {trial.family for trial in failed} == {"fuse"}
    assert {trial.error for trial in failed} == {"ValueError: fusions are out of order"}
    assert {trial.state for trial in heard.trials if trial.family != "fuse"} == {"complete"}


# ---- what is shared, and what is told when


def test_what_a_trial_tries_is_known_before_the_next_one_is_asked_for(
    backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler keeps away from what running trials try (constant liar), so it has to know it."""
    recipe = studies.write_recipe(tmp_path, backbone_folder, trials=3, search="  tune: false")
    loop = open_search(prepare(str(recipe), options=Options(store=tmp_path / "store", threads=1)))
    both, known = threading.Barrier(2, timeout=60), []
    propose = loop.objective.propose

    def proposed(trial: Any) -> Any:
        known.append([one.params for one in loop.study.get_trials(states=(TrialState.RUNNING,))])
        return propose(trial)

    def run_nothing(work: Any, trial: Any, stop: Any) -> tuple[float]:
        # Neither ends before the other has begun.
        if trial.number < 2:
            both.wait()
        return (0.5,)

    monkeypatch.setattr(Objective, "slots", 2)
    monkeypatch.setattr(loop.objective, "propose", proposed)
    monkeypatch.setattr(loop.objective, "run", run_nothing)
    loop.run()
    assert [trial.state for trial in tried(loop.study)] == ["complete"] * 3
    running = known[1]
    assert len(running) == 2
    assert running[0]


class Slow:
    """An executor whose stages end when they are told to."""

    slots = 2

    def __init__(self) -> None:
        self.started: list[Future[Ending]] = []

    def start(self, work: Work, follower: Follower) -> Future[Ending]:
        self.started.append(Future())
        return self.started[-1]

    def close(self) -> None:
        pass


def test_a_stage_of_two_trials_is_started_once() -> None:
    slow = Slow()
    shared = Shared(slow)
    stage: Any = SimpleNamespace(key="k")
    follower = Follower(lambda *_: None)
    first = shared.start(Work(stage, ABSENT), follower)
    assert shared.start(Work(stage, ABSENT), follower).result().status == "busy"
    slow.started[0].set_result(Ending("failed", error=ValueError()))
    assert first.result().status == "failed"
    again = shared.start(Work(stage, ABSENT), follower)
    slow.started[1].set_result(Ending("done", results={"score": 1.0}))
    assert again.result().status == "done"
    there = shared.start(Work(stage, ABSENT), follower).result()
    assert (there.status, there.results) == ("cached", {"score": 1.0})
    # Weights that were let go are made again.
    shared.start(Work(stage, NOT_KEPT), follower)
    assert len(slow.started) == 3
