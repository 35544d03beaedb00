"""The benchmark for a GPU: on a CPU the same code runs on next to nothing, and without a GPU it says so."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.machine import has_cuda

PROJECT = Path(__file__).resolve().parents[2]
SMALL = (
    "--size",
    "tiny",
    "--device",
    "cpu",
    "--tokens",
    "512",
    "--texts",
    "96",
    "--steps",
    "24",
    "--threads",
    "1",
)


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return importlib.import_module("benchmarks.gpu")


@pytest.mark.skipif(has_cuda(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main([]) == 4
    assert "no CUDA device is visible; use --device cpu" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # nested tensors warn that they will change
def test_expected_and_measured_stand_side_by_side(
    benchmark: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    ways = ("engine bf16", "engine bf16 fusion", "library fp32", "4bit bf16")
    benchmark.main([*SMALL, "--only", *ways, "--out", str(out)])
    found = json.loads(out.read_text(encoding="utf-8"))
    rows = {(row["way"], row["kind"]): row for row in found["rows"]}
    assert {way for way, _ in rows} == {*ways}
    for (way, kind), row in rows.items():
        assert row["expected"] > 10**8
        if way.startswith("4bit"):
            assert "back to training" in row["failed"]
            continue
        assert row["failed"] == ""
        assert row["tokens_per_second"] > 0
        assert 0 < row["share"] < 1
        assert 0.5 < row["expected"] / row["measured"] < 1.6
        assert (row["loss"] is None) == (kind == "evaluate")
    assert found["attention"]["largest difference"] < 0.1
    page = capfd.readouterr().out
    assert page.index("expected") < page.index("measured")


@pytest.mark.slow
def test_a_recipe_of_every_way_is_planned_and_learns(benchmark: Any, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert benchmark.main([*SMALL, "--steps", "60", "--only", "engine fp32", "--out", str(out)]) == 0
    (row,) = [one for one in json.loads(out.read_text(encoding="utf-8"))["rows"] if one["learns"] is not None]
    assert row["loss"][1] < row["loss"][0]
