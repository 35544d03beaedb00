"""The benchmark of selectors: its figures on numbers that can be checked by hand, and one small run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import studies

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    return importlib.import_module("benchmarks.selector")


GAINS = {"a": 3.0, "b": 1.0, "c": -1.0, "d": 2.0}


def test_regret_is_what_the_best_of_the_first_lacks(benchmark: Any) -> None:
    found = benchmark.quality("s", "t", {"a": 0.1, "b": 0.9, "c": 0.8, "d": 0.7}, GAINS)
    assert found.regret == {1: 2.0, 3: 1.0}
    right = benchmark.quality("s", "t", GAINS, GAINS)
    assert (right.regret, right.correlation) == ({1: 0.0, 3: 0.0}, pytest.approx(1.0))


def test_chance_is_the_mean_over_all_orders(benchmark: Any) -> None:
    found = benchmark.chance("t", GAINS)
    assert found.regret[1] == pytest.approx(3.0 - 1.25)
    assert found.regret[3] == pytest.approx(3.0 - (3 + 3 + 3 + 2) / 4)


def test_ranks_that_are_shared_count_by_their_middle(benchmark: Any) -> None:
    assert benchmark.spearman([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)
    assert benchmark.spearman([1, 1, 1], [1, 2, 3]) == 0.0
    # Ranks 0.5, 0.5, 2 and 0, 1, 2.
    assert benchmark.spearman([5, 5, 6], [1, 2, 3]) == pytest.approx(0.8660254)


@pytest.mark.parametrize(("name", "intermediates"), [("selector", 9), ("selector-small", 4)])
def test_the_shipped_recipes_are_sound(name: str, intermediates: int) -> None:
    from adapterstilts.recipe.load import load
    from adapterstilts.tasks.spec import HubSource

    recipe = load(str(PROJECT / "benchmarks" / f"{name}.yaml"))
    assert len(recipe.file.intermediate) == intermediates
    sources = [
        split.source
        for task in recipe.tasks.values()
        for splits in task.splits.values()
        for split in splits.values()
    ]
    assert not any(isinstance(source, HubSource) for source in sources)
    assert not any(target.setting == "untrained" for target in recipe.targets)


def test_one_command_measures_and_writes(
    benchmark: Any, backbone_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = ("target", "stack(reply, target)", "stack(pairs, target)")
    recipe = studies.write_recipe(tmp_path, backbone_folder, methods=methods, whole="\n")
    words = ["--recipe", recipe, "--store", tmp_path / "store", "--runs", tmp_path / "out", "--threads", 1]
    out = tmp_path / "result.json"
    assert benchmark.main([*map(str, words), "--out", str(out)]) == 0
    printed = capsys.readouterr().out.splitlines()
    selectors = ["logme", "neighbours", "similarity", "few_step", "size", "random"]
    assert [line.split()[1] for line in printed[1:]] == selectors * 2
    result = json.loads(out.read_text(encoding="utf-8"))["result"]
    assert [one["selector"] for one in result] == selectors
    assert all(one["regret"]["3"] == 0.0 <= one["regret"]["1"] for one in result)
