"""The trials of a study on a Ray cluster of several nodes on this machine: the same bits, also when a node dies."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import studies
import tiny
from servers import needs_ray, node_of

from adapterstilts.runner.execute import open_executor
from adapterstilts.runner.prepare import Options, prepare
from adapterstilts.runner.site import Site
from adapterstilts.runner.walk import walk
from adapterstilts.search.run import Telling, run_studies
from adapterstilts.store.store import Store

# Ray warns of what other versions of it will do.
pytestmark = [needs_ray, pytest.mark.distributed, pytest.mark.filterwarnings("ignore")]


@dataclass(frozen=True)
class Serial:
    """A study whose trials came one after the other, in one process.

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
    # Long enough that a report of its steps is seen while a stage runs.
    recipe = studies.write_recipe(
        folder,
        backbone_folder,
        trials=3,
        search="  tune: false\n  sampler: random",
        compositions="[stack]",
        steps=300,
    )
    options = Options(store=folder / "store", out=folder / "out", threads=1)
    studies.run(str(recipe), options)
    return Serial(recipe, studies.told(recipe, options), tiny.digests(Store(folder / "store")))


class Computed(tiny.Listener):
    """Counts how often each stage was computed."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: Counter[str] = Counter()

    def stage_ended(self, stage: Any, status: Any, *rest: Any) -> None:
        super().stage_ended(stage, status, *rest)
        self.computed[stage.key] += status == "done"


def run(recipe: Path, options: Options, listener: tiny.Listener) -> None:
    (done,) = run_studies(prepare(str(recipe), options=options), telling=Telling(listener, studies.Heard()))
    done.raise_failures()


def test_a_node_that_dies_in_a_trial_is_replaced(serial: Serial, tmp_path: Path, cluster: Any) -> None:
    options = Options(
        store=tmp_path / "store", out=tmp_path / "out", threads=1, executor="ray", lease_seconds=2.0
    )
    victims: list[str] = []

    class Killer(Computed):
        def step(self, stage: Any, *rest: Any) -> None:
            super().step(stage, *rest)
            if not victims and stage.name.startswith("target/"):
                victims.append(stage.name)
                node = node_of(cluster, Store(tmp_path / "store"), stage.key)
                cluster.remove_node(node, allow_graceful=False)

    listener = Killer()
    run(serial.recipe, options, listener)
    assert victims
    assert studies.told(serial.recipe, options) == serial.trials
    assert tiny.digests(Store(tmp_path / "store")) == serial.digests
    assert max(listener.computed.values()) == 1


def test_nodes_that_meet_at_a_bucket_train_nothing_twice(
    serial: Serial, tmp_path: Path, bucket: str, cluster: Any
) -> None:
    options = Options(
        store=tmp_path / "store", out=tmp_path / "out", threads=1, executor="ray", mirror=bucket
    )
    listener = Computed()
    run(serial.recipe, options, listener)
    assert studies.told(serial.recipe, options) == serial.trials
    assert max(listener.computed.values()) == 1
    assert len(list((tmp_path / "store" / "nodes").iterdir())) == 2
    # A machine that comes later has everything, and nothing to do.
    late = Options(store=tmp_path / "late", out=tmp_path / "late_out", threads=1, mirror=bucket)
    again = Computed()
    run(serial.recipe, late, again)
    assert max(again.computed.values()) == 0
    assert tiny.digests(Store(tmp_path / "late")) == serial.digests


def test_scores_come_from_the_nodes(serial: Serial, tmp_path: Path, cluster: Any) -> None:
    options = Options(store=tmp_path, threads=1, executor="ray")
    prepared = prepare(str(serial.recipe), {"training.default.steps": 4000}, options)
    heard: list[int] = []
    with closing(open_executor(prepared)) as executor:
        walk(
            prepared.plan,
            prepared.missing,
            Site.of(prepared).open(lambda: False),
            tiny.Listener(),
            executor=executor,
            on_score=lambda stage, step, score: heard.append(step),
        )
    # What comes with the last step may have been overtaken by the ending.
    assert heard[:1] == [2000]
