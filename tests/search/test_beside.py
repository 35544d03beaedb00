"""Trials side by side: the same trials and the same bits as one after the other, and nothing trained twice."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import studies
import tiny

from adapterstilts.errors import Interrupted
from adapterstilts.report.studies import read_study
from adapterstilts.runner import site as site_module
from adapterstilts.runner.execute import Run
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.search.run import Telling, run_studies
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
    search = "  tune: false\n  sampler: random"
    recipe = studies.write_recipe(folder, backbone_folder, trials=5, search=search, steps=6)
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    assert tiny.run_in_child(studies.run, str(recipe), options) == 0
    return Serial(recipe, studies.told(recipe, options), tiny.digests(Store(folder / "store")))


@pytest.fixture(autouse=True)
def _cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers fit, however small the machine is."""
    monkeypatch.setattr(site_module, "cores", lambda: 2)


def options_in(folder: Path, **more: Any) -> Options:
    return Options(store=folder / "store", out=folder / "out", threads=1, workers=2, **more)


def run(
    recipe: Path, options: Options, stages: tiny.Listener, stop: Callable[[], bool] = lambda: False
) -> tuple[Run, studies.Heard]:
    heard = studies.Heard()
    (done,) = run_studies(prepare(str(recipe), options=options), None, Telling(stages, heard, (), stop))
    done.raise_failures()
    return done, heard


def test_two_workers_find_what_one_finds(serial: Serial, tmp_path: Path) -> None:
    options, listener = options_in(tmp_path), Counting()
    done, heard = run(serial.recipe, options, listener)
    assert studies.told(serial.recipe, options) == serial.trials
    assert sorted(trial.number for trial in heard.trials) == list(range(len(serial.trials)))
    assert any(trial.same_as is not None for trial in serial.trials)
    assert tiny.digests(Store(tmp_path / "store")) == serial.digests
    assert set(listener.computed.values()) == {1, 0} or set(listener.computed.values()) == {1}
    assert listener.most >= 2
    # The comparison's stages as well.
    facts = read_study(done.out)
    assert facts is not None
    assert {row.seed for row in done.rows} == {0}
