"""A run without adapters in the lowest layers: the same bits whatever becomes of the states that it keeps."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from adapterstilts.metrics.files import read_predictions
from adapterstilts.paths import ENGINE
from adapterstilts.runner.prepare import Options
from adapterstilts.stages.predict import Predictor
from adapterstilts.store.bounded import BOUND_VARIABLE
from adapterstilts.store.store import Store

METHODS = ("target", "stack(pairs, target)", "fuse(pairs, target)", "head_only", "with(low, target)")
SETTINGS = "adapters: {low: {reduction_factor: 4, skip_layers: 0}}\n"


@pytest.fixture(scope="module")
def recipe(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prefix")
    path = tiny.write_recipe(
        folder,
        backbone_folder,
        methods=METHODS,
        languages=["xx"],
        seeds=[0, 1],
        steps=3,
        more=SETTINGS,
    )
    text = path.read_text(encoding="utf-8").replace("precision: fp32", "precision: bf16")
    path.write_text(text.replace("reduction_factor: 4}", "reduction_factor: 4, skip_layers: 2}", 1), "utf-8")
    return path


@pytest.fixture(scope="module")
def cold(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of a run that found nothing kept."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("cold")
    tiny.train(str(recipe), Options(store=root))
    return Store(root)


def kept(store: Store) -> list[Path]:
    return sorted((store.cache / "prefix").glob("*"))


def test_each_split_is_computed_once_for_all_methods_and_seeds(cold: Store) -> None:
    # Below the adapters of two layers: pairs, topics, and the test texts in one language. The bare backbone under a
    # head: topics and the test texts at the last layer; retrieval: two sides at the first, and with pairs at two.
    assert len(kept(cold)) == 3 + 2 + 2
    assert all(path.suffix == ".npy" for path in kept(cold))
    paths = {one.record.spec["numerics"]["path"] for one in cold.artifacts() if "numerics" in one.record.spec}
    assert paths == {ENGINE}


def test_the_states_that_are_kept_are_used(cold: Store, recipe: Path, tmp_path: Path) -> None:
    """States of zero give other weights: nothing is computed where they are found."""
    shutil.copytree(cold.cache, tmp_path / "cache")
    for path in (tmp_path / "cache" / "prefix").iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:128] + bytes(len(data) - 128))
    tiny.train(str(recipe), Options(store=tmp_path))
    ours, theirs = tiny.digests(Store(tmp_path)), tiny.digests(cold)
    assert ours["target/topics/target@0"] != theirs["target/topics/target@0"]
    assert ours["target/topics/with(low, target)@0"] == theirs["target/topics/with(low, target)@0"]


def _warm(cold: Store, root: Path) -> dict[str, Any]:
    shutil.copytree(cold.cache, root / "cache")
    return {}


def _deleted_midway(_: Store, root: Path) -> dict[str, Any]:
    class Deleting(tiny.Listener):
        def stage_started(self, stage: Any, number: int, count: int) -> None:
            super().stage_started(stage, number, count)
            if number % 2:
                shutil.rmtree(root / "cache" / "prefix", ignore_errors=True)

    return {"reporter": Deleting()}


def _nowhere_to_write(_: Store, root: Path) -> dict[str, Any]:
    (root / "cache").mkdir()
    (root / "cache" / "prefix").write_text("a file where a folder should be", encoding="utf-8")
    return {}


@pytest.mark.parametrize("arrange", [_warm, _deleted_midway, _nowhere_to_write])
def test_bits_do_not_depend_on_what_is_kept(
    cold: Store, recipe: Path, tmp_path: Path, arrange: Callable[[Store, Path], dict[str, Any]]
) -> None:
    more = arrange(cold, tmp_path)
    tiny.train(str(recipe), Options(store=tmp_path), **more)
    assert tiny.digests(Store(tmp_path)) == tiny.digests(cold)


def test_bits_do_not_depend_on_the_bound(
    cold: Store, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BOUND_VARIABLE, "0")
    tiny.train(str(recipe), Options(store=tmp_path))
    assert tiny.digests(Store(tmp_path)) == tiny.digests(cold)
    assert kept(Store(tmp_path)) == []


def test_killed_while_it_writes_it_ends_in_the_same_bits(cold: Store, recipe: Path, tmp_path: Path) -> None:
    options: Any = Options(store=tmp_path)
    kill_at = "cache_write:2"
    assert tiny.run_in_child(tiny.train, str(recipe), options, kill_at=kill_at) == -signal.SIGKILL
    assert sorted(path.suffix for path in kept(Store(tmp_path))) == [".npy", ".part"]
    tiny.train(str(recipe), options)
    assert tiny.digests(Store(tmp_path)) == tiny.digests(cold)
    assert Store(tmp_path).collect_garbage(cache=True)
    assert kept(Store(tmp_path)) == []


def test_killed_in_training_it_goes_on_without_what_was_kept(
    cold: Store, recipe: Path, tmp_path: Path
) -> None:
    options: Any = Options(store=tmp_path, checkpoint_seconds=0.0)
    kill_at = "optimiser_step:8"
    assert tiny.run_in_child(tiny.train, str(recipe), options, kill_at=kill_at) == -signal.SIGKILL
    assert list((tmp_path / "checkpoints").iterdir())
    shutil.rmtree(tmp_path / "cache")
    tiny.train(str(recipe), options)
    assert tiny.digests(Store(tmp_path)) == tiny.digests(cold)


def test_new_texts_are_answered_as_those_of_a_run_and_leave_nothing(cold: Store, recipe: Path) -> None:
    before = {path: path.stat().st_size for path in kept(cold)}
    artifacts = {one.record.name: one for one in cold.artifacts()}
    scored = read_predictions(artifacts["evaluate/topics.xx.test/target@0"].path)
    lines = (recipe.parent / "data" / "topics.xx.jsonl").read_text(encoding="utf-8").splitlines()
    predictor = Predictor.load(artifacts["target/topics/target@0"].record.key, store=cold.root, offline=True)
    torch.set_num_threads(1)
    found = predictor.predict([json.loads(line)["text"] for line in lines])
    assert [one.prediction for one in found] == [one.prediction for one in scored]
    assert {path: path.stat().st_size for path in kept(cold)} == before


def test_asked_to_stop_it_stops_while_it_computes_states(recipe: Path, tmp_path: Path) -> None:
    from adapterstilts.errors import Interrupted

    asked = iter([False, True])
    with pytest.raises(Interrupted, match="subwords of the lowest layers: stopped on request"):
        tiny.train(str(recipe), Options(store=tmp_path), stop=lambda: next(asked))
    assert kept(Store(tmp_path)) == []
