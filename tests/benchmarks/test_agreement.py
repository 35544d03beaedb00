"""The benchmark of agreement: its figures on answers that can be checked by hand, and one small run."""

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
    return importlib.import_module("benchmarks.agreement")


def test_shares_and_spreads(benchmark: Any) -> None:
    cells = [("news", "de", "target", seed) for seed in (0, 1)]
    reference = benchmark.Answers(
        dict(zip(cells, (50.0, 54.0), strict=True)),
        dict(zip(cells, ({"1": "a", "2": "b"}, {"1": "a", "2": "a"}), strict=True)),
    )
    other = benchmark.Answers(
        dict(zip(cells, (40.0, 40.0), strict=True)), {cell: {"1": "b", "2": "b"} for cell in cells}
    )
    rows = benchmark.compare({"library fp32": reference, "engine bf16": other})
    assert [(row.arithmetic, row.score, row.same) for row in rows] == [
        ("library fp32", 52.0, 1.0),
        ("engine bf16", 40.0, 0.25),
        ("seeds", None, 0.5),
    ]
    assert rows[0].spread == pytest.approx(8**0.5)
    assert (rows[1].spread, rows[2].spread) == (0.0, None)


def test_one_command_measures_and_writes(
    benchmark: Any, backbone_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = studies.write_recipe(tmp_path, backbone_folder, methods=("target",), whole="\n")
    words = ["--recipe", recipe, "--store", tmp_path / "store", "--runs", tmp_path / "out", "--threads", 1]
    out = tmp_path / "result.json"
    assert benchmark.main([*map(str, words), "--out", str(out)]) == 0
    found = json.loads(out.read_text())["result"]
    names = ["library fp32", "library bf16", "engine fp32", "engine bf16"]
    assert [row["arithmetic"] for row in found][:4] == names
    by_name = {row["arithmetic"]: row for row in found[:4]}
    assert by_name["library fp32"]["same"] == 1.0
    # On a few steps of tiny models the two paths differ by rounding only.
    assert by_name["engine fp32"]["same"] == 1.0
    assert by_name["engine fp32"]["score"] == pytest.approx(by_name["library fp32"]["score"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)


def test_bad_input_is_told(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--recipe", str(tmp_path / "none.yaml"), "--store", str(tmp_path)]) == 2
    assert "none.yaml" in capsys.readouterr().err
