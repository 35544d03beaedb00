"""The benchmarks of the engine on next to nothing: they run, and say what they were asked for."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

pytest.importorskip("peft")

PROJECT = Path(__file__).resolve().parents[2]
TRAINING = [
    f"{pair}{padding}"
    for padding in ("", "_pad128")
    for pair in (
        *(f"{ours}_vs_adaptertrainer" for ours in ("fp32", "bf16", "n6", "n9")),
        "bf16_vs_peft",
        "bf16_vs_full",
    )
]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of data sets with tweets of words that the tiny backbone knows."""
    folder = tmp_path / "data" / "umsab" / "english"
    folder.mkdir(parents=True)
    lines = [" ".join(tiny.WORDS[place : place + 3 + place % 9]) for place in range(60)]
    (folder / "train_text.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "data"


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the libraries that are measured warn of each other
@pytest.mark.parametrize(
    ("name", "ratios"),
    [
        ("training", TRAINING),
        ("fusion", ["fuse8_fp32", "fuse8_bf16", "fuse8_n6", "fuse8_over_fuse2"]),
        ("evaluation", ["bf16_vs_dynamic", "bf16_vs_pad128", "fp32_vs_dynamic", "fp32_vs_pad128"]),
        ("trial", ["fp32", "bf16", "n6"]),
        ("memory", ["vs_adaptertrainer"]),
        ("startup", ["help_s", "plan_s"]),
    ],
)
def test_it_prints_a_table_and_writes_what_was_asked_for(
    named: Any,
    name: str,
    ratios: list[str],
    texts: Path,
    backbone_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "result.json"
    given = ["--backbone", backbone_folder, "--data", texts, "--texts", 40, "--rounds", 1, "--threads", 1]
    assert named(name).main([*map(str, given), "--out", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["benchmark"] == name
    assert set(found["ratios"]) == set(ratios)
    assert all(value > 0 for value in found["ratios"].values())
    assert all(len(values) == 1 and values[0] > 0 for values in found["measured"].values())
    page = capfd.readouterr().out
    for part in (*ratios, *found["measured"], "bf16", "mkl", "gflops", "versions", "load"):
        assert part in page


# ---- what they are made of


def test_contenders_take_turns_and_pairs_are_compared(named: Any) -> None:
    turns, order = named("turns"), []

    def turn(name: str, values: list[float]) -> Any:
        return lambda: order.append(name) or values.pop(0)

    found = turns.in_turns({"a": turn("a", [1.0, 2.0, 9.0]), "b": turn("b", [4.0, 4.0, 9.0])}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [1.0, 2.0, 9.0], "b": [4.0, 4.0, 9.0]}
    assert turns.ratio(found["b"], found["a"]) == 2.0


def test_texts_come_from_all_over_the_data(named: Any, texts: Path) -> None:
    found = named("material").texts(texts, 20)
    assert len(set(found)) == 20
    assert found[-1].split()[0] == tiny.WORDS[57]


def test_without_data_sets_the_quickstarts_dialogues_are_read(named: Any, tmp_path: Path) -> None:
    assert len(set(named("material").texts(tmp_path, 3000))) == 3000


def test_a_job_is_the_recipe_that_is_measured(named: Any, backbone_folder: Path, tmp_path: Path) -> None:
    ours = named("ours")
    job = ours.Job(tmp_path / "job", backbone_folder, ["a"] * 6, ["b"] * 3, ["target"], "bf16", 128)
    run = ours.Ours.of(job, 1)
    stage = run._stage("target", training=True)
    assert (stage.path, stage.spec.numerics.precision) == ("engine.1", "bf16")
    assert run.train("target") > 0 and run.score("target") > 0
    assert ours.batch_budget([4, 8]) == 192


def test_a_fault_is_told_without_a_traceback(
    named: Any, tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--backbone", str(tmp_path), "--data", str(texts), "--texts", "40"]
    (tmp_path / "config.json").write_text(json.dumps({"num_hidden_layers": 3}), encoding="utf-8")
    assert named("evaluation").main(given) == 4
    streams = capsys.readouterr()
    assert streams.out == "" and "Traceback" not in streams.err and streams.err
    assert "torch" in sys.modules
