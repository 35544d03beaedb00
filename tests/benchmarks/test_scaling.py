"""The simulated study: the bounds that any schedule has, and the figures that the documentation shows."""

from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.backbones import DEFAULT_MODEL, KNOWN
from adapterstilts.runner.prepare import Options, Prepared, prepare

PROJECT = Path(__file__).resolve().parents[2]
WEIGHTS = KNOWN[DEFAULT_MODEL].parameters * 4


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    return importlib.import_module("benchmarks.scaling")


@pytest.fixture
def small(tmp_path: Path) -> Prepared:
    changes = {
        "intermediate": ["mnli", "qqp"],
        "domain": [],
        "targets": ["paws-x"],
        "methods": ["target", "stack(mnli, target)", "fuse(mnli, qqp, target)", "full_stilts(mnli)"],
        "seeds": [0],
        "adapters": {},
        "training.by_task": {},
    }
    return prepare("cross-domain", changes, Options(store=tmp_path, device="cpu"), look_inside=False)


def test_one_gpu_takes_the_sum_and_many_the_longest_chain(benchmark: Any, small: Prepared) -> None:
    costs = benchmark.costs_of(small, benchmark.Device())
    one, many = (benchmark.simulate(small.plan, costs, gpus) for gpus in (1, 1000))
    assert one.hours * 3600 == pytest.approx(sum(costs.seconds.values()))
    assert one.busy == pytest.approx(1.0)
    chain = benchmark.longest_chain(small.plan, costs.seconds)
    assert many.hours * 3600 == pytest.approx(sum(costs.seconds[key] for key in chain))
    for before, after in itertools.pairwise(chain):
        assert before in small.plan.stages[after].inputs.values()
    two = benchmark.simulate(small.plan, costs, 2)
    assert max(one.hours / 2, many.hours) <= two.hours <= one.hours
    assert two.gpu_hours == pytest.approx(2 * two.hours)


def test_whole_models_go_and_everything_else_stays(benchmark: Any, small: Prepared) -> None:
    costs = benchmark.costs_of(small, benchmark.Device())
    assert len(costs.whole) == 2
    run = benchmark.simulate(small.plan, costs, 1)
    assert run.kept_gb * 1e9 == pytest.approx(sum(costs.size.values()) - 2 * WEIGHTS)
    assert run.peak_gb * 1e9 > 2 * WEIGHTS
    read = sum(costs.size[one] for stage in small.plan.stages.values() for one in set(stage.inputs.values()))
    assert run.traffic_tb * 1e12 == pytest.approx(sum(costs.size.values()) + read + WEIGHTS)


def test_work_costs_what_its_kind_costs(benchmark: Any, small: Prepared) -> None:
    device = benchmark.Device(tflops=100.0, share=0.5, start=0.0)
    by_kind = {
        stage.spec.kind: benchmark._seconds(stage, 1_000_000, device) for stage in small.plan.stages.values()
    }
    weights = 12 * 24 * 1024**2
    assert by_kind["train_adapter"] == pytest.approx(4 * weights * 1e6 / 5e13)
    assert by_kind["full_finetune"] / by_kind["train_adapter"] == pytest.approx(1.5)
    assert by_kind["evaluate"] / by_kind["train_adapter"] == pytest.approx(0.5)
    assert by_kind["train_fusion"] / by_kind["train_adapter"] == pytest.approx(0.85 + 0.34 * 3)


def test_the_documentation_shows_what_the_command_prints(
    benchmark: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert benchmark.main(["--out", str(tmp_path / "scaling.json")]) == 0
    shown = capsys.readouterr().out
    assert f"```text\n{shown}```" in (PROJECT / "docs" / "scaling.md").read_text(encoding="utf-8")
    data = json.loads((tmp_path / "scaling.json").read_text(encoding="utf-8"))
    assert [run["gpus"] for run in data["runs"]] == [1, 8, 64]
    assert data["device"] == {"tflops": 312.0, "share": 0.4, "start": 3.0}
